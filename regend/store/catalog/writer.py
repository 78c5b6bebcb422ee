"""Writer of the catalog: all SQL that changes it. Owned by the index thread; knows nothing of snapshots or caches."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from regend.chunking.packing import Rows
from regend.core.events import FileState, FileVersion, PendingChunk
from regend.store.base import KeyArray, Mask, RootRecord
from regend.store.catalog.blobs import BlobRow, add_blob, slices
from regend.store.catalog.schema import MODEL_SHIFT
from regend.store.catalog.sums import read_sum, settle
from regend.types import BlobId, ChunkId, PackedFile, PoolId, RootId, StatSig

_KEY_MASK = (1 << MODEL_SHIFT) - 1


class TreeRow(NamedTuple):
    """A tree's row of one path; `entry_id` is None where it is skipped."""

    entry_id: int | None
    reason: str


class Catalog:
    """Statements on the writer connection. All writes happen inside `transaction`."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._sql = connection
        self._path = path
        self._base = read_sum(path) or 0
        self.catalog_id = str(connection.execute("SELECT catalog_id FROM state").fetchone()[0])
        """Drawn when the catalog was made; caches made from another catalog must not be used."""
        self.model = 0
        self._embeddable = ""

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit on success, roll back on any exception."""
        self._sql.execute("BEGIN IMMEDIATE")
        try:
            self._sql.execute("UPDATE state SET writes = writes + 1, base = ?", (self._base,))
            yield
            self._sql.execute("COMMIT")
        except BaseException:
            if self._sql.in_transaction:
                self._sql.execute("ROLLBACK")
            raise

    def close(self) -> None:
        self._sql.close()

    def checkpoint(self) -> bool:
        """Move the write-ahead log into the database and record its checksum; return False where that is to be tried
        again, because a reader is in the way or the disk is full."""
        settled = settle(self._sql, self._path)
        self._base = settled or 0
        return settled is not None

    def optimize(self) -> None:
        """Refresh the query planner's statistics where that is worth it."""
        with self.transaction():
            self._sql.execute("PRAGMA optimize")

    # Generation and model.

    @property
    def generation(self) -> int:
        return int(self._sql.execute("SELECT generation FROM state").fetchone()[0])

    def set_generation(self, generation: int) -> None:
        self._sql.execute("UPDATE state SET generation = ?", (generation,))

    def model_number(self, model_id: str, dim: int) -> int:
        """Return the number of a model, and record that it is in use."""
        now = int(time.time())
        self._sql.execute(
            "INSERT INTO models(model_id, dim, last_used_utc) VALUES (?, ?, ?) "
            "ON CONFLICT(model_id, dim) DO UPDATE SET last_used_utc = excluded.last_used_utc",
            (model_id, dim, now),
        )
        row = self._sql.execute("SELECT model FROM models WHERE model_id = ? AND dim = ?", (model_id, dim)).fetchone()
        return int(row[0])

    def confirm_models(self, models: Iterable[int]) -> None:
        """Record that these models are still in use: a daemon may run for longer than unused vectors are kept."""
        now = int(time.time())
        self._sql.executemany("UPDATE models SET last_used_utc = ? WHERE model = ?", [(now, model) for model in models])

    def use_model(self, model_id: str, dim: int) -> None:
        """Serve vectors of this model from now on; `pending` is recomputed where it was kept for another."""
        self.model = self.model_number(model_id, dim)
        if self._sql.execute("SELECT pending_model FROM state").fetchone()[0] == self.model:
            return
        self._sql.execute("DELETE FROM pending")
        self._sql.execute(
            "INSERT INTO pending(chunk_key) SELECT DISTINCT c.chunk_key FROM entries e "
            "JOIN blob_chunks c ON c.blob_key = e.blob_key WHERE e.unused_utc IS NULL "
            "AND NOT EXISTS (SELECT 1 FROM vectors v WHERE v.vector_key = (? | c.chunk_key))",
            (self.model << MODEL_SHIFT,),
        )
        self._sql.execute("UPDATE state SET pending_model = ?", (self.model,))

    def use_chunker(self, version: int) -> None:
        """Forget the signatures of files that another version of the chunker cut, so that the next scan reads them."""
        if self._sql.execute("SELECT chunker FROM state").fetchone()[0] != version:
            self._sql.execute("UPDATE trees SET mtime_ns = 0, ctime_ns = 0, size_bytes = 0, inode = '0'")
            self._sql.execute("UPDATE state SET chunker = ?", (version,))

    # Pools and roots.

    def roots(self) -> list[RootRecord]:
        rows = self._sql.execute(
            "SELECT r.root, r.path, r.pool, p.pool_key, r.marker FROM roots r JOIN pools p USING (pool) ORDER BY r.root"
        )
        return [RootRecord(RootId(r), path, PoolId(pool), key, marker) for r, path, pool, key, marker in rows]

    def add_root(self, path: str, pool_key: str, marker: str) -> RootRecord:
        self._sql.execute("INSERT OR IGNORE INTO pools(pool_key) VALUES (?)", (pool_key,))
        pool = int(self._sql.execute("SELECT pool FROM pools WHERE pool_key = ?", (pool_key,)).fetchone()[0])
        row = self._sql.execute("INSERT INTO roots(path, pool, marker) VALUES (?, ?, ?)", (path, pool, marker))
        return RootRecord(RootId(row.lastrowid or 0), path, PoolId(pool), pool_key, marker)

    def set_marker(self, root: RootId, marker: str) -> None:
        self._sql.execute("UPDATE roots SET marker = ? WHERE root = ?", (marker, root))

    def remove_root(self, root: RootId) -> None:
        self._sql.execute("DELETE FROM trees WHERE root = ?", (root,))
        self._sql.execute("DELETE FROM roots WHERE root = ?", (root,))

    # Trees.

    def tree(self, root: RootId) -> dict[str, FileState]:
        rows = self._sql.execute(
            "SELECT path, mtime_ns, ctime_ns, size_bytes, inode, blob, entry_id IS NULL FROM trees WHERE root = ?",
            (root,),
        )
        return {
            path: FileState(
                StatSig(mtime, ctime, size, int(inode)), None if blob is None else BlobId(blob), bool(skipped)
            )
            for path, mtime, ctime, size, inode, blob, skipped in rows
        }

    def tree_row(self, root: RootId, path: str) -> TreeRow | None:
        row = self._sql.execute("SELECT entry_id, reason FROM trees WHERE root = ? AND path = ?", (root, path))
        found = row.fetchone()
        return None if found is None else TreeRow(*found)

    def put_tree(
        self, root: RootId, path: str, sig: StatSig, blob: BlobId | None, reason: str, entry_id: int | None
    ) -> None:
        self._sql.execute(
            "INSERT INTO trees(root, path, mtime_ns, ctime_ns, size_bytes, inode, blob, reason, entry_id) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(root, path) DO UPDATE SET mtime_ns = excluded.mtime_ns, "
            "ctime_ns = excluded.ctime_ns, size_bytes = excluded.size_bytes, inode = excluded.inode, "
            "blob = excluded.blob, reason = excluded.reason, entry_id = excluded.entry_id",
            (root, path, sig.mtime_ns, sig.ctime_ns, sig.size_bytes, str(sig.inode), blob, reason, entry_id),
        )

    def touch_tree(self, root: RootId, path: str, sig: StatSig) -> None:
        self._sql.execute(
            "UPDATE trees SET mtime_ns = ?, ctime_ns = ?, size_bytes = ?, inode = ? WHERE root = ? AND path = ?",
            (sig.mtime_ns, sig.ctime_ns, sig.size_bytes, str(sig.inode), root, path),
        )

    def delete_tree(self, root: RootId, path: str) -> None:
        self._sql.execute("DELETE FROM trees WHERE root = ? AND path = ?", (root, path))

    def tree_entries(self, root: RootId) -> list[tuple[int | None, str]]:
        """Return `(entry_id, reason)` of every path."""
        return self._sql.execute("SELECT entry_id, reason FROM trees WHERE root = ?", (root,)).fetchall()

    # Blobs and entries.

    def pool_blobs(self, pool: PoolId) -> frozenset[BlobId]:
        rows = self._sql.execute(
            "SELECT b.blob FROM entries e JOIN blobs b USING (blob_key) WHERE e.pool = ? UNION "
            "SELECT b.blob FROM roots r JOIN trees t USING (root) JOIN blobs b ON b.blob = t.blob "
            "WHERE r.pool = ? AND t.entry_id IS NULL",
            (pool, pool),
        )
        return frozenset(BlobId(blob) for (blob,) in rows)

    def blob(self, blob: BlobId) -> BlobRow | None:
        find = "SELECT blob_key, language, skip_reason, degraded_reason FROM blobs WHERE blob = ?"
        row = self._sql.execute(find, (blob,)).fetchone()
        return None if row is None else BlobRow(*row)

    def add_blob(self, file: PackedFile, rows: Rows) -> tuple[BlobRow, KeyArray, Mask]:
        """Store a blob; see `blobs.add_blob`."""
        return add_blob(self._sql, file, rows)

    def blob_keys(self, blob_key: int) -> KeyArray:
        """Return the chunk keys of a blob, in order."""
        rows = self._sql.execute("SELECT chunk_key FROM blob_chunks WHERE blob_key = ? ORDER BY ordinal", (blob_key,))
        return np.array([key for (key,) in rows], np.int64)

    def entry(self, pool: PoolId, path: str, blob_key: int, generation: int) -> int:
        """Return the id of this (pool, path, blob); create it as live where it is new."""
        row = self._sql.execute(
            "SELECT entry_id FROM entries WHERE pool = ? AND path = ? AND blob_key = ?", (pool, path, blob_key)
        ).fetchone()
        if row is not None:
            return int(row[0])
        added = self._sql.execute(
            "INSERT INTO entries(pool, path, blob_key, changed) VALUES (?, ?, ?, ?)", (pool, path, blob_key, generation)
        )
        return int(added.lastrowid or 0)

    def set_live(self, entry_ids: Iterable[int], generation: int) -> None:
        self._sql.executemany(
            "UPDATE entries SET unused_utc = NULL, changed = ? WHERE entry_id = ?",
            [(generation, entry_id) for entry_id in entry_ids],
        )

    def set_unused(self, entry_ids: Iterable[int], generation: int) -> None:
        now = int(time.time())
        self._sql.executemany(
            "UPDATE entries SET unused_utc = ?, changed = ? WHERE entry_id = ?",
            [(now, generation, entry_id) for entry_id in entry_ids],
        )

    # Vectors.

    def chunk_keys(self, chunks: Sequence[ChunkId]) -> list[int | None]:
        """Return the keys of chunks, None where a chunk was deleted."""
        find = "SELECT chunk_key FROM chunks WHERE chunk = ?"
        rows = (self._sql.execute(find, (chunk,)).fetchone() for chunk in chunks)
        return [None if row is None else int(row[0]) for row in rows]

    def put_vectors(self, keys: Sequence[int], halves: npt.NDArray[np.float16], model: int) -> None:
        """Store vectors (float16 [n, dim]) of a model; the first one of a chunk stays."""
        self.add_vectors(keys, halves, model)
        if model == self.model:
            self.remove_pending(keys)

    def add_vectors(self, keys: Sequence[int], halves: npt.NDArray[np.float16], model: int) -> None:
        """Store vectors of chunks that are not pending; see `put_vectors`."""
        prefix = model << MODEL_SHIFT
        raw = halves.astype("<f2").view(f"V{2 * halves.shape[1]}")[:, 0].tolist()
        self._sql.executemany(
            "INSERT OR IGNORE INTO vectors(vector_key, vector) VALUES (?, ?)",
            zip((prefix | key for key in keys), raw, strict=True),
        )

    def vectors_of(self, keys: Sequence[int], model: int) -> dict[int, bytes]:
        """Return a model's stored vectors of these chunks, by key."""
        prefix = model << MODEL_SHIFT
        found: dict[int, bytes] = {}
        for marks, part in slices(keys):
            rows = self._sql.execute(
                f"SELECT vector_key, vector FROM vectors WHERE vector_key IN ({marks})",  # noqa: S608
                [prefix | key for key in part],
            )
            found.update((vector_key & _KEY_MASK, vector) for vector_key, vector in rows)
        return found

    def add_pending(self, keys: Iterable[int]) -> None:
        self._sql.executemany("INSERT OR IGNORE INTO pending(chunk_key) VALUES (?)", [(key,) for key in keys])

    def remove_pending(self, keys: Iterable[int]) -> None:
        self._sql.executemany("DELETE FROM pending WHERE chunk_key = ?", [(key,) for key in keys])

    def has_pending(self) -> bool:
        return self._sql.execute("SELECT 1 FROM pending LIMIT 1").fetchone() is not None

    def embed_only(self, roots: frozenset[RootId]) -> None:
        """Name only chunks as pending that a file of these roots holds."""
        numbers = ",".join(str(int(root)) for root in sorted(roots))
        self._embeddable = (
            "AND EXISTS (SELECT 1 FROM blob_chunks b JOIN entries e USING (blob_key) "  # noqa: S608 - whole numbers only
            "JOIN trees t ON t.path = e.path AND t.entry_id = e.entry_id "
            f"WHERE b.chunk_key = c.chunk_key AND t.root IN ({numbers}))"
        )

    def _described(self, keys: Sequence[int], condition: str) -> Iterator[tuple[int, PendingChunk]]:
        for marks, part in slices(keys):
            rows = self._sql.execute(
                f"SELECT chunk_key, chunk, token_count, size_bytes FROM chunks c WHERE chunk_key IN ({marks}) "  # noqa: S608
                f"{condition} ORDER BY chunk_key",
                part,
            ).fetchall()
            yield from ((key, PendingChunk(ChunkId(chunk), tokens, size)) for key, chunk, tokens, size in rows)

    def _all_pending(self) -> Iterator[tuple[int, PendingChunk]]:
        rows = self._sql.execute(
            "SELECT c.chunk_key, c.chunk, c.token_count, c.size_bytes FROM pending p JOIN chunks c USING (chunk_key) "  # noqa: S608
            f"WHERE 1 {self._embeddable} ORDER BY p.chunk_key"
        )
        with closing(rows):
            for key, chunk, tokens, size in rows:
                yield key, PendingChunk(ChunkId(chunk), tokens, size)

    def pending_chunks(self, versions: Mapping[int, FileVersion | None]) -> list[PendingChunk]:
        """Describe those of these chunks that may be embedded, in the order of their keys.

        Args:
            versions: chunk key -> what to name as the chunk's file.
        """
        found = self._described(sorted(versions), self._embeddable)
        return [replace(chunk, version=versions[key]) for key, chunk in found]

    def unembedded(
        self,
        limit: int,
        exclude: frozenset[ChunkId],
        keys: Sequence[int] | None = None,
        version_of: Callable[[int], FileVersion | None] | None = None,
        spent: frozenset[tuple[RootId, str]] = frozenset(),
    ) -> tuple[list[PendingChunk], bool, frozenset[int]]:
        """Return up to `limit` chunks outside `exclude`, oldest first, whether there are no others, and keys left out.

        Args:
            keys: the chunks to choose from, ascending; None: all that lack a vector of the first model.
            version_of: chunk key -> what to name as the chunk's file; None: name none.
            spent: files whose chunks are left out.
        """
        found: list[PendingChunk] = []
        left_out = set[int]()
        for key, chunk in self._all_pending() if keys is None else self._described(keys, ""):
            if chunk.chunk in exclude:
                continue
            version = version_of(key) if version_of is not None else None
            if version is not None and version.key in spent:
                left_out.add(key)
                continue
            if len(found) >= limit:
                return found, False, frozenset(left_out)
            found.append(chunk if version is None else replace(chunk, version=version))
        return found, True, frozenset(left_out)
