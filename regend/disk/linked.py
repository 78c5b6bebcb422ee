"""Files with several names: a write through one name changes what is under the others, and no event says so.

The system reports a change under the name that was used. So the scanner notes the names of each file that has more than
one link, and a hint for one of them becomes a hint for all. A name outside of every root stays unknown: what is written
there is found when the root is next compared with the disk.
"""

from __future__ import annotations

import os
import stat
import threading

from regend.types import RootId

Name = tuple[RootId, str]
_MAX_FILES = 200_000
"""Maximum files that are remembered; about 60 MB. Copies by hard links of a large tree may hold more."""


class LinkedFiles:
    """Owns the names, by device and inode; any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[tuple[int, int], set[Name]] = {}

    def note(self, root: RootId, path: str, found: os.stat_result) -> None:
        """Remember a name of a file that has several links."""
        key = found.st_dev, found.st_ino
        with self._lock:
            if key in self._names or len(self._names) < _MAX_FILES:
                self._names.setdefault(key, set()).add((root, path))

    def others(self, root: RootId, path: str, place: str) -> list[Name]:
        """Return the other names of the file at `place`, which is `path` in a root."""
        if not self._names:
            return []
        try:
            found = os.lstat(place)
        except OSError:
            return []
        if found.st_nlink < 2 or not stat.S_ISREG(found.st_mode):
            return []
        with self._lock:
            return sorted(self._names.get((found.st_dev, found.st_ino), set()) - {(root, path)})

    def forget(self, root: RootId) -> None:
        """Forget the names in a root that is not served any more."""
        with self._lock:
            for key, names in list(self._names.items()):
                names -= {name for name in names if name[0] == root}
                if not names:
                    del self._names[key]
