"""A disk that loses power after every step of a write: what was not synced may be gone, what was renamed may be or not.

POSIX promises less than file systems usually give: a file's content is there only after fsync of the file, a name only
after fsync of its directory. `durable` runs a write and asks after each step what a restart could find.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest


class Disk:
    """The part of a directory that has reached the disk: contents by inode, and names."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.contents: dict[int, bytes] = {}
        self.names: dict[str, int] = {}
        for path in directory.iterdir():
            self.contents[path.stat().st_ino] = path.read_bytes()
        self.names = self.now()

    def now(self) -> dict[str, int]:
        return {path.name: path.stat().st_ino for path in self.directory.iterdir()}

    def sync(self, fd: int) -> None:
        found = os.stat(fd)
        if found.st_ino == self.directory.stat().st_ino:
            self.names = self.now()
        else:
            self.contents[found.st_ino] = Path(f"/proc/self/fd/{fd}").read_bytes()

    def after_a_cut(self, name: str) -> set[bytes | None]:
        """Return the contents that a file may have after a power cut: by the names on disk, or by those in memory.

        A file that was changed in place may hold anything between what was synced and what is in memory.
        """
        found: set[bytes | None] = set()
        for names in (self.names, self.now()):
            inode = names.get(name)
            if inode is None:
                found.add(None)
            else:
                found.add(self.contents.get(inode, b""))
        current = self.directory / name
        if current.exists():
            found.add(current.read_bytes())
        return found


def durable(directory: Path, name: str, old: bytes | None, new: bytes, write: Callable[[], object]) -> None:
    """Assert that at every step of `write` a restart finds the old content or the new, and at its end the new."""
    disk, real_sync, real_replace = Disk(directory), os.fsync, Path.replace

    def check(step: str) -> None:
        bad = disk.after_a_cut(name) - {old, new}
        assert not bad, f"after {step} a power cut could leave {bad}"

    def sync(fd: int) -> None:
        check("a write")
        real_sync(fd)
        disk.sync(fd)
        check("a sync")

    def replace(self: Path, target: Path) -> Path:
        check("a write")
        done = real_replace(self, target)
        check("a rename")
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", sync)
        patch.setattr(Path, "replace", replace)
        write()
    check("the end")
    assert disk.after_a_cut(name) == {new}, "what was written may be lost although the writer was told that it is done"
