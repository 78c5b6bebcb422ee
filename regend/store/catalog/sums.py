"""The checksum of the catalog's main file, which SQLite itself does not keep.

The main file changes only when the write-ahead log is moved into it, and only this module does that (`settle`), so its
CRC-32 is right until the next time, also after a kill. The log's own frames carry SQLite's checksums; that it belongs
to this main file and not to another is seen from `state.base`, which every transaction sets to the CRC-32 of the main
file that it builds on. CRC-32 runs at 11 GB/s here; it is meant to find accidents, not enemies.

SQLite moves the log by itself when the last connection is closed, and Python 3.11 cannot forbid it. So whoever closes a
connection without `settle` before must call `forget_sum`; `guard` does so for a process that ends without closing.
"""

from __future__ import annotations

import atexit
import contextlib
import sqlite3
from collections.abc import Callable
from pathlib import Path

from isal import isal_zlib

from regend.store.envelope import fsync_dir, write_atomically

_MAGIC = "regend-sums-1"
_SUMS = ".sums"
_BLOCK_BYTES = 1 << 20
_BUSY_MS = 100


def crc_of(path: Path) -> int:
    """Return the CRC-32 of a file."""
    crc = 0
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            crc = isal_zlib.crc32(block, crc)
    return crc


def beside(path: Path, suffix: str) -> Path:
    """Return the path of a file that belongs to the catalog; SQLite names its write-ahead log likewise (``-wal``)."""
    return path.with_name(path.name + suffix)


def read_sum(path: Path) -> int | None:
    """Return the catalog's recorded CRC-32; None where it is not known."""
    try:
        magic, crc, own = beside(path, _SUMS).read_text("ascii").split()
        if magic == _MAGIC and own == _sign(crc):
            return int(crc, 16)
    except (OSError, ValueError):
        pass
    return None


def forget_sum(path: Path) -> None:
    """Remove the checksum durably, because the main file may change from now on."""
    sums = beside(path, _SUMS)
    if sums.exists():
        sums.unlink(missing_ok=True)
        fsync_dir(path.parent)


def guard(path: Path) -> Callable[[], None]:
    """Forget the checksum if the interpreter ends with the connection open; call the result to stop guarding."""

    def forget() -> None:
        with contextlib.suppress(OSError):
            forget_sum(path)

    atexit.register(forget)
    return lambda: atexit.unregister(forget)


def _sign(crc: str) -> str:
    return f"{isal_zlib.crc32(f'{_MAGIC} {crc}'.encode()):08x}"


def settle(connection: sqlite3.Connection, path: Path) -> int | None:
    """Move the log into the main file and record its checksum.

    Returns:
        The checksum; None while a reader is in the way (the log then stays, and so does all that is in it), and where
        the checksum cannot be written.
    """
    known, log = read_sum(path), beside(path, "-wal")
    if known is not None and not (log.exists() and log.stat().st_size):
        return known
    forget_sum(path)
    (timeout_ms,) = connection.execute("PRAGMA busy_timeout").fetchone()
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MS}")
    try:
        (busy, _, _) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    finally:
        connection.execute(f"PRAGMA busy_timeout = {timeout_ms}")
    if busy:
        return None
    crc = crc_of(path)
    text = f"{crc:08x}"
    try:
        write_atomically(beside(path, _SUMS), f"{_MAGIC} {text} {_sign(text)}\n".encode())
    except OSError:
        return None  # Such as a full disk: the catalog itself is whole, only not vouched for.
    return crc


def check_log(connection: sqlite3.Connection, path: Path, recorded: int) -> None:
    """Check that the log of an open catalog belongs to its main file, whose checksum is `recorded`.

    Raises:
        sqlite3.DatabaseError: it belongs to another one.
    """
    query = "SELECT base, writes FROM state"
    base, writes = connection.execute(query).fetchone()
    log = beside(path, "-wal")
    if base == recorded or not (log.exists() and log.stat().st_size):
        return
    # Either SQLite found nothing valid in the log and passed it over, which leaves an older but whole state, or it has
    # laid pages of another time over this file.
    main = sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        alone = main.execute(query).fetchone()
    finally:
        main.close()
    if alone != (base, writes):
        raise sqlite3.DatabaseError("the write-ahead log belongs to another version of the file")
