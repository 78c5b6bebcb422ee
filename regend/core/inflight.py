"""Files that wait for a warm worker or are in one: versions, one retry alone, quarantine.

A newer version of a path supersedes an older one that still waits. One that is being chunked is never cancelled; its
result is compared with what was accepted meanwhile and dropped if it is older.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from regend.core.commands import ChunkFile
from regend.core.scans import Scan
from regend.types import BlobId, Lane, RootId, StatSig

Key = tuple[RootId, str]

MAX_ATTEMPTS = 2
"""Maximum attempts on one version: the first, and one alone in a worker; then the file is quarantined."""


@dataclass(slots=True, eq=False)
class WorkItem:
    """One path at one version to be read and chunked.

    Attributes:
        version: id of the scan that saw it.
        blob: the content that the scan saw; the worker's result records what was read.
        scans: scans that wait for it.
    """

    root: RootId
    path: str
    version: int
    blob: BlobId
    sig: StatSig
    lane: Lane
    scans: list[Scan] = field(default_factory=list)
    attempts: int = 0

    @property
    def key(self) -> Key:
        return self.root, self.path


class Inflight:
    """Owns every work item until its result arrives."""

    def __init__(self) -> None:
        self._waiting: dict[Lane, dict[Key, WorkItem]] = {lane: {} for lane in Lane}
        self._running: dict[tuple[RootId, str, int], WorkItem] = {}

    def add(self, item: WorkItem) -> None:
        """Queue the item for a worker; replace an older version that still waits, and carry its scans over."""
        for queue in self._waiting.values():
            older = queue.pop(item.key, None)
            if older is not None:
                if older.version > item.version:
                    item.version, item.blob, item.sig = older.version, older.blob, older.sig
                    item.attempts = older.attempts
                item.scans += older.scans
                item.lane = min(item.lane, older.lane)
        self._waiting[item.lane][item.key] = item

    def start(self) -> ChunkFile | None:
        """Hand out the next item: edits before bulk, first come first served."""
        for lane, queue in self._waiting.items():
            for key, item in queue.items():
                run = (item.root, item.path, item.version)
                if run in self._running:
                    continue  # A worker still has this version; the retry waits for its answer.
                del queue[key]
                self._running[run] = item
                return ChunkFile(item.root, item.path, item.version, lane, alone=item.attempts > 0)
        return None

    def finish(self, root: RootId, path: str, version: int) -> WorkItem | None:
        """Take the item that the worker answered; None when the pipeline no longer waits for the answer."""
        return self._running.pop((root, path, version), None)

    def newest(self, root: RootId, path: str) -> WorkItem | None:
        """Return the item of this path, waiting or running, that will be decided last."""
        for queue in self._waiting.values():
            if (root, path) in queue:
                return queue[root, path]
        runs = [item for (r, p, _), item in self._running.items() if r == root and p == path]
        return max(runs, key=lambda item: item.version, default=None)

    def drop_waiting(self, root: RootId) -> None:
        """Forget the root's waiting items; later answers for running ones are ignored."""
        for queue in self._waiting.values():
            for key in [key for key in queue if key[0] == root]:
                del queue[key]

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def count(self, root: RootId) -> int:
        """Return how many items of the root wait or run."""
        waiting = sum(1 for queue in self._waiting.values() for key in queue if key[0] == root)
        return waiting + sum(1 for run in self._running if run[0] == root)

    def check_invariants(self) -> None:
        keys = [key for queue in self._waiting.values() for key in queue]
        assert len(keys) == len(set(keys)), "a path waits in one lane only"
        for lane, queue in self._waiting.items():
            assert all(item.lane == lane and item.key == key for key, item in queue.items())
        assert all(item.attempts < MAX_ATTEMPTS for queue in self._waiting.values() for item in queue.values())
