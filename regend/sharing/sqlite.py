"""A shared store in one SQLite file: for daemons of one machine, and for a pool that CI hands on as a file.

Searches are exact: the vectors of a tree are read and compared.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np

from regend.errors import SharedStoreAwayError, SharedStoreError
from regend.sharing.address import Address
from regend.sharing.base import (
    GRACE_S,
    LEASE_S,
    FloatVector,
    HalfMatrix,
    Health,
    KnownTree,
    ModelCount,
    Near,
    PoolHealth,
    SharedModel,
    Swept,
    TreeChange,
    TreeCommitted,
)
from regend.sharing.rows import parts
from regend.types import ChunkId

_T = TypeVar("_T")
SCHEMA_VERSION = 1
APPLICATION_ID = 0x52474E53
_BUSY_TIMEOUT_S = 30.0
_VARIABLES = 500
_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE pools(pool INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE models(model INTEGER PRIMARY KEY, model_id TEXT NOT NULL, dim INTEGER NOT NULL, UNIQUE(model_id, dim));
CREATE TABLE chunks(
  seq INTEGER PRIMARY KEY, pool INTEGER NOT NULL, chunk BLOB NOT NULL, added_utc REAL NOT NULL, UNIQUE(pool, chunk)
);
CREATE TABLE vectors(
  model INTEGER NOT NULL, seq INTEGER NOT NULL, vector BLOB NOT NULL, PRIMARY KEY(model, seq)
) WITHOUT ROWID;
CREATE TABLE trees(
  pool INTEGER NOT NULL, tree TEXT NOT NULL, revision TEXT NOT NULL, lease_until_utc REAL NOT NULL,
  PRIMARY KEY(pool, tree)
);
CREATE TABLE members(
  pool INTEGER NOT NULL, tree TEXT NOT NULL, seq INTEGER NOT NULL, PRIMARY KEY(pool, tree, seq)
) WITHOUT ROWID;
CREATE INDEX members_seq ON members(seq);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""


class SqliteStore:
    """See `SharedStore`. Every call runs in a thread, one at a time."""

    def __init__(self, address: Address) -> None:
        self._path = Path(address.path)
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None

    async def setup(self) -> bool:
        """Make the tables; return False where they exist."""
        is_new = not await asyncio.to_thread(self._path.exists)
        return await self._run(lambda _sql: is_new)

    async def close(self) -> None:
        def finish() -> None:
            with self._lock:
                opened, self._opened = self._opened, None
                if opened is not None:
                    opened.close()

        await asyncio.to_thread(finish)

    # Vectors.

    async def known(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        """See `SharedVectors.known`."""
        return await self._run(lambda sql: {chunk for chunk, _ in _vectors(sql, pool, model, chunks)})

    async def put(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId], vectors: HalfMatrix) -> int:
        """See `SharedVectors.put`."""
        raw = vectors.astype("<f2")

        def write(sql: sqlite3.Connection) -> int:
            number, own = _pool(sql, pool), _model(sql, model)
            now = time.time()
            sql.executemany(
                "INSERT OR IGNORE INTO chunks(pool, chunk, added_utc) VALUES (?, ?, ?)",
                [(number, chunk, now) for chunk in chunks],
            )
            before = sql.total_changes
            sql.executemany(
                "INSERT OR IGNORE INTO vectors SELECT ?, seq, ? FROM chunks WHERE pool = ? AND chunk = ?",
                [(own, row.tobytes(), number, chunk) for chunk, row in zip(chunks, raw, strict=True)],
            )
            return sql.total_changes - before

        return await self._run(write)

    async def fetch(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> tuple[list[ChunkId], HalfMatrix]:
        """See `SharedVectors.fetch`."""
        return _decoded(await self._run(lambda sql: _vectors(sql, pool, model, chunks)), model.dim)

    async def page(self, pool: str, model: SharedModel, after: bytes, limit: int) -> list[ChunkId]:
        """See `SharedVectors.page`."""
        rows = await self._run(
            lambda sql: sql.execute(
                "SELECT c.chunk FROM chunks c JOIN vectors v ON v.seq = c.seq AND v.model = ? "
                "WHERE c.pool = ? AND c.chunk > ? ORDER BY c.chunk LIMIT ?",
                (_model(sql, model), _pool(sql, pool), after, limit),
            ).fetchall()
        )
        return [ChunkId(chunk) for (chunk,) in rows]

    async def nearest(
        self, pool: str, model: SharedModel, vector: FloatVector, limit: int, trees: Mapping[str, str]
    ) -> list[Near]:
        """See `SharedVectors.nearest`."""
        rows = await self._run(
            lambda sql: sql.execute(
                "SELECT DISTINCT c.chunk, v.vector FROM members m JOIN vectors v USING (seq) JOIN chunks c USING (seq) "  # noqa: S608
                f"WHERE m.pool = ? AND v.model = ? AND m.tree IN ({','.join('?' * len(trees))})",
                (_pool(sql, pool), _model(sql, model), *trees),
            ).fetchall()
        )
        chunks, vectors = _decoded(rows, model.dim)
        scores = _cosines(vectors, vector)
        order = sorted(range(len(chunks)), key=lambda row: (-scores[row], chunks[row]))[:limit]
        return [Near(chunks[row], float(scores[row])) for row in order]

    async def similarity(
        self, pool: str, model: SharedModel, vector: FloatVector, chunks: Sequence[ChunkId]
    ) -> dict[ChunkId, float]:
        """See `SharedVectors.similarity`."""
        found, vectors = await self.fetch(pool, model, chunks)
        return dict(zip(found, _cosines(vectors, vector).tolist(), strict=True))

    # Trees.

    async def commit_tree(self, pool: str, change: TreeChange, lease_s: float = LEASE_S) -> TreeCommitted:
        """See `SharedTrees.commit_tree`."""

        def write(sql: sqlite3.Connection) -> TreeCommitted:
            number = _pool(sql, pool)
            place = (number, change.tree)
            row = sql.execute("SELECT revision FROM trees WHERE pool = ? AND tree = ?", place).fetchone()
            revision = "" if row is None else row[0]
            seqs = _seqs(sql, number, change.added | change.removed)
            missing = change.added - seqs.keys()
            if revision == change.revision:
                return TreeCommitted(True, missing)  # The answer to the first try was lost.
            if change.base and revision != change.base:
                return TreeCommitted(False)
            if not change.base:
                sql.execute("DELETE FROM members WHERE pool = ? AND tree = ?", place)
            sql.executemany(
                "DELETE FROM members WHERE pool = ? AND tree = ? AND seq = ?",
                [(*place, seqs[chunk]) for chunk in change.removed if chunk in seqs],
            )
            sql.executemany(
                "INSERT OR IGNORE INTO members VALUES (?, ?, ?)",
                [(*place, seqs[chunk]) for chunk in change.added if chunk in seqs],
            )
            sql.execute(
                "INSERT OR REPLACE INTO trees VALUES (?, ?, ?, ?)", (*place, change.revision, time.time() + lease_s)
            )
            return TreeCommitted(True, missing)

        return await self._run(write)

    async def renew(self, pool: str, tree: str, lease_s: float = LEASE_S) -> str:
        """See `SharedTrees.renew`."""

        def write(sql: sqlite3.Connection) -> str:
            place = (_pool(sql, pool), tree)
            sql.execute(
                "UPDATE trees SET lease_until_utc = ? WHERE pool = ? AND tree = ?", (time.time() + lease_s, *place)
            )
            row = sql.execute("SELECT revision FROM trees WHERE pool = ? AND tree = ?", place).fetchone()
            return "" if row is None else str(row[0])

        return await self._run(write)

    async def trees(self, pool: str) -> list[KnownTree]:
        """See `SharedTrees.trees`."""
        now = time.time()
        rows = await self._run(
            lambda sql: sql.execute(
                "SELECT tree, revision, lease_until_utc - ? FROM trees WHERE pool = ? AND lease_until_utc >= ? "
                "ORDER BY tree",
                (now, _pool(sql, pool), now),
            ).fetchall()
        )
        return [KnownTree(*row) for row in rows]

    async def tree_chunks(self, pool: str, tree: str) -> set[ChunkId]:
        """See `SharedTrees.tree_chunks`."""
        rows = await self._run(
            lambda sql: sql.execute(
                "SELECT c.chunk FROM members m JOIN chunks c USING (seq) WHERE m.pool = ? AND m.tree = ?",
                (_pool(sql, pool), tree),
            ).fetchall()
        )
        return {ChunkId(chunk) for (chunk,) in rows}

    async def sweep(self, pool: str, grace_s: float = GRACE_S) -> Swept:
        """See `SharedTrees.sweep`."""

        def write(sql: sqlite3.Connection) -> Swept:
            number, now = _pool(sql, pool), time.time()
            ended = sql.execute("DELETE FROM trees WHERE pool = ? AND lease_until_utc < ?", (number, now)).rowcount
            sql.execute(
                "DELETE FROM members WHERE pool = ? AND tree NOT IN (SELECT tree FROM trees WHERE pool = ?)",
                (number, number),
            )
            dead = sql.execute(
                "DELETE FROM chunks WHERE pool = ? AND added_utc <= ? "
                "AND NOT EXISTS (SELECT 1 FROM members m WHERE m.seq = chunks.seq) RETURNING seq",
                (number, now - grace_s),
            ).fetchall()
            for (model,) in sql.execute("SELECT model FROM models").fetchall():
                sql.executemany("DELETE FROM vectors WHERE model = ? AND seq = ?", [(model, seq) for (seq,) in dead])
            return Swept(ended, len(dead))

        return await self._run(write)

    async def health(self) -> Health:
        """See `SharedTrees.health`."""

        def read(sql: sqlite3.Connection) -> Health:
            pools = []
            for pool, name in sql.execute("SELECT pool, name FROM pools ORDER BY name").fetchall():
                (chunks,) = sql.execute("SELECT count(*) FROM chunks WHERE pool = ?", (pool,)).fetchone()
                (trees,) = sql.execute(
                    "SELECT count(*) FROM trees WHERE pool = ? AND lease_until_utc >= ?", (pool, time.time())
                ).fetchone()
                vectors = sql.execute(
                    "SELECT m.model_id, m.dim, count(*) FROM chunks c JOIN vectors v USING (seq) "
                    "JOIN models m USING (model) WHERE c.pool = ? GROUP BY m.model ORDER BY m.model",
                    (pool,),
                )
                pools.append(PoolHealth(name, chunks, trees, tuple(ModelCount(*row) for row in vectors.fetchall())))
            return Health(f"SQLite {sqlite3.sqlite_version}", SCHEMA_VERSION, tuple(pools))

        return await self._run(read)

    async def _run(self, call: Callable[[sqlite3.Connection], _T]) -> _T:
        """Call within one transaction, in a thread."""

        def work() -> _T:
            with self._lock:
                try:
                    with _transaction(self._open()) as sql:
                        return call(sql)
                except sqlite3.OperationalError as error:
                    raise SharedStoreAwayError(f"{self._path} cannot be used now: {error}.") from error
                except sqlite3.DatabaseError as error:
                    raise SharedStoreError(
                        f"{self._path} is damaged ({error}); remove it, and it is filled again."
                    ) from error

        return await asyncio.to_thread(work)

    def _open(self) -> sqlite3.Connection:
        if self._opened is not None:
            return self._opened
        sql = sqlite3.connect(self._path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        try:
            sql.execute("PRAGMA journal_mode = WAL")
            sql.execute("PRAGMA synchronous = FULL")
            _check(sql, self._path)
        except BaseException:
            sql.close()
            raise
        self._opened = sql
        return sql


def _check(sql: sqlite3.Connection, path: Path) -> None:
    """Make the tables of an empty file; refuse those of other programs and versions."""
    if not sql.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        try:
            sql.executescript(_SCHEMA)
        except sqlite3.OperationalError:
            sql.rollback()  # Another daemon was quicker.
    (application,) = sql.execute("PRAGMA application_id").fetchone()
    (version,) = sql.execute("PRAGMA user_version").fetchone()
    if application != APPLICATION_ID:
        raise SharedStoreError(f"{path} is a file of another program; name another one in `shared.url`.")
    if version != SCHEMA_VERSION:
        raise SharedStoreError(
            f"{path} has version {version}, but this regend knows {SCHEMA_VERSION}; use the regend that wrote it, or "
            "name another file in `shared.url`."
        )


@contextmanager
def _transaction(sql: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    sql.execute("BEGIN IMMEDIATE")
    try:
        yield sql
        sql.execute("COMMIT")
    except BaseException:
        if sql.in_transaction:
            sql.execute("ROLLBACK")
        raise


def _pool(sql: sqlite3.Connection, name: str) -> int:
    sql.execute("INSERT OR IGNORE INTO pools(name) VALUES (?)", (name,))
    return int(sql.execute("SELECT pool FROM pools WHERE name = ?", (name,)).fetchone()[0])


def _model(sql: sqlite3.Connection, model: SharedModel) -> int:
    sql.execute("INSERT OR IGNORE INTO models(model_id, dim) VALUES (?, ?)", model)
    return int(sql.execute("SELECT model FROM models WHERE model_id = ? AND dim = ?", model).fetchone()[0])


def _seqs(sql: sqlite3.Connection, pool: int, chunks: Iterable[ChunkId]) -> dict[ChunkId, int]:
    found: dict[ChunkId, int] = {}
    for part in parts(sorted(chunks), _VARIABLES):
        marks = ",".join("?" * len(part))
        rows = sql.execute(f"SELECT chunk, seq FROM chunks WHERE pool = ? AND chunk IN ({marks})", (pool, *part))  # noqa: S608
        found.update((ChunkId(chunk), seq) for chunk, seq in rows)
    return found


def _vectors(
    sql: sqlite3.Connection, pool: str, model: SharedModel, chunks: Sequence[ChunkId]
) -> list[tuple[ChunkId, bytes]]:
    own = _model(sql, model)
    found: list[tuple[ChunkId, bytes]] = []
    for part in parts(sorted(set(chunks)), _VARIABLES):
        marks = ",".join("?" * len(part))
        found += sql.execute(
            "SELECT c.chunk, v.vector FROM chunks c JOIN vectors v ON v.seq = c.seq AND v.model = ? "  # noqa: S608
            f"WHERE c.pool = ? AND c.chunk IN ({marks})",
            (own, _pool(sql, pool), *part),
        ).fetchall()
    return found


def _decoded(rows: Sequence[tuple[bytes, bytes]], dim: int) -> tuple[list[ChunkId], HalfMatrix]:
    raw = np.frombuffer(b"".join(vector for _, vector in rows), "<f2").reshape(len(rows), dim)
    return [ChunkId(chunk) for chunk, _ in rows], raw.astype(np.float16)


def _cosines(vectors: HalfMatrix, vector: FloatVector) -> FloatVector:
    return np.asarray(vectors.astype(np.float32) @ vector, np.float32)
