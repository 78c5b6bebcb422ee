"""Files with several names: a write through one name changes what is under the others, and no event says so.

The system reports a change under the name that was used. So the scanner notes the names of each file that has more than
one link, and a hint for one of them becomes a hint for all. A link that is made is reported under the new name only, so
the core has the older ones looked at, too. A name outside of every root stays unknown: what is written there is found
when the root is next compared with the disk.
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
        self._names: dict[tuple[int, int], dict[Name, int]] = {}
        self._looks = 0

    def begin(self) -> int:
        """Return the number of a look at a whole root, by which `forget` tells the names that it did not see."""
        with self._lock:
            self._looks += 1
            return self._looks

    def note(self, root: RootId, path: str, found: os.stat_result, older: dict[int, frozenset[Name]]) -> None:
        """Remember a name of a file that has several links.

        Args:
            older: is given, by inode, the names that were known before the first new one.
        """
        key = found.st_dev, found.st_ino
        with self._lock:
            names = self._names.get(key)
            if names is None:
                if len(self._names) >= _MAX_FILES:
                    return
                names = self._names[key] = {}
            if (root, path) not in names and found.st_ino not in older:
                older[found.st_ino] = frozenset(names)
            names[root, path] = self._looks

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
            return sorted(self._names.get((found.st_dev, found.st_ino), {}).keys() - {(root, path)})

    def forget(self, root: RootId, before: int | None = None) -> None:
        """Forget the names in a root that is not served any more, or those that a look at all of it did not see."""
        with self._lock:
            for key, names in list(self._names.items()):
                for name, look in list(names.items()):
                    if name[0] == root and (before is None or look < before):
                        del names[name]
                if not names:
                    del self._names[key]
