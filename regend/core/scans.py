"""Scans: which scopes wait for a look, which are being listed, and what work each scan still waits for.

A scan is open until the listing is complete and every file operation that came of it is committed or dropped. Only then
are its sequence numbers released, so a flush that waits for a hint waits for all that the hint led to. Scan ids grow by
one and serve as versions: a later scan's observation of a path beats an earlier one's.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from regend.core.planner import covers
from regend.types import RootId

MAX_OVERTAKEN = 8
"""Maximum narrow scans in a row that go before a waiting scan of a whole root. A guess: enough for edits in a burst."""
EDIT_FILES = 64
"""Maximum files of a scan in the edit lane; the others are bulk. A guess: more than a person saves at once."""


@dataclass(slots=True, eq=False)
class Scan:
    """One look at some scopes of a root.

    Attributes:
        trust: unchanged signatures are believed.
        rehash: the user asked to read everything, skipped files included.
        seqs: numbers to release at the end.
        parents: scans whose work item turned into this scan; they wait for it.
        seen: paths reported so far.
        gone: paths found missing, whose deletion waits until `work` is 0 (deletes are sent last).
        listed: the last part arrived.
        work: files being chunked for it, and child scans.
        ops: operations accepted for it that are not committed.
        dropped: the root went away; the rest of the answer is ignored.
    """

    root: RootId
    scopes: tuple[str, ...]
    trust: bool
    rehash: bool = False
    scan_id: int = -1
    seqs: list[int] = field(default_factory=list)
    parents: list[Scan] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    gone: list[str] = field(default_factory=list)
    listed: bool = False
    work: int = 0
    ops: int = 0
    dropped: bool = False

    @property
    def whole(self) -> bool:
        return self.scopes == ("",)

    @property
    def is_edit(self) -> bool:
        """The scan has few files, reported as changed: a person waits for them."""
        return not self.trust and len(self.seen) <= EDIT_FILES

    @property
    def has_work(self) -> bool:
        """It may still bring operations."""
        return not self.listed or self.work > 0

    @property
    def finished(self) -> bool:
        return self.listed and not self.work and not self.ops and not self.gone


class Scans:
    """Owns all scans that are not finished."""

    def __init__(self, slots: int, max_scopes: int) -> None:
        self.slots = self._most = slots
        self._max_scopes = max_scopes
        self._next_id = 0
        self._waiting: list[Scan] = []
        self._listing: dict[int, Scan] = {}
        self._open: dict[int, Scan] = {}
        self._overtaken = 0

    def request(self, wanted: Scan) -> None:
        """Queue the scan for a slot, or join it to a waiting scan of the same kind."""
        for scan in self._waiting:
            if scan.root == wanted.root and scan.trust == wanted.trust:
                scan.scopes = self._joined(scan.scopes, wanted.scopes)
                scan.rehash |= wanted.rehash
                scan.seqs += wanted.seqs
                scan.parents += wanted.parents
                return
        wanted.scopes = self._joined(wanted.scopes, ())
        self._waiting.append(wanted)

    def start(self) -> Scan | None:
        """Give the next waiting scan its id and a slot; None when no scan waits or no slot is free.

        Narrow scans go first, and only one scan of a whole root runs at a time, so that an edit is never held up by it.
        A path that changes without end must not hold up the whole root either, so narrow scans in a row are bounded.
        """
        if len(self._listing) >= self.slots or not self._waiting:
            return None
        has_room = self.slots == 1 or not any(s.whole for s in self._listing.values())
        narrow = next((s for s in self._waiting if not s.whole), None)
        whole = next((s for s in self._waiting if s.whole), None) if has_room else None
        scan = whole if narrow is None or (whole is not None and self._overtaken >= MAX_OVERTAKEN) else narrow
        if scan is None:
            return None
        self._overtaken = self._overtaken + 1 if scan is narrow and whole is not None else 0
        self._waiting.remove(scan)
        scan.scan_id = self._next_id
        self._next_id += 1
        self._listing[scan.scan_id] = self._open[scan.scan_id] = scan
        return scan

    def listing(self, scan_id: int) -> Scan:
        """Return a scan whose answer is not complete."""
        return self._listing[scan_id]

    def listed(self, scan: Scan) -> None:
        """Record that the last part arrived, and free the slot."""
        del self._listing[scan.scan_id]
        self._most = max(self.slots, len(self._listing))
        scan.listed = True

    def limit(self, slots: int) -> None:
        """Set how many scans may be listed at once; those that are being listed go on."""
        self.slots, self._most = slots, max(slots, len(self._listing))

    def take_finished(self) -> list[Scan]:
        """Close and return the finished scans."""
        done = [scan for scan in self._open.values() if scan.finished]
        for scan in done:
            del self._open[scan.scan_id]
            for parent in scan.parents:
                parent.work -= 1
        return done

    def take_deletable(self) -> list[Scan]:
        """Return the scans whose missing paths may be deleted, because everything that may replace them is ready."""
        return [scan for scan in self._open.values() if scan.gone and scan.listed and not scan.work]

    def drop(self, root: RootId) -> list[Scan]:
        """Forget the root's scans; a listing in progress keeps its slot until it answers."""
        dropped = [s for s in (*self._waiting, *self._open.values()) if s.root == root]
        self._waiting = [s for s in self._waiting if s.root != root]
        for scan in dropped:
            scan.dropped = True
            for parent in scan.parents:  # One of another root goes on.
                parent.work -= 1
            self._open.pop(scan.scan_id, None)
        return dropped

    @property
    def last_id(self) -> int:
        """Newest id given out, -1 before the first."""
        return self._next_id - 1

    def is_idle(self, root: RootId) -> bool:
        """Return whether the root has no scan, waiting, listing or open."""
        return not any(s.root == root for s in (*self._waiting, *self._listing.values(), *self._open.values()))

    def has_work_for(self, seq: int) -> bool:
        """Return whether a scan that holds a number up to `seq` may still bring operations."""
        scans = (*self._waiting, *self._open.values())
        return any(scan.has_work and min(scan.seqs, default=seq + 1) <= seq for scan in scans)

    def count(self, root: RootId | None = None) -> int:
        """Return how many scans wait or are listing."""
        return sum(1 for s in (*self._waiting, *self._listing.values()) if root is None or s.root == root)

    def check_invariants(self) -> None:
        assert len(self._listing) <= self._most
        for scan in self._open.values():
            assert scan.work >= 0 and scan.ops >= 0 and not scan.dropped
            assert scan.listed == (scan.scan_id not in self._listing)

    def _joined(self, left: tuple[str, ...], right: tuple[str, ...]) -> tuple[str, ...]:
        scopes = sorted({*left, *right})
        if "" in scopes or len(scopes) > self._max_scopes:
            return ("",)
        narrow: list[str] = []
        for scope in scopes:
            if not any(covers(kept, scope) for kept in narrow[-1:]):
                narrow.append(scope)
        return tuple(narrow)
