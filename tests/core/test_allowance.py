"""A remote model gets a bounded number of texts of each file and hour; a first version passes whole."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import replace

import pytest

from regend.core import commands as cmd
from regend.core import events as ev
from regend.core.allowance import HOUR_S, MAX_FILES, Allowance
from regend.core.batcher import BatchConfig
from regend.core.pipeline import Pipeline
from regend.core.vectors import VectorWork
from regend.types import BlobId, ChunkId, RootId
from tests.core.store_model import SECOND_TRACK, blob_of, chunked
from tests.core.test_pipeline import SIG, R, Story, chunk_of

S = RootId(2)


def version(number: int, path: str = "f", root: RootId = R) -> ev.FileVersion:
    return ev.FileVersion(root, path, BlobId(number.to_bytes(4, "big")))


def admitted(allowance: Allowance, of: ev.FileVersion, count: int, now: float) -> int:
    return sum(allowance.admit(of, now) for _ in range(count))


def pending(number: int, count: int, path: str = "f") -> tuple[ev.PendingChunk, ...]:
    """All chunks of a version, which no other version has."""
    ids = (ChunkId(f"{path} {number} {n}".encode()) for n in range(count))
    return tuple(ev.PendingChunk(chunk, 1, 1, version(number, path)) for chunk in ids)


def test_the_first_version_passes_whole_and_the_others_share_what_is_left() -> None:
    allowance = Allowance(10)
    assert admitted(allowance, version(1), 8, 0.0) == 8
    assert admitted(allowance, version(2), 8, 1.0) == 2
    assert allowance.spent == {(R, "f"): HOUR_S}
    assert admitted(allowance, version(1), 8, 2.0) == 8, "the rest of the first version, which came in parts"
    large = version(1, "large")
    assert admitted(allowance, large, 700, 0.0) == 700, "a first index is never held back"
    assert admitted(allowance, version(2, "large"), 1, 0.0) == 0


@pytest.mark.parametrize("other", [version(2, "g"), version(2, root=S)])
def test_another_file_is_unaffected(other: ev.FileVersion) -> None:
    allowance = Allowance(1)
    assert admitted(allowance, version(1), 2, 0.0) + admitted(allowance, version(2), 2, 0.0) == 2
    assert admitted(allowance, other, 2, 0.0) == 2 and other.key not in allowance.spent


def test_nothing_is_bounded_without_a_bound_or_where_the_model_is_local() -> None:
    assert all(Allowance(0).admit(version(n), 0.0) for n in range(99))
    assert all(Allowance(1).admit(None, 0.0) for _ in range(99))


def test_an_hour_ends_and_another_begins() -> None:
    allowance = Allowance(1)
    assert [admitted(allowance, version(n), 1, 5.0) for n in (1, 2)] == [1, 0]
    assert not allowance.end_hours(HOUR_S + 4.9) and allowance.spent
    assert allowance.end_hours(HOUR_S + 5.0) and not allowance.spent
    assert admitted(allowance, version(2), 3, HOUR_S + 5.0) == 3
    assert not allowance.end_hours(2 * HOUR_S + 5.0), "no file was refused anything"


def test_a_bounded_number_of_files_is_counted() -> None:
    allowance = Allowance(1)
    assert admitted(allowance, version(1), 1, 0.0) and not admitted(allowance, version(2), 1, 0.0)
    for number in range(MAX_FILES):
        allowance.admit(version(1, f"{number}"), 0.0)
    assert allowance.end_hours(0.0), "the oldest hour ends early"
    allowance.check_invariants()
    assert admitted(allowance, version(2), 1, 0.0) == 1


@pytest.mark.parametrize("seed", range(20))
def test_no_hour_of_a_file_has_more_texts_than_the_bound_or_its_first_version(seed: int) -> None:
    rng = random.Random(seed)
    bound, size, now = rng.randint(1, 60), rng.randint(1, 40), 0.0
    allowance = Allowance(bound)
    admissions = deque[float]()
    for number in range(2_000):
        now += rng.expovariate(1 / 30.0)
        allowance.end_hours(now)
        admissions += [now] * admitted(allowance, version(number), size, now)
        allowance.check_invariants()
    begins_at, sent = admissions[0], 0
    for at in admissions:
        if at >= begins_at + HOUR_S:
            begins_at, sent = at, 0
        sent += 1
        assert sent <= max(bound, size)


# -- in the queue of chunks ------------------------------------------------------------------------------------------


def bounded(bound: int, limit: int = 1_000) -> VectorWork:
    """Without the backlog that a fresh start has to assume."""
    made = VectorWork(BatchConfig(items=1_000), 1, limit, texts_per_file_hour=bound)
    assert made.fetch() is not None
    made.found((), exhausted=True, now=0.0)
    return made


def embed_all(work: VectorWork, now: float) -> Iterator[ChunkId]:
    """Embed what is due at once; return the chunks that were sent."""
    for command in list(work.take_due(now, expects_more=False)):
        if isinstance(command, cmd.Embed):
            assert work.embedded(ev.Embedded(command.batch_id, None), now) is not None
            work.stored(command.chunks)
            yield from command.chunks


def test_a_flush_does_not_wait_for_what_is_held_back() -> None:
    work = bounded(5)
    work.add(pending(1, 4), 0.0)
    work.add(pending(2, 4), 1.0)
    work.add_ticket(7)
    assert len([*embed_all(work, 1.0)]) == 5
    assert work.take_resolved() == [7] and not work.complete and work.is_idle
    assert work.next_deadline() == HOUR_S
    work.check_invariants()


def test_it_is_fetched_when_the_hour_is_over() -> None:
    work = bounded(1)
    work.add(pending(1, 1), 0.0)
    work.add(pending(2, 3), 1.0)
    work.add(pending(1, 2, "g"), 1.0)
    assert len([*embed_all(work, 1.0)]) == 3
    work.expect_backlog()
    assert work.fetch() == cmd.FetchUnembedded(1_000, frozenset(), spent=frozenset({(R, "f")}))
    work.found((), exhausted=True, now=1.0)
    (fetch,) = work.take_due(HOUR_S, expects_more=False)
    assert fetch == cmd.FetchUnembedded(1_000, frozenset()) and not work.complete
    work.found(pending(2, 3), exhausted=True, now=HOUR_S)
    assert len([*embed_all(work, HOUR_S)]) == 3 and work.complete


def test_a_fetch_that_was_on_its_way_brings_nothing_of_a_spent_file() -> None:
    work = bounded(1)
    work.add(pending(1, 1), 0.0)
    work.expect_backlog()
    assert work.fetch() is not None
    work.found(pending(2, 3), exhausted=True, now=1.0)
    assert work.spent and work.waiting == 1
    fetch = work.fetch()
    assert fetch is not None and fetch.spent == {(R, "f")}, "the store hears of it, and must not wait for the file"
    work.found((), exhausted=True, now=1.0)
    assert not work.backlog


def test_no_free_slot_hides_the_end_of_the_hour() -> None:
    work = VectorWork(BatchConfig(items=1), 1, 9, urgent_slots=0, texts_per_file_hour=1)
    work.add(pending(1, 1), 0.0)
    assert work.start(0.0) is not None and work.next_deadline() is None
    work.add(pending(2, 1), 0.0)
    assert work.next_deadline() == HOUR_S


# -- in the pipeline -------------------------------------------------------------------------------------------------


def bounded_story() -> Story:
    return Story(make=lambda config: Pipeline(replace(config, texts_per_file_hour=1)))


def edited(story: Story, *lines: str) -> None:
    """The file `f` now has these lines, none of which has a vector."""
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(lines)))
    work = story.take(cmd.ChunkFile)
    story.tell(ev.Chunked(R, "f", work.version, chunked(lines, SIG)))
    commit = story.take(cmd.Commit)
    told = tuple(ev.PendingChunk(chunk_of(line), 3, 10, ev.FileVersion(R, "f", blob_of(lines))) for line in lines)
    story.tell(ev.Committed(commit.commit_id, commit.commit_id + 1, told))
    story.wait(story.now + 0.5)


def spent_story() -> Story:
    story = bounded_story()
    edited(story, "one", "two")
    embed = story.take(cmd.Embed)
    assert len(embed.chunks) == 2
    story.tell(ev.Embedded(embed.batch_id, "matrix"))
    story.committed()
    edited(story, "three")
    assert not story.has(cmd.Embed) and [*story.pipeline.spent_files()] == [(R, "f")]
    return story


def flushed(story: Story, ticket: int) -> bool:
    story.tell(ev.FlushRequested(ticket, wait_vectors=True))
    while story.has(cmd.FetchUnembedded):
        story.take(cmd.FetchUnembedded)
        story.tell(ev.UnembeddedFound((), True))
    return story.take(cmd.ResolveFlush).complete


def test_a_flush_says_that_vectors_are_missing_until_the_hour_is_over() -> None:
    story = spent_story()
    assert not flushed(story, 1) and story.pipeline.is_idle()
    story.wait(story.now + HOUR_S)
    assert story.has(cmd.FetchUnembedded) and not story.pipeline.spent_files()


def test_a_version_that_is_replaced_or_deleted_is_not_waited_for() -> None:
    story = spent_story()
    story.observed(story.change("f"))
    assert [type(op) for op in story.committed().ops] == [cmd.DeleteFile]
    assert flushed(story, 1) and not story.pipeline.spent_files()


def test_a_root_that_is_removed_is_not_waited_for() -> None:
    story = spent_story()
    story.tell(ev.RootRemoved(R))
    assert flushed(story, 1) and not story.pipeline.spent_files()


def test_a_stronger_model_has_a_bound_of_its_own() -> None:
    story = bounded_story()
    story.tell(ev.TrackOffered(BatchConfig(items=9), slots=1))
    fetch = story.take(cmd.FetchUnembedded)
    assert fetch.track == SECOND_TRACK
    found = [
        ev.PendingChunk(chunk_of(line), 3, 10, ev.FileVersion(R, "f", blob_of((line,)))) for line in ("one", "two")
    ]
    story.tell(ev.UnembeddedFound(tuple(found), True, SECOND_TRACK))
    assert [*story.pipeline.spent_files()] == [(R, "f")]
    assert story.take(cmd.FetchUnembedded).spent == {(R, "f")}
    story.tell(ev.UnembeddedFound((), True, SECOND_TRACK))
    assert story.take(cmd.Embed).chunks == (chunk_of("one"),)
    assert flushed(story, 1), "a flush waits for the first model only"
