"""Stores what a file's content is cut into: a blob, its chunks and its symbols."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from regend.chunking.packing import Rows
from regend.store.base import KeyArray, Mask
from regend.types import PackedFile

_VARIABLES = 500  # per statement; SQLite's own limit is far above, but short statements are cached
_Key = TypeVar("_Key", int, bytes)


class BlobRow(NamedTuple):
    """A blob that the catalog holds."""

    blob_key: int
    language: str
    skip_reason: str
    degraded_reason: str


def slices(keys: Sequence[_Key]) -> Iterator[tuple[str, Sequence[_Key]]]:
    """Yield parts of `keys`, each with the marks for a statement."""
    for start in range(0, len(keys), _VARIABLES):
        part = keys[start : start + _VARIABLES]
        yield ",".join("?" * len(part)), part


def add_blob(sql: sqlite3.Connection, file: PackedFile, rows: Rows) -> tuple[BlobRow, KeyArray, Mask]:
    """Store a blob's chunks and symbols.

    Returns:
        Its row, its chunk keys in order (int64 [n]), and which of them are new (bool [n]).
    """
    cursor = sql.execute(
        "INSERT INTO blobs(blob, language, line_count, skip_reason, degraded_reason, chunk_count, size_bytes) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            file.blob, file.language, file.line_count, file.skip_reason, file.degraded_reason,
            len(rows.chunks), sum(row[2] for row in rows.chunks),
        ),
    )  # fmt: skip
    blob_key = int(cursor.lastrowid or 0)
    keys, is_new = _add_chunks(sql, rows)
    sql.executemany(
        "INSERT INTO blob_chunks(blob_key, ordinal, chunk_key, start_line, end_line, symbol, kind) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(blob_key, n, key, *span) for n, (key, span) in enumerate(zip(keys, rows.spans, strict=True))],
    )
    sql.executemany(
        "INSERT INTO symbols(blob_key, ordinal, name, folded, path, kind, start_line, end_line) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [(blob_key, n, *symbol) for n, symbol in enumerate(rows.symbols)],
    )
    row = BlobRow(blob_key, file.language, file.skip_reason, file.degraded_reason)
    return row, np.array(keys, np.int64), np.array(is_new, np.bool_)


def _add_chunks(sql: sqlite3.Connection, rows: Rows) -> tuple[list[int], list[bool]]:
    """Store the chunks that are new; return the keys of all, in order, and which are new."""
    known: dict[bytes, int] = {}
    lexical_of = {row[0]: row[4] for row in rows.chunks}
    for marks, part in slices(list(lexical_of)):
        find = f"SELECT chunk, chunk_key, lexical FROM chunks WHERE chunk IN ({marks})"  # noqa: S608
        for chunk, key, lexical in sql.execute(find, part).fetchall():
            known[chunk] = key
            if lexical != lexical_of[chunk]:  # An older version weighted its words differently.
                sql.execute("UPDATE chunks SET lexical = ? WHERE chunk_key = ?", (lexical_of[chunk], key))
    new: list[tuple[int, bytes, int, int, object, object]] = []
    keys, is_new = list[int](), list[bool]()
    next_key = 0
    for row in rows.chunks:
        key = known.get(row[0], 0)
        is_new.append(not key)
        if not key:
            next_key = next_key + 1 if new else _next_key(sql, "chunks")
            key = known[row[0]] = next_key
            new.append((key, *row))
        keys.append(key)
    sql.executemany(
        "INSERT INTO chunks(chunk_key, chunk, token_count, size_bytes, text, lexical) VALUES (?, ?, ?, ?, ?, ?)",
        new,
    )
    return keys, is_new


def _next_key(sql: sqlite3.Connection, table: str) -> int:
    """Return the key that SQLite would give to the next row: greater than all that ever were in the table."""
    row = sql.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return 1 if row is None else int(row[0]) + 1
