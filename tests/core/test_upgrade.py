"""The stronger model gets its turn when nothing else is to be done, and never holds anything up."""

from __future__ import annotations

from dataclasses import replace

import pytest

from regend.core import commands as cmd
from regend.core import events as ev
from regend.core.batcher import BatchConfig
from regend.types import FIRST_TRACK, Lane, PoolId, RootId, Track
from tests.core.chaos import Chaos
from tests.core.store_model import SECOND_TRACK, TRACKS, blob_of, chunked
from tests.core.test_pipeline import SIG, TEXT, R, Story, chunk_of
from tests.core.world import World

OFFER = ev.TrackOffered(BatchConfig(items=2, linger_s=0.5), slots=1)


def pending(*lines: str) -> tuple[ev.PendingChunk, ...]:
    return tuple(ev.PendingChunk(chunk_of(line), 3, 10) for line in lines)


def offered(story: Story, *lines: str) -> cmd.Embed | None:
    """The store lacks these chunks' stronger vectors; the batch that follows."""
    story.tell(OFFER)
    fetch = story.take(cmd.FetchUnembedded)
    assert fetch.track == SECOND_TRACK
    story.tell(ev.UnembeddedFound(pending(*lines), True, SECOND_TRACK))
    return story.take(cmd.Embed) if story.has(cmd.Embed) else None


def test_from_the_offer_to_the_commit() -> None:
    story = Story()
    embed = offered(story, "one", "two", "three")
    assert embed is not None and (embed.chunks, embed.track) == ((chunk_of("one"), chunk_of("two")), SECOND_TRACK)
    assert not story.has(cmd.Embed), "one slot"
    story.tell(ev.Embedded(embed.batch_id, "strong", track=SECOND_TRACK))
    assert story.committed().ops == (cmd.PutVectors(embed.chunks, "strong", SECOND_TRACK),)
    last = story.take(cmd.Embed)
    assert last.chunks == (chunk_of("three"),), "nothing else comes, so it waits for no company"
    story.tell(ev.Embedded(last.batch_id, "strong", track=SECOND_TRACK))
    story.committed()
    assert story.pipeline.is_idle(SECOND_TRACK)
    assert story.pipeline.batch_stats(SECOND_TRACK)[Lane.BULK].batches == 2


def test_it_waits_while_anything_else_is_to_be_done() -> None:
    story = Story()
    observe = story.change("f")
    story.tell(OFFER)
    assert not story.has(cmd.FetchUnembedded), "a scan is under way"
    story.observed(observe, ev.Observation("f", SIG, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    assert not story.has(cmd.FetchUnembedded), "a file is being chunked"
    story.tell(ev.Chunked(R, "f", work.version, chunked(TEXT, SIG)))
    assert not story.has(cmd.FetchUnembedded), "a commit is under way"
    story.committed("one", "two")
    story.wait(story.now + 0.5)
    first = story.take(cmd.Embed)
    assert first.track == FIRST_TRACK and not story.has(cmd.FetchUnembedded), "the first model comes first"
    story.tell(ev.Embedded(first.batch_id, "quick"))
    story.committed()
    assert story.take(cmd.FetchUnembedded).track == SECOND_TRACK
    assert not story.pipeline.is_idle(SECOND_TRACK) and story.pipeline.is_idle(), "it holds nothing up"


def test_a_flush_does_not_wait_for_it() -> None:
    story = Story()
    assert offered(story, "one", "two") is not None
    story.tell(ev.FlushRequested(7, wait_vectors=True))
    answer = story.take(cmd.ResolveFlush)
    assert answer.ticket == 7 and answer.complete


def test_a_commit_of_files_makes_it_look_again() -> None:
    story = Story()
    assert offered(story) is None
    assert story.pipeline.is_idle(SECOND_TRACK)
    observe = story.change("f")
    story.observed(observe, ev.Observation("f", SIG, blob_of(TEXT)))
    story.tell(ev.Chunked(R, "f", story.take(cmd.ChunkFile).version, chunked(TEXT, SIG)))
    story.committed()
    assert story.take(cmd.FetchUnembedded).track == SECOND_TRACK


def test_a_refused_chunk_is_forgone() -> None:
    story = Story()
    embed = offered(story, "one", "two")
    assert embed is not None
    one, two = embed.chunks
    story.tell(ev.Embedded(embed.batch_id, "strong", ((one, "too odd"),), track=SECOND_TRACK))
    assert story.committed().ops == (cmd.PutVectors((two,), "strong", SECOND_TRACK, (one,)),)
    assert story.pipeline.given_up(SECOND_TRACK) == {one: "too odd"}
    assert story.pipeline.given_up(FIRST_TRACK) == {}


def test_a_batch_that_is_given_up_is_forgone_as_a_whole() -> None:
    story = Story()
    embed = offered(story, "one", "two")
    assert embed is not None
    story.tell(ev.EmbedFailed(embed.batch_id, "no", None, SECOND_TRACK))
    assert story.committed().ops == (cmd.PutVectors((), None, SECOND_TRACK, embed.chunks),)
    assert story.pipeline.is_idle(SECOND_TRACK)


def test_one_that_is_away_is_tried_again() -> None:
    story = Story()
    embed = offered(story, "one", "two")
    assert embed is not None
    story.tell(ev.EmbedFailed(embed.batch_id, "connection refused", 0.0, SECOND_TRACK))
    assert (
        story.pipeline.embed_error(SECOND_TRACK) == "connection refused"
        and story.pipeline.embed_error(FIRST_TRACK) == ""
    )
    assert story.pipeline.is_idle()
    story.wait(story.now + 0.5)
    assert story.take(cmd.Embed).chunks == embed.chunks


def test_each_track_waits_for_all_before_it() -> None:
    story = Story()
    embed = offered(story, "one")
    assert embed is not None
    story.tell(OFFER)
    assert not story.has(cmd.FetchUnembedded)
    story.tell(ev.Embedded(embed.batch_id, "strong", track=SECOND_TRACK))
    assert not story.has(cmd.FetchUnembedded), "its vectors are not durable yet"
    story.committed()
    assert story.take(cmd.FetchUnembedded).track == 2
    assert story.pipeline.is_idle(SECOND_TRACK) and not story.pipeline.is_idle(Track(2))


def test_pausing_stops_it() -> None:
    story = Story()
    story.tell(ev.PauseRequested(True))
    story.tell(OFFER)
    assert not story.has(cmd.FetchUnembedded)
    story.tell(ev.PauseRequested(False))
    assert story.has(cmd.FetchUnembedded)


def test_without_an_offer_there_is_nothing_to_tell() -> None:
    story = Story()
    assert story.pipeline.embed_error(SECOND_TRACK) == "" and story.pipeline.batch_stats(SECOND_TRACK) == {}
    assert story.pipeline.given_up(SECOND_TRACK) == {} and "upgrade_waiting" not in story.pipeline.queues()
    assert story.pipeline.batch_stats(FIRST_TRACK)[Lane.EDIT].batches == 0


@pytest.mark.no_cover
@pytest.mark.parametrize("track", TRACKS)
def test_an_embedder_that_is_down_for_ten_minutes(track: Track) -> None:
    """Edits are found by words all the while, memory is bounded, and everything catches up by itself."""
    world = World(5, Chaos(0, 0, 0, 0, 0, 0, 0, 0.02))
    world.offers_upgrade = track == SECOND_TRACK
    world.config = replace(world.config, embed_limit=8, mode="pipeline")
    world.crash()
    world.crashes = 0
    root = RootId(1)
    world.add_root(root, PoolId(1))
    world.settle()
    down = [True]
    embed = world._embed

    def embed_or_fail(command: cmd.Embed) -> None:
        if down[0] and command.track is track:
            world.send(ev.EmbedFailed(command.batch_id, "connection refused", 0.0, command.track))
        else:
            embed(command)

    world._embed = embed_or_fail  # type: ignore[method-assign]
    began_at = world.now
    for edit in range(600):
        world.write(root, f"file{edit % 40}", (f"line {edit}", f"other {edit}"))
        world.hint(root, f"file{edit % 40}")
        world.run(began_at + edit + 0.5)
        world.flush(edit, wait_vectors=True)
        world.run(began_at + edit + 1.0)
        assert len(world.store.trees[root]) == min(40, edit + 1), "it is in the index, by words"
        queues = world.pipeline.queues()
        prefix = "embed" if track == FIRST_TRACK else "upgrade"
        assert queues[f"{prefix}_waiting"] + queues[f"{prefix}_running"] <= world.config.embed_limit
    assert world.now - began_at >= 600.0 and not world.store.vectors[track]
    world.run(world.now + 1.0)
    assert world.resolved == 600, "no flush waits for an embedder that is away"
    down[0] = False
    world.run(world.now + 60.0)
    assert not world.store.pending(world.store.live_chunks(), track)
    assert world.pipeline.is_idle(SECOND_TRACK) and world.store.embedded_twice == 0
    world.check_converged()
