"""What happens when the catalog itself is damaged: it is put aside, and the roots are saved if they can be read."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import structlog

from regend.store.schema import open_writer

log = structlog.get_logger(__name__)


def open_or_recover(path: Path) -> sqlite3.Connection:
    """Open the catalog; a damaged one is renamed to `<name>.damaged-<time>` and a new one with the same roots begun.

    Everything else is indexed again from the files themselves, which are the source of all of it.

    Raises:
        StoreError: it is another program's or a newer regend's.
    """
    try:
        return open_writer(path)
    except sqlite3.OperationalError:
        # Permissions, disk full, locked: not damage. The caller says so.
        raise
    except sqlite3.DatabaseError as error:
        roots = _salvage_roots(path)
        aside = path.with_name(f"{path.name}.damaged-{time.time_ns():x}")
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        log.error("catalog_damaged", path=str(path), moved_to=str(aside), reason=str(error), roots_saved=len(roots))
        connection = open_writer(path)
        for root_path, pool_key, marker in roots:
            connection.execute("INSERT OR IGNORE INTO pools(pool_key) VALUES (?)", (pool_key,))
            connection.execute(
                "INSERT INTO roots(path, pool, marker) SELECT ?, pool, ? FROM pools WHERE pool_key = ?",
                (root_path, marker, pool_key),
            )
        return connection


def _salvage_roots(path: Path) -> list[tuple[str, str, str]]:
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            return connection.execute(
                "SELECT r.path, p.pool_key, r.marker FROM roots r JOIN pools p USING (pool) ORDER BY r.root"
            ).fetchall()
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        return []
