"""Batches close by count, tokens, bytes or linger, and late items join; nothing is lost, reordered or overfilled."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regend.core.batcher import Batch, BatchConfig, Batcher
from regend.core.events import PendingChunk
from regend.types import ChunkId, Lane

CONFIG = BatchConfig(items=3, tokens=10, size_bytes=100, linger_s=1.0, bulk_linger_s=4.0)


def chunk(n: int, tokens: int = 1, size: int = 1) -> PendingChunk:
    return PendingChunk(ChunkId(bytes([n])), tokens, size)


def numbers(batch: Batch[PendingChunk]) -> list[int]:
    return [item.chunk[0] for item in batch.items]


def taken(batcher: Batcher[PendingChunk], now: float = 0.0) -> list[list[int]]:
    batches = []
    while (batch := batcher.take(now)) is not None:
        batches.append(numbers(batch))
    return batches


def test_closed_by_count() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    for n in range(4):
        batcher.add(chunk(n), Lane.BULK, 0.0)
    assert taken(batcher) == [[0, 1, 2]]
    assert batcher.pending == 1


def test_closed_by_tokens_and_by_bytes() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    batcher.add(chunk(1, tokens=6), Lane.BULK, 0.0)
    batcher.add(chunk(2, tokens=6, size=60), Lane.BULK, 0.0)
    batcher.add(chunk(3, size=60), Lane.BULK, 0.0)
    assert taken(batcher) == [[1], [2]]
    assert dict(batcher.stats[Lane.BULK].reasons) == {"tokens": 1, "bytes": 1}


def test_tokens_are_counted_as_the_provider_counts_them() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    batcher.token_factor = 2.0
    for n in range(3):
        batcher.add(chunk(n, tokens=2), Lane.BULK, 0.0)
    assert taken(batcher) == [[0, 1]]


def test_one_huge_chunk_is_a_batch_of_its_own() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    batcher.add(chunk(1, tokens=50), Lane.BULK, 0.0)
    batcher.add(chunk(2), Lane.BULK, 0.0)
    batcher.check_invariants()
    assert taken(batcher) == [[1]]


def test_due_after_its_linger() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    assert batcher.next_deadline() is None
    batcher.add(chunk(1), Lane.EDIT, 5.0)
    batcher.add(chunk(2), Lane.EDIT, 5.9)
    assert batcher.next_deadline() == 6.0
    assert taken(batcher, 5.99) == []
    assert taken(batcher, 6.0) == [[1, 2]]


def test_bulk_lingers_longer() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    batcher.add(chunk(1), Lane.BULK, 0.0)
    assert batcher.next_deadline() == 4.0 and batcher.next_deadline(Lane.EDIT) is None
    assert taken(batcher, 1.0) == []
    batcher.add(chunk(2), Lane.EDIT, 1.0)
    assert batcher.next_deadline() == 2.0


def test_what_comes_late_still_joins() -> None:
    """The batch was due long ago, but no slot took it."""
    batcher = Batcher[PendingChunk](CONFIG)
    batcher.add(chunk(1), Lane.EDIT, 0.0)
    batcher.add(chunk(2), Lane.EDIT, 9.0)
    batcher.flush()
    batcher.add(chunk(3), Lane.EDIT, 9.0)
    batcher.add(chunk(4), Lane.EDIT, 9.0)
    assert taken(batcher, 9.0) == [[1, 2, 3]]
    assert taken(batcher, 10.0) == [[4]]


def test_queries_before_edits_before_bulk_and_a_flush_closes_all() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    for n, lane in ((1, Lane.BULK), (2, Lane.EDIT), (3, Lane.QUERY)):
        batcher.add(chunk(n), lane, 0.0)
    batcher.flush()
    first = batcher.take(0.0)
    assert first is not None and first.lane is Lane.QUERY and first.token_count == 1 and first.reason == "flush"
    assert taken(batcher) == [[2], [1]]


def test_only_up_to_a_lane() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    for n in range(3):
        batcher.add(chunk(n), Lane.BULK, 0.0)
    assert batcher.take(0.0, Lane.EDIT) is None
    batcher.add(chunk(9), Lane.EDIT, 0.0)
    edit = batcher.take(5.0, Lane.EDIT)
    assert edit is not None and numbers(edit) == [9] and edit.reason == "linger"


def test_a_flush_of_one_lane() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    batcher.add(chunk(1), Lane.EDIT, 0.0)
    batcher.add(chunk(2), Lane.BULK, 0.0)
    batcher.flush(Lane.BULK)
    assert taken(batcher) == [[2]]


def test_how_full_they_were() -> None:
    batcher = Batcher[PendingChunk](CONFIG)
    for n in range(3):
        batcher.add(chunk(n), Lane.BULK, 0.0)
    batcher.add(chunk(4, tokens=4, size=90), Lane.BULK, 0.0)
    batcher.flush()
    assert taken(batcher) == [[0, 1, 2], [4]]
    stats = batcher.stats[Lane.BULK]
    assert (stats.batches, stats.items, stats.fill) == (2, 4, 1.9)


Add = tuple[int, int, Lane, float]
ADDS = st.lists(st.tuples(st.integers(1, 12), st.integers(1, 120), st.sampled_from(Lane), st.floats(0, 2)), max_size=60)


@given(ADDS)
def test_against_a_plain_list(adds: list[Add]) -> None:
    batcher, now = Batcher[PendingChunk](CONFIG), 0.0
    sent: dict[Lane, list[int]] = {lane: [] for lane in Lane}
    got: dict[Lane, list[int]] = {lane: [] for lane in Lane}

    def drain() -> None:
        while (batch := batcher.take(now)) is not None:
            got[batch.lane] += numbers(batch)
            assert len(batch.items) == len(batch.seqs) <= CONFIG.items
            if len(batch.items) > 1:
                assert batch.token_count <= CONFIG.tokens
                assert sum(c.size_bytes for c in batch.items) <= CONFIG.size_bytes

    for n, (tokens, size, lane, pause) in enumerate(adds):
        now += pause
        batcher.add(chunk(n, tokens, size), lane, now)
        sent[lane].append(n)
        batcher.check_invariants()
        drain()
        deadline = batcher.next_deadline()
        assert deadline is None or deadline > now
    batcher.flush()
    drain()
    assert got == sent
    assert batcher.pending == 0


@given(ADDS, st.integers(1, 9), st.integers(1, 30))
def test_numbers_are_the_same_whatever_the_size_of_batches(adds: list[Add], items: int, tokens: int) -> None:
    batcher = Batcher[PendingChunk](BatchConfig(items, tokens, 100, 1.0))
    for n, (token_count, size, lane, _) in enumerate(adds):
        batcher.add(chunk(n, token_count, size), lane, 0.0)
    batcher.flush()
    by_number: dict[int, int] = {}
    while (batch := batcher.take(0.0)) is not None:
        by_number |= dict(zip(batch.seqs, numbers(batch), strict=True))
    assert by_number == {n: n for n in range(len(adds))}
