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
from regend.core.commits import BULK_LINGER_S, STARVED_LINGER_S, Commits
from regend.core.debouncer import DebounceConfig, Debouncer
from regend.core.files import FileWork
from regend.core.heat import Heat, Key
from regend.core.modes import Mode, Surroundings, choose_mode
from regend.core.scans import Scan, Scans
from regend.core.vectors import URGENT_SLOTS, VectorWork
from regend.core.watermark import Watermark
from regend.types import FIRST_TRACK, STAGES, ChunkId, Lane, RootId, Track


@dataclass(frozen=True, slots=True)
class PipelineConfig:
    """Bounds and times of all queues.

    Attributes:
        mode: ``sequential`` does one thing at a time, ``parallel`` embeds bulk once everything is chunked, ``pipeline``
            overlaps all stages, ``auto`` chooses. All give the same index.
        surroundings: what ``auto`` chooses by, besides the files at hand.
        commit_backlog_bytes: no further file is chunked while more text than this waits to be committed.
        embed_limit: chunks without a vector kept in memory; the others wait in the store.
        texts_per_file_hour: maximum chunks of a file that a remote model gets in an hour; 0: no bound.
    """

    debounce: DebounceConfig = field(default_factory=DebounceConfig)
    batch: BatchConfig = field(default_factory=BatchConfig)
    mode: Mode | Literal["auto"] = "pipeline"
    surroundings: Surroundings = field(default_factory=Surroundings)
    scan_slots: int = 2
    chunk_slots: int = 4
    embed_slots: int = 2
    commit_backlog_bytes: int = 32_000_000
    embed_limit: int = 8_192
    texts_per_file_hour: int = 0


class Pipeline:
    """Sole owner and mutator of all indexing state."""

    def __init__(self, config: PipelineConfig) -> None:
        self._config = config
        self._capacity = config.chunk_slots
        self._wanted: Mode | None = None
        self.mode: Mode = "pipeline"
        self._watermark = Watermark()
        heat = Heat()
        self._debouncer = Debouncer(config.debounce, self._watermark, heat)
        self._commits = Commits()
        self._scans = Scans(config.scan_slots, config.debounce.storm_paths)
        self._files = FileWork(
            self._watermark,
            self._commits,
            self._scans,
            heat,
            config.chunk_slots,
            config.commit_backlog_bytes,
        )
        self._vectors = VectorWork(
            config.batch, config.embed_slots, config.embed_limit, texts_per_file_hour=config.texts_per_file_hour
        )
        self._tracks = [self._vectors]
        self._wants_vectors: set[int] = set()
        self.generation = 0
        self.paused = False
        self.commit_error = ""
        self._choose_mode()

    def handle(self, event: ev.Event, now: float) -> list[Command]:
        """Record one fact and return the commands that are due now."""
        self._record(event, now)
        return list(self._pump(now))

    def next_deadline(self) -> float | None:
        """Return when to send a `Tick` if nothing else happens before; None: never."""
        times = [self._commits.next_deadline()]
        if not self.paused:
            times += [self._debouncer.next_deadline(), self._files.next_look_at()]
        times += [work.next_deadline() for work in self._may_embed()]
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
            case ev.Embedded() | ev.EmbedFailed() | ev.UnembeddedFound() | ev.TrackOffered():
                self._record_vectors(event, now)
            case ev.FlushRequested() | ev.FlushAbandoned():
                self._record_flush(event)
            case ev.PauseRequested(paused):
                self.paused = paused
            case ev.CapacityChanged(chunk_slots):
                self._capacity = chunk_slots
                self._set_slots()
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
            case ev.RescanNeeded(root, path, mode=mode):
                self._wanted = mode or self._wanted
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
                for work in self._tracks:
                    work.changed([key for key in work.spent if key[0] == root])
            case _ as unreachable:
                assert_never(unreachable)

    def _record_files(self, event: ev.FileEvent, now: float) -> None:
        match event:
            case ev.Observed():
                gone = self._files.observed(event, now)
                for root, path in self._files.take_put_off():
                    self._debouncer.add_path(root, path, now)
                if gone is not None:
                    self._lose(gone)
            case ev.Chunked():
                self._files.chunked(event)
            case ev.ChunkFailed():
                self._files.chunk_failed(event, now)
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
            self._tracks[put.track].stored(put.chunks)
        for work in self._tracks:
            work.changed(pending.key for pending in done.ops)
        self._vectors.add(event.pending, now, done.lane)
        if done.ops:
            for work in self._tracks[1:]:
                work.expect_backlog()

    def _record_vectors(self, event: ev.VectorEvent, now: float) -> None:
        put, lane = None, Lane.BULK
        match event:
            case ev.Embedded():
                lane = self._tracks[event.track].lane_of(event.batch_id)
                put = self._tracks[event.track].embedded(event, now)
            case ev.EmbedFailed():
                put = self._tracks[event.track].failed(event, now)
            case ev.UnembeddedFound(chunks, exhausted, track):
                self._tracks[track].found(chunks, exhausted, now)
            case ev.TrackOffered(batch, slots):
                track = Track(len(self._tracks))
                limit, bound = self._config.embed_limit, self._config.texts_per_file_hour
                self._tracks.append(VectorWork(batch, slots, limit, 0, track, bound))
            case _ as unreachable:
                assert_never(unreachable)
        if put is not None:
            self._commits.add_vectors(put, lane)

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

    def _choose_mode(self) -> None:
        """Work in the mode that was asked for until nothing waits, then in the configured one."""
        if self._wanted is not None and self.is_idle():
            self._wanted = None
        usual = self._config.mode
        if usual == "auto":
            usual = choose_mode(self._files.chunking_count, self._config.surroundings)
        mode = self._wanted or usual
        if mode != self.mode:
            self.mode = mode
            self._set_slots()

    def _set_slots(self) -> None:
        config = self._config
        one = self.mode == "sequential"
        self._scans.limit(1 if one else config.scan_slots)
        self._files.chunk_slots = min(1, self._capacity) if one else self._capacity
        self._vectors.slots, self._vectors.urgent_slots = (1, 0) if one else (config.embed_slots, URGENT_SLOTS)

    # -- commands out ----------------------------------------------------------------------------------------------

    def _pump(self, now: float) -> Iterator[Command]:
        self._choose_mode()
        if not self.paused:
            for root, path in self._files.take_unsure(now):
                self._debouncer.add_rescan(root, path, now)
            for scan in self._debouncer.take_due(now):
                self._scans.request(scan)
            yield from self._files.take_due()
        self._files.settle()
        if (commit := self._commits.start(now, self._linger_s())) is not None:
            yield commit
        yield from self._resolve()
        for work in self._may_embed():
            yield from work.take_due(now, self._files.expects_chunks or work.backlog)

    def _linger_s(self) -> float:
        """Return how long bulk may wait for more before it is committed."""
        if self._is_awaited or not (self._files.is_busy or self._vectors.running):
            return 0.0
        overlaps = self.mode == "pipeline" and self._config.surroundings.embeds_elsewhere
        return STARVED_LINGER_S if overlaps and self._vectors.starves else BULK_LINGER_S

    @property
    def _is_awaited(self) -> bool:
        """A flush or a `sync` query waits for the next commit, and not for files that have yet to be read.

        While it waits for those, a commit of each handful would only make the last one come later.
        """
        seq = self._watermark.first_awaited
        if seq is not None and not self._scans.has_work_for(seq):
            return True
        return any(work.tickets.waiting for work in self._tracks)

    def _may_embed(self) -> Iterator[VectorWork]:
        """Yield the tracks that may begin a batch. The mode rules the first; each other one waits for all else."""
        is_chunking = self._files.is_chunking
        if self.paused or (self.mode == "sequential" and is_chunking):
            return
        self._vectors.edits_only = self.mode == "parallel" and is_chunking
        for work in self._tracks:
            yield work
            if self._files.expects_chunks or not work.is_idle:
                return

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
        depths = self._files_queues()
        for track, work in enumerate(self._tracks):
            depths |= {f"{STAGES[track]}_{name}": depth for name, depth in work.queues().items()}
        return depths

    def hot_files(self) -> dict[Key, float]:
        """Return the changed paths that wait because they change without end, with the time of their next look."""
        return self._debouncer.hot()

    def _files_queues(self) -> dict[str, int]:
        return {"hints": self._debouncer.pending()} | self._files.queues() | self._commits.queues()

    @property
    def quarantined(self) -> dict[Key, str]:
        """Files that failed twice, with the reason; tried again when they are written again."""
        return dict(self._files.quarantined)

    def embed_error(self, track: Track) -> str:
        """Return what the track's embedder said when it failed last; empty after a success."""
        return self._tracks[track].last_error if track < len(self._tracks) else ""

    def batch_stats(self, track: Track) -> dict[Lane, BatchStats]:
        """Return totals of the track's batches, by lane."""
        return self._tracks[track].stats if track < len(self._tracks) else {}

    def given_up(self, track: Track) -> dict[ChunkId, str]:
        """Return the chunks that get no vector of the track until the daemon starts again or their text changes."""
        return dict(self._tracks[track].given_up) if track < len(self._tracks) else {}

    def spent_files(self) -> dict[Key, float]:
        """Return the files that wait for vectors until their hour is over, with the time of its end."""
        return {key: ends_at for work in self._tracks for key, ends_at in work.spent.items()}

    def is_idle(self, track: Track = FIRST_TRACK) -> bool:
        """Return whether nothing waits or runs, except hot files and vectors of tracks after this one."""
        if self._files.is_busy:
            return False
        work_count = sum(self._files_queues().values()) - len(self.hot_files())
        return not work_count and all(work.is_idle for work in self._tracks[: track + 1])

    def check_invariants(self) -> None:
        """Raise AssertionError where the state contradicts itself; for tests and the simulation."""
        for part in (self._watermark, self._debouncer, self._files, self._commits):
            part.check_invariants()
        for work in self._tracks:
            work.check_invariants()
        if self.is_idle() and not self.hot_files():
            assert self._watermark.held_count == 0, "idle, yet a sequence number is held"
