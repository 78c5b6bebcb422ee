"""Remembers which chunks are still to be sent to a shared store, in an SQLite file that outlives the daemon.

A chunk is noted before its vector is committed, so none is forgotten whatever ends the daemon. The outbox is bounded:
what exceeds it is replaced by one mark, after which the whole tree is compared with the store. The index stays the
truth; a lost or damaged outbox costs one comparison.
"""

from __future__ import annotations

import secrets
import sqlite3
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from regend.sharing.base import SharedModel
from regend.types import ChunkId

MAX_WAITING = 50_000
"""Chunks of one tree that may wait; more are replaced by a comparison of the whole tree."""
_SCHEMA_VERSION = 1
_SCHEMA = f"""
BEGIN;
CREATE TABLE trees(
  id INTEGER PRIMARY KEY,
  place TEXT NOT NULL UNIQUE,                  -- which root shares with which store and pool
  tree TEXT NOT NULL,                          -- its name there
  revision TEXT NOT NULL DEFAULT '',
  whole INTEGER NOT NULL DEFAULT 1,            -- 0, or how often the comparison of the whole tree was asked for
  generation INTEGER NOT NULL DEFAULT -1       -- of the index at the last comparison
);
CREATE TABLE waiting(
  id INTEGER NOT NULL, model_id TEXT NOT NULL, dim INTEGER NOT NULL, chunk BLOB NOT NULL, noted_utc REAL NOT NULL,
  PRIMARY KEY(id, model_id, dim, chunk)
) WITHOUT ROWID;
CREATE TABLE sent(id INTEGER NOT NULL, chunk BLOB NOT NULL, PRIMARY KEY(id, chunk)) WITHOUT ROWID;
PRAGMA user_version = {_SCHEMA_VERSION};
COMMIT;
"""


@dataclass(frozen=True, slots=True)
class SentTree:
    """A tree as the store has it, as far as is known here.

    Attributes:
        revision: last one that the store confirmed; empty before the first.
        whole: 0, or how often a comparison of the whole tree was asked for since the last one.
        generation: of the index at the last comparison.
    """

    tree: str
    revision: str
    whole: int
    generation: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """Chunks of one model that wait, in order of their hashes, and since when (`time.time()`)."""

    model: SharedModel
    chunks: dict[ChunkId, float]


class Outbox:
    """Owns the file. Any thread may call; each call is one transaction.

    Args:
        limit: see `MAX_WAITING`.
    """

    def __init__(self, path: Path, limit: int = MAX_WAITING) -> None:
        self._path = path
        self.named: dict[str, tuple[str, str]] = {}
        """Name and confirmed revision of each place's tree, once it was asked for."""
        self._limit = limit
        self._lock = threading.Lock()
        try:
            self._sql = _open(path)
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._sql = _open(path)

    def close(self) -> None:
        with self._lock:
            self._sql.close()

    def tree(self, place: str) -> SentTree:
        """Return the tree of a place; draw a name for a new one, which says nothing about this machine."""
        with self._transaction() as sql:
            sql.execute("INSERT OR IGNORE INTO trees(place, tree) VALUES (?, ?)", (place, secrets.token_hex(16)))
            find = "SELECT tree, revision, whole, generation FROM trees WHERE place = ?"
            found = SentTree(*sql.execute(find, (place,)).fetchone())
            self.named[place] = found.tree, found.revision
            return found

    def note(self, place: str, model: SharedModel, chunks: Iterable[ChunkId]) -> None:
        """Note that these chunks get, or have, a vector that the store is to have."""
        now = time.time()
        with self._transaction() as sql:
            number = _id(sql, place)
            rows = [(number, *model, chunk, now) for chunk in chunks]
            sql.executemany("INSERT OR IGNORE INTO waiting VALUES (?, ?, ?, ?, ?)", rows)
            if _count(sql, number) > self._limit:
                _mark_whole(sql, number)

    def mark_whole(self, place: str) -> None:
        """Let the whole tree be compared with the store; what waits is part of it."""
        with self._transaction() as sql:
            _mark_whole(sql, _id(sql, place))

    def take(self, place: str, limit: int) -> list[Waiting]:
        """Return up to `limit` waiting chunks by model; they wait until they are `done`."""
        with self._transaction() as sql:
            rows = sql.execute(
                "SELECT model_id, dim, chunk, noted_utc FROM waiting WHERE id = ? "
                "ORDER BY model_id, dim, chunk LIMIT ?",
                (_id(sql, place), limit),
            ).fetchall()
        found: dict[SharedModel, dict[ChunkId, float]] = {}
        for model_id, dim, chunk, noted_utc in rows:
            found.setdefault(SharedModel(model_id, dim), {})[ChunkId(chunk)] = noted_utc
        return [Waiting(model, chunks) for model, chunks in found.items()]

    def backlog(self, place: str) -> tuple[int, float]:
        """Return how many chunks wait, and since when the first of them does (`time.time()`; 0 where none does)."""
        with self._transaction() as sql:
            find = "SELECT count(*), coalesce(min(noted_utc), 0) FROM waiting WHERE id = ?"
            count, since_utc = sql.execute(find, (_id(sql, place),)).fetchone()
            return int(count), float(since_utc)

    def sent(self, place: str) -> set[ChunkId]:
        """Return the chunks that the tree names in the store."""
        with self._transaction() as sql:
            rows = sql.execute("SELECT chunk FROM sent WHERE id = ?", (_id(sql, place),))
            return {ChunkId(chunk) for (chunk,) in rows}

    def confirmed(self, place: str, model: SharedModel, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        """Return those of `chunks` that the tree names in the store, and whose vectors of the model do not wait."""
        marks = ",".join("?" * len(chunks))
        with self._transaction() as sql:
            number = _id(sql, place)
            rows = sql.execute(
                f"SELECT s.chunk FROM sent s WHERE s.id = ? AND s.chunk IN ({marks}) AND NOT EXISTS "  # noqa: S608
                "(SELECT 1 FROM waiting w WHERE w.id = s.id AND w.model_id = ? AND w.dim = ? AND w.chunk = s.chunk)",
                (number, *chunks, *model),
            )
            return {ChunkId(chunk) for (chunk,) in rows}

    def done(
        self,
        place: str,
        gone: Iterable[tuple[SharedModel, Iterable[ChunkId]]],
        named: Iterable[ChunkId],
        revision: str,
    ) -> None:
        """Drop what no longer waits, and record what the store's tree names now besides."""
        with self._transaction() as sql:
            number = _id(sql, place)
            for model, chunks in gone:
                sql.executemany(
                    "DELETE FROM waiting WHERE id = ? AND model_id = ? AND dim = ? AND chunk = ?",
                    [(number, *model, chunk) for chunk in chunks],
                )
            sql.executemany("INSERT OR IGNORE INTO sent VALUES (?, ?)", [(number, chunk) for chunk in named])
            sql.execute("UPDATE trees SET revision = ? WHERE id = ?", (revision, number))
        self.named[place] = self.named[place][0], revision

    def done_whole(self, place: str, named: Collection[ChunkId], revision: str, generation: int, whole: int) -> None:
        """Record that the store's tree names exactly these.

        Args:
            whole: as it was when the comparison began; what was asked for since then is still to be done.
        """
        with self._transaction() as sql:
            number = _id(sql, place)
            sql.execute("DELETE FROM sent WHERE id = ?", (number,))
            sql.executemany("INSERT INTO sent VALUES (?, ?)", [(number, chunk) for chunk in sorted(named)])
            sql.execute(
                "UPDATE trees SET revision = ?, generation = ?, whole = whole - ? WHERE id = ?",
                (revision, generation, whole, number),
            )
        self.named[place] = self.named[place][0], revision

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                yield self._sql
                self._sql.execute("COMMIT")
            except BaseException:
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")
                raise


def _open(path: Path) -> sqlite3.Connection:
    sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        sql.execute("PRAGMA journal_mode = WAL")
        sql.execute("PRAGMA synchronous = NORMAL")
        (version,) = sql.execute("PRAGMA user_version").fetchone()
        if version == 0:
            sql.executescript(_SCHEMA)
        elif version != _SCHEMA_VERSION:
            raise sqlite3.DatabaseError(f"the outbox has version {version}")
        # Otherwise each call would meet the damaged page, after each start again. It takes 0.2 s for a million chunks.
        (finding,) = sql.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise sqlite3.DatabaseError(finding)
    except BaseException:
        sql.close()
        raise
    return sql


def _id(sql: sqlite3.Connection, place: str) -> int:
    row = sql.execute("SELECT id FROM trees WHERE place = ?", (place,)).fetchone()
    assert row is not None, "tree() comes first"
    return int(row[0])


def _count(sql: sqlite3.Connection, number: int) -> int:
    return int(sql.execute("SELECT count(*) FROM waiting WHERE id = ?", (number,)).fetchone()[0])


def _mark_whole(sql: sqlite3.Connection, number: int) -> None:
    sql.execute("DELETE FROM waiting WHERE id = ?", (number,))
    sql.execute("UPDATE trees SET whole = whole + 1 WHERE id = ?", (number,))
