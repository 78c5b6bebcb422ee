"""The pipeline: the one object that owns all indexing state. Pure: facts in, commands out, time is an argument.

::

    change -> Debouncer -> Scans -> Planner -> Inflight -> Commits -> VectorWork -> Commits
               (quiet)     (look)   (differs?)  (chunk)    (words)     (embed)     (vectors)

`handle(event, now)` records a fact and returns what to do next. Commands are issued only while a slot is free, so all
waiting work is here, where `status` can see it. `next_deadline()` says when time alone makes something due; a `Tick`
then moves it on. Nothing here does IO, and nothing else in the daemon changes this state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, assert_never

from regend.core import events as ev
from regend.core.batcher import BatchConfig, BatchStats
from regend.core.commands import Command, Observe, PutVectors, ResolveFlush
from regend.core.debouncer import DebounceConfig, Debouncer
from regend.core.files import UNSURE_PAUSE_S, FileWork, RootState
from regend.core.inflight import Key
from regend.core.scans import Scan
from regend.core.vectors import URGENT_SLOTS, VectorWork
from regend.core.watermark import Watermark
from regend.types import ChunkId, Lane, RootId, Tier

COMMIT_PAUSE_S = 1.0


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Bounds and times; all queues are bounded by these.

    Attributes:
        mode: ``sequential`` does one thing at a time, ``parallel`` embeds once everything is chunked, ``pipeline``
            overlaps all stages. All give the same index.
        commit_backlog_bytes: no further file is chunked while more text than this waits to be committed.
        embed_limit: chunks without a vector kept in memory; the others wait in the store.
    """

    debounce: DebounceConfig = field(default_factory=DebounceConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    mode: Literal["sequential", "parallel", "pipeline"] = "pipeline"
    scan_slots: int = 2
    chunk_slots: int = 4
    embed_slots: int = 2
    commit_backlog_bytes: int = 32_000_000
    embed_limit: int = 8_192


class Pipeline:
    """Sole owner and mutator of all indexing state."""

    def __init__(self, config: PipelineConfig) -> None:
        one = config.mode == "sequential"
        self._config = config
        self._chunk_slots = 1 if one else config.chunk_slots
        self._seq = 0
        self._watermark = Watermark()
        self._debouncer = Debouncer(config.debounce)
        self._files = FileWork(1 if one else config.scan_slots, config.debounce.storm_paths)
        slots, urgent_slots = (1, 0) if one else (config.embed_slots, URGENT_SLOTS)
        self._vectors = VectorWork(config.batch, slots, config.embed_limit, urgent_slots)
        self._upgrade: VectorWork | None = None
        self._wants_vectors: set[int] = set()
        self._commit_at = 0.0
        self.generation = 0
        self.paused = False
        self.commit_error = ""

    # -- surface ---------------------------------------------------------------------------------------------------

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """Record one fact and return the commands that are due now."""
        self._record(event, now)
        return list(self._pump(now))

    def next_deadline(self) -> float | None:
        """When to send a `Tick` if nothing else happens before; None: never."""
        times: list[float | None] = []
        if not self.paused:
            times.append(self._debouncer.next_deadline())
            times += [at for root in self._files.roots.values() if not root.lost for at, _ in root.unsure.values()]
            if self._may_embed():
                times.append(self._vectors.next_deadline())
            if self._upgrade is not None and self._may_upgrade():
                times.append(self._upgrade.next_deadline())
        if self._files.commits.waiting and self._files.commits.underway is None:
            times.append(self._commit_at)
        return min((t for t in times if t is not None), default=None)

    def pending(self, root: RootId) -> int:
        """Hints, scans, files and operations of the root that are not committed."""
        return (
            self._debouncer.pending(root)
            + self._files.scans.count(root)
            + self._files.inflight.count(root)
            + len(self._files.commits.paths(root))
        )

    def is_lost(self, root: RootId) -> bool:
        return self._files.roots[root].lost

    def unsure(self, root: RootId) -> dict[str, str]:
        """Directories that could not be read at the last look, with the reason."""
        return {path: reason for path, (_, reason) in self._files.roots[root].unsure.items()}

    def queues(self) -> dict[str, int]:
        """How much waits or runs at each stage."""
        underway = self._files.commits.underway
        return {
            "hints": sum(self._debouncer.pending(root) for root in self._files.roots),
            "scans": self._files.scans.count(),
            "chunk_waiting": self._files.inflight.waiting,
            "chunk_running": self._files.inflight.running,
            "commit_waiting": self._files.commits.waiting,
            "commit_running": len(underway.ops) + len(underway.vectors) if underway else 0,
            "embed_waiting": self._vectors.waiting,
            "embed_running": self._vectors.running,
            "embed_backlog": int(self._vectors.backlog),
        } | self._upgrade_queues()

    def _upgrade_queues(self) -> dict[str, int]:
        work = self._upgrade
        if work is None:
            return {}
        return {
            "upgrade_waiting": work.waiting,
            "upgrade_running": work.running,
            "upgrade_backlog": int(work.backlog),
        }

    @property
    def quarantined(self) -> dict[Key, str]:
        """Files that failed twice, with the reason; tried again when their content changes."""
        return dict(self._files.quarantined)

    @property
    def embed_error(self) -> str:
        """What the embedder said when it failed last, empty after a success."""
        return self._vectors.last_error

    @property
    def given_up_chunks(self) -> int:
        """Chunks that will have no vector until the daemon starts again or their text changes."""
        return len(self._vectors.given_up)

    @property
    def upgrade_error(self) -> str:
        """The same of the stronger model."""
        return self._upgrade.last_error if self._upgrade is not None else ""

    def batch_stats(self, tier: Tier) -> dict[Lane, BatchStats]:
        """What the batches of a tier were like, by lane."""
        work = self._vectors if tier is Tier.FIRST else self._upgrade
        return work.stats if work is not None else {}

    def given_up(self, tier: Tier) -> dict[ChunkId, str]:
        """Chunks that a tier's embedder refused, with the reason."""
        work = self._vectors if tier is Tier.FIRST else self._upgrade
        return dict(work.given_up) if work is not None else {}

    @property
    def vectors_complete(self) -> bool:
        return self._vectors.complete

    @property
    def _unsure(self) -> bool:
        """Some place could not be looked at, so nobody knows what lies there."""
        return any(state.unsure for state in self._files.roots.values())

    @property
    def is_idle(self) -> bool:
        """Nothing waits or runs, vectors included; those of a stronger model do not count."""
        return not any(depth for name, depth in self.queues().items() if not name.startswith("upgrade_"))

    @property
    def is_at_rest(self) -> bool:
        """Nothing waits or runs at all."""
        return not any(self.queues().values())

    def check_invariants(self) -> None:
        """Raise AssertionError where the state contradicts itself; for tests and the simulation."""
        parts = (self._watermark, self._debouncer, self._files, self._vectors)
        for part in parts:
            part.check_invariants()
        if self._upgrade is not None:
            self._upgrade.check_invariants()
        if self.is_idle:
            assert self._watermark.held_count == 0, "idle, yet a sequence number is held"

    # -- facts -----------------------------------------------------------------------------------------------------

    def _record(self, event: ev.Event, now: float) -> None:
        match event:
            case ev.PathChanged(root, path):
                if self._files.serves(root):
                    self._hold_if(self._debouncer.add_path(root, path, self._seq + 1, now))
            case ev.RescanNeeded(root, path, rehash):
                if self._files.serves(root):
                    self._rescan(root, path, rehash, now)
            case ev.Observed():
                root_id = self._files.scans.root_of(event.scan_id)
                if not self._files.observed(event, now):
                    self._lose(root_id)
            case ev.Chunked():
                self._files.chunked(event)
            case ev.ChunkFailed():
                self._files.chunk_failed(event)
            case ev.Committed():
                done = self._files.committed(event)
                self.generation = event.generation
                self.commit_error = ""
                for put in done.vectors:
                    self._work(put.tier).stored(put.chunks)
                self._vectors.add(event.pending, now, done.lane)
                if done.ops and self._upgrade is not None:
                    self._upgrade.expect_backlog()
            case ev.CommitFailed(commit_id, reason):
                self._files.commits.fail(commit_id)
                self.commit_error = reason
                self._commit_at = now + COMMIT_PAUSE_S
            case ev.Embedded():
                work = self._work(event.tier)
                self._put(work.embedded(event, now), event.vectors, event.tier)
            case ev.EmbedFailed(batch_id, reason, retry_after_s, tier):
                self._work(tier).failed(batch_id, reason, retry_after_s, now)
                self._put((), None, tier)
            case ev.UnembeddedFound(chunks, exhausted, tier):
                self._work(tier).found(chunks, exhausted, now)
            case ev.UpgradeOffered(batch, slots):
                assert self._upgrade is None, "one stronger model at most"
                self._upgrade = VectorWork(batch, slots, self._config.embed_limit, 0, Tier.UPGRADE)
            case ev.FlushRequested(ticket, wait_vectors):
                self._watermark.add_ticket(ticket, self._seq)
                if wait_vectors:
                    self._wants_vectors.add(ticket)
                for due in self._debouncer.release_all():
                    self._files.scans.request(Scan(due.root, due.scopes, due.trust, seqs=list(due.seqs)))
            case ev.FlushAbandoned(ticket):
                self._wants_vectors.discard(ticket)
                self._watermark.abandon(ticket)
                self._vectors.tickets.abandon(ticket)
            case ev.RootAdded(root, pool, files, pool_blobs):
                self._files.roots[root] = RootState()
                self._files.planner.add_root(root, pool, files, pool_blobs)
                self._vectors.expect_backlog()
                self._look_at_all(root)
            case ev.RootFound(root):
                if root in self._files.roots:
                    self._files.roots[root].lost = False
                    self._files.roots[root].found_after = self._files.scans.last_id
                    self._look_at_all(root)
            case ev.RootLost(root):
                self._lose(root)
            case ev.RootRemoved(root):
                self._remove(root)
            case ev.RootBusy(root, busy):
                if self._files.serves(root):
                    self._debouncer.set_busy(root, busy, now)
            case ev.PauseRequested(paused):
                self.paused = paused
            case ev.CapacityChanged(chunk_slots):
                self._chunk_slots = min(1, chunk_slots) if self._config.mode == "sequential" else chunk_slots
            case ev.Tick():
                pass
            case _ as unreachable:
                assert_never(unreachable)

    def _work(self, tier: Tier) -> VectorWork:
        if tier is Tier.FIRST:
            return self._vectors
        assert self._upgrade is not None, "nothing is embedded before the upgrade was offered"
        return self._upgrade

    def _put(self, chunks: tuple[ChunkId, ...], vectors: object, tier: Tier) -> None:
        """Have vectors committed, and which chunks will get none."""
        forgone = self._work(tier).take_given_up()
        if chunks or (forgone and tier is Tier.UPGRADE):
            self._files.commits.add_vectors(PutVectors(chunks, vectors, tier, forgone))

    def _hold_if(self, new: bool) -> None:
        """The debouncer was offered the next number; it is used up only if the hint is a new one."""
        if new:
            self._seq += 1
            self._watermark.hold(self._seq)

    def _look_at_all(self, root: RootId, rehash: bool = False) -> None:
        self._hold_if(True)
        self._files.scans.request(Scan(root, ("",), trust=not rehash, rehash=rehash, seqs=[self._seq]))

    def _rescan(self, root: RootId, path: str, rehash: bool, now: float) -> None:
        if not rehash:
            self._hold_if(self._debouncer.add_rescan(root, path, self._seq + 1, now))
            return
        self._hold_if(True)
        self._files.scans.request(Scan(root, (path,), trust=False, rehash=True, seqs=[self._seq]))

    # -- roots come and go -----------------------------------------------------------------------------------------

    def _lose(self, root: RootId) -> None:
        """Hold the root: forget what is on its way, delete nothing. What was accepted is still committed."""
        if self._files.serves(root):
            self._files.roots[root].lost = True
            self._forget(root)

    def _remove(self, root: RootId) -> None:
        if root in self._files.roots:
            self._forget(root)
            self._files.remove(root)

    def _forget(self, root: RootId) -> None:
        for seq in (*self._debouncer.drop(root), *self._files.forget(root)):
            self._watermark.release(seq)

    # -- what is due -----------------------------------------------------------------------------------------------

    def _may_embed(self) -> bool:
        mode = self._config.mode
        chunking = self._files.inflight.running + self._files.inflight.waiting
        return not self.paused and (mode == "pipeline" or not chunking)

    def _may_upgrade(self) -> bool:
        """Only when nothing else is to be done."""
        return not self.paused and not self._expects_chunks() and self._vectors.is_idle

    def _expects_chunks(self) -> bool:
        files = self._files
        return bool(
            files.scans.count() or files.inflight.running or files.inflight.waiting or files.commits.brings_chunks
        )

    def _pump(self, now: float) -> Iterator[Command]:
        if not self.paused:
            yield from self._start_scans(now)
            while (
                self._files.inflight.running < self._chunk_slots
                and self._files.commits.waiting_bytes < self._config.commit_backlog_bytes
                and (chunk_file := self._files.inflight.start()) is not None
            ):
                yield chunk_file
        for seq in self._files.settle():
            self._watermark.release(seq)
        if now >= self._commit_at and (commit := self._files.commits.start()) is not None:
            yield commit
        yield from self._resolve()
        if self._may_embed():
            yield from self._start_embedding(now)
        if self._upgrade is not None and self._may_upgrade():
            if not self._upgrade.backlog:
                self._upgrade.flush_bulk()
            yield from self._embed(self._upgrade, now)

    def _start_scans(self, now: float) -> Iterator[Command]:
        for root_id, root in self._files.roots.items():
            for path in [p for p, (at, _) in root.unsure.items() if at <= now and not root.lost]:
                root.unsure[path] = (now + UNSURE_PAUSE_S, root.unsure[path][1])
                self._rescan(root_id, path, rehash=False, now=now)
        for due in self._debouncer.take_due(now):
            self._files.scans.request(Scan(due.root, due.scopes, due.trust, seqs=list(due.seqs)))
        while (scan := self._files.scans.start()) is not None:
            known = self._files.planner.known(scan.root, scan.scopes) if scan.trust else {}
            yield Observe(scan.scan_id, scan.root, scan.scopes, known)

    def _start_embedding(self, now: float) -> Iterator[Command]:
        if self._vectors.tickets.waiting:
            self._vectors.flush()
        if not self._expects_chunks():
            self._vectors.flush_bulk()
        yield from self._embed(self._vectors, now)

    @staticmethod
    def _embed(work: VectorWork, now: float) -> Iterator[Command]:
        while (embed := work.start(now)) is not None:
            yield embed
        fetch = work.fetch()
        if fetch is not None:
            yield fetch

    def _resolve(self) -> Iterator[Command]:
        for ticket in self._watermark.take_resolved():
            if ticket in self._wants_vectors:
                self._vectors.add_ticket(ticket)
            else:
                yield self._resolved(ticket)
        for ticket in self._vectors.take_resolved():
            self._wants_vectors.discard(ticket)
            yield self._resolved(ticket)

    def _resolved(self, ticket: int) -> ResolveFlush:
        failed = [(root, path, reason) for (root, path), reason in self._files.quarantined.items()]
        failed += [
            (root, path, why) for root, state in self._files.roots.items() for path, (_, why) in state.unsure.items()
        ]
        return ResolveFlush(ticket, self.generation, tuple(sorted(failed)), self._vectors.complete and not self._unsure)
