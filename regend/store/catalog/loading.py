"""Bulk reads of the catalog, which fill memory when the store is opened."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import numpy as np

from regend.store.base import HalfMatrix, KeyArray
from regend.store.catalog.schema import MODEL_SHIFT
from regend.types import BlobId, PoolId, RootId

_BLOCK_ROWS = 512
"""With 8,192 rows the system maps and unmaps the large arrays page by page, which takes a third more time."""
_KEY_MASK = (1 << MODEL_SHIFT) - 1


class EntryRow(NamedTuple):
    """A live entry."""

    entry_id: int
    pool: PoolId
    path: str
    blob_key: int
    blob: BlobId
    language: str
    degraded_reason: str


def live_entries(connection: sqlite3.Connection) -> list[EntryRow]:
    """Return every live entry of every pool."""
    rows = connection.execute(
        "SELECT e.entry_id, e.pool, e.path, e.blob_key, b.blob, b.language, b.degraded_reason FROM entries e "
        "JOIN blobs b USING (blob_key) WHERE e.unused_utc IS NULL ORDER BY e.entry_id"
    )
    return [EntryRow(*row) for row in rows]


def tree_rows(connection: sqlite3.Connection) -> Iterator[tuple[RootId, int | None, str]]:
    """Yield `(root, entry_id, reason)` of every path of every root."""
    yield from connection.execute("SELECT root, entry_id, reason FROM trees")


def live_blob_keys(connection: sqlite3.Connection) -> dict[int, KeyArray]:
    """Return `blob_key` -> chunk keys in order (int64 [n]), for every blob that a live entry has."""
    rows = connection.execute(
        "SELECT blob_key, chunk_key FROM blob_chunks WHERE blob_key IN "
        "(SELECT blob_key FROM entries WHERE unused_utc IS NULL) ORDER BY blob_key, ordinal"
    )
    table = np.fromiter(chain.from_iterable(rows), np.int64).reshape(-1, 2)
    starts = np.flatnonzero(np.diff(table[:, 0], prepend=-1))
    parts = np.split(table[:, 1].copy(), starts[1:])
    # `split` makes one part of nothing, an empty one.
    return dict(zip(table[starts, 0].tolist(), parts, strict=False))


def vector_blocks(connection: sqlite3.Connection, model: int, dim: int) -> Iterator[tuple[KeyArray, HalfMatrix]]:
    """Yield the stored vectors of a model in blocks: `(keys int64 [n] ascending, vectors float16 [n, dim])`.

    A row of another length than `dim` (a damaged page that SQLite did not notice) is left out.
    """
    cursor = connection.execute(
        "SELECT vector_key & ?, vector FROM vectors WHERE vector_key >= ? AND vector_key < ? ORDER BY vector_key",
        (_KEY_MASK, model << MODEL_SHIFT, (model + 1) << MODEL_SHIFT),
    )
    while rows := cursor.fetchmany(_BLOCK_ROWS):
        yield decode_vectors(rows, dim)


def distinct(keys: KeyArray) -> KeyArray:
    """Return each of `keys` once, ascending. `numpy.unique` takes fifty times as long for a hundred thousand."""
    ordered = np.sort(keys)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def positions(ascending: KeyArray, keys: KeyArray) -> KeyArray:
    """Return where each of `keys` stands in `ascending` (int64 [n]), -1 where it is absent."""
    if not len(ascending):
        return np.full(len(keys), -1, np.int64)
    at = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    return np.where(ascending[at] == keys, at, -1).astype(np.int64)


def decode_vectors(rows: Sequence[tuple[int, bytes]], dim: int) -> tuple[KeyArray, HalfMatrix]:
    """Convert stored float16 rows to `(keys int64 [n], vectors float16 [n, dim])`; drop rows of another length."""
    keys, vectors = zip(*rows, strict=True) if rows else ((), ())
    if rows and set(map(len, vectors)) != {2 * dim}:
        return decode_vectors([row for row in rows if len(row[1]) == 2 * dim], dim)
    return np.array(keys, np.int64), np.frombuffer(b"".join(vectors), "<f2").reshape(len(rows), dim)


def entries_changed_since(connection: sqlite3.Connection, pool: PoolId, generation: int) -> tuple[list[int], list[int]]:
    """Return the `(all, live)` entries of a pool that became live or dead after `generation`."""
    rows = connection.execute(
        "SELECT entry_id, unused_utc IS NULL FROM entries WHERE pool = ? AND changed > ? ORDER BY entry_id",
        (pool, generation),
    ).fetchall()
    return [entry_id for entry_id, _ in rows], [entry_id for entry_id, live in rows if live]
