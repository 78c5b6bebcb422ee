"""Chunks wait for vectors in bounded memory; failures pause or give up; tickets wait for exactly what was due."""

from __future__ import annotations

import random

import pytest

from regend.core.batcher import BatchConfig
from regend.core.commands import Embed, FetchUnembedded, PutVectors
from regend.core.events import Embedded, EmbedFailed, PendingChunk
from regend.core.vectors import EDIT_CHUNKS, FIRST_PAUSE_S, LONGEST_PAUSE_S, VectorWork
from regend.types import ChunkId, Lane


def ids(*numbers: int) -> tuple[ChunkId, ...]:
    return tuple(ChunkId(n.to_bytes(4, "big")) for n in numbers)


def pending(*numbers: int) -> tuple[PendingChunk, ...]:
    return tuple(PendingChunk(c, 1, 1) for c in ids(*numbers))


def embedded(vectors: VectorWork, embed: Embed) -> tuple[ChunkId, ...]:
    """All of the batch got vectors."""
    put = vectors.embedded(Embedded(embed.batch_id, None), 0.0)
    assert put is not None
    return put.chunks


def failed(vectors: VectorWork, embed: Embed, reason: str, retry_after_s: float, now: float) -> None:
    assert vectors.failed(EmbedFailed(embed.batch_id, reason, retry_after_s), now) is None


def work(slots: int = 1, limit: int = 1000, items: int = 2) -> VectorWork:
    """Without the backlog that a fresh start has to assume."""
    made = VectorWork(BatchConfig(items=items, linger_s=1.0), slots, limit, urgent_slots=0)
    assert made.fetch() == FetchUnembedded(limit, frozenset())
    assert made.fetch() is None, "one question at a time"
    made.found((), exhausted=True, now=0.0)
    assert made.complete
    return made


def test_from_commit_to_stored() -> None:
    vectors = work()
    vectors.add(pending(1, 2), 0.0)
    vectors.add(pending(1), 0.0)
    embed = vectors.start(0.0)
    assert embed is not None and embed.chunks == ids(1, 2) and embed.lane == Lane.EDIT
    assert vectors.start(0.0) is None
    assert (vectors.running, vectors.waiting, vectors.complete) == (2, 0, False)
    assert embedded(vectors, embed) == ids(1, 2)
    vectors.check_invariants()
    vectors.stored(ids(1, 2))
    assert vectors.complete


def test_a_batch_lingers_for_company() -> None:
    vectors = work()
    vectors.add(pending(1), 0.0)
    assert vectors.next_deadline() == 1.0
    assert vectors.start(0.5) is None
    vectors.add(pending(2), 0.6)
    assert vectors.start(0.6) is not None
    assert vectors.next_deadline() is None, "no slot is free, so time alone makes nothing due"


def test_many_new_chunks_are_bulk() -> None:
    vectors = work(items=2)
    vectors.add(pending(*range(EDIT_CHUNKS + 1)), 0.0)
    embed = vectors.start(0.0)
    assert embed is not None and embed.lane == Lane.BULK


def test_what_does_not_fit_stays_in_the_store() -> None:
    vectors = work(limit=2)
    vectors.add(pending(1, 2, 3), 0.0)
    assert vectors.backlog and not vectors.complete
    assert vectors.fetch() is None, "no room yet"
    embed = vectors.start(0.0)
    assert embed is not None
    vectors.stored(embedded(vectors, embed))
    assert vectors.fetch() == FetchUnembedded(2, frozenset())
    vectors.add(pending(4), 0.0)
    vectors.found(pending(3, 5), exhausted=True, now=0.0)
    vectors.check_invariants()
    assert vectors.backlog, "room ran out while the store was looking, so it must be asked again"


def test_a_rejected_chunk_is_given_up_and_not_asked_for_again() -> None:
    vectors = work()
    vectors.add(pending(1, 2), 0.0)
    embed = vectors.start(0.0)
    assert embed is not None
    assert vectors.embedded(Embedded(embed.batch_id, None, ((ids(1)[0], "too long"),)), 0.0) == PutVectors(
        ids(2), None, forgone=ids(1)
    )
    vectors.stored(ids(2))
    vectors.add(pending(1), 0.0)
    assert vectors.waiting == 0 and not vectors.complete
    vectors.expect_backlog()
    assert vectors.fetch() == FetchUnembedded(1000, frozenset(ids(1)))
    vectors.found(pending(1), exhausted=True, now=0.0)
    assert vectors.given_up == {ids(1)[0]: "too long"}


def test_a_rejected_batch_is_given_up() -> None:
    vectors = work()
    vectors.add(pending(1, 2), 0.0)
    embed = vectors.start(0.0)
    assert embed is not None
    put = vectors.failed(EmbedFailed(embed.batch_id, "unauthorised", None), 0.0)
    assert put == PutVectors((), None, forgone=ids(1, 2)), "the store notes them as forgone"
    assert set(vectors.given_up) == set(ids(1, 2)) and not vectors.unavailable


def test_an_unavailable_embedder_is_tried_again_with_growing_pauses() -> None:
    vectors = work(slots=2)
    vectors.add(pending(1, 2), 0.0)
    now, pauses = 0.0, list[float]()
    for _ in range(1_100):  # A night without a server.
        embed = vectors.start(now)
        assert embed is not None
        failed(vectors, embed, "refused", 0.0, now)
        assert vectors.unavailable
        assert vectors.start(now) is None
        deadline = vectors.next_deadline()
        assert deadline is not None
        pauses.append(deadline - now)
        now = deadline
    assert pauses[:3] == [FIRST_PAUSE_S, FIRST_PAUSE_S * 2, FIRST_PAUSE_S * 4] and pauses[-1] == LONGEST_PAUSE_S
    embed = vectors.start(now)
    assert embed is not None
    embedded(vectors, embed)
    assert not vectors.unavailable and vectors.last_error == ""


def test_the_server_may_ask_for_a_longer_pause() -> None:
    vectors = work()
    vectors.add(pending(1, 2), 0.0)
    embed = vectors.start(0.0)
    assert embed is not None
    failed(vectors, embed, "429", 99.0, 1.0)
    assert vectors.next_deadline() == 100.0


def test_a_ticket_waits_for_what_was_due_and_no_longer() -> None:
    vectors = work(slots=2)
    vectors.add(pending(1, 2), 0.0)
    vectors.add_ticket(7)
    vectors.add(pending(3, 4), 0.0)
    first, second = vectors.start(0.0), vectors.start(0.0)
    assert first is not None and second is not None
    vectors.stored(embedded(vectors, second))
    assert vectors.take_resolved() == []
    vectors.stored(embedded(vectors, first))
    assert vectors.take_resolved() == [7]


def test_a_ticket_waits_for_the_backlog() -> None:
    vectors = VectorWork(BatchConfig(items=1), 1, 10)
    vectors.add_ticket(7)
    vectors.fetch()
    vectors.found(pending(1), exhausted=True, now=0.0)
    assert vectors.take_resolved() == []
    vectors.flush()
    embed = vectors.start(0.0)
    assert embed is not None
    vectors.stored(embedded(vectors, embed))
    assert vectors.take_resolved() == [7]


def test_a_ticket_does_not_wait_for_an_embedder_that_is_away() -> None:
    vectors = work()
    vectors.add(pending(1, 2), 0.0)
    vectors.add_ticket(7)
    embed = vectors.start(0.0)
    assert embed is not None
    failed(vectors, embed, "refused", 0.0, 0.0)
    assert vectors.take_resolved() == [7]
    assert vectors.take_resolved() == []


def test_a_part_of_a_batch_is_tried_again() -> None:
    vectors = work(items=3)
    vectors.add(pending(1, 2, 3), 0.0)
    embed = vectors.start(0.0)
    assert embed is not None
    event = Embedded(embed.batch_id, None, (), (ids(2)[0],), "went away", 5.0)
    assert vectors.embedded(event, 1.0) == PutVectors(ids(1, 3), None)
    vectors.check_invariants()
    assert vectors.unavailable and vectors.last_error == "went away" and vectors.next_deadline() == 6.0
    vectors.stored(ids(1, 3))
    again = vectors.start(6.0)
    assert again is not None and again.chunks == ids(2)
    vectors.stored(embedded(vectors, again))
    assert vectors.complete and not vectors.unavailable


def test_an_edit_has_a_slot_of_its_own() -> None:
    vectors = VectorWork(BatchConfig(items=200, linger_s=1.0), 1, 1_000)
    vectors.fetch()
    vectors.found((), exhausted=True, now=0.0)
    vectors.add(pending(*range(1, EDIT_CHUNKS + 150)), 0.0)
    bulk = vectors.start(0.0)
    assert bulk is not None and bulk.lane == Lane.BULK and vectors.start(0.0) is None
    assert vectors.next_deadline() is None, "bulk waits for the slot, not for time"
    vectors.add(pending(9_001), 0.0)
    assert vectors.next_deadline() == 1.0
    edit = vectors.start(1.0)
    assert edit is not None and edit.chunks == ids(9_001) and edit.lane == Lane.EDIT
    vectors.check_invariants()
    assert vectors.start(1.0) is None and vectors.next_deadline() is None


def test_a_retry_of_bulk_leaves_the_slot_of_edits_alone() -> None:
    vectors = VectorWork(BatchConfig(items=200, linger_s=1.0), 1, 10_000)
    vectors.fetch()
    vectors.found((), exhausted=True, now=0.0)
    vectors.add(pending(*range(1, EDIT_CHUNKS + 150)), 0.0)
    first = vectors.start(0.0)
    assert first is not None
    failed(vectors, first, "refused", 0.0, 0.0)
    deadline = vectors.next_deadline()
    assert deadline is not None
    again = vectors.start(deadline)
    assert again is not None and again.chunks == first.chunks
    failed(vectors, again, "refused", 0.0, deadline)
    third = vectors.start(deadline + LONGEST_PAUSE_S)
    assert third is not None
    vectors.embedded(Embedded(third.batch_id, None), 0.0)
    assert vectors.start(deadline + 31.0) is not None and vectors.start(deadline + 31.0) is None


def test_bulk_waits_for_no_company_that_will_not_come() -> None:
    vectors = work(items=1_000)
    vectors.add(pending(*range(1, EDIT_CHUNKS + 2)), 0.0)
    assert vectors.start(0.0) is None
    vectors.flush(Lane.BULK)
    assert vectors.start(0.0) is not None
    assert vectors.stats[Lane.BULK].batches == 1


def test_the_batcher_counts_as_the_provider_does() -> None:
    vectors = VectorWork(BatchConfig(items=100, tokens=4), 2, 100)
    vectors.add(pending(1, 2, 3, 4), 0.0)
    vectors.flush()
    first = vectors.start(0.0)
    assert first is not None and len(first.chunks) == 4
    vectors.embedded(Embedded(first.batch_id, None, token_factor=2.0), 0.0)
    vectors.add(pending(5, 6, 7, 8), 0.0)
    second = vectors.start(0.0)
    assert second is not None and len(second.chunks) == 2


@pytest.mark.parametrize("slots", [1, 2, 8])
def test_an_edit_waits_for_its_linger_and_one_request_at_most(slots: int) -> None:
    """The bulk index never ends, each request takes 100 ms, and edits come as quickly as a user saves."""
    linger_s, request_s, rng = 0.01, 0.1, random.Random(slots)
    vectors = VectorWork(BatchConfig(items=16, linger_s=linger_s), slots, 100_000)
    vectors.fetch()
    vectors.found((), exhausted=True, now=0.0)
    now, next_edit_at, number, edits = 0.0, 0.5, 0, 10_000_000
    ends: list[tuple[float, int]] = []
    came_at: dict[ChunkId, float] = {}
    waits: list[float] = []
    while now < 20.0:
        while ends and ends[0][0] <= now:
            put = vectors.embedded(Embedded(ends.pop(0)[1], None), now)
            assert put is not None
            vectors.stored(put.chunks)
        if vectors.waiting < 300:
            vectors.add(pending(*range(number, number + 300)), now, Lane.BULK)
            number += 300
        if now >= next_edit_at:
            edits += 1
            vectors.add(pending(edits), now)
            came_at[ids(edits)[0]] = now
            next_edit_at = now + rng.expovariate(20.0)
        while command := vectors.start(now):
            ends.append((now + request_s, command.batch_id))
            if command.lane is Lane.EDIT:
                waits += [now - came_at[chunk] for chunk in command.chunks]
        vectors.check_invariants()
        now = min(t for t in (vectors.next_deadline(), next_edit_at, ends[0][0] if ends else None) if t is not None)
    assert len(waits) > 300 and max(waits) <= linger_s + request_s + 1e-9
