"""A path that changes without end waits between its looks; one that a person saves does not; a flush waits for none."""

from __future__ import annotations

from itertools import pairwise

import pytest

from regend.core import commands as cmd
from regend.core import events as ev
from regend.core.heat import FAILURE_S, GRACE_S, GROWN_PAUSE_S, LONGEST_PAUSE_S, LOOK_S, PASS_S, PAUSE_PER_COST, Heat
from regend.types import RootId, StatSig
from tests.core.store_model import blob_of, chunked
from tests.core.test_pipeline import R, Story

S = RootId(2)
F = (R, "f")
LARGE_BYTES = 800_000


def passes(heat: Heat, cost_s: float, interval_s: float, seconds: float) -> list[float]:
    """Return when a file that changes every `interval_s` is looked at, each time for `cost_s`."""
    now, looks = 0.0, list[float]()
    while now < seconds:
        heat.charge(F, cost_s, now)
        looks.append(now)
        now = max(now + interval_s, heat.look_at(F))
    return looks


@pytest.mark.parametrize(("size_bytes", "interval_s"), [(2_000, 1.0), (20_000, 2.0), (90_000, 3.0)])
def test_a_person_who_saves_for_an_hour_never_waits(size_bytes: int, interval_s: float) -> None:
    looks = passes(Heat(), PASS_S + size_bytes * 3e-7, interval_s, 3600.0)
    assert all(later - at == interval_s for at, later in pairwise(looks))


@pytest.mark.parametrize("cost_s", [LOOK_S, PASS_S, 0.26, 2.0, 10.0])
def test_a_file_that_never_rests_costs_a_bounded_share_and_is_looked_at_all_the_same(cost_s: float) -> None:
    seconds = 3600.0
    looks = passes(Heat(), cost_s, 0.05, seconds)
    assert sum(cost_s for _ in looks) <= (seconds + GRACE_S) / PAUSE_PER_COST + 2 * cost_s
    pauses = [later - at for at, later in pairwise(looks)]
    assert max(pauses) <= max(GROWN_PAUSE_S, cost_s * PAUSE_PER_COST) + 0.1
    assert pauses[-1] >= pauses[0], "the pause grows while the file stays hot"


def test_the_longest_pause_bounds_the_most_expensive_file() -> None:
    heat = Heat()
    for now in (0.0, 1.0, 2.0):
        heat.charge(F, 100.0, now)
        assert heat.look_at(F) == now + LONGEST_PAUSE_S


def test_looks_that_flushes_force_do_not_pile_up() -> None:
    heat = Heat()
    for second in range(600):
        heat.charge(F, 0.26, float(second))
    assert heat.look_at(F) <= 599.0 + GROWN_PAUSE_S


def test_a_quiet_path_cools_down() -> None:
    heat = Heat()
    passes(heat, 0.26, 0.05, 600.0)
    assert heat.look_at(F) > 600.0
    heat.charge(F, PASS_S, 700.0 + GRACE_S)
    assert heat.look_at(F) < 700.0 + GRACE_S


def test_cold_paths_and_those_of_a_dropped_root_are_forgotten() -> None:
    heat = Heat()
    for number in range(1_000):
        heat.charge((R, str(number)), LOOK_S, float(number))
    assert len(heat._debts) <= 65
    heat.charge((S, "f"), 9.0, 1_000.0)
    heat.charge(F, 9.0, 1_000.0)
    heat.drop(R)
    assert heat.look_at(F) == 0.0 and heat.look_at((S, "f")) > 1_000.0


class Growing(Story):
    """A story in which one file grows."""

    def __init__(self) -> None:
        super().__init__()
        self.version = 0

    def seen(self, path: str = "f") -> ev.Observation:
        self.version += 1
        sig = StatSig(self.version, self.version, self.version, 1)
        return ev.Observation(path, sig, blob_of((str(self.version),)), size_bytes=LARGE_BYTES)

    def index(self, observe: cmd.Observe) -> None:
        self.observed(observe, self.seen())
        self.chunk(self.take(cmd.ChunkFile))

    def chunk(self, work: cmd.ChunkFile) -> None:
        sig = StatSig(self.version, self.version, self.version, 1)
        self.tell(ev.Chunked(R, "f", work.version, chunked((str(self.version),), sig)))
        self.committed()

    def heat(self) -> None:
        """Let the file change until it is paused, and end with a hint."""
        while not self.pipeline.hot_files():
            self.tell(ev.PathChanged(R, "f"))
            if not self.pipeline.hot_files():
                self.wait(self.now + 1.0)
                self.index(self.take(cmd.Observe))
                assert self.now < 100.0
        assert not self.out


def test_a_hot_path_waits_and_is_named_and_others_do_not_wait() -> None:
    story = Growing()
    story.heat()
    (look_at,) = story.pipeline.hot_files().values()
    assert story.now < look_at == story.pipeline.next_deadline()
    assert story.pipeline.pending(R) == 1 and story.pipeline.is_idle(), "it holds no other work up"
    assert story.change("g").scopes == ("g",)
    story.tell(ev.PathChanged(R, "f"))
    story.wait(look_at - 0.01)
    assert not story.has(cmd.Observe)
    story.wait(look_at)
    assert story.take(cmd.Observe).scopes == ("f",)
    assert story.pipeline.hot_files() == {}


def test_a_flush_looks_at_a_hot_path_now_and_waits_for_no_later_version() -> None:
    story = Growing()
    story.heat()
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    observe = story.take(cmd.Observe)
    story.tell(ev.PathChanged(R, "f"))
    story.observed(observe, story.seen())
    work = story.take(cmd.ChunkFile)
    story.tell(ev.PathChanged(R, "f"))
    assert not story.has(cmd.ResolveFlush)
    story.chunk(work)
    assert story.take(cmd.ResolveFlush).ticket == 7
    assert not story.has(cmd.Observe) and F in story.pipeline.hot_files()


@pytest.mark.parametrize("rehash", [False, True])
def test_a_rescan_leaves_a_hot_path_for_later_unless_a_flush_waits_or_the_user_asked(rehash: bool) -> None:
    story = Growing()
    story.heat()
    story.tell(ev.RescanNeeded(R, rehash=rehash))
    story.wait(story.now + 1.0)
    rescan = story.take(cmd.Observe)
    story.observed(rescan, story.seen())
    assert story.has(cmd.ChunkFile) == rehash
    assert F in story.pipeline.hot_files()
    if not rehash:
        story.tell(ev.FlushRequested(7, wait_vectors=False))
        story.observed(story.take(cmd.Observe), story.seen())
        story.chunk(story.take(cmd.ChunkFile))
        assert story.take(cmd.ResolveFlush).ticket == 7


def test_a_rescan_that_a_flush_waits_for_reads_a_hot_path() -> None:
    story = Growing()
    story.heat()
    story.tell(ev.RescanNeeded(R, "f"))
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    for observe in [c for c in story.out if isinstance(c, cmd.Observe)]:
        story.out.remove(observe)
        story.observed(observe, story.seen())
    story.chunk(story.take(cmd.ChunkFile))
    while not story.has(cmd.ResolveFlush):
        story.chunk(story.take(cmd.ChunkFile))
    assert story.take(cmd.ResolveFlush).ticket == 7


def test_an_older_result_is_indexed_and_answers_the_flush_that_saw_it() -> None:
    """A newer look used to make each older result worthless, so a flush ended where the changes ended."""
    story = Growing()
    story.observed(story.change("f"), story.seen())
    work = story.take(cmd.ChunkFile)
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    story.observed(story.change("f"), story.seen())
    story.tell(ev.Chunked(R, "f", work.version, chunked(("1",), StatSig(1, 1, 1, 1))))
    assert [op.path for op in story.committed().ops if isinstance(op, cmd.PutFile)] == ["f"]
    assert story.take(cmd.ResolveFlush).ticket == 7
    assert story.take(cmd.ChunkFile).version > work.version


def test_a_result_that_a_newer_decision_overtook_waits_for_that_decision_only() -> None:
    """The newest version is still in work when an older result arrives that an accepted one overtook."""
    known = blob_of(("known",))
    story = Story(blobs=frozenset({known}))
    story.observed(story.change("f"), ev.Observation("f", StatSig(1, 1, 1, 1), blob_of(("1",))))
    first = story.take(cmd.ChunkFile)
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    story.observed(story.change("f"), ev.Observation("f", StatSig(2, 2, 2, 2), known))
    story.committed()
    story.observed(story.change("f"), ev.Observation("f", StatSig(3, 3, 3, 3), blob_of(("3",))))
    assert not story.has(cmd.ChunkFile), "one item of a path is in flight"
    story.tell(ev.Chunked(R, "f", first.version, chunked(("1",), StatSig(1, 1, 1, 1))))
    assert story.take(cmd.ResolveFlush).ticket == 7
    assert story.take(cmd.ChunkFile).version > first.version


def test_failures_of_a_file_that_grows_end_in_quarantine_and_a_flush_does_not_wait_for_more() -> None:
    story = Growing()
    story.observed(story.change("f"), story.seen())
    story.tell(ev.FlushRequested(7, wait_vectors=False))
    for _ in range(2):
        work = story.take(cmd.ChunkFile)
        story.observed(story.change("f"), story.seen())
        story.tell(ev.ChunkFailed(R, "f", work.version, "crashed"))
    story.committed()
    assert story.take(cmd.ResolveFlush).failed == ((R, "f", "quarantined: crashed"),)


def test_failures_heat_a_path() -> None:
    story = Story()
    observe = story.change("f")
    for number in range(9):
        story.observed(observe, ev.Observation("f", StatSig(number, 1, 1, 1), blob_of((str(number),))))
        for _ in range(2):
            story.tell(ev.ChunkFailed(R, "f", story.take(cmd.ChunkFile).version, "crashed"))
        story.committed()
        story.tell(ev.PathChanged(R, "f"))
        if story.pipeline.hot_files():
            break
        story.wait(story.now + 1.0)
        observe = story.take(cmd.Observe)
    assert number * 2 * FAILURE_S * PAUSE_PER_COST <= GRACE_S + number + 1


def test_a_removed_root_takes_its_hot_paths_along() -> None:
    story = Growing()
    story.heat()
    story.tell(ev.RootRemoved(R))
    assert story.pipeline.hot_files() == {} and story.pipeline._files._heat.look_at(F) == 0.0
