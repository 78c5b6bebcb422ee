"""The pipeline: the one object that owns all indexing state. Pure: events in, commands out, time is an argument.

::

    change -> Debouncer -> Scans -> Planner -> Inflight -> Commits -> VectorWork -> Commits
               (quiet)     (look)   (differs?)  (chunk)    (words)     (embed)     (vectors)

`handle(event, now)` records a fact and returns what to do next. Commands are issued only while a slot is free, so all
waiting work is here, where `status` can see it. `next_deadline()` says when time alone makes work due; the caller then
sends a `Tick`. Nothing here does IO, and nothing else in the daemon changes this state.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal, assert_never

from regend.core import events as ev
from regend.core.batcher import BatchConfig, BatchStats
from regend.core.commands import Command, ResolveFlush
from regend.core.commits import Commits
from regend.core.debouncer import DebounceConfig, Debouncer
from regend.core.files import FileWork
from regend.core.inflight import Key
from regend.core.scans import Scan, Scans
from regend.core.vectors import URGENT_SLOTS, VectorWork
from regend.core.watermark import Watermark
from regend.types import ChunkId, Lane, RootId, Tier


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Bounds and times of all queues.

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
        self._watermark = Watermark()
        self._debouncer = Debouncer(config.debounce, self._watermark)
        self._commits = Commits()
        self._scans = Scans(1 if one else config.scan_slots, config.debounce.storm_paths)
        self._files = FileWork(
            self._watermark,
            self._commits,
            self._scans,
            1 if one else config.chunk_slots,
            config.commit_backlog_bytes,
        )
        slots, urgent_slots = (1, 0) if one else (config.embed_slots, URGENT_SLOTS)
        self._vectors = VectorWork(config.batch, slots, config.embed_limit, urgent_slots)
        self._work = {Tier.FIRST: self._vectors}
        self._wants_vectors: set[int] = set()
        self.generation = 0
        self.paused = False
        self.commit_error = ""

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """Record one fact and return the commands that are due now."""
        self._record(event, now)
        return list(self._pump(now))

    def next_deadline(self) -> float | None:
        """Return when to send a `Tick` if nothing else happens before; None: never."""
        times = [self._commits.next_deadline()]
        if not self.paused:
            times += [self._debouncer.next_deadline(), self._files.next_look_at()]
        times += [work.next_deadline() for tier, work in self._work.items() if self._may_embed(tier)]
        return min((t for t in times if t is not None), default=None)

    # -- facts in --------------------------------------------------------------------------------------------------

    def _record(self, event: ev.Event, now: float) -> None:
        match event:
            case ev.PathChanged() | ev.RescanNeeded() | ev.RootBusy():
                if self._files.serves(event.root):
                    self._record_hint(event, now)
            case ev.RootAdded() | ev.RootFound() | ev.RootLost() | ev.RootRemoved():
                self._record_root(event)
            case ev.Observed() | ev.Chunked() | ev.ChunkFailed() | ev.Committed() | ev.CommitFailed():
                self._record_files(event, now)
            case ev.Embedded() | ev.EmbedFailed() | ev.UnembeddedFound() | ev.UpgradeOffered():
                self._record_vectors(event, now)
            case ev.FlushRequested() | ev.FlushAbandoned():
                self._record_flush(event)
            case ev.PauseRequested(paused):
                self.paused = paused
            case ev.CapacityChanged(chunk_slots):
                one = self._config.mode == "sequential"
                self._files.chunk_slots = min(1, chunk_slots) if one else chunk_slots
            case ev.Tick():
                pass
            case _ as unreachable:
                assert_never(unreachable)

    def _record_hint(self, event: ev.Hint, now: float) -> None:
        match event:
            case ev.PathChanged(root, path):
                self._debouncer.add_path(root, path, now)
            case ev.RescanNeeded(root, path, rehash=False):
                self._debouncer.add_rescan(root, path, now)
            case ev.RescanNeeded(root, path):
                self._look(root, path, rehash=True)
            case ev.RootBusy(root, busy):
                self._debouncer.set_busy(root, busy, now)
            case _ as unreachable:
                assert_never(unreachable)

    def _record_root(self, event: ev.RootEvent) -> None:
        root = event.root
        match event:
            case ev.RootAdded():
                self._files.add_root(event)
                self._vectors.expect_backlog()
                self._look(root)
            case ev.RootFound():
                if self._files.find(root):
                    self._look(root)
            case ev.RootLost():
                self._lose(root)
            case ev.RootRemoved():
                self._debouncer.drop(root)
                self._files.remove(root)
            case _ as unreachable:
                assert_never(unreachable)

    def _record_files(self, event: ev.FileEvent, now: float) -> None:
        match event:
            case ev.Observed():
                gone = self._files.observed(event, now)
                if gone is not None:
                    self._lose(gone)
            case ev.Chunked():
                self._files.chunked(event)
            case ev.ChunkFailed():
                self._files.chunk_failed(event)
            case ev.Committed():
                self._committed(event, now)
            case ev.CommitFailed():
                self._commits.fail(event.commit_id, now)
                self.commit_error = event.reason
            case _ as unreachable:
                assert_never(unreachable)

    def _committed(self, event: ev.Committed, now: float) -> None:
        done = self._files.committed(event)
        self.generation = event.generation
        self.commit_error = ""
        for put in done.vectors:
            self._work[put.tier].stored(put.chunks)
        self._vectors.add(event.pending, now, done.lane)
        if done.ops and Tier.UPGRADE in self._work:
            self._work[Tier.UPGRADE].expect_backlog()

    def _record_vectors(self, event: ev.VectorEvent, now: float) -> None:
        put = None
        match event:
            case ev.Embedded():
                put = self._work[event.tier].embedded(event, now)
            case ev.EmbedFailed():
                put = self._work[event.tier].failed(event, now)
            case ev.UnembeddedFound(chunks, exhausted, tier):
                self._work[tier].found(chunks, exhausted, now)
            case ev.UpgradeOffered(batch, slots):
                assert Tier.UPGRADE not in self._work, "one stronger model at most"
                self._work[Tier.UPGRADE] = VectorWork(batch, slots, self._config.embed_limit, 0, Tier.UPGRADE)
            case _ as unreachable:
                assert_never(unreachable)
        if put is not None:
            self._commits.add_vectors(put)

    def _record_flush(self, event: ev.FlushEvent) -> None:
        match event:
            case ev.FlushRequested(ticket, wait_vectors):
                self._watermark.add_ticket(ticket)
                if wait_vectors:
                    self._wants_vectors.add(ticket)
                for scan in self._debouncer.release_all():
                    self._scans.request(scan)
            case ev.FlushAbandoned(ticket):
                self._wants_vectors.discard(ticket)
                self._watermark.abandon(ticket)
                self._vectors.abandon(ticket)
            case _ as unreachable:
                assert_never(unreachable)

    def _look(self, root: RootId, path: str = "", rehash: bool = False) -> None:
        """Look at `path` and all below it as soon as a slot is free."""
        seqs = [self._watermark.hold_next()]
        self._scans.request(Scan(root, (path,), trust=not rehash, rehash=rehash, seqs=seqs))

    def _lose(self, root: RootId) -> None:
        self._debouncer.drop(root)
        self._files.lose(root)

    # -- commands out ----------------------------------------------------------------------------------------------

    def _pump(self, now: float) -> Iterator[Command]:
        if not self.paused:
            for root, path in self._files.take_unsure(now):
                self._debouncer.add_rescan(root, path, now)
            for scan in self._debouncer.take_due(now):
                self._scans.request(scan)
            yield from self._files.take_due()
        self._files.settle()
        if (commit := self._commits.start(now)) is not None:
            yield commit
        yield from self._resolve()
        for tier, work in self._work.items():
            if self._may_embed(tier):
                expects_more = self._files.expects_chunks if tier is Tier.FIRST else work.backlog
                yield from work.take_due(now, expects_more)

    def _may_embed(self, tier: Tier) -> bool:
        """May a batch of the tier begin? The mode rules the first model; the stronger one waits for all other work."""
        if tier is Tier.UPGRADE:
            return not self.paused and not self._files.expects_chunks and self._vectors.is_idle
        return not self.paused and (self._config.mode == "pipeline" or not self._files.is_chunking)

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
        complete = self._vectors.complete and not self._files.is_unsure
        return ResolveFlush(ticket, self.generation, self._files.failures(), complete)

    # -- what `status` reads ---------------------------------------------------------------------------------------

    def pending(self, root: RootId) -> int:
        """Return how many hints, scans, files and operations of the root are not committed."""
        return self._debouncer.pending(root) + self._files.pending(root)

    def is_lost(self, root: RootId) -> bool:
        return self._files.is_lost(root)

    def unsure(self, root: RootId) -> dict[str, str]:
        """Return the directories that could not be read at the last look, with the reason."""
        return self._files.unsure(root)

    def queues(self) -> dict[str, int]:
        """Return how much waits or runs at each stage."""
        depths = {"hints": self._debouncer.pending()} | self._files.queues() | self._commits.queues()
        for tier, work in self._work.items():
            stage = "embed" if tier is Tier.FIRST else "upgrade"
            depths |= {f"{stage}_{name}": depth for name, depth in work.queues().items()}
        return depths

    @property
    def quarantined(self) -> dict[Key, str]:
        """Files that failed twice, with the reason; tried again when their content changes."""
        return dict(self._files.quarantined)

    def embed_error(self, tier: Tier) -> str:
        """Return what the tier's embedder said when it failed last; empty after a success."""
        return self._work[tier].last_error if tier in self._work else ""

    def batch_stats(self, tier: Tier) -> dict[Lane, BatchStats]:
        """Return totals of the tier's batches, by lane."""
        return self._work[tier].stats if tier in self._work else {}

    def given_up(self, tier: Tier) -> dict[ChunkId, str]:
        """Return the chunks that get no vector of the tier until the daemon starts again or their text changes."""
        return dict(self._work[tier].given_up) if tier in self._work else {}

    @property
    def is_idle(self) -> bool:
        """Nothing waits or runs, except vectors of a stronger model."""
        return not any(depth for name, depth in self.queues().items() if not name.startswith("upgrade_"))

    @property
    def is_at_rest(self) -> bool:
        """Nothing waits or runs, vectors of a stronger model included."""
        return not any(self.queues().values())

    def check_invariants(self) -> None:
        """Raise AssertionError where the state contradicts itself; for tests and the simulation."""
        for part in (self._watermark, self._debouncer, self._files, self._commits):
            part.check_invariants()
        for work in self._work.values():
            work.check_invariants()
        if self.is_idle:
            assert self._watermark.held_count == 0, "idle, yet a sequence number is held"
