"""Operations that were accepted and wait to be committed, and the commit in progress.

One commit is in progress at a time. Operations that arrive meanwhile go together into the next one, so commits are
small and quick when little happens and large when much happens. Bulk lingers while more of it is expected, because each
commit costs a commit of the word index, too; it lingers for a bounded time and size, so that an edit never waits long
for a commit of bulk. Edits never share a commit with bulk, and take turns with it where both wait: so edits are quick,
and the chunks that they bring are known to be urgent. Within a commit deletes come last.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from regend.core.commands import Commit, DeleteFile, FileOp, PutFile, PutVectors, SkipFile, TouchFile
from regend.core.heat import Key
from regend.core.scans import Scan
from regend.types import Lane, RootId

COMMIT_PAUSE_S = 1.0
"""Pause after a failed commit before the next attempt."""
BULK_LINGER_S = 2.0
"""Maximum time that bulk waits for more of it. Without it, Django took 333 commits, each about 10 ms of CPU."""
STARVED_LINGER_S = 0.2
"""The same while an embedding server has nothing to do: it waits for chunks that only a commit brings. Such commits
cost 5 % of a core at most."""
QUARANTINED = "quarantined: "
MAX_OPS = 1_024
MAX_BYTES = 8_000_000
"""Packed rows and vectors of a commit: 2,800 chunks, which take 0.3 s to write. An edit waits at most that long."""


@dataclass(slots=True, eq=False)
class PendingOp:
    """An accepted operation and the scans that wait for it."""

    op: FileOp
    scans: list[Scan] = field(default_factory=list)

    @property
    def key(self) -> Key:
        return self.op.root, self.op.path

    @property
    def lane(self) -> Lane:
        return Lane.EDIT if any(scan.is_edit for scan in self.scans) else Lane.BULK

    @property
    def says_quarantined(self) -> bool:
        """The operation quarantines the path or leaves its content as it was."""
        op = self.op
        return isinstance(op, TouchFile) or (isinstance(op, SkipFile) and op.reason.startswith(QUARANTINED))


@dataclass(frozen=True, slots=True)
class Underway:
    """The commit that the index thread works on."""

    commit_id: int
    ops: tuple[PendingOp, ...]
    vectors: tuple[PutVectors, ...]
    lane: Lane = Lane.BULK


def size_of(op: FileOp) -> int:
    """Return how many bytes of a file's rows the operation keeps in memory."""
    return op.chunked.size_bytes if isinstance(op, PutFile) and op.chunked is not None else 0


def merged(older: FileOp, newer: FileOp) -> FileOp:
    """Return one operation with the effect of both, in this order."""
    if isinstance(newer, TouchFile) and isinstance(older, PutFile | SkipFile):
        return replace(older, sig=newer.sig)
    return newer


class Commits:
    """Owns the operations between acceptance and durability."""

    def __init__(self) -> None:
        self._waiting: dict[Lane, dict[Key, PendingOp]] = {Lane.EDIT: {}, Lane.BULK: {}}
        self._vectors: list[PutVectors] = []
        self._urgent_vectors = False
        self._underway: Underway | None = None
        self._underway_ops: dict[Key, PendingOp] = {}
        self._next_id = 0
        self._last_lane = Lane.BULK
        self._start_at = 0.0
        self._linger_from: float | None = None
        self._linger_until: float | None = None
        self.waiting_bytes = 0

    def add(self, pending: PendingOp) -> None:
        """Accept an operation, and merge it with one of the same path that still waits."""
        for queue in self._waiting.values():
            older = queue.get(pending.key)
            if older is not None:
                self.waiting_bytes -= size_of(older.op)
                pending = PendingOp(merged(older.op, pending.op), older.scans + pending.scans)
                if queue is not self._waiting[pending.lane]:
                    del queue[pending.key]  # In its own lane it keeps its place.
        self.waiting_bytes += size_of(pending.op)
        self._waiting[pending.lane][pending.key] = pending

    def add_vectors(self, vectors: PutVectors, lane: Lane) -> None:
        """Accept the vectors of a batch of this lane."""
        self._vectors.append(vectors)
        self._urgent_vectors |= lane is not Lane.BULK

    def find(self, key: Key) -> PendingOp | None:
        """Return the path's newest operation that is not durable yet; None: all are durable."""
        for queue in self._waiting.values():
            if key in queue:
                return queue[key]
        return self._underway_ops.get(key)

    def start(self, now: float, linger_s: float = 0.0) -> Commit | None:
        """Begin the next commit; None while one is in progress, the pause after a failure lasts, or nothing is due.

        Args:
            linger_s: how long bulk may wait for more of it, from when it began to wait; 0: nothing is expected.
        """
        self._linger(now, linger_s)
        start_at = self.next_deadline()
        if start_at is None or now < start_at:
            return None
        self._linger_from = self._linger_until = None
        taken: list[PendingOp] = []
        size_bytes = 0
        lane = self._next_lane()
        queue = self._waiting[lane]
        for pending in queue.values():
            if len(taken) >= MAX_OPS or size_bytes >= MAX_BYTES:
                break
            taken.append(pending)
            size_bytes += size_of(pending.op)
        for pending in taken:
            del queue[pending.key]
        self.waiting_bytes -= size_bytes
        taken.sort(key=lambda p: isinstance(p.op, DeleteFile))  # Stable: deletes last, all else in order.
        vectors, self._vectors, self._urgent_vectors = tuple(self._vectors), [], False
        self._underway = Underway(self._next_id, tuple(taken), vectors, lane)
        self._underway_ops = {pending.key: pending for pending in taken}
        self._last_lane = lane
        self._next_id += 1
        return Commit(self._underway.commit_id, (*(p.op for p in taken), *vectors))

    def next_deadline(self) -> float | None:
        """Return when the next commit may begin; None while one is in progress or nothing waits."""
        if self._underway is not None or not self.waiting:
            return None
        return self._start_at if self._linger_until is None else max(self._start_at, self._linger_until)

    def _linger(self, now: float, linger_s: float) -> None:
        """Let what waits linger if all of it is bulk and there is room for more."""
        queue = self._waiting[Lane.BULK]
        is_full = len(queue) >= MAX_OPS or self.waiting_bytes >= MAX_BYTES
        if self._waiting[Lane.EDIT] or self._urgent_vectors or is_full or not (self.waiting and linger_s):
            self._linger_from = self._linger_until = None
            return
        if self._linger_from is None:
            self._linger_from = now
        self._linger_until = self._linger_from + linger_s

    def finish(self, commit_id: int) -> Underway:
        """Return the commit that was answered; the next one may begin."""
        done = self._underway
        assert done is not None and done.commit_id == commit_id, "commits are answered once, in order"
        self._underway, self._underway_ops = None, {}
        return done

    def fail(self, commit_id: int, now: float) -> None:
        """Put everything back, merged under what was accepted meanwhile, and pause: nothing was applied."""
        done = self.finish(commit_id)
        self._start_at = now + COMMIT_PAUSE_S
        newer = self._all_waiting()
        for queue in self._waiting.values():
            queue.clear()
        self.waiting_bytes = 0
        for pending in (*done.ops, *newer):
            self.add(pending)
        self._vectors[:0] = done.vectors
        self._urgent_vectors |= bool(done.vectors) and done.lane is Lane.EDIT

    def drop(self, root: RootId) -> None:
        """Forget the waiting operations of a root that was removed."""
        for queue in self._waiting.values():
            for key in [key for key in queue if key[0] == root]:
                self.waiting_bytes -= size_of(queue.pop(key).op)

    def queues(self) -> dict[str, int]:
        """Return how many operations and sets of vectors wait, and how many are in the commit in progress."""
        running = len(self._underway.ops) + len(self._underway.vectors) if self._underway is not None else 0
        return {"commit_waiting": self.waiting, "commit_running": running}

    @property
    def waiting(self) -> int:
        return sum(len(queue) for queue in self._waiting.values()) + len(self._vectors)

    @property
    def brings_chunks(self) -> bool:
        """File operations wait or are being committed, and their chunks may lack vectors."""
        return any(self._waiting.values()) or (self._underway is not None and bool(self._underway.ops))

    def paths(self, root: RootId) -> list[str]:
        """Return the root's paths with an operation that is not durable; a path may occur twice."""
        ops = [*self._all_waiting(), *(self._underway.ops if self._underway else ())]
        return [p.op.path for p in ops if p.op.root == root]

    def check_invariants(self) -> None:
        waiting = self._all_waiting()
        assert self.waiting_bytes == sum(size_of(p.op) for p in waiting)
        assert len({p.key for p in waiting}) == len(waiting), "a path waits in one lane only"
        assert all(p.key == key for queue in self._waiting.values() for key, p in queue.items())

    def _all_waiting(self) -> list[PendingOp]:
        return [pending for queue in self._waiting.values() for pending in queue.values()]

    def _next_lane(self) -> Lane:
        """Return the edit lane where edits wait, but not twice in a row while bulk waits."""
        is_urgent = self._urgent_vectors or bool(self._waiting[Lane.EDIT])
        if is_urgent and not (self._waiting[Lane.BULK] and self._last_lane is Lane.EDIT):
            return Lane.EDIT
        return Lane.BULK
