"""File systems that are mounted at and below a directory.

inotify reports nothing when a file system is mounted over a part of a tree, and little when it goes away, although
other files are seen there at once. Nor does it report what another machine changes.

Linux only; elsewhere nothing is known, and the reconciliation finds the difference.
"""

from __future__ import annotations

import os
import re
import select
import threading
from dataclasses import dataclass
from pathlib import Path

_MOUNTS = "/proc/self/mountinfo"
_BLOCK_BYTES = 1 << 16
_REPORTED = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "bcachefs", "f2fs", "zfs", "jfs", "reiserfs", "nilfs2"))
_REPORTED |= frozenset(("tmpfs", "ramfs", "overlay", "aufs", "ecryptfs", "ubifs", "jffs2", "hfs", "hfsplus", "apfs"))
_REPORTED |= frozenset(("vfat", "msdos", "exfat", "ntfs", "ntfs3", "fuseblk", "iso9660", "udf", "squashfs", "erofs"))
_REPORTED |= frozenset(("rootfs", "autofs"))
"""Kinds of file systems that only this machine changes, so that all changes are reported. Any other kind, above all one
that is not known, may be changed by another machine or by its own server."""


@dataclass(frozen=True, slots=True)
class Mount:
    """One row of the table.

    Attributes:
        place: the mount point as the system writes it, with ``\\040`` for a blank.
        kind: of the file system.
    """

    number: str
    place: str
    kind: str


class Mounts:
    """The system's table of mounts; any thread may ask. That costs one system call while nothing changes (proc(5))."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._poll = select.poll()
        self._fd = -1
        self._mounts: list[Mount] = []
        try:
            self._fd = os.open(_MOUNTS, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return
        self._poll.register(self._fd, select.POLLPRI)
        self._read()

    def below(self, path: Path) -> frozenset[Mount]:
        """Return the mounts below `path`."""
        top = _written(path)
        return frozenset(mount for mount in self._current() if mount.place.startswith(top))

    def over(self, path: Path) -> str:
        """Return the mount point of the file system that holds `path`, as the table writes it; empty if unknown."""
        mount = self._over(_written(path))
        return mount.place if mount else ""

    def unreported(self, path: Path) -> dict[str, str]:
        """Return the places at and below `path` where not all changes are reported here, with the reason.

        Returns:
            Paths relative to `path`; ``""`` stands for all of it, and then no others are named.
        """
        top = _written(path)
        mount = self._over(top)
        if mount is not None and mount.kind not in _REPORTED:
            return {"": _reason(mount, path)}
        below = [mount for mount in self._current() if mount.place.startswith(top)]
        places = {_read_as(mount.place.removeprefix(top)): mount for mount in below}
        return {at: reason for at, mount in places.items() if (reason := _reason(mount, path / at))}

    def _over(self, top: str) -> Mount | None:
        over = [mount for mount in self._current() if top.startswith(mount.place.rstrip("/") + "/")]
        # The later of two mounts at one point hides the earlier.
        return max(reversed(over), key=lambda mount: len(mount.place)) if over else None

    def _current(self) -> list[Mount]:
        with self._lock:
            if self._fd >= 0 and self._poll.poll(0):
                self._read()
            return self._mounts

    def close(self) -> None:
        """Give the descriptor back; the table that was read last stays."""
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
        rows = [line.partition(" - ") for line in os.fsdecode(text).splitlines()]
        fields = [(left.split(" "), right.split(" ")) for left, _, right in rows]
        self._mounts = [Mount(left[0], left[4], right[0]) for left, right in fields if len(left) > 5]


def _written(path: Path) -> str:
    """Return the path as the table writes it, with ``/`` at its end."""
    text = str(path).replace("\\", "\\134")
    return text.replace(" ", "\\040").replace("\t", "\\011").replace("\n", "\\012").rstrip("/") + "/"


def _read_as(place: str) -> str:
    """Return a path of the table as it is."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), place)


def _reason(mount: Mount, at: Path) -> str:
    """Return why not all changes at the mount point are reported; empty if they are."""
    if mount.kind not in _REPORTED:
        return f"not all changes on a {mount.kind} file system are reported here"
    # inotify(7): a directory's watch reports a file by the directory that holds its name, and here that is another one.
    return "a single file is mounted there, whose changes are reported elsewhere" if at.is_file() else ""
