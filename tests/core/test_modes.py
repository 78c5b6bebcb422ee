"""Modes: what each lets run beside what, how `auto` chooses, and that a reindex's mode ends with its work."""

from __future__ import annotations

from typing import Literal

import pytest

from regend.core import commands as cmd
from regend.core import events as ev
from regend.core.commits import BULK_LINGER_S, STARVED_LINGER_S
from regend.core.modes import BULK_FILES, Mode, Surroundings, choose_mode
from tests.core.store_model import blob_of, chunked
from tests.core.test_pipeline import SIG, TEXT, R, Story

HERE = Surroundings(cores=2.0, memory_bytes=8_000_000_000, embeds_elsewhere=False)
SMALL = Surroundings(cores=0.5, memory_bytes=512_000_000, embeds_elsewhere=False)
SERVER = Surroundings(cores=0.5, memory_bytes=512_000_000, embeds_elsewhere=True)


def bulk(count: int) -> tuple[ev.Observation, ...]:
    return tuple(ev.Observation(f"{n:04}", SIG, blob_of((str(n),))) for n in range(count))


def chunk(story: Story, text: tuple[str, ...] = TEXT) -> None:
    """Answer the next file with the chunks of `text`, and commit them."""
    work = story.take(cmd.ChunkFile)
    story.tell(ev.Chunked(R, work.path, work.version, chunked(text, SIG)))
    story.wait(story.now + 5.0)  # A commit of bulk waits for more.
    story.committed(*text)
    story.wait(story.now + 5.0)


@pytest.mark.parametrize("mode", ["sequential", "parallel", "pipeline"])
def test_bulk_is_embedded_beside_chunking_in_a_pipeline_only(mode: Mode) -> None:
    story = Story(mode=mode)
    story.tell(ev.CapacityChanged(2))
    story.tell(ev.RootFound(R))
    story.observed(story.take(cmd.Observe), *bulk(2))
    begun = [command.path for command in story.out if isinstance(command, cmd.ChunkFile)]
    assert begun == (["0000"] if mode == "sequential" else ["0000", "0001"])
    chunk(story, ("one",))
    assert story.has(cmd.Embed) == (mode == "pipeline")
    chunk(story, ("two",))
    assert story.has(cmd.Embed)


@pytest.mark.parametrize(
    ("mode", "surroundings", "linger_s"),
    [
        ("pipeline", SERVER, STARVED_LINGER_S),
        ("pipeline", HERE, BULK_LINGER_S),
        ("parallel", SERVER, BULK_LINGER_S),
    ],
)
def test_a_commit_of_bulk_waits_less_for_a_server_that_has_nothing_to_do(
    mode: Mode, surroundings: Surroundings, linger_s: float
) -> None:
    story = Story(mode=mode, surroundings=surroundings)
    story.tell(ev.CapacityChanged(1))
    story.tell(ev.RootFound(R))
    story.observed(story.take(cmd.Observe), *bulk(4))

    def commit(name: str, after_s: float) -> None:
        work = story.take(cmd.ChunkFile)
        story.tell(ev.Chunked(R, work.path, work.version, chunked((name,), SIG)))
        began_at = story.now
        story.wait(began_at + after_s - 0.01)
        assert not story.has(cmd.Commit)
        story.wait(began_at + after_s)
        story.committed(name)
        story.wait(story.now + 0.5)

    commit("one", linger_s)
    commit("two", linger_s)
    if surroundings is SERVER and mode == "pipeline":
        commit("three", BULK_LINGER_S)  # Both slots embed now.


@pytest.mark.parametrize(("mode", "embeds"), [("sequential", False), ("parallel", True), ("pipeline", True)])
def test_an_edit_is_embedded_beside_bulk_unless_one_thing_runs_at_a_time(mode: Mode, embeds: bool) -> None:
    story = Story(mode=mode)
    story.tell(ev.CapacityChanged(1))
    story.tell(ev.RootFound(R))
    story.observed(story.take(cmd.Observe), *bulk(BULK_FILES))
    story.observed(story.change("edited"), ev.Observation("edited", SIG, blob_of(TEXT)))
    chunk(story, ("of the bulk",))
    assert story.has(cmd.Embed) == (mode == "pipeline")
    story.out = [command for command in story.out if not isinstance(command, cmd.Embed)]
    chunk(story, TEXT)
    assert story.has(cmd.Embed) == embeds


@pytest.mark.parametrize(
    ("surroundings", "files", "mode"),
    [
        (HERE, BULK_FILES, "parallel"),
        (HERE, BULK_FILES - 1, "pipeline"),
        (SERVER, 10_000, "pipeline"),
        (SMALL, 10_000, "sequential"),
        (SMALL, 1, "pipeline"),
        (Surroundings(0.5, 0, embeds_elsewhere=False), 10_000, "parallel"),
        (Surroundings(8.0, 512_000_000, embeds_elsewhere=False), 10_000, "parallel"),
        (Surroundings(1.0, 64_000_000_000, embeds_elsewhere=False), 10_000, "parallel"),
    ],
)
def test_auto_chooses_by_size_cores_memory_and_embedder(surroundings: Surroundings, files: int, mode: Mode) -> None:
    assert choose_mode(files, surroundings) == mode
    story = Story(mode="auto", surroundings=surroundings)
    story.tell(ev.CapacityChanged(4))
    story.tell(ev.RootFound(R))
    story.observed(story.take(cmd.Observe), *bulk(files))
    story.tell(ev.Tick())
    assert story.pipeline.mode == mode


@pytest.mark.parametrize("usual", ["auto", "sequential", "pipeline"])
def test_the_mode_of_a_reindex_ends_with_its_work(usual: Mode | Literal["auto"]) -> None:
    story = Story(mode=usual)
    before = story.pipeline.mode
    story.tell(ev.RescanNeeded(R, rehash=True, mode="parallel"))
    assert story.pipeline.mode == "parallel"
    story.observed(story.take(cmd.Observe), *bulk(1))
    work = story.take(cmd.ChunkFile)
    story.tell(ev.RescanNeeded(R, rehash=True))
    assert story.pipeline.mode == "parallel", "a reindex without a mode changes nothing"
    story.tell(ev.Chunked(R, work.path, work.version, chunked((), SIG)))
    story.observed(story.take(cmd.Observe), *bulk(1))
    while story.has(cmd.ChunkFile) or story.has(cmd.Commit):
        if story.has(cmd.ChunkFile):
            work = story.take(cmd.ChunkFile)
            story.tell(ev.Chunked(R, work.path, work.version, chunked((), SIG)))
        else:
            story.committed()
    story.tell(ev.Tick())
    assert story.pipeline.is_idle() and story.pipeline.mode == before


def test_bulk_lingers_under_a_flush_until_all_that_it_waits_for_is_read() -> None:
    story = Story()
    story.tell(ev.RootFound(R))
    story.observed(story.take(cmd.Observe), *bulk(2))
    first, second = story.take(cmd.ChunkFile), story.take(cmd.ChunkFile)
    story.tell(ev.FlushRequested(1, wait_vectors=False))
    story.tell(ev.Chunked(R, first.path, first.version, chunked(("one",), SIG)))
    assert not story.has(cmd.Commit), "its commit would not end the flush"
    story.tell(ev.RescanNeeded(R, rehash=True))  # Later than the flush, so it need not wait for it.
    assert story.has(cmd.Observe)
    story.tell(ev.Chunked(R, second.path, second.version, chunked(("two",), SIG)))
    assert len(story.committed("one", "two").ops) == 2
    assert story.take(cmd.ResolveFlush).ticket == 1
