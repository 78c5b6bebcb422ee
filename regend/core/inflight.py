"""Files that wait for a warm worker or are in one: versions, one retry alone, quarantine.

A newer version of a path supersedes an older one that still waits. One that is being chunked is never cancelled; the
newest one waits until it is done, so a path takes one slot at most. Its result is compared with what was accepted
meanwhile and dropped if it is older.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from regend.core.commands import ChunkFile
from regend.core.heat import Key
from regend.core.planner import covers
from regend.core.scans import Scan
from regend.types import BlobId, Lane, RootId, StatSig

_LARGE_BYTES = (64_000, 16_000, 4_000)
"""Bounds of the sizes by which files of bulk wait. The largest one and the smallest one that wait go in turn: a large
file takes a worker long, so none of them may be the last; but if all workers began with them, the first chunks would
come late, and in large commits."""
_STEPS = len(_LARGE_BYTES) + 1
MAX_ATTEMPTS = 2
"""Maximum attempts on a path in a row: the first, and one alone in a worker; then the file is quarantined."""


@dataclass(slots=True, eq=False)
class WorkItem:
    """One path at one version to be read and chunked.

    Attributes:
        version: id of the scan that saw it.
        blob: the content that the scan saw; the worker's result records what was read.
        scans: scans that wait for it.
        attempts: attempts on the path that failed in a row; a newer version takes them over, or a file that changes
            without end would fail without end.
        size_bytes: of the file, as the scan saw it.
    """

    root: RootId
    path: str
    version: int
    blob: BlobId
    sig: StatSig
    lane: Lane
    scans: list[Scan] = field(default_factory=list)
    attempts: int = 0
    size_bytes: int = 0

    @property
    def place(self) -> tuple[Lane, int]:
        """Where it waits: its lane, and how many sizes of `_LARGE_BYTES` are above its own."""
        return self.lane, sum(self.size_bytes < size for size in _LARGE_BYTES) if self.lane is Lane.BULK else 0

    @property
    def key(self) -> Key:
        return self.root, self.path

    def command(self, is_new: bool) -> ChunkFile:
        """Return what a worker is to do; `is_new`: the tree has no such path."""
        return ChunkFile(self.root, self.path, self.version, self.lane, self.attempts > 0, is_new)


class Inflight:
    """Owns every work item until its result arrives."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[Lane, int], dict[Key, WorkItem]] = {
            (lane, step): {} for lane in Lane for step in range(_STEPS if lane is Lane.BULK else 1)
        }
        self._running: dict[Key, WorkItem] = {}
        self._last: Key | None = None
        self._small_next = False
        self._counts: Counter[RootId] = Counter()

    def add(self, item: WorkItem) -> None:
        """Queue the item for a worker; it takes the place and the scans of another version that still waits."""
        self._counts[item.root] += 1
        for place, queue in self._waiting.items():
            other = queue.get(item.key)
            if other is not None:
                self._counts[item.root] -= 1
                if other.version > item.version:
                    item.version, item.blob, item.sig = other.version, other.blob, other.sig
                    item.size_bytes = other.size_bytes
                item.attempts = max(item.attempts, other.attempts)
                item.scans += other.scans
                item.lane = min(item.lane, other.lane)
                if item.place != place:
                    del queue[item.key]
                break
        self._waiting[item.place][item.key] = item

    def start(self) -> WorkItem | None:
        """Hand out the next item: edits before bulk, and of bulk a large and a small file in turn.

        Otherwise, first come, first served; no path twice in a row if others wait.
        """
        queues = list(self._waiting.values())
        if self._small_next:
            queues[-_STEPS:] = reversed(queues[-_STEPS:])
        ready = (item for queue in queues for key, item in queue.items() if key not in self._running)
        item = next(ready, None)
        if item is not None and item.key == self._last:
            item = next(ready, item)
        if item is None:
            return None
        del self._waiting[item.place][item.key]
        self._running[item.key] = item
        self._last = item.key
        self._small_next ^= item.lane is Lane.BULK
        return item

    def finish(self, root: RootId, path: str, version: int) -> WorkItem | None:
        """Take the item that the worker answered; None when the pipeline no longer waits for the answer."""
        item = self._running.get((root, path))
        if item is None or item.version != version:
            return None
        self._counts[root] -= 1
        return self._running.pop(item.key)

    def newest(self, root: RootId, path: str) -> WorkItem | None:
        """Return the item of this path, waiting or running, that will be decided last."""
        for queue in self._waiting.values():
            if (root, path) in queue:
                return queue[root, path]
        return self._running.get((root, path))

    def signatures(self, root: RootId, scopes: tuple[str, ...]) -> dict[str, StatSig]:
        """Return the signature of the newest item of each path within the scopes."""
        items = (*self._running.values(), *(item for queue in self._waiting.values() for item in queue.values()))
        return {
            item.path: item.sig
            for item in items
            if item.root == root and any(covers(scope, item.path) for scope in scopes)
        }

    def join(self, key: Key, sig: StatSig, scan: Scan) -> bool:
        """Let the scan wait for the newest item of this path; return False unless it has this signature."""
        item = self.newest(*key)
        if item is None or item.sig != sig:
            return False
        item.scans.append(scan)
        scan.work += 1
        return True

    def drop_waiting(self, root: RootId) -> None:
        """Forget the root's waiting items; later answers for running ones are ignored."""
        for queue in self._waiting.values():
            for key in [key for key in queue if key[0] == root]:
                del queue[key]
                self._counts[root] -= 1

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def count(self, root: RootId) -> int:
        """Return how many items of the root wait or run."""
        return self._counts[root]

    def check_invariants(self) -> None:
        keys = [key for queue in self._waiting.values() for key in queue]
        assert len(keys) == len(set(keys)), "a path waits in one lane only"
        assert +self._counts == Counter(root for root, _ in (*keys, *self._running))
        for place, queue in self._waiting.items():
            assert all(item.place == place and item.key == key for key, item in queue.items())
        assert all(item.key == key for key, item in self._running.items())
        assert all(item.attempts < MAX_ATTEMPTS for queue in self._waiting.values() for item in queue.values())
