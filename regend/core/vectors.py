"""Committed chunks that still need a vector: a bounded part in memory, the rest stays in the store until there is room.

A chunk is *held* from the moment it is known until its vector is committed or given up, so a flush can wait for exactly
the vectors that were due when it was asked for. When the embedder is unavailable, batches are tried again with growing
pauses, words stay searchable, and a flush answers at once that vectors are missing. The same holds for chunks of a file
that has spent its texts of the hour: they stay in the store until the hour is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from regend.core.allowance import Allowance
from regend.core.batcher import Batch, BatchConfig, Batcher, BatchStats
from regend.core.commands import Embed, FetchUnembedded, PutVectors
from regend.core.events import Embedded, EmbedFailed, PendingChunk
from regend.core.heat import Key
from regend.core.watermark import Watermark
from regend.types import FIRST_TRACK, ChunkId, Lane, Track

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
_DOUBLINGS = 10
"""Maximum doublings of the pause: the longest is reached before, and 1,024 would exceed the largest float."""
EDIT_CHUNKS = 256
"""Maximum new chunks of an edit; more are bulk, because they would delay other edits. A guess."""
URGENT_SLOTS = 1
"""Maximum batches of edits in flight beyond `slots`, so that an edit never waits for an answer to bulk."""
BACKLOG_SEQ = 0
"""Sequence number of chunks that the pipeline learns from the store; older than any ticket."""


@dataclass(slots=True)
class _Retry:
    batch: Batch[PendingChunk]
    at: float
    attempts: int


class VectorWork:
    """Owns which chunks wait for a vector, are being embedded, or were given up.

    Attributes:
        slots: batches in flight; those that run when it is lowered go on.
        urgent_slots: batches of edits in flight beyond them.
        edits_only: bulk waits.
    """

    def __init__(
        self,
        config: BatchConfig,
        slots: int,
        limit: int,
        urgent_slots: int = URGENT_SLOTS,
        track: Track = FIRST_TRACK,
        texts_per_file_hour: int = 0,
    ) -> None:
        self._track = track
        self._batcher = Batcher[PendingChunk](config)
        self.slots = slots
        self.urgent_slots = urgent_slots
        self._most_running, self._most_bulk = slots + urgent_slots, slots
        self.edits_only = False
        self._limit = limit
        self._allowance = Allowance(texts_per_file_hour)
        self._held: dict[ChunkId, int] = {}
        self._running: dict[int, tuple[Batch[PendingChunk], int]] = {}
        self._retries: list[_Retry] = []
        self._next_batch = 0
        self.backlog = False
        self._fetching = False
        self._backlog_grew = False
        self.tickets = Watermark()
        self.given_up: dict[ChunkId, str] = {}
        self.last_error = ""
        self.expect_backlog()

    def expect_backlog(self) -> None:
        """Note that the store may hold chunks without a vector that are unknown here (after a start or an overflow)."""
        self._backlog_grew = True
        if not self.backlog:
            self.backlog = True
            self.tickets.hold(BACKLOG_SEQ)

    def add(self, chunks: Iterable[PendingChunk], now: float, lane: Lane = Lane.EDIT) -> None:
        """Queue chunks that were just committed; leave to the store what exceeds the limit."""
        chunks = tuple(chunks)
        lane = lane if len(chunks) <= EDIT_CHUNKS else Lane.BULK
        for chunk in chunks:
            if chunk.chunk in self._held or chunk.chunk in self.given_up:
                continue
            if len(self._held) >= self._limit:
                self.expect_backlog()
                return
            if self._allowance.admit(chunk.version, now):
                self._admit(chunk, self.tickets.hold_next(), lane, now)

    def changed(self, keys: Iterable[Key]) -> None:
        """Note that these files were committed or are gone: what was held back of them may not matter any more."""
        if self._allowance.forgive(keys):
            self.expect_backlog()

    def fetch(self) -> FetchUnembedded | None:
        """Ask the store for more when at least half of the limit is free."""
        if self.edits_only or not self.backlog or self._fetching or len(self._held) * 2 > self._limit:
            return None
        self._fetching = True
        self._backlog_grew = False
        exclude = frozenset(self._held) | frozenset(self.given_up)
        return FetchUnembedded(self._limit - len(self._held), exclude, self._track, frozenset(self.spent))

    def found(self, chunks: Iterable[PendingChunk], exhausted: bool, now: float) -> None:
        """Queue the chunks that the store answered with."""
        self._fetching = False
        for chunk in chunks:
            if len(self._held) >= self._limit:
                self._backlog_grew = True  # Commits filled the space that was free at the time of the request.
                break
            if chunk.chunk in self._held or chunk.chunk in self.given_up:
                continue
            if self._allowance.admit(chunk.version, now):
                self.tickets.hold(BACKLOG_SEQ)
                self._admit(chunk, BACKLOG_SEQ, Lane.BULK, now)
            else:
                self._backlog_grew = True  # The next request tells the store for which files it must not wait.
        if exhausted and not self._backlog_grew:
            self.backlog = False
            self.tickets.release(BACKLOG_SEQ)

    def start(self, now: float) -> Embed | None:
        """Begin the next batch if a slot is free: retries that are due, then edits, then bulk."""
        last = self._last_lane()
        if last is None:
            return None
        batch, attempts = self._next(last, now)
        if batch is None:
            return None
        batch_id = self._next_batch
        self._next_batch += 1
        self._running[batch_id] = (batch, attempts)
        return Embed(batch_id, tuple(c.chunk for c in batch.items), batch.token_count, batch.lane, self._track)

    def lane_of(self, batch_id: int) -> Lane:
        """Return the lane of a batch in flight."""
        return self._running[batch_id][0].lane

    def embedded(self, event: Embedded, now: float) -> PutVectors | None:
        """Return the vectors to commit; their chunks stay held until `stored`."""
        batch, attempts = self._running.pop(event.batch_id)
        reasons, unanswered = dict(event.failed), frozenset(event.unanswered)
        self._give_up(reasons)
        self._batcher.token_factor = event.token_factor
        self.last_error = event.reason
        rest = [(c, seq) for c, seq in zip(batch.items, batch.seqs, strict=True) if c.chunk in unanswered]
        if rest:
            items, seqs = zip(*rest, strict=True)
            self._try_later(replace(batch, items=items, seqs=seqs), attempts, event.retry_after_s, now)
        done = tuple(c.chunk for c in batch.items if c.chunk not in reasons and c.chunk not in unanswered)
        return self._put(done, event.vectors, tuple(reasons))

    def failed(self, event: EmbedFailed, now: float) -> PutVectors | None:
        """Try the batch again later, or give its chunks up where that cannot help."""
        batch, attempts = self._running.pop(event.batch_id)
        self.last_error = event.reason
        if event.retry_after_s is not None:
            self._try_later(batch, attempts, event.retry_after_s, now)
            return None
        chunks = tuple(c.chunk for c in batch.items)
        self._give_up(dict.fromkeys(chunks, event.reason))
        return self._put((), None, chunks)

    def stored(self, chunks: Iterable[ChunkId]) -> None:
        """Release chunks whose vectors are durable and searchable."""
        for chunk in chunks:
            self.tickets.release(self._held.pop(chunk))

    def add_ticket(self, ticket: int) -> None:
        """Let the ticket wait for all vectors that are due now."""
        self.tickets.add_ticket(ticket)

    def take_resolved(self) -> list[int]:
        """Take the tickets whose vectors are durable, or all tickets while the embedder is unavailable."""
        if self.unavailable:
            waiting = list(self.tickets.waiting)
            for ticket in waiting:
                self.tickets.abandon(ticket)
            return waiting
        return self.tickets.take_resolved()

    def abandon(self, ticket: int) -> None:
        """Forget the ticket."""
        self.tickets.abandon(ticket)

    def flush(self, lane: Lane | None = None) -> None:
        """Let open batches of this lane, or of all lanes, wait for no further chunks."""
        self._batcher.flush(lane)

    def take_due(self, now: float, expects_more: bool) -> Iterator[Embed | FetchUnembedded]:
        """Begin every batch that is due and has a free slot, and ask the store for more where there is room.

        Args:
            expects_more: more bulk may come, so an open batch of bulk waits until its linger ends.
        """
        if self._allowance.end_hours(now):
            self.expect_backlog()
        if self.tickets.waiting:
            self.flush()
        if not expects_more:
            self.flush(Lane.BULK)
        while (embed := self.start(now)) is not None:
            yield embed
        if (fetch := self.fetch()) is not None:
            yield fetch

    def next_deadline(self) -> float | None:
        """Return when a batch is due that has a free slot, or an hour ends that a file has spent."""
        times = [*self.spent.values()]
        if (last := self._last_lane()) is None:
            return min(times, default=None)
        times += [retry.at for retry in self._retries if retry.batch.lane <= last]
        linger_until = None if self.unavailable else self._batcher.next_deadline(last)
        if linger_until is not None:
            times.append(linger_until)
        return min(times, default=None)

    @property
    def unavailable(self) -> bool:
        """The last attempts failed and wait for a retry."""
        return bool(self._retries) and bool(self.last_error)

    @property
    def complete(self) -> bool:
        """No committed chunk lacks a vector."""
        return not (self._held or self.backlog or self.given_up or self.spent)

    @property
    def spent(self) -> dict[Key, float]:
        """The files whose chunks wait for the end of an hour, with that time."""
        return self._allowance.spent

    def queues(self) -> dict[str, int]:
        """Return how many chunks wait or run, and whether the store holds others."""
        return {"waiting": self.waiting, "running": self.running, "backlog": int(self.backlog)}

    @property
    def waiting(self) -> int:
        return self._batcher.pending + sum(len(retry.batch.items) for retry in self._retries)

    @property
    def running(self) -> int:
        return sum(len(batch.items) for batch, _ in self._running.values())

    @property
    def starves(self) -> bool:
        """A slot is free, and no chunk waits for one."""
        return len(self._running) < self.slots and not (self.waiting or self.backlog)

    @property
    def is_idle(self) -> bool:
        """Nothing waits, runs, or is left in the store, except for chunks of files that have spent their hour."""
        return not (self._held or self.backlog)

    @property
    def stats(self) -> dict[Lane, BatchStats]:
        """Totals of the batches that were begun, by lane."""
        return self._batcher.stats

    def check_invariants(self) -> None:
        self._batcher.check_invariants()
        self.tickets.check_invariants()
        self._allowance.check_invariants()
        assert len(self._running) <= self._most_running
        assert sum(batch.lane is Lane.BULK for batch, _ in self._running.values()) <= self._most_bulk
        assert self.waiting + self.running <= len(self._held) <= self._limit
        assert not (self._held.keys() & self.given_up.keys())

    def _admit(self, chunk: PendingChunk, seq: int, lane: Lane, now: float) -> None:
        self._held[chunk.chunk] = seq
        self._batcher.add(chunk, lane, now)

    def _last_lane(self) -> Lane | None:
        """Return the last lane of which a batch may begin now; None: no slot is free."""
        if len(self._running) < self.slots and not self.edits_only:
            return Lane.BULK
        return Lane.EDIT if len(self._running) < self.slots + self.urgent_slots else None

    def _next(self, last: Lane, now: float) -> tuple[Batch[PendingChunk] | None, int]:
        for retry in self._retries:
            if retry.at <= now and retry.batch.lane <= last:
                self._retries.remove(retry)
                return retry.batch, retry.attempts
        if self.unavailable:
            return None, 0  # One batch at a time finds out whether the embedder is back.
        return self._batcher.take(now, last), 0

    def _try_later(self, batch: Batch[PendingChunk], attempts: int, retry_after_s: float, now: float) -> None:
        pause_s = max(retry_after_s, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(attempts, _DOUBLINGS)))
        self._retries.append(_Retry(batch, now + pause_s, attempts + 1))

    def _give_up(self, reasons: dict[ChunkId, str]) -> None:
        self.given_up.update(reasons)
        self.stored(reasons)

    def _put(self, chunks: tuple[ChunkId, ...], vectors: object, forgone: tuple[ChunkId, ...]) -> PutVectors | None:
        """Return what to commit, if anything; the track's takeover waits for each chunk that is not forgone."""
        return PutVectors(chunks, vectors, self._track, forgone) if chunks or forgone else None
