"""The table of a path's states is what the pipeline does, and docs/states.md is what the table says."""

from __future__ import annotations

from collections import Counter

import pytest

from regend.core import commands as cmd
from regend.core import events as ev
from regend.core import states
from regend.core.states import STEPS, State
from tests.core.path_states import PAGE, Seen, WatchedPipeline, drawing, page_with, state_of, unseen
from tests.core.store_model import blob_of, chunked
from tests.core.test_pipeline import LATER, OTHER, SIG, TEXT, R, Story
from tests.core.test_simulation import PATHS, A, B, C, run_schedule

RICH_SEEDS = (141, 5, 40, 57, 75, 79)
"""Schedules that show every row together. Where the pipeline has changed since, the others help."""
ROW_SEEDS = (*RICH_SEEDS, *range(160))
"""Schedules that show every row, with room to spare; they are the same in each run."""


def test_the_road_of_a_new_file() -> None:
    story = Story()
    assert state_of(story.pipeline, (R, "f")) is State.ABSENT
    story.tell(ev.PathChanged(R, "f"))
    assert state_of(story.pipeline, (R, "f")) is State.CHANGED and state_of(story.pipeline, (R, "g")) is State.ABSENT
    story.wait(1.0)
    assert state_of(story.pipeline, (R, "f")) is State.LOOKING
    story.observed(story.take(cmd.Observe), ev.Observation("f", SIG, blob_of(TEXT)))
    assert state_of(story.pipeline, (R, "f")) is State.READING, "a worker was free"
    story.tell(ev.Chunked(R, "f", story.take(cmd.ChunkFile).version, chunked(TEXT, SIG)))
    assert state_of(story.pipeline, (R, "f")) is State.COMMITTING
    story.committed()
    assert state_of(story.pipeline, (R, "f")) is State.INDEXED
    story.tell(ev.RootLost(R))
    assert state_of(story.pipeline, (R, "f")) is State.HELD


def steps_of_a_failure_that_was_overtaken() -> Counter[Seen]:
    """The simulation needs thousands of schedules for a newer decision that comes while a worker fails again."""
    seen: Counter[Seen] = Counter()
    story = Story(blobs=frozenset({blob_of(OTHER)}), make=lambda config: WatchedPipeline(config, [(R, "f")], seen))
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    story.tell(ev.ChunkFailed(R, "f", story.take(cmd.ChunkFile).version, "crashed"))
    again = story.take(cmd.ChunkFile)
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(OTHER)))
    story.tell(ev.ChunkFailed(R, "f", again.version, "crashed"))
    assert story.committed().ops == (cmd.PutFile(R, "f", LATER, blob_of(OTHER), None),)
    return seen


def steps_of_a_file_that_went_while_it_was_read() -> Counter[Seen]:
    """In the simulation, a worker mostly answers before anybody notices that the file is gone."""
    seen: Counter[Seen] = Counter()
    story = Story(make=lambda config: WatchedPipeline(config, [(R, "f")], seen))
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    read = story.take(cmd.ChunkFile)
    story.observed(story.change("f"))
    story.tell(ev.Chunked(R, "f", read.version, chunked(TEXT, SIG)))
    assert state_of(story.pipeline, (R, "f")) is State.ABSENT
    return seen


@pytest.mark.no_cover
def test_every_row_is_seen() -> None:
    seen = steps_of_a_failure_that_was_overtaken() + steps_of_a_file_that_went_while_it_was_read()
    for seed in ROW_SEEDS:
        seen += run_schedule(seed, [(root, path) for root in (A, B, C) for path in PATHS]).steps
        if not unseen(seen):
            return
    assert unseen(seen) == []


def test_a_table_that_lacks_a_row_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.core.path_states.STEPS", STEPS[:-1])
    with pytest.raises(AssertionError, match="COMMITTING Committed"):
        for seed in ROW_SEEDS:
            run_schedule(seed)


def test_a_row_that_is_never_seen_is_named() -> None:
    assert "row 0: RootAdded" in unseen([])
    assert "row 0: RootAdded" not in unseen([(None, "RootAdded", State.CHANGED)])


def test_every_cause_exists() -> None:
    for cause in {cause for step in STEPS for cause in step.causes} - {"settle", "known"}:
        assert hasattr(ev, cause) or hasattr(cmd, cause), cause


def test_the_page_is_drawn_from_the_table() -> None:
    text = PAGE.read_text()
    assert page_with(text) == text, "run `python -m tests.core.path_states`"
    assert drawing() in text and states.__name__ == "regend.core.states"
