"""Close batches of chunks for the embedder: by count, tokens, bytes, or linger.

One batch is open per lane. Chunks of any file join it, so a thousand one-chunk files make a handful of requests. A
batch that is not full is closed `linger_s` after its first chunk, so that a single edit does not wait for company.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from regend.core.events import PendingChunk
from regend.types import Lane


@dataclass(frozen=True, slots=True)
class BatchConfig:
    """When a batch is full; see `config.EmbeddingConfig`. Times in seconds."""

    items: int = 64
    tokens: int = 32_000
    size_bytes: int = 1_000_000
    linger_s: float = 0.01


@dataclass(frozen=True, slots=True)
class Batch:
    """Chunks that go to the embedder together, in the order they came."""

    chunks: tuple[PendingChunk, ...]
    lane: Lane

    @property
    def token_count(self) -> int:
        return sum(chunk.token_count for chunk in self.chunks)


@dataclass(slots=True)
class _Open:
    chunks: list[PendingChunk]
    token_count: int
    size_bytes: int
    first_at: float


class Batcher:
    """Owns the open batches and the closed ones that wait for a free slot."""

    def __init__(self, config: BatchConfig) -> None:
        self._config = config
        self._open: dict[Lane, _Open] = {}
        self._closed: dict[Lane, deque[Batch]] = {lane: deque() for lane in Lane}

    def add(self, chunk: PendingChunk, lane: Lane, now: float) -> None:
        """Join the lane's open batch; a chunk that would overfill it closes it first.

        A single chunk above a limit still forms a batch of its own: whether it is too much is for the provider to say.
        """
        batch = self._open.get(lane)
        if batch is not None and (
            batch.token_count + chunk.token_count > self._config.tokens
            or batch.size_bytes + chunk.size_bytes > self._config.size_bytes
        ):
            self._close(lane)
            batch = None
        if batch is None:
            batch = self._open[lane] = _Open([], 0, 0, now)
        batch.chunks.append(chunk)
        batch.token_count += chunk.token_count
        batch.size_bytes += chunk.size_bytes
        if len(batch.chunks) >= self._config.items:
            self._close(lane)

    def flush(self) -> None:
        """Close all open batches now."""
        for lane in tuple(self._open):
            self._close(lane)

    def close_due(self, now: float) -> None:
        """Close what has lingered long enough."""
        for lane, batch in tuple(self._open.items()):
            if now >= batch.first_at + self._config.linger_s:
                self._close(lane)

    def take(self) -> Batch | None:
        """The next closed batch, edits before bulk; None when there is none."""
        for lane in Lane:
            if self._closed[lane]:
                return self._closed[lane].popleft()
        return None

    def next_deadline(self) -> float | None:
        """When the oldest open batch has lingered long enough."""
        return min((b.first_at + self._config.linger_s for b in self._open.values()), default=None)

    @property
    def pending(self) -> int:
        """Chunks in open batches and in closed ones that were not taken."""
        return sum(len(b.chunks) for b in self._open.values()) + sum(
            len(b.chunks) for lane in self._closed.values() for b in lane
        )

    def check_invariants(self) -> None:
        for batch in self._open.values():
            assert 0 < len(batch.chunks) < self._config.items
            assert batch.token_count == sum(c.token_count for c in batch.chunks)
        for lane in self._closed.values():
            for closed in lane:
                assert 0 < len(closed.chunks) <= self._config.items
                assert len(closed.chunks) == 1 or closed.token_count <= self._config.tokens

    def _close(self, lane: Lane) -> None:
        batch = self._open.pop(lane)
        self._closed[lane].append(Batch(tuple(batch.chunks), lane))
