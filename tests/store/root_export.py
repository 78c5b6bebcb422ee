"""A logical dump of one root, for comparing an incremental index with a fresh one. Numbers that depend on history
(entry ids, keys, generations) are left out."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from regend.store.catalog.schema import MODEL_SHIFT
from regend.store.store import Store
from regend.types import RootId


@dataclass(frozen=True, slots=True)
class RootExport:
    """Everything indexed of a root, in an order that depends on content only.

    Attributes:
        tree: `(path, blob in hex or None, skip reason)` by path. The blob of a skipped file is left out, because the
            store need not know which of its contents was skipped last.
        chunks: `(blob, ordinal, chunk, start_line, end_line, symbol, kind)` of every blob of the tree.
        symbols: `(blob, path, name, kind, start_line, end_line)`.
        embedded: chunks that have a vector of the current model.
    """

    tree: tuple[tuple[str, str | None, str], ...]
    chunks: tuple[tuple[str, int, str, int, int, str, str], ...]
    symbols: tuple[tuple[str, str, str, str, int, int], ...]
    embedded: tuple[str, ...]


_WITH_BLOBS = (
    "WITH held(blob_key) AS (SELECT DISTINCT e.blob_key FROM trees t JOIN entries e USING (entry_id) WHERE t.root = ?) "
)
_CHUNKS = _WITH_BLOBS + (
    "SELECT lower(hex(b.blob)), c.ordinal, lower(hex(k.chunk)), c.start_line, c.end_line, c.symbol, c.kind "
    "FROM held JOIN blob_chunks c USING (blob_key) JOIN blobs b USING (blob_key) JOIN chunks k USING (chunk_key) "
    "ORDER BY 1, 2"
)
_SYMBOLS = _WITH_BLOBS + (
    "SELECT lower(hex(b.blob)), s.path, s.name, s.kind, s.start_line, s.end_line "
    "FROM held JOIN symbols s USING (blob_key) JOIN blobs b USING (blob_key) ORDER BY 1, 5, 6, 2, 3, 4"
)
_EMBEDDED = _WITH_BLOBS + (
    "SELECT DISTINCT lower(hex(k.chunk)) FROM held JOIN blob_chunks c USING (blob_key) "
    "JOIN chunks k USING (chunk_key) JOIN vectors v ON v.vector_key = (? | c.chunk_key) ORDER BY 1"
)


def export_root(connection: sqlite3.Connection, root: RootId, model: int) -> RootExport:
    """Dump a root."""
    tree = connection.execute("SELECT path, blob, reason FROM trees WHERE root = ? ORDER BY path", (root,))
    rows = tuple((path, None if blob is None or reason else blob.hex(), reason) for path, blob, reason in tree)
    chunks = connection.execute(_CHUNKS, (root,)).fetchall()
    symbols = connection.execute(_SYMBOLS, (root,)).fetchall()
    embedded = connection.execute(_EMBEDDED, (root, model << MODEL_SHIFT)).fetchall()
    return RootExport(rows, tuple(chunks), tuple(symbols), tuple(name for (name,) in embedded))


def export_of(store: Store, root: RootId) -> RootExport:
    """Dump a root of an open store."""
    return export_root(store._connection, root, store._catalog.model)
