"""What became of each file: from a scan's word, over the worker's, to a committed operation.

This is the middle of the pipeline. It decides what every observation and every worker result means, drops what a newer
one has overtaken, and sees to it that each scan waits for exactly the work that came of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from regend.core import events as ev
from regend.core.commands import DeleteFile, FileOp, PutFile, SkipFile, TouchFile
from regend.core.commits import Commits, PendingOp, Underway
from regend.core.inflight import MAX_ATTEMPTS, Inflight, Key, WorkItem
from regend.core.planner import Planner, Read, covers
from regend.core.scans import Scan, Scans
from regend.types import Lane, RootId

UNSURE_PAUSE_S = 30.0
_QUARANTINED = "quarantined: "


@dataclass(slots=True)
class RootState:
    """A root that is served.

    Attributes:
        lost: its directory is gone; nothing is concluded until it is back.
        found_after: the newest scan id when it came back; older scans say nothing about it.
        unsure: directories that could not be read -> when to look again, and the reason.
    """

    lost: bool = False
    found_after: int = -1
    unsure: dict[str, tuple[float, str]] = field(default_factory=dict)


class FileWork:
    """Owns the scans, the planned trees, the files in work and the operations that wait for a commit."""

    def __init__(self, scan_slots: int, max_scopes: int) -> None:
        self.roots: dict[RootId, RootState] = {}
        self.scans = Scans(scan_slots, max_scopes)
        self.planner = Planner()
        self.inflight = Inflight()
        self.commits = Commits()
        self.quarantined: dict[Key, str] = {}

    def serves(self, root: RootId) -> bool:
        """Is the root known and there?"""
        return root in self.roots and not self.roots[root].lost

    def observed(self, event: ev.Observed, now: float) -> bool:
        """Take in part of a scan's answer.

        Returns:
            False when the scan found the root itself gone.
        """
        scan = self.scans.listing(event.scan_id)
        assert scan is not None, "every part belongs to a scan that is listing"
        if event.last:
            self.scans.listed(scan)
        if scan.dropped:
            return True
        if event.root_gone:
            if scan.scan_id > self.roots[scan.root].found_after:
                return False
            self._observe_again(scan.root, scan.scopes, [scan])  # It began before the root came back.
            return True
        for seen in event.files:
            self._seen(scan, seen)
        if event.last:
            self._conclude(scan, dict(event.unsure), now)
        return True

    def chunked(self, event: ev.Chunked) -> None:
        """A worker read the file."""
        item = self._finish(event.root, event.path, event.version)
        if item is not None:
            result = event.result
            op = PutFile(event.root, event.path, result.sig, result.blob, result)
            self._decide(item, op, skipped=bool(result.skip_reason))

    def chunk_failed(self, event: ev.ChunkFailed) -> None:
        """A worker could not read the file: look again if it is gone, else retry once alone, else quarantine it."""
        item = self._finish(event.root, event.path, event.version)
        if item is None:
            return
        if event.gone:
            self._observe_again(item.root, (item.path,), item.scans)
            for scan in item.scans:
                scan.work -= 1
            return
        item.attempts += 1
        if item.attempts < MAX_ATTEMPTS:
            self.inflight.add(item)
            return
        reason = f"{_QUARANTINED}{event.reason}"
        if self._decide(item, SkipFile(item.root, item.path, item.sig, item.blob, reason), skipped=True):
            self.quarantined[item.key] = reason

    def committed(self, event: ev.Committed) -> Underway:
        """The store applied the commit, except for operations whose blob it does not hold."""
        missing = set(event.missing)
        done = self.commits.finish(event.commit_id)
        for pending in done.ops:
            for scan in pending.scans:
                scan.ops -= 1
            root, path = pending.key
            if root not in self.roots:
                continue
            if pending.key in missing:
                self.planner.pool_lost(root, path)
                if self.serves(root):
                    self._observe_again(root, (path,), pending.scans)
                continue
            if isinstance(pending.op, PutFile):
                self.planner.pool_holds(root, pending.op.blob)
            if not _says_quarantined(pending.op) and self.commits.find(pending.key) is None:
                self.quarantined.pop(pending.key, None)
        return done

    def settle(self) -> list[int]:
        """Carry on what waits for nothing any more, and return the sequence numbers of scans that are finished."""
        seqs: list[int] = []
        while True:
            self._delete_missing()
            done = self.scans.take_finished()
            if not done:
                return seqs
            for scan in done:
                seqs += scan.seqs
                if self.scans.is_idle(scan.root) and not self.inflight.count(scan.root):
                    self.planner.forget_versions(scan.root)

    def forget(self, root: RootId) -> list[int]:
        """Drop what is on its way for the root, and return the sequence numbers of its scans."""
        self.inflight.drop_waiting(root)
        return [seq for scan in self.scans.drop(root) for seq in scan.seqs]

    def remove(self, root: RootId) -> None:
        """Forget the root altogether."""
        self.commits.drop(root)
        self.planner.remove_root(root)
        self.quarantined = {key: why for key, why in self.quarantined.items() if key[0] != root}
        del self.roots[root]

    def check_invariants(self) -> None:
        for part in (self.scans, self.planner, self.inflight, self.commits):
            part.check_invariants()

    # -- decisions -------------------------------------------------------------------------------------------------

    def _seen(self, scan: Scan, seen: ev.Observation) -> None:
        root, path = scan.root, seen.path
        scan.seen.add(path)
        if self.planner.is_stale(root, path, scan.scan_id):
            self._follow_newest((root, path), [scan])
            return
        if seen.unchanged and self.planner.planned_sig(root, path) != seen.sig:
            self._observe_again(root, (path,), [scan])  # The tree moved on since the scan was sent out.
            return
        decision = self.planner.diff(root, seen, retry_skipped=scan.rehash)
        if isinstance(decision, Read):
            # Not accepted yet: an older version that is being chunked is still progress if it arrives first,
            # so that a file that is written all the time gets indexed now and then.
            lane = Lane.EDIT if scan.is_edit else Lane.BULK
            scan.work += 1
            self.inflight.add(WorkItem(root, path, scan.scan_id, decision.blob, decision.sig, lane, [scan]))
            return
        self.planner.accept(root, path, scan.scan_id)
        if decision is None:
            self._follow_planned((root, path), [scan])
        else:
            self._accept(decision, [scan])

    def _conclude(self, scan: Scan, unsure: dict[str, str], now: float) -> None:
        scan.gone = self.planner.missing(scan.root, scan.scopes, scan.seen, unsure)
        for path in scan.gone:
            if not self.planner.is_stale(scan.root, path, scan.scan_id):
                self.planner.accept(scan.root, path, scan.scan_id, gone=True)
        for path in self.commits.paths(scan.root):  # Not seen because it is gone, which may not be durable yet.
            if path not in scan.seen and any(covers(scope, path) for scope in scan.scopes):
                self._follow_planned((scan.root, path), [scan])
        if not unsure:
            self.planner.conclude(scan.root, scan.scopes, scan.scan_id)
        places = self.roots[scan.root].unsure
        for path in [path for path in places if any(covers(scope, path) for scope in scan.scopes)]:
            del places[path]
        for path, reason in unsure.items():
            places[path] = (now + UNSURE_PAUSE_S, reason)

    def _delete_missing(self) -> None:
        """Accept deletions whose scan has everything else ready: deletes are sent last."""
        for scan in self.scans.take_deletable():
            gone, scan.gone = scan.gone, []
            for path in gone:
                newest = self.inflight.newest(scan.root, path)
                if newest is not None and newest.version > scan.scan_id:
                    self._follow_newest((scan.root, path), [scan])  # It is back, and being read.
                elif self.planner.is_doomed(scan.root, path):
                    self._accept(DeleteFile(scan.root, path), [scan])
                else:
                    self._follow_planned((scan.root, path), [scan])

    def _finish(self, root: RootId, path: str, version: int) -> WorkItem | None:
        item = self.inflight.finish(root, path, version)
        return item if item is not None and self.serves(root) else None

    def _decide(self, item: WorkItem, op: FileOp, skipped: bool) -> bool:
        """Accept the result unless a newer one was; returns whether it was."""
        for scan in item.scans:
            scan.work -= 1
        if self.planner.is_stale(item.root, item.path, item.version):
            self._follow_newest(item.key, item.scans)
            return False
        self.planner.accept(item.root, item.path, item.version)
        self._accept(op, item.scans, skipped)
        return True

    def _accept(self, op: FileOp, scans: list[Scan], skipped: bool = False) -> None:
        self.planner.plan(op, skipped)
        for scan in scans:
            scan.ops += 1
        self.commits.add(PendingOp(op, list(scans)))

    def _observe_again(self, root: RootId, scopes: tuple[str, ...], parents: Iterable[Scan]) -> None:
        """Look once more; the parents wait for it."""
        parents = list(parents)
        for scan in parents:
            scan.work += 1
        self.scans.request(Scan(root, scopes, trust=False, parents=parents))

    def _follow_newest(self, key: Key, scans: Iterable[Scan]) -> None:
        """The path was decided anew since: let the scans wait for that decision."""
        scans = list(scans)
        item = self.inflight.newest(*key)
        if item is None and self.planner.is_doomed(*key):
            self._accept(DeleteFile(*key), scans)  # A newer scan found it gone, and would only have waited longer.
            return
        if item is None:
            self._follow_planned(key, scans)
            return
        for scan in scans:
            scan.work += 1
            item.scans.append(scan)

    def _follow_planned(self, key: Key, scans: Iterable[Scan]) -> None:
        """The tree is as planned: let the scans wait until what is planned for the path is durable."""
        pending = self.commits.find(key)
        if pending is not None:
            for scan in scans:
                scan.ops += 1
                pending.scans.append(scan)
        elif self.planner.is_doubted(*key):
            self._observe_again(key[0], (key[1],), scans)  # The store lacked its blob, so nothing is planned for it.


def _says_quarantined(op: FileOp) -> bool:
    """Whether the operation leaves the path quarantined, or as it was."""
    return isinstance(op, TouchFile) or (isinstance(op, SkipFile) and op.reason.startswith(_QUARANTINED))
