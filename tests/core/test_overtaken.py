"""Work that newer facts overtake: a flush waits for what came of it, and names what is not well."""

from __future__ import annotations

from regend.core import commands as cmd
from regend.core import events as ev
from regend.types import StatSig
from tests.core.store_model import blob_of, chunked
from tests.core.test_pipeline import LATER, OTHER, SIG, TEXT, R, Story

NEWEST = StatSig(3, 3, 3, 3)


def test_a_result_that_was_overtaken_by_a_blob_that_the_store_lost_waits_for_the_next_look() -> None:
    """Found by seed 8566 of 20,000: the flush resolved while the index still held what was there before."""
    story = Story({"f": ev.FileState(SIG, blob_of(OTHER))}, frozenset({blob_of(("lost",))}))
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(TEXT)))
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    work = story.take(cmd.ChunkFile)
    story.observed(story.change("f"), ev.Observation("f", NEWEST, blob_of(("lost",))))
    story.committed(missing=("f",))
    look = story.take(cmd.Observe)
    story.tell(ev.Chunked(R, "f", work.version, chunked(TEXT, LATER)))
    assert not story.has(cmd.ResolveFlush), "nothing newer than before the flush is in the index"
    story.observed(look)
    for observe in [c for c in story.out if isinstance(c, cmd.Observe)]:
        story.out.remove(observe)
        story.observed(observe)
    assert not story.has(cmd.ResolveFlush)
    assert story.committed().ops == (cmd.DeleteFile(R, "f"),)
    assert story.take(cmd.ResolveFlush).ticket == 7
    assert story.pipeline.is_idle()


def test_a_quarantined_file_is_named_until_its_new_content_is_durable() -> None:
    """Found by seed 17884 of 20,000: it was accepted, its commit failed, and a flush in between said nothing of it."""
    story = Story()
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    for _ in range(2):
        story.tell(ev.ChunkFailed(R, "f", story.take(cmd.ChunkFile).version, "crashed"))
    story.committed()
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(OTHER)))
    story.tell(ev.Chunked(R, "f", story.take(cmd.ChunkFile).version, chunked(OTHER, LATER)))
    assert story.pipeline.quarantined == {(R, "f"): "quarantined: crashed"}
    story.committed("three")
    assert story.pipeline.quarantined == {}


def test_an_older_commit_does_not_end_a_newer_quarantine() -> None:
    story = Story()
    story.observed(story.change("f"), ev.Observation("f", SIG, blob_of(TEXT)))
    story.tell(ev.Chunked(R, "f", story.take(cmd.ChunkFile).version, chunked(TEXT, SIG)))
    underway = story.take(cmd.Commit)
    story.observed(story.change("f"), ev.Observation("f", LATER, blob_of(OTHER)))
    for _ in range(2):
        story.tell(ev.ChunkFailed(R, "f", story.take(cmd.ChunkFile).version, "crashed"))
    story.tell(ev.Committed(underway.commit_id, 1, (), ()))
    assert story.pipeline.quarantined == {(R, "f"): "quarantined: crashed"}
    story.committed()
    assert story.pipeline.quarantined == {(R, "f"): "quarantined: crashed"}
