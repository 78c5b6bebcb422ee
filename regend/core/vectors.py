"""Committed chunks that still need a vector: a bounded part in memory, the rest stays in the store until there is room.

A chunk is *held* from the moment it is known until its vector is committed or given up, so a flush can wait for exactly
the vectors that were due when it was asked for. When the embedder is unavailable, batches are tried again with growing
pauses, words stay searchable, and a flush answers at once that vectors are missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from regend.core.batcher import Batch, BatchConfig, Batcher
from regend.core.commands import Embed, FetchUnembedded
from regend.core.events import PendingChunk
from regend.core.watermark import Watermark
from regend.types import ChunkId, Lane

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
EDIT_CHUNKS = 256
"""A commit with no more new chunks than this is an edit, and its chunks go ahead of bulk. A guess."""
BACKLOG_SEQ = 0
"""The number under which everything is held that the store knew before we did: older than any ticket."""


@dataclass(slots=True)
class _Retry:
    batch: Batch
    at: float
    attempts: int


class VectorWork:
    """Owns which chunks wait for a vector, are being embedded, or were given up."""

    def __init__(self, config: BatchConfig, slots: int, limit: int) -> None:
        self._batcher = Batcher(config)
        self._slots = slots
        self._limit = limit
        self._held: dict[ChunkId, int] = {}
        self._clock = BACKLOG_SEQ
        self._running: dict[int, tuple[Batch, int]] = {}
        self._retries: list[_Retry] = []
        self._next_batch = 0
        self._backlog = False
        self._fetching = False
        self._backlog_grew = False
        self.tickets = Watermark()
        self.given_up: dict[ChunkId, str] = {}
        self.last_error = ""
        self.expect_backlog()

    def expect_backlog(self) -> None:
        """The store may hold chunks without a vector that nobody told us of (after a start, or an overflow)."""
        self._backlog_grew = True
        if not self._backlog:
            self._backlog = True
            self.tickets.hold(BACKLOG_SEQ)

    def add(self, chunks: Iterable[PendingChunk], now: float) -> None:
        """Chunks that were just committed; what does not fit in memory is left to the store."""
        chunks = tuple(chunks)
        lane = Lane.EDIT if len(chunks) <= EDIT_CHUNKS else Lane.BULK
        for chunk in chunks:
            if chunk.chunk in self._held or chunk.chunk in self.given_up:
                continue
            if len(self._held) >= self._limit:
                self.expect_backlog()
                return
            self._clock += 1
            self._admit(chunk, self._clock, lane, now)

    def fetch(self) -> FetchUnembedded | None:
        """Ask the store for more, when there is room for at least half of the limit."""
        if not self._backlog or self._fetching or len(self._held) * 2 > self._limit:
            return None
        self._fetching = True
        self._backlog_grew = False
        exclude = frozenset(self._held) | frozenset(self.given_up)
        return FetchUnembedded(self._limit - len(self._held), exclude)

    def found(self, chunks: Iterable[PendingChunk], exhausted: bool, now: float) -> None:
        """The store's answer."""
        self._fetching = False
        for chunk in chunks:
            if len(self._held) >= self._limit:
                self._backlog_grew = True  # Commits filled the room that there was when we asked.
                break
            if chunk.chunk not in self._held and chunk.chunk not in self.given_up:
                self._admit(chunk, BACKLOG_SEQ, Lane.BULK, now)
        if exhausted and not self._backlog_grew:
            self._backlog = False
            self.tickets.release(BACKLOG_SEQ)

    def start(self, now: float) -> Embed | None:
        """The next batch, when a slot is free: retries that are due, then edits, then bulk."""
        if len(self._running) >= self._slots:
            return None
        self._batcher.close_due(now)
        batch, attempts = self._next(now)
        if batch is None:
            return None
        batch_id = self._next_batch
        self._next_batch += 1
        self._running[batch_id] = (batch, attempts)
        return Embed(batch_id, tuple(c.chunk for c in batch.chunks), batch.token_count, batch.lane)

    def embedded(self, batch_id: int, failed: Iterable[tuple[ChunkId, str]]) -> tuple[ChunkId, ...]:
        """Vectors arrived.

        Returns:
            The chunks that have one, in the batch's order; they stay held until `stored`.
        """
        batch, _ = self._running.pop(batch_id)
        reasons = dict(failed)
        self._give_up(reasons)
        self.last_error = ""
        return tuple(c.chunk for c in batch.chunks if c.chunk not in reasons)

    def failed(self, batch_id: int, reason: str, retry_after_s: float | None, now: float) -> None:
        """The batch got no vectors: try again later, or give its chunks up when that cannot help."""
        batch, attempts = self._running.pop(batch_id)
        self.last_error = reason
        if retry_after_s is None:
            self._give_up({c.chunk: reason for c in batch.chunks})
            return
        pause_s = max(retry_after_s, min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0**attempts))
        self._retries.append(_Retry(batch, now + pause_s, attempts + 1))

    def stored(self, chunks: Iterable[ChunkId]) -> None:
        """Their vectors are durable and searchable."""
        for chunk in chunks:
            self.tickets.release(self._held.pop(chunk))

    def add_ticket(self, ticket: int) -> None:
        """Let the ticket wait for all vectors that are due now."""
        self.tickets.add_ticket(ticket, self._clock)

    def take_resolved(self) -> list[int]:
        """Tickets whose vectors are there; all of them while the embedder is unavailable."""
        if self.unavailable:
            waiting = list(self.tickets.waiting)
            for ticket in waiting:
                self.tickets.abandon(ticket)
            return waiting
        return self.tickets.take_resolved()

    def flush(self) -> None:
        """Close the open batches now."""
        self._batcher.flush()

    def next_deadline(self) -> float | None:
        times = [retry.at for retry in self._retries]
        linger_until = self._batcher.next_deadline()
        if linger_until is not None:
            times.append(linger_until)
        return min(times, default=None) if len(self._running) < self._slots else None

    @property
    def unavailable(self) -> bool:
        """The last attempts failed and wait for another try."""
        return bool(self._retries) and bool(self.last_error)

    @property
    def complete(self) -> bool:
        """No committed chunk lacks a vector."""
        return not (self._held or self._backlog or self.given_up)

    @property
    def waiting(self) -> int:
        return self._batcher.pending + sum(len(retry.batch.chunks) for retry in self._retries)

    @property
    def running(self) -> int:
        return sum(len(batch.chunks) for batch, _ in self._running.values())

    @property
    def backlog(self) -> bool:
        return self._backlog

    def check_invariants(self) -> None:
        self._batcher.check_invariants()
        self.tickets.check_invariants()
        assert len(self._running) <= self._slots
        assert self.waiting + self.running <= len(self._held) <= self._limit
        assert not (self._held.keys() & self.given_up.keys())

    def _admit(self, chunk: PendingChunk, seq: int, lane: Lane, now: float) -> None:
        self._held[chunk.chunk] = seq
        self.tickets.hold(seq)
        self._batcher.add(chunk, lane, now)

    def _next(self, now: float) -> tuple[Batch | None, int]:
        for retry in self._retries:
            if retry.at <= now:
                self._retries.remove(retry)
                return retry.batch, retry.attempts
        if self.unavailable:
            return None, 0  # One batch at a time finds out whether the embedder is back.
        return self._batcher.take(), 0

    def _give_up(self, reasons: dict[ChunkId, str]) -> None:
        self.given_up.update(reasons)
        self.stored(reasons)
