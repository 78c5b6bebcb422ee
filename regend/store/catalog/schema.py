"""The SQLite schema of the catalog, and how a connection to it is opened.

The catalog is the truth: every other file in the state directory can be rebuilt from it.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from regend.errors import StoreError, StoreVersionError
from regend.paths import APPLICATION_ID, STATE_FORMAT
from regend.store.catalog.sums import forget_sum

SCHEMA_VERSION = STATE_FORMAT
BUSY_TIMEOUT_MS = 5_000
MODEL_SHIFT = 40
"""`vectors.vector_key` is `model << MODEL_SHIFT | chunk_key`.

One integer key keeps the table a rowid table, whose leaf cells hold up to 4 KB in place; a composite primary key makes
an index b-tree, where anything over about 1 KB spills to overflow pages. Vectors of one model are one range.
"""

_SCHEMA = """
CREATE TABLE state(
  id INTEGER PRIMARY KEY CHECK (id = 1),
  generation INTEGER NOT NULL,
  pending_model INTEGER NOT NULL DEFAULT 0,    -- the model that table `pending` is kept for
  catalog_id TEXT NOT NULL DEFAULT '',         -- drawn at random; names the catalog that a cache was made from
  base INTEGER NOT NULL DEFAULT 0,             -- see store/catalog/sums.py
  writes INTEGER NOT NULL DEFAULT 0,           -- transactions so far
  chunker INTEGER NOT NULL DEFAULT 0           -- version of the chunker that the trees' signatures stand for
);
INSERT INTO state(id, generation, catalog_id) VALUES (1, 0, lower(hex(randomblob(8))));

CREATE TABLE models(
  model INTEGER PRIMARY KEY AUTOINCREMENT,
  model_id TEXT NOT NULL,
  dim INTEGER NOT NULL,
  last_used_utc INTEGER NOT NULL,
  UNIQUE(model_id, dim)
);

CREATE TABLE pools(
  pool INTEGER PRIMARY KEY AUTOINCREMENT,
  pool_key TEXT NOT NULL UNIQUE
);

CREATE TABLE roots(
  root INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL UNIQUE,
  pool INTEGER NOT NULL REFERENCES pools(pool),
  marker TEXT NOT NULL
);

-- What a file's content is cut into. `entries` says where the content is, or was, found.
CREATE TABLE blobs(
  blob_key INTEGER PRIMARY KEY AUTOINCREMENT,
  blob BLOB NOT NULL UNIQUE,
  language TEXT NOT NULL,
  line_count INTEGER NOT NULL,
  skip_reason TEXT NOT NULL,
  degraded_reason TEXT NOT NULL,
  chunk_count INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL                  -- of its chunks' texts
);

-- `chunk_key` is also the label in HNSW files, so it is never reused.
CREATE TABLE chunks(
  chunk_key INTEGER PRIMARY KEY AUTOINCREMENT,
  chunk BLOB NOT NULL UNIQUE,
  token_count INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  text NOT NULL,                               -- what is embedded; TEXT as it is, BLOB where compressed
  lexical NOT NULL
);

CREATE TABLE blob_chunks(
  blob_key INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  chunk_key INTEGER NOT NULL,
  start_line INTEGER NOT NULL,
  end_line INTEGER NOT NULL,
  symbol TEXT NOT NULL,
  kind TEXT NOT NULL,
  PRIMARY KEY(blob_key, ordinal)
) WITHOUT ROWID;
CREATE INDEX blob_chunks_chunk ON blob_chunks(chunk_key);

CREATE TABLE symbols(
  blob_key INTEGER NOT NULL,
  ordinal INTEGER NOT NULL,
  name TEXT NOT NULL,
  folded TEXT NOT NULL,
  path TEXT NOT NULL,
  kind TEXT NOT NULL,
  start_line INTEGER NOT NULL,
  end_line INTEGER NOT NULL,
  PRIMARY KEY(blob_key, ordinal)
) WITHOUT ROWID;
CREATE INDEX symbols_folded ON symbols(folded);

-- One (path, blob) of a pool; live while a tree names it. Its id is part of every doc id, so it is never reused.
CREATE TABLE entries(
  entry_id INTEGER PRIMARY KEY AUTOINCREMENT,
  pool INTEGER NOT NULL REFERENCES pools(pool),
  path TEXT NOT NULL,
  blob_key INTEGER NOT NULL REFERENCES blobs(blob_key),
  changed INTEGER NOT NULL,                    -- generation at which it last became live or dead
  unused_utc INTEGER,                          -- when it became dead; NULL while live
  UNIQUE(pool, path, blob_key)
);
CREATE INDEX entries_blob ON entries(blob_key);
CREATE INDEX entries_changed ON entries(pool, changed);
CREATE INDEX entries_unused ON entries(unused_utc) WHERE unused_utc IS NOT NULL;

CREATE TABLE trees(
  root INTEGER NOT NULL REFERENCES roots(root),
  path TEXT NOT NULL,
  mtime_ns INTEGER NOT NULL,
  ctime_ns INTEGER NOT NULL,
  size_bytes INTEGER NOT NULL,
  inode TEXT NOT NULL,                         -- decimal: may exceed 63 bits
  blob BLOB,
  reason TEXT NOT NULL,                        -- why it is skipped, or empty
  entry_id INTEGER,                            -- NULL where skipped
  PRIMARY KEY(root, path)
) WITHOUT ROWID;
CREATE INDEX trees_skipped ON trees(blob) WHERE entry_id IS NULL AND blob IS NOT NULL;

CREATE TABLE vectors(
  vector_key INTEGER PRIMARY KEY,
  vector BLOB NOT NULL                         -- float16 [dim], little endian
);

-- Live chunks without a vector of `state.pending_model`.
CREATE TABLE pending(chunk_key INTEGER PRIMARY KEY);
"""


_MIGRATIONS = {
    # Caches and checksums came to name the catalog that they belong to.
    1: """
    ALTER TABLE state ADD COLUMN catalog_id TEXT NOT NULL DEFAULT '';
    ALTER TABLE state ADD COLUMN base INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE state ADD COLUMN writes INTEGER NOT NULL DEFAULT 0;
    UPDATE state SET catalog_id = lower(hex(randomblob(8)));
    """,
    # The files that an earlier chunker cut came to be read again.
    2: "ALTER TABLE state ADD COLUMN chunker INTEGER NOT NULL DEFAULT 0;",
}
"""Statements that lead from each earlier version to the next. No step may drop `vectors`: embedding is expensive."""


def open_writer(path: Path) -> sqlite3.Connection:
    """Open the catalog for writing, creating it where it does not exist.

    Raises:
        StoreVersionError: a newer regend wrote it.
        StoreError: the file belongs to another program.
        sqlite3.DatabaseError: it is damaged.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=256)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA cache_size = -16000")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA journal_size_limit = 67108864")
        # Checkpoints fsync the database; the store makes them when idle, not in the middle of a commit.
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        version = int(connection.execute("PRAGMA user_version").fetchone()[0])
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        empty = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0
        if empty and version == 0 and application == 0:
            _create(connection)
        elif application != APPLICATION_ID:
            raise StoreError(
                f"{path} is an SQLite file of another program (application id {application:#x}); "
                "name another state directory."
            )
        elif version > SCHEMA_VERSION:
            raise StoreVersionError(
                f"{path} has schema version {version}, but this regend knows {SCHEMA_VERSION} at most; "
                "use the newer regend, or name another state directory."
            )
        else:
            _migrate(connection, version)
            # A table whose pages cannot be read shows up here and not in the middle of a commit.
            for table in ("state", "models", "pools", "roots", "blobs", "chunks", "entries", "trees", "pending"):
                connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()  # noqa: S608 - constant names
    except BaseException:
        with contextlib.suppress(OSError):
            forget_sum(path)
        connection.close()
        raise
    return connection


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    if version == SCHEMA_VERSION:
        return
    if version not in _MIGRATIONS:
        raise sqlite3.DatabaseError(f"no schema has version {version}")
    steps = "".join(_MIGRATIONS[number] for number in range(version, SCHEMA_VERSION))
    connection.executescript(f"BEGIN IMMEDIATE; {steps} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")


def _create(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"BEGIN; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"
    )


def open_reader(path: Path) -> sqlite3.Connection:
    """Open the catalog for reading only; any thread may close it."""
    connection = sqlite3.connect(
        f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False, cached_statements=64
    )
    connection.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cache_size = -4000")
    return connection
