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


def test_a_second_scan_asks_for_no_file_that_is_in_work() -> None:
    """At a start the watch's own scan follows the first: ten files in work were read and embedded twice."""
    story = Story()
    story.tell(ev.RescanNeeded(R))
    story.wait(story.now + 1.0)
    files = [ev.Observation(name, SIG, blob_of((*TEXT, name))) for name in "abc"]
    story.observed(story.take(cmd.Observe), *files)
    story.tell(ev.RescanNeeded(R))
    story.wait(story.now + 1.0)
    work = [story.take(cmd.ChunkFile) for _ in files]
    story.observed(story.take(cmd.Observe), *files[:2], ev.Observation("c", LATER, blob_of(OTHER)))
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    assert not story.has(cmd.ChunkFile)
    for command in work:
        story.tell(ev.Chunked(R, command.path, command.version, chunked((*TEXT, command.path), SIG)))
    again = story.take(cmd.ChunkFile)
    assert (again.path, again.is_new) == ("c", False), "only this one changed meanwhile"
    assert not story.has(cmd.ChunkFile) and not story.has(cmd.ResolveFlush)
    story.tell(ev.Chunked(R, "c", again.version, chunked(OTHER, LATER)))
    while not story.pipeline.is_idle():
        story.committed()
    assert story.take(cmd.ResolveFlush).ticket == 7
    assert not story.has(cmd.ChunkFile)


def test_a_second_scan_believes_the_signatures_of_files_that_are_in_work() -> None:
    """At a start the watch's own scan follows the first, and read every file once more to find it the same."""
    story = Story()
    story.tell(ev.RootFound(R))
    files = [ev.Observation(name, SIG, blob_of((*TEXT, name))) for name in "abc"]
    story.observed(story.take(cmd.Observe), *files)
    work = [story.take(cmd.ChunkFile) for _ in files]
    story.tell(ev.RescanNeeded(R))
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    second = story.take(cmd.Observe)
    assert second.known == dict.fromkeys("abc", SIG)
    story.tell(ev.Chunked(R, "c", work[2].version, chunked((*TEXT, "c"), LATER)))
    story.observed(second, *(ev.Observation(name, SIG, unchanged=True) for name in "abc"))
    assert not story.has(cmd.ChunkFile) and not story.has(cmd.ResolveFlush)
    assert story.take(cmd.Observe).scopes == ("c",), "the worker read another version than the second scan saw"
    for command in work[:2]:
        story.tell(ev.Chunked(R, command.path, command.version, chunked((*TEXT, command.path), SIG)))
    assert not story.has(cmd.ChunkFile) and not story.has(cmd.ResolveFlush)


def test_a_second_scan_does_not_overtake_a_skipped_file_that_is_read_again() -> None:
    """New limits, or a reindex: the tree has the file as skipped, with the signature that it still has."""
    story = Story({"f": ev.FileState(SIG, None, skipped=True)})
    story.tell(ev.RescanNeeded(R, rehash=True))
    story.observed(story.take(cmd.Observe), ev.Observation("f", SIG, blob_of(TEXT)))
    work = story.take(cmd.ChunkFile)
    story.tell(ev.RescanNeeded(R))
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    second = story.take(cmd.Observe)
    assert second.known == {"f": SIG}
    story.observed(second, ev.Observation("f", SIG, unchanged=True))
    assert not story.has(cmd.ResolveFlush)
    story.tell(ev.Chunked(R, "f", work.version, chunked(TEXT, SIG)))
    assert [type(op) for op in story.committed().ops] == [cmd.PutFile]
    assert story.has(cmd.ResolveFlush)


def test_a_file_whose_content_came_with_another_needs_no_worker() -> None:
    story = Story()
    story.observed(story.change("a"), ev.Observation("a", SIG, blob_of(TEXT)))
    first = story.take(cmd.ChunkFile)
    story.tell(ev.CapacityChanged(1))
    story.observed(story.change("b", "c"), *(ev.Observation(path, LATER, blob_of(TEXT)) for path in "bc"))
    story.tell(ev.Chunked(R, "a", first.version, chunked(TEXT, SIG)))
    second = story.take(cmd.ChunkFile)
    story.committed("one", "two")
    story.tell(ev.Chunked(R, second.path, second.version, chunked(TEXT, LATER)))
    assert not story.has(cmd.ChunkFile)
    assert cmd.PutFile(R, "c", LATER, blob_of(TEXT), None) in story.committed().ops
    assert not story.pipeline.pending(R)


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
