"""Files that were consulted, and whether they are still as they were.

No watch reports these: they lie outside the tree, or in git's own data. A file is stamped before it is read, so that a
change while it is read shows later. Absence is a stamp, too.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import time
from dataclasses import dataclass

from regend.disk.safe_read import RACY_NS

MAX_INPUT_BYTES = 1_048_577
"""A larger ignore file is not read, so what lies beyond does not count."""

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG)
_NO_FILE = (errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.EINVAL, errno.ENXIO)
NOT_THERE = frozenset((*_ABSENT, *_NO_FILE))
"""No such file, a link where none is followed, or no plain file: git takes these for absent, too. After any other error
it is not known what the file says."""


@dataclass(frozen=True, slots=True)
class _Stamp:
    """The state of a path when it was noted.

    Attributes:
        state: whether it is there; or the error of `stat`, or the fields that identify a version.
        digest: of the content, where the file was so new that another version could have the same fields.
    """

    state: bool | int | tuple[int, ...]
    digest: bytes | None = None


class Inputs:
    """The stamps of consulted paths. Any thread may ask `changed`; the one that made it notes.

    Attributes:
        problem: names a path that may be there and could not be read, or empty.
    """

    def __init__(self) -> None:
        self._stamps: dict[str, _Stamp] = {}
        self.problem = ""

    def __len__(self) -> int:
        return len(self._stamps)

    def __contains__(self, path: str) -> bool:
        return path in self._stamps

    def note(self, path: str) -> None:
        """Stamp a file that will be read; of a directory, only which one it is. Links are followed."""
        if path not in self._stamps:
            self._stamps[path] = _stamp(path)

    def note_presence(self, path: str) -> bool:
        """Stamp whether anything is at `path`, and return it."""
        try:
            os.lstat(path)
            there = True
        except (OSError, ValueError) as error:
            there = False
            self.failed(path, error)
        self._stamps.setdefault(path, _Stamp(there))
        return there

    def failed(self, path: str, error: OSError | ValueError) -> None:
        """Take note of an error, unless it says that nothing is there. No path with NUL (ValueError) is."""
        if isinstance(error, OSError) and error.errno not in NOT_THERE:
            self.problem = f"{path} cannot be read: {error.strerror}"

    def changed(self) -> bool:
        """Tell whether a path is not what it was."""
        for path, old in list(self._stamps.items()):
            if isinstance(old.state, bool):
                if os.path.lexists(path) != old.state:
                    return True
                continue
            state = _state(path)
            if state != old.state:
                return True
            if old.digest is not None:
                settled = not _is_new(state)
                if _digest(path) != old.digest:
                    return True
                if settled:
                    self._stamps[path] = _Stamp(state)
        return False


def read_small(file: str | os.PathLike[str], limit_bytes: int, flags: int = 0) -> bytes:
    """Read at most `limit_bytes` of a plain file, never waiting on a FIFO that replaced it.

    Raises:
        OSError: it cannot be opened, or is not a plain file (EINVAL).
    """
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | flags)
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "not a plain file")
        return stream.read(limit_bytes)


def _stamp(path: str) -> _Stamp:
    state = _state(path)
    return _Stamp(state, _digest(path) if _is_new(state) else None)


def _state(path: str) -> int | tuple[int, ...]:
    try:
        found = os.stat(path)  # noqa: PTH116  (called for each input every second)
    except (OSError, ValueError) as error:
        return getattr(error, "errno", None) or errno.EINVAL
    if stat.S_ISDIR(found.st_mode):
        return found.st_dev, found.st_ino
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _is_new(state: int | tuple[int, ...]) -> bool:
    """Tell whether a write now could leave all fields of the stamp as they are."""
    return isinstance(state, tuple) and len(state) > 2 and abs(time.time_ns() - state[-1]) < RACY_NS


def _digest(path: str) -> bytes:
    try:
        return hashlib.sha256(read_small(path, MAX_INPUT_BYTES)).digest()
    except OSError:
        return b""
