"""Close batches for an embedder: by count, tokens, bytes, or linger. One `Batcher` serves one provider, model and task.

One batch is open per lane. Items of any file join it, so a thousand one-chunk files make a handful of requests. A batch
that is not full is due `linger_s` after its first item, so that a single edit does not wait long; but it stays open
until it is taken, so that items that arrive while all slots are busy still join it.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar

from regend.types import Lane

Reason = Literal["items", "tokens", "bytes", "linger", "flush"]


class Sized(Protocol):
    """An item that a batch can hold."""

    @property
    def token_count(self) -> int: ...

    @property
    def size_bytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """Limits at which a batch is full; see `config.EmbeddingConfig`. Times in seconds.

    Attributes:
        bulk_linger_s: the linger of bulk, which may wait longer while more bulk is expected.
    """

    items: int = 64
    tokens: int = 32_000
    size_bytes: int = 1_000_000
    linger_s: float = 0.01
    bulk_linger_s: float = 0.25


@dataclass(frozen=True, slots=True)
class Batch(Generic[T]):
    """Items that go to the embedder together, in the order they came.

    Attributes:
        seqs: their numbers in the order in which the batcher got them, over all lanes.
        reason: why it was closed.
        fill: share of the limit that it comes closest to, at most 1.
    """

    items: tuple[T, ...]
    lane: Lane
    seqs: tuple[int, ...] = ()
    reason: Reason = "flush"
    fill: float = 1.0

    @property
    def token_count(self) -> int:
        return sum(item.token_count for item in self.items)


@dataclass(slots=True)
class BatchStats:
    """Totals of the batches that were taken.

    Attributes:
        fill: sum of `Batch.fill`; divided by `batches` it is the average.
        reasons: how many batches were closed for each reason.
    """

    batches: int = 0
    items: int = 0
    fill: float = 0.0
    reasons: Counter[Reason] = field(default_factory=Counter)

    def add(self, batch: Batch[T]) -> None:
        self.batches += 1
        self.items += len(batch.items)
        self.fill += batch.fill
        self.reasons[batch.reason] += 1


@dataclass(slots=True)
class _Open(Generic[T]):
    first_at: float
    items: list[T] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    tokens: float = 0.0
    size_bytes: int = 0
    flushed: bool = False


class Batcher(Generic[T]):
    """Owns the open batches and the full ones that wait for a free slot.

    Attributes:
        token_factor: the provider's tokens per estimated token; applies to items that are added from now on.
        stats: by lane.
    """

    def __init__(self, config: BatchConfig) -> None:
        self._config = config
        self._open: dict[Lane, _Open[T]] = {}
        self._closed: dict[Lane, deque[Batch[T]]] = {lane: deque() for lane in Lane}
        self._next_seq = 0
        self.token_factor = 1.0
        self.stats: dict[Lane, BatchStats] = {lane: BatchStats() for lane in Lane}

    def add(self, item: T, lane: Lane, now: float) -> None:
        """Join the lane's open batch; an item that would overfill it closes it first.

        A single item above a limit still forms a batch of its own: the provider decides whether it is too large.
        """
        tokens = item.token_count * self.token_factor
        batch = self._open.get(lane)
        if batch is not None and batch.tokens + tokens > self._config.tokens:
            self._close(lane, "tokens")
            batch = None
        elif batch is not None and batch.size_bytes + item.size_bytes > self._config.size_bytes:
            self._close(lane, "bytes")
            batch = None
        if batch is None:
            batch = self._open[lane] = _Open(now)
        batch.items.append(item)
        batch.seqs.append(self._next_seq)
        self._next_seq += 1
        batch.tokens += tokens
        batch.size_bytes += item.size_bytes
        if len(batch.items) >= self._config.items:
            self._close(lane, "items")

    def flush(self, lane: Lane | None = None) -> None:
        """Let open batches of this lane, or of all lanes, wait for no further items."""
        for own, batch in self._open.items():
            if lane in (None, own):
                batch.flushed = True

    def take(self, now: float, last: Lane = Lane.BULK) -> Batch[T] | None:
        """Take the next full or due batch of the lanes up to `last`: queries, then edits, then bulk; or None."""
        for lane in Lane:
            if lane > last:
                break
            if not self._closed[lane] and lane in self._open:
                if self._open[lane].flushed:
                    self._close(lane, "flush")
                elif now >= self._due_at(lane):
                    self._close(lane, "linger")
            if self._closed[lane]:
                batch = self._closed[lane].popleft()
                self.stats[lane].add(batch)
                return batch
        return None

    def next_deadline(self, last: Lane = Lane.BULK) -> float | None:
        """Return when the first open batch of the lanes up to `last` will have lingered long enough."""
        return min((self._due_at(lane) for lane in self._open if lane <= last), default=None)

    @property
    def pending(self) -> int:
        """Items in open batches and in full ones that were not taken."""
        return sum(len(b.items) for b in self._open.values()) + sum(
            len(b.items) for lane in self._closed.values() for b in lane
        )

    def check_invariants(self) -> None:
        for batch in self._open.values():
            assert 0 < len(batch.items) < self._config.items
            assert len(batch.items) == len(batch.seqs)
            assert batch.size_bytes == sum(item.size_bytes for item in batch.items)
        for lane in self._closed.values():
            for closed in lane:
                assert 0 < len(closed.items) <= self._config.items
                assert 0.0 < closed.fill <= 1.0

    def _due_at(self, lane: Lane) -> float:
        linger_s = self._config.bulk_linger_s if lane is Lane.BULK else self._config.linger_s
        return self._open[lane].first_at + linger_s

    def _close(self, lane: Lane, reason: Reason) -> None:
        batch, config = self._open.pop(lane), self._config
        fill = max(len(batch.items) / config.items, batch.tokens / config.tokens, batch.size_bytes / config.size_bytes)
        self._closed[lane].append(Batch(tuple(batch.items), lane, tuple(batch.seqs), reason, min(1.0, fill)))
