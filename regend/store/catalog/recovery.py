"""Recovery of a damaged catalog: put it aside, and save the roots if they can be read."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from regend.errors import StoreError
from regend.store.base import RootRecord
from regend.store.catalog.schema import open_writer
from regend.store.catalog.sums import beside, check_log, crc_of, forget_sum, read_sum
from regend.store.envelope import fsync_dir, parse_signed, signed, write_atomically

log = structlog.get_logger(__name__)

_ROOTS = ".roots"
_MARK = ".distrusted"
RootRow = tuple[str, str, str]


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether SQLite reports damage; its other errors are about the disk, a lock, or a statement."""
    return type(error) is sqlite3.DatabaseError


def open_or_recover(path: Path) -> sqlite3.Connection:
    """Open the catalog; put a damaged one aside and begin a new one with the same roots.

    Everything else is indexed again from the files themselves, which are the source of all of it. The file is compared
    with its checksum (10 ms for 35 MB in the cache); where that is not known, because the process was killed while the
    main file was written, at least the structure of every page is checked (40 ms).

    Raises:
        StoreError: it is another program's or a newer regend's, or the disk refuses.
    """
    try:
        # Format 1 marked a clean end by an empty file.
        beside(path, ".clean").unlink(missing_ok=True)
        recorded, exists = read_sum(path), path.exists() and path.stat().st_size > 0
        if exists and (found := _distrusted(path)):
            return begin_anew(path, found)
        if exists and recorded is not None and crc_of(path) != recorded:
            raise sqlite3.DatabaseError("the file does not match its checksum")
        if not exists and (roots := _copied_roots(path)):
            # It was put aside, and the disk or a kill kept the new one from being made.
            log.warning("catalog_missing", path=str(path), roots_saved=len(roots))
            return _begin_with(path, roots)
        connection = open_writer(path)
        if exists:
            _check(connection, path, recorded)
        return connection
    except OSError as error:
        raise _refusal(path, error) from error
    except sqlite3.DatabaseError as error:
        # A statement of ours that does not fit the tables says that their definitions are damaged.
        if not is_damage(error) and getattr(error, "sqlite_errorcode", None) != sqlite3.SQLITE_ERROR:
            raise _refusal(path, error) from error
        return begin_anew(path, str(error))


def _refusal(path: Path, error: Exception) -> StoreError:
    return StoreError(f"{path} cannot be opened: {error}; check its permissions and the space on the disk.")


def begin_anew(path: Path, reason: str) -> sqlite3.Connection:
    """Rename the catalog to `<name>.damaged-<time>`, and begin a new one with the roots of the old, if readable.

    Raises:
        StoreError: the disk refuses; the roots are not lost by that.
    """
    aside = beside(path, f".damaged-{time.time_ns():x}")
    try:
        roots = _salvage_roots(path)
        # From here on the copy is all that tells of them, should the new catalog not come to be.
        write_atomically(beside(path, _ROOTS), _encoded(roots))
        forget_sum(path)
        path.rename(aside)
        # The caches name rows of the old catalog by numbers that the new catalog gives to other rows.
        for caches in ("lexical", "vectors"):
            shutil.rmtree(path.parent / caches, ignore_errors=True)
        log.error("catalog_damaged", path=str(path), moved_to=str(aside), reason=reason, roots_saved=len(roots))
        beside(path, _MARK).unlink(missing_ok=True)
        return _begin_with(path, roots)
    except (OSError, sqlite3.Error) as error:
        raise _refusal(path, error) from error


def distrust(path: Path, reason: str) -> None:
    """Mark the catalog, so that the next opening puts it aside: by then its checksum would cover the damage, too.

    Raises:
        StoreError: the disk refuses.
    """
    try:
        write_atomically(beside(path, _MARK), signed({"reason": reason}))
    except OSError as error:
        raise _refusal(path, error) from error


def _distrusted(path: Path) -> str:
    mark = beside(path, _MARK)
    if not mark.exists():
        return ""
    try:
        return str(parse_signed(mark.read_bytes())["reason"])
    except (OSError, ValueError, LookupError, TypeError):
        return "a check found it damaged"


def _begin_with(path: Path, roots: Sequence[RootRow]) -> sqlite3.Connection:
    """Create a catalog that has its roots from the first moment: after a kill there is none, or one with all roots."""
    making = beside(path, ".new")
    for suffix in ("", "-wal", "-shm"):
        beside(making, suffix).unlink(missing_ok=True)
    connection = open_writer(making)
    try:
        for root_path, pool_key, marker in roots:
            connection.execute("INSERT OR IGNORE INTO pools(pool_key) VALUES (?)", (pool_key,))
            connection.execute(
                "INSERT INTO roots(path, pool, marker) SELECT ?, pool, ? FROM pools WHERE pool_key = ?",
                (root_path, marker, pool_key),
            )
        connection.execute("PRAGMA journal_mode = DELETE")  # So that it is one file, which can be renamed.
    finally:
        connection.close()
    for suffix in ("-wal", "-shm"):  # SQLite would lay these of the old catalog over the new one.
        beside(path, suffix).unlink(missing_ok=True)
    making.rename(path)
    fsync_dir(path.parent)
    return open_writer(path)


def _check(connection: sqlite3.Connection, path: Path, recorded: int | None) -> None:
    try:
        if recorded is not None:
            check_log(connection, path, recorded)
            return
        (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if finding != "ok":
            raise sqlite3.DatabaseError(finding)
    except BaseException:
        abandon(connection, path)
        raise


def abandon(connection: sqlite3.Connection, path: Path) -> None:
    """Close a faulty catalog and forget its checksum, because SQLite may now move the log into the main file."""
    with contextlib.suppress(OSError):
        forget_sum(path)
    connection.close()


def remember_roots(path: Path, records: Sequence[RootRecord]) -> None:
    """Keep a copy of the roots beside the catalog, for when nothing of it can be read."""
    rows = [(record.path, record.pool_key, record.marker) for record in records]
    data = _encoded(rows)
    copy = beside(path, _ROOTS)
    try:
        if not copy.exists() or copy.read_bytes() != data:
            write_atomically(copy, data)
    except OSError as error:
        # The catalog has them too; only a second accident would tell the difference.
        log.warning("roots_not_copied", path=str(copy), reason=str(error))


def _encoded(rows: Sequence[RootRow]) -> bytes:
    return signed({"roots": rows})


def _salvage_roots(path: Path) -> list[RootRow]:
    """Return the roots of the signed copy; without a copy, those that can be read from the damaged catalog."""
    copied = _copied_roots(path)
    return _roots_of_damaged(path) if copied is None else copied


def _copied_roots(path: Path) -> list[RootRow] | None:
    try:
        rows = parse_signed(beside(path, _ROOTS).read_bytes())["roots"]
        return [(str(root), str(key), str(marker)) for root, key, marker in rows]
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _roots_of_damaged(path: Path) -> list[RootRow]:
    query = "SELECT r.path, p.pool_key, r.marker FROM roots r JOIN pools p USING (pool) ORDER BY r.root"
    rows: dict[str, RootRow] = {}
    try:
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            for row in connection.execute(query):
                if all(isinstance(value, str) for value in row) and row[0].startswith("/") and "\0" not in row[0]:
                    rows.setdefault(row[0], row)
        finally:
            connection.close()
    except sqlite3.DatabaseError:
        pass
    return list(rows.values())
