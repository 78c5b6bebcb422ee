"""The work on files: from a scan's observation, through a worker's result, to an accepted operation.

This is the middle of the pipeline. It decides what every observation and every worker result means, drops results
that a newer one has overtaken, and makes each scan wait for exactly the work that came of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from regend.core import events as ev
from regend.core.commands import ChunkFile, DeleteFile, FileOp, Observe, PutFile, SkipFile
from regend.core.commits import QUARANTINED, Commits, PendingOp, Underway
from regend.core.heat import FAILURE_S, LOOK_S, PASS_S, PASS_S_PER_BYTE, Heat, Key
from regend.core.inflight import MAX_ATTEMPTS, Inflight, WorkItem
from regend.core.planner import Planner, Read, covers
from regend.core.roots import AWAY, RootState
from regend.core.scans import Scan, Scans
from regend.core.watermark import Watermark
from regend.types import Lane, RootId

UNSURE_PAUSE_S = 30.0
"""Pause between two looks at a directory that cannot be read."""


class FileWork:
    """Owns the roots, the scans, the planned trees and the files in work; hands accepted operations to the commits."""

    def __init__(
        self, watermark: Watermark, commits: Commits, scans: Scans, heat: Heat, chunk_slots: int, backlog_bytes: int
    ) -> None:
        self._watermark = watermark
        self._roots: dict[RootId, RootState] = {}
        self._scans = scans
        self._planner = Planner()
        self._inflight = Inflight()
        self._heat = heat
        self._put_off: list[Key] = []
        self._commits = commits
        self._backlog_bytes = backlog_bytes
        self.chunk_slots = chunk_slots
        self.quarantined: dict[Key, str] = {}

    # -- roots -----------------------------------------------------------------------------------------------------

    def add_root(self, event: ev.RootAdded) -> None:
        """Serve the root, beginning with the tree that the store holds."""
        self._roots[event.root] = RootState()
        self._planner.add_root(event.root, event.pool, event.files, event.pool_blobs)

    def serves(self, root: RootId) -> bool:
        """Return whether the root is known and its directory exists."""
        return root in self._roots and not self._roots[root].lost

    def lose(self, root: RootId) -> None:
        """Hold the root: drop its scans and waiting files, delete nothing. Accepted operations are still committed."""
        if self.serves(root):
            self._roots[root].lost = True
            self._forget(root)

    def find(self, root: RootId) -> bool:
        """Note that the root's directory is back; return False if the root is unknown."""
        state = self._roots.get(root)
        if state is not None:
            state.lost, state.found_after = False, self._scans.last_id
        return state is not None

    def remove(self, root: RootId) -> None:
        """Forget the root and all work on it."""
        if root not in self._roots:
            return
        self._forget(root)
        self._heat.drop(root)
        self._commits.drop(root)
        self._planner.remove_root(root)
        self.quarantined = {key: why for key, why in self.quarantined.items() if key[0] != root}
        del self._roots[root]

    # -- what happened ---------------------------------------------------------------------------------------------

    def observed(self, event: ev.Observed, now: float) -> RootId | None:
        """Record part of a scan's answer; return the root if the scan found its directory gone."""
        scan = self._scans.listing(event.scan_id)
        if event.last:
            self._scans.listed(scan)
        if scan.dropped:
            return None
        if event.root_gone:
            if scan.scan_id > self._roots[scan.root].found_after:
                return scan.root
            self._observe_again(scan.root, scan.scopes, [scan])  # It began before the root came back.
            return None
        for seen in event.files:
            self._seen(scan, seen, now)
        if event.last:
            self._conclude(scan, dict(event.unsure), now)
            self._look_at_names(scan, event.linked)
        return None

    def chunked(self, event: ev.Chunked) -> None:
        """Accept what a worker read, unless a newer version overtook it."""
        item = self._finish(event.root, event.path, event.version)
        if item is not None:
            result = event.result
            op = PutFile(event.root, event.path, result.sig, result.blob, result)
            self._decide(item, op, result.skip_reason)

    def chunk_failed(self, event: ev.ChunkFailed, now: float) -> None:
        """Look again if the file is gone; otherwise retry it once alone, then quarantine it."""
        item = self._finish(event.root, event.path, event.version)
        if item is None:
            return
        if event.gone:
            self._observe_again(item.root, (item.path,), item.scans)
            for scan in item.scans:
                scan.work -= 1
            return
        self._heat.charge(item.key, FAILURE_S, now)
        item.attempts += 1
        if item.attempts < MAX_ATTEMPTS:
            self._inflight.add(item)
            return
        reason = f"{QUARANTINED}{event.reason}"
        if self._decide(item, SkipFile(item.root, item.path, item.sig, item.blob, reason)):
            self.quarantined[item.key] = reason

    def committed(self, event: ev.Committed) -> Underway:
        """Record what the store applied; look again where it does not hold an operation's blob."""
        missing = set(event.missing)
        done = self._commits.finish(event.commit_id)
        for pending in done.ops:
            root, path = pending.key
            for scan in pending.scans:
                scan.ops -= 1
            if root not in self._roots:
                continue
            if pending.key in missing:
                self._planner.pool_lost(root, path)
                if self.serves(root):
                    self._observe_again(root, (path,), pending.scans)
                continue
            if isinstance(pending.op, PutFile):
                self._planner.pool_holds(root, pending.op.blob)
            if not pending.says_quarantined and self._commits.find(pending.key) is None:
                self.quarantined.pop(pending.key, None)
        return done

    def settle(self) -> None:
        """Accept deletions whose scan has all other work ready, and close finished scans."""
        self._delete_missing()
        while done := self._scans.take_finished():
            for scan in done:
                self._watermark.release(*scan.seqs)
                if self._scans.is_idle(scan.root) and not self._inflight.count(scan.root):
                    self._planner.forget_versions(scan.root)
            self._delete_missing()

    # -- what is due -----------------------------------------------------------------------------------------------

    def take_unsure(self, now: float) -> list[Key]:
        """Take the unreadable places that must be looked at again now."""
        due = []
        for root, path in [key for key, (at, _) in self._unsure_places() if at <= now and self.serves(key[0])]:
            places = self._roots[root].unsure
            places[path] = (now + UNSURE_PAUSE_S, places[path][1])
            due.append((root, path))
        return due

    def take_put_off(self) -> list[Key]:
        """Take the hot paths that a scan saw changed during their pause: they are to be hinted again."""
        put_off, self._put_off = self._put_off, []
        return put_off

    def take_due(self) -> Iterator[Observe | ChunkFile]:
        """Begin scans, then files, while slots are free and the commit backlog is within its bound."""
        while (scan := self._scans.start()) is not None:
            at = scan.root, scan.scopes
            known = self._planner.known(*at) | self._inflight.signatures(*at) if scan.trust else {}
            yield Observe(scan.scan_id, *at, known)
        while (
            self._inflight.running < self.chunk_slots
            and self._commits.waiting_bytes < self._backlog_bytes
            and (item := self._inflight.start()) is not None
        ):
            if not self._is_known_now(item):
                yield item.command(is_new=self._planner.planned_sig(*item.key) is None)

    def next_look_at(self) -> float | None:
        """Return when the next unreadable place must be looked at again."""
        return min((at for (root, _), (at, _) in self._unsure_places() if self.serves(root)), default=None)

    # -- what there is ---------------------------------------------------------------------------------------------

    def is_lost(self, root: RootId) -> bool:
        return self._roots[root].lost

    def unsure(self, root: RootId) -> dict[str, str]:
        """Return the directories that could not be read at the last look, with the reason."""
        return {path: reason for path, (_, reason) in self._roots[root].unsure.items()}

    @property
    def is_unsure(self) -> bool:
        """Some place or root could not be looked at, so the daemon does not know what lies there."""
        return any(state.unsure or state.lost for state in self._roots.values())

    @property
    def chunking_count(self) -> int:
        """How many files wait for a worker or are in one."""
        return self._inflight.waiting + self._inflight.running

    @property
    def is_chunking(self) -> bool:
        return self.chunking_count > 0

    @property
    def is_busy(self) -> bool:
        """A scan or a file is in flight and may bring operations."""
        return bool(self._scans.count() or self.is_chunking)

    @property
    def expects_chunks(self) -> bool:
        """A scan, file or operation is in flight and may bring chunks without a vector."""
        return self.is_busy or self._commits.brings_chunks

    def failures(self) -> tuple[tuple[RootId, str, str], ...]:
        """Return (root, path, reason) of every file and place that the index lacks, sorted."""
        files = [(*key, reason) for key, reason in self.quarantined.items()]
        files += [(root, "", AWAY) for root, state in self._roots.items() if state.lost]
        return tuple(sorted([*files, *((*key, why) for key, (_, why) in self._unsure_places())]))

    def pending(self, root: RootId) -> int:
        """Return how many scans, files and operations of the root are not committed."""
        return self._scans.count(root) + self._inflight.count(root) + len(self._commits.paths(root))

    def queues(self) -> dict[str, int]:
        """Return how much waits or runs at each stage."""
        files = self._inflight
        return {"scans": self._scans.count(), "chunk_waiting": files.waiting, "chunk_running": files.running}

    def check_invariants(self) -> None:
        for part in (self._scans, self._planner, self._inflight):
            part.check_invariants()

    # -- roots and places, within ----------------------------------------------------------------------------------

    def _forget(self, root: RootId) -> None:
        """Drop the root's scans and waiting files."""
        self._inflight.drop_waiting(root)
        for scan in self._scans.drop(root):
            self._watermark.release(*scan.seqs)

    def _unsure_places(self) -> Iterator[tuple[Key, tuple[float, str]]]:
        for root, state in self._roots.items():
            yield from (((root, path), place) for path, place in state.unsure.items())

    # -- decisions -------------------------------------------------------------------------------------------------

    def _seen(self, scan: Scan, seen: ev.Observation, now: float) -> None:
        root, path = scan.root, seen.path
        scan.seen.add(path)
        if self._planner.is_stale(root, path, scan.scan_id):
            self._follow_newest((root, path), [scan], scan.scan_id)
            return
        self._planner.saw(root, path, scan.scan_id)
        if seen.unchanged and self._inflight.join((root, path), seen.sig, scan):
            return
        if seen.unchanged and self._planner.planned_sig(root, path) != seen.sig:
            self._observe_again(root, (path,), [scan])  # The tree moved on since the scan was sent out.
            return
        decision = self._planner.diff(root, seen, retry_skipped=scan.rehash)
        if isinstance(decision, Read):
            if now < self._heat.look_at((root, path)) and not self._watermark.waiting and not scan.rehash:
                self._put_off.append((root, path))  # A later flush waits for the new hint.
                return
            self._heat.charge((root, path), PASS_S + seen.size_bytes * PASS_S_PER_BYTE, now)
            lane = Lane.EDIT if scan.is_edit else Lane.BULK
            scan.work += 1
            at = (root, path, scan.scan_id, decision.blob, decision.sig, lane)
            self._inflight.add(WorkItem(*at, [scan], decision.again * (MAX_ATTEMPTS - 1), seen.size_bytes))
            return
        self._planner.accept(root, path, scan.scan_id)
        if not scan.trust:
            self._heat.charge((root, path), PASS_S if decision is not None else LOOK_S, now)
        if decision is None:
            self._follow_planned((root, path), [scan])
        else:
            self._accept(decision, [scan])

    def _conclude(self, scan: Scan, unsure: dict[str, str], now: float) -> None:
        scan.gone = self._planner.missing(scan.root, scan.scopes, scan.seen, unsure)
        for path in scan.gone:
            if not self._planner.is_stale(scan.root, path, scan.scan_id):
                self._planner.accept(scan.root, path, scan.scan_id, gone=True)
        for path in self._commits.paths(scan.root):  # Not seen because it is gone, which may not be durable yet.
            if path not in scan.seen and any(covers(scope, path) for scope in scan.scopes):
                self._follow_planned((scan.root, path), [scan])
        if not unsure:
            self._planner.conclude(scan.root, scan.scopes, scan.scan_id)
        self._roots[scan.root].looked(scan.scopes, unsure, now + UNSURE_PAUSE_S)

    def _delete_missing(self) -> None:
        """Accept deletions whose scan has all other work ready: deletes are sent last."""
        for scan in self._scans.take_deletable():
            gone, scan.gone = scan.gone, []
            for path in gone:
                newest = self._inflight.newest(scan.root, path)
                if newest is not None and newest.version > scan.scan_id:
                    self._follow_newest((scan.root, path), [scan], scan.scan_id)  # It is back, and being read.
                elif self._planner.is_doomed(scan.root, path):
                    self._accept(DeleteFile(scan.root, path), [scan])
                else:
                    self._follow_planned((scan.root, path), [scan])

    def _finish(self, root: RootId, path: str, version: int) -> WorkItem | None:
        item = self._inflight.finish(root, path, version)
        return item if item is not None and self.serves(root) else None

    def _is_known_now(self, item: WorkItem) -> bool:
        """Decide an item without a worker if its content became known while it waited; return whether it did.

        Two scans in a row see the files that are in work, as at a start: the second asks for what the first brings.
        """
        seen = ev.Observation(item.path, item.sig, item.blob)
        decision = self._planner.diff(item.root, seen, any(scan.rehash for scan in item.scans))
        if isinstance(decision, Read):
            return False
        self._inflight.finish(item.root, item.path, item.version)
        self._decide(item, decision)
        return True

    def _decide(self, item: WorkItem, op: FileOp | None, skip_reason: str = "") -> bool:
        """Accept the result unless a newer one was accepted; return whether it was accepted.

        Args:
            op: None where the planned tree holds the file as it is.
        """
        for scan in item.scans:
            scan.work -= 1
        if self._planner.is_stale(item.root, item.path, item.version):
            self._follow_newest(item.key, item.scans, item.version)
            return False
        self._planner.accept(item.root, item.path, item.version)
        if op is not None and not (skip_reason and self._planner.is_skipped_for(*item.key, skip_reason)):
            self._accept(op, item.scans, skip_reason)
            return True
        if op is not None:
            self._planner.plan(op, skip_reason)  # The store has the reason; what it has not is not worth a commit.
        self._follow_planned(item.key, item.scans)
        return True

    def _accept(self, op: FileOp, scans: list[Scan], skip_reason: str = "") -> None:
        self._planner.plan(op, skip_reason)
        for scan in scans:
            scan.ops += 1
        self._commits.add(PendingOp(op, list(scans)))

    def _observe_again(self, root: RootId, scopes: tuple[str, ...], parents: Iterable[Scan]) -> None:
        """Request another look; the parents wait for it."""
        parents = list(parents)
        for scan in parents:
            scan.work += 1
        self._scans.request(Scan(root, scopes, trust=False, parents=parents))

    def _look_at_names(self, scan: Scan, linked: Mapping[int, frozenset[Key]]) -> None:
        """Look at the older names of files that got a new one; the scan waits for them."""
        for root in filter(self.serves, self._roots if linked else ()):
            work = self._inflight.signatures(root, ("",))
            paths = self._planner.names_of(root, linked) | {path for path in work if work[path].inode in linked}
            if paths := paths - (scan.seen if root == scan.root else set()):
                scan.work += 1
                self._scans.request(Scan(root, tuple(paths), trust=True, parents=[scan]))

    def _follow_newest(self, key: Key, scans: Iterable[Scan], version: int) -> None:
        """Let the scans, which looked at `version` or before, wait for a newer decision about the path.

        A decision that was accepted is new enough: its scan began after theirs. To wait for what is in work instead
        would never end where the file never rests.
        """
        scans = list(scans)
        is_doomed = self._planner.is_doomed(*key)
        is_decided = self._planner.is_accepted_since(*key, version) and not is_doomed
        item = None if is_decided else self._inflight.newest(*key)
        if item is not None:
            item.scans += scans
            for scan in scans:
                scan.work += 1
        elif is_doomed:
            self._accept(DeleteFile(*key), scans)  # A newer scan found it gone, and would only have waited longer.
        else:
            self._follow_planned(key, scans)

    def _follow_planned(self, key: Key, scans: Iterable[Scan]) -> None:
        """Let the scans wait until the planned state of the path is durable."""
        pending = self._commits.find(key)
        if pending is not None:
            for scan in scans:
                scan.ops += 1
                pending.scans.append(scan)
        elif self._planner.is_doubted(*key):
            self._observe_again(key[0], (key[1],), scans)  # The store lacked its blob, so nothing is planned for it.
