"""Read files below a root without following a link, waiting on a FIFO, or believing a signature taken too early.

Directories are opened component by component, each without following links, so nothing outside the root is ever read,
whatever is swapped for a link meanwhile. Scanner threads and worker processes both read through here.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time

from regend.errors import PathError
from regend.types import UNSURE, StatSig

RACY_NS = 50_000_000
"""A file whose timestamps are this close to the clock may be written again under the same timestamps: kernels stamp
with the time of the last tick, 1 to 10 ms apart. Five ticks of the slowest kernel are safe."""
COARSE_RACY_NS = 2_100_000_000
"""The same for whole-second timestamps, which mark a file system that has no finer ones (FAT counts in 2 s)."""
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_ATTEMPTS = 3


class FileRefusedError(PathError):
    """The file is there and is not read.

    Attributes:
        reason: ``symlink``, ``not_regular``, ``too_large`` or ``unreadable``.
    """

    code = "file_refused"

    def __init__(self, path: str, reason: str, detail: str = "") -> None:
        super().__init__(f"File {path} is not read: {reason}{f' ({detail})' if detail else ''}.")
        self.reason = reason


def read_file(root_path: str, path: str, max_bytes: int) -> tuple[bytes, StatSig]:
    """Read one file below a root.

    Args:
        path: relative to the root, with ``/``.

    Returns:
        Its bytes and its signature; the signature is `UNSURE` where the file was changing, or so new that a later
        write could carry the same timestamps.

    Raises:
        FileNotFoundError: it is gone, or a directory above it is gone or not a directory (any more); observe again.
        FileRefusedError: it is not to be read; `reason` says why.
        OSError: the disk failed.
    """
    parent, _, name = path.rpartition("/")
    with contextlib.ExitStack() as descriptors:
        root = open_root(root_path)
        descriptors.callback(os.close, root)
        directory = open_directory(root, parent)
        descriptors.callback(os.close, directory)
        return read_at(directory, name, max_bytes, path)


def open_root(root_path: str) -> int:
    """Open the root directory itself."""
    return os.open(root_path, _DIRECTORY)


def open_directory(root: int, path: str) -> int:
    """Open the directory at `path` below the open root; the caller closes it.

    Raises:
        FileNotFoundError: a component is missing, is no directory, or is a link.
        OSError: a component may not be entered, or the disk failed.
    """
    current = os.dup(root)
    if not path:
        return current
    for name in path.split("/"):
        if name in ("", ".", ".."):
            os.close(current)
            raise FileNotFoundError(errno.ENOENT, "not a path below the root", path)
        try:
            following = os.open(name, _DIRECTORY, dir_fd=current)
        except OSError as error:
            if error.errno in (errno.ENOTDIR, errno.ELOOP):
                raise FileNotFoundError(errno.ENOENT, "not a directory", path) from error
            raise
        finally:
            os.close(current)
        current = following
    return current


def read_at(directory: int, name: str, max_bytes: int, path: str) -> tuple[bytes, StatSig]:
    """Read the file `name` in an open directory; `path` is for messages. Returns and raises as `read_file` does."""
    try:
        file = os.open(name, _FILE, dir_fd=directory)
    except OSError as error:
        reason = _REFUSALS.get(error.errno or 0)
        if reason is None:
            raise
        raise FileRefusedError(path, reason, error.strerror or "") from error
    try:
        for _ in range(_ATTEMPTS):
            before = os.fstat(file)
            if not stat.S_ISREG(before.st_mode):
                raise FileRefusedError(path, "not_regular")
            if before.st_size > max_bytes:
                raise FileRefusedError(path, "too_large", f"{before.st_size} bytes")
            now_ns = time.time_ns()
            content = _read_all(file, max_bytes + 1)
            sig = signature(os.fstat(file))
            if sig == signature(before) and len(content) == sig.size_bytes:
                return content, sig if is_settled(sig, now_ns) else UNSURE
        if len(content) > max_bytes:
            raise FileRefusedError(path, "too_large", f"over {max_bytes} bytes")
        return content, UNSURE
    finally:
        os.close(file)


def signature(found: os.stat_result) -> StatSig:
    """Return the signature of a `stat` result."""
    return StatSig(_bounded(found.st_mtime_ns), _bounded(found.st_ctime_ns), found.st_size, found.st_ino)


def _bounded(time_ns: int) -> int:
    """Return a time of the years 1677 to 2262: neither SQLite nor msgpack can carry others, which file systems know."""
    return max(-(2**63), min(time_ns, 2**63 - 1))


def is_settled(sig: StatSig, now_ns: int) -> bool:
    """Tell whether a write after `now_ns` (wall clock) is sure to change the signature."""
    newest = max(sig.mtime_ns, sig.ctime_ns)
    coarse = sig.ctime_ns % 1_000_000_000 == 0 and sig.mtime_ns % 1_000_000_000 == 0
    return newest + (COARSE_RACY_NS if coarse else RACY_NS) <= now_ns


_REFUSALS = {
    errno.ELOOP: "symlink",
    errno.EMLINK: "symlink",  # FreeBSD's answer to a link under O_NOFOLLOW.
    errno.ENXIO: "not_regular",
    errno.EISDIR: "not_regular",
    errno.EACCES: "unreadable",
    errno.EPERM: "unreadable",
}


def _read_all(file: int, limit_bytes: int) -> bytes:
    parts = []
    at = 0
    while at < limit_bytes and (part := os.pread(file, limit_bytes - at, at)):
        parts.append(part)
        at += len(part)
    return b"".join(parts)
