"""What is mounted below a directory.

inotify says nothing when a file system is mounted over a part of a tree, and little when it goes away, although the
files that are seen there are others at once.

Linux only; elsewhere nothing is known, and the reconciliation finds it.
"""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path

_MOUNTS = "/proc/self/mountinfo"
_BLOCK_BYTES = 1 << 16


class Mounts:
    """The system's table of mounts; any thread. To ask costs one system call while nothing changes (proc(5))."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._fd = -1
        self._rows: list[tuple[str, str]] = []
        try:
            self._fd = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        self._poll.register(self._fd, select.POLLPRI)
        self._read()

    def below(self, path: Path) -> frozenset[tuple[str, str]]:
        """Each mount below `path`: its number, and where it is as the system writes it."""
        with self._lock:
            if self._fd >= 0 and self._poll.poll(0):
                self._read()
            rows = self._rows
        top = _written(path).rstrip("/") + "/"
        return frozenset(row for row in rows if row[1].startswith(top))

    def close(self) -> None:
        """Give the descriptor back; what was read last stays."""
        with self._lock:
            if self._fd >= 0:
                self._poll.unregister(self._fd)
                os.close(self._fd)
                self._fd = -1

    def _read(self) -> None:
        try:
            os.lseek(self._fd, 0, os.SEEK_SET)
            text = b""
            while block := os.read(self._fd, _BLOCK_BYTES):
                text += block
        except OSError:
            return
        fields = [line.split(" ", 5) for line in os.fsdecode(text).splitlines()]
        self._rows = [(line[0], line[4]) for line in fields if len(line) > 5]


def _written(path: Path) -> str:
    text = str(path).replace("\\", "\\134")
    return text.replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012")
