"""What happens when the catalog itself is damaged: it is put aside, and the roots are saved if they can be read."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import structlog

from regend.errors import StoreError
from regend.store.schema import open_writer

log = structlog.get_logger(__name__)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether SQLite says that the file is damaged; its other errors are about the disk, a lock, or a statement."""
    return type(error) is sqlite3.DatabaseError


def mark_clean(path: Path) -> None:
    """Record that the catalog was closed in good order, so that the next opening need not read all of it."""
    _clean_marker(path).touch()


def _clean_marker(path: Path) -> Path:
    return path.with_name(f"{path.name}.clean")


def open_or_recover(path: Path) -> sqlite3.Connection:
    """Open the catalog; a damaged one is renamed to `<name>.damaged-<time>` and a new one with the same roots begun.

    Everything else is indexed again from the files themselves, which are the source of all of it. After an end that was
    not clean (a kill, a power cut, an error that named damage), every page is checked: 40 ms for 35 MB in the cache.

    Raises:
        StoreError: it is another program's or a newer regend's, or the disk refuses.
    """
    clean = _clean_marker(path)
    suspect = path.exists() and not clean.exists()
    clean.unlink(missing_ok=True)
    try:
        connection = open_writer(path)
        if suspect:
            _check_pages(connection)
        return connection
    except sqlite3.DatabaseError as error:
        if not is_damage(error):
            raise StoreError(
                f"{path} cannot be opened: {error}; check its permissions and the space on the disk."
            ) from error
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


def _check_pages(connection: sqlite3.Connection) -> None:
    try:
        (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise sqlite3.DatabaseError(finding)
    except sqlite3.DatabaseError:
        connection.close()
        raise


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
