"""A file that gets a further name is looked at under its older ones; the scan that saw the new one waits for that."""

from __future__ import annotations

from regend.core import commands as cmd
from regend.core import events as ev
from regend.types import UNSURE, PoolId, StatSig
from tests.core.store_model import blob_of
from tests.core.test_pipeline import LATER, SIG, TEXT, R, S, Story


def test_older_names_of_a_file_that_gets_another_are_looked_at() -> None:
    """Those that are known are hinted when another is written, and those that the scan saw were looked at."""
    text, third = blob_of(TEXT), StatSig(3, 3, 3, 3)
    story = Story({
        "older": ev.FileState(SIG, text), "known": ev.FileState(SIG, text), "new": ev.FileState(SIG, text),
        "racy": ev.FileState(UNSURE, text), "skipped": ev.FileState(SIG, None, True),
        "third": ev.FileState(third, text),
    })  # fmt: skip
    if story.has(cmd.Commit):
        story.committed()
    story.tell(ev.RootAdded(S, PoolId(8), {"far": ev.FileState(SIG, text)}, frozenset({text})))
    story.observed(story.take(cmd.Observe), ev.Observation("far", SIG, unchanged=True))
    story.tell(ev.FlushRequested(1, wait_vectors=False))
    story.take(cmd.ResolveFlush)

    def linked() -> None:
        observe = story.change("new")
        story.tell(ev.FlushRequested(2, wait_vectors=False))
        seen = ev.Observation("new", LATER, text)
        story.tell(ev.Observed(observe.scan_id, (seen,), True, linked={SIG.inode: frozenset({(R, "known")})}))
        if story.has(cmd.Commit):
            story.committed()

    linked()
    here, far = story.take(cmd.Observe), story.take(cmd.Observe)
    assert (here.root, here.scopes) == (R, ("older", "racy")) and (far.root, far.scopes) == (S, ("far",))
    assert here.known == {"older": SIG, "racy": UNSURE}, "what is unchanged is not read"
    story.observed(here, ev.Observation("older", SIG, unchanged=True), ev.Observation("racy", SIG, text))
    assert not story.has(cmd.ResolveFlush)
    story.observed(far, ev.Observation("far", SIG, unchanged=True))
    story.committed()
    assert story.take(cmd.ResolveFlush).ticket == 2

    linked()
    here = story.take(cmd.Observe)
    story.observed(here, ev.Observation("older", SIG, unchanged=True), ev.Observation("racy", SIG, unchanged=True))
    assert story.take(cmd.Observe).root == S and not story.has(cmd.ResolveFlush)
    story.tell(ev.RootLost(S))
    assert story.take(cmd.ResolveFlush).ticket == 2, "a root that is away holds up no other"
    linked()
    here = story.take(cmd.Observe)
    assert here.root == R and not story.has(cmd.Observe), "a root that is away is not looked at"
    story.observed(here, ev.Observation("older", SIG, unchanged=True), ev.Observation("racy", SIG, unchanged=True))
    observe = story.change("third")
    story.tell(ev.Observed(observe.scan_id, (ev.Observation("third", third, text),), True, linked={3: frozenset()}))
    assert not story.has(cmd.Observe), "it has no older name"
