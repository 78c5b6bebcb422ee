"""Batches are closed by count, tokens, bytes or linger; nothing is lost, reordered within a lane, or overfilled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regend.core.batcher import BatchConfig, Batcher
from regend.core.events import PendingChunk
from regend.types import ChunkId, Lane

CONFIG = BatchConfig(items=3, tokens=10, size_bytes=100, linger_s=1.0)


def chunk(n: int, tokens: int = 1, size: int = 1) -> PendingChunk:
    return PendingChunk(ChunkId(bytes([n])), tokens, size)


def taken(batcher: Batcher) -> list[list[int]]:
    batches = []
    while (batch := batcher.take()) is not None:
        batches.append([c.chunk[0] for c in batch.chunks])
    return batches


def test_closed_by_count() -> None:
    batcher = Batcher(CONFIG)
    for n in range(4):
        batcher.add(chunk(n), Lane.BULK, 0.0)
    assert taken(batcher) == [[0, 1, 2]]
    assert batcher.pending == 1


def test_closed_by_tokens_and_by_bytes() -> None:
    batcher = Batcher(CONFIG)
    batcher.add(chunk(1, tokens=6), Lane.BULK, 0.0)
    batcher.add(chunk(2, tokens=6, size=60), Lane.BULK, 0.0)
    batcher.add(chunk(3, size=60), Lane.BULK, 0.0)
    assert taken(batcher) == [[1], [2]]


def test_one_huge_chunk_is_a_batch_of_its_own() -> None:
    batcher = Batcher(CONFIG)
    batcher.add(chunk(1, tokens=50), Lane.BULK, 0.0)
    batcher.add(chunk(2), Lane.BULK, 0.0)
    batcher.check_invariants()
    assert taken(batcher) == [[1]]


def test_closed_by_linger() -> None:
    batcher = Batcher(CONFIG)
    assert batcher.next_deadline() is None
    batcher.add(chunk(1), Lane.EDIT, 5.0)
    batcher.add(chunk(2), Lane.EDIT, 5.9)
    assert batcher.next_deadline() == 6.0
    batcher.close_due(5.99)
    assert taken(batcher) == []
    batcher.close_due(6.0)
    assert taken(batcher) == [[1, 2]]


def test_edits_go_before_bulk_and_a_flush_closes_all() -> None:
    batcher = Batcher(CONFIG)
    batcher.add(chunk(1), Lane.BULK, 0.0)
    batcher.add(chunk(2), Lane.EDIT, 0.0)
    batcher.flush()
    first = batcher.take()
    assert first is not None and first.lane == Lane.EDIT and first.token_count == 1
    assert taken(batcher) == [[1]]


@given(
    st.lists(st.tuples(st.integers(1, 12), st.integers(1, 120), st.sampled_from(Lane), st.floats(0, 2)), max_size=60)
)
def test_against_a_plain_list(adds: list[tuple[int, int, Lane, float]]) -> None:
    batcher, now = Batcher(CONFIG), 0.0
    sent: dict[Lane, list[int]] = {lane: [] for lane in Lane}
    got: dict[Lane, list[int]] = {lane: [] for lane in Lane}

    def drain() -> None:
        while (batch := batcher.take()) is not None:
            got[batch.lane] += [c.chunk[0] for c in batch.chunks]
            assert len(batch.chunks) <= CONFIG.items
            if len(batch.chunks) > 1:
                assert batch.token_count <= CONFIG.tokens
                assert sum(c.size_bytes for c in batch.chunks) <= CONFIG.size_bytes

    for n, (tokens, size, lane, pause) in enumerate(adds):
        now += pause
        batcher.add(chunk(n, tokens, size), lane, now)
        sent[lane].append(n)
        batcher.check_invariants()
        batcher.close_due(now)
        deadline = batcher.next_deadline()
        assert deadline is None or deadline > now
        drain()
    batcher.flush()
    drain()
    assert got == sent
    assert batcher.pending == 0
