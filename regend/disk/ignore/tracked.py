"""The files that git tracks in one worktree: `git status` sees them, whatever an ignore file says.

Held as sorted hashes of 64 bits, which are 8 bytes a file, because nearly no question meets a tracked file: only a path
that git's own rules exclude is asked about. The hash is Python's of bytes, which no repository can foresee.
"""

from __future__ import annotations

import os
import threading
from array import array
from bisect import bisect_left
from collections.abc import Callable

from regend.disk.ignore.git_index import IndexFormatError, index_state, read_index
from regend.disk.repository import Repository

MAX_ASKED = 2_000
"""Maximum new names that are looked at one by one; with more, all are taken to matter."""


class TrackedFiles:
    """The files and submodules in the index of a worktree. Any thread may ask; it is read when first asked.

    Args:
        below: the part of the worktree that matters, from its top, with a ``/`` at the end; or empty.
        at: where that part begins in the root, with a ``/`` at the end; or empty.

    Attributes:
        problem: why the index could not be read, so that nothing in it counts; or empty.
    """

    def __init__(self, repository: Repository, below: str = "", at: str = "") -> None:
        self._repository = repository
        self._below = os.fsencode(below)
        self._at = at
        self._lock = threading.Lock()
        self._state: tuple[int, ...] | None = None
        self._digest = 0
        self._files = array("q")
        self._directories = array("q")
        self._met: set[int] = set()
        self.problem = ""

    def concerns(self, path: str, is_dir: bool) -> bool:
        """Tell whether a file is tracked, or a directory is a submodule or holds tracked files.

        Args:
            path: as the rules see it, relative to the root.
        """
        self._load()
        name = self._name(path)
        if is_dir and _holds(self._directories, hash(name)):
            return True
        key = hash(name + b"/" if is_dir else name)
        if _holds(self._files, key):
            self._met.add(key)
            return True
        return False

    def follow(self, matters: Callable[[str], bool]) -> bool:
        """Read the index again if it changed.

        Args:
            matters: whether an ignore rule concerns a path, which was not tracked before.

        Returns:
            Whether a decision may be another one now.
        """
        if self._state is None or index_state(self._repository.git_dir) == self._state:
            return False
        with self._lock:
            old = set(self._files)
            names = self._read()
        if names is None:
            return False
        if not self._met.isdisjoint(old.difference(self._files)):
            return True
        fresh = [name for name in names if hash(name) not in old]
        return len(fresh) > MAX_ASKED or any(matters(self._at + os.fsdecode(name).rstrip("/")) for name in fresh)

    def _name(self, path: str) -> bytes:
        return os.fsencode(path[len(self._at) :])

    def _load(self) -> None:
        if self._state is None:
            with self._lock:
                if self._state is None:
                    self._read()

    def _read(self) -> list[bytes] | None:
        """Read the index; return its names from the part that matters, or None where they are as before."""
        state = index_state(self._repository.git_dir)
        try:
            names = read_index(self._repository.git_dir, self._repository.common_dir)
            self.problem = ""
        except (OSError, IndexFormatError) as error:
            said = error.strerror if isinstance(error, OSError) else error
            self.problem = f"{self._repository.git_dir}/index cannot be read: {said}; run `git status` there."
            names = []
        if self._below:
            names = [name[len(self._below) :] for name in names if name.startswith(self._below)]
        digest = hash(b"\0".join(names))
        same = self._state is not None and digest == self._digest
        if not same:
            directories = {name.rstrip(b"/").rpartition(b"/")[0] for name in names}
            for directory in list(directories):
                while (directory := directory.rpartition(b"/")[0]) and directory not in directories:
                    directories.add(directory)
            self._files = array("q", sorted(set(map(hash, names))))
            self._directories = array("q", sorted(map(hash, directories)))
        self._digest, self._state = digest, state
        return None if same else names


def _holds(keys: array[int], key: int) -> bool:
    index = bisect_left(keys, key)
    return index < len(keys) and keys[index] == key
