"""Newer versions replace waiting ones, carry their scans along, and edits go first."""

from __future__ import annotations

import random

import pytest

from regend.core.commands import ChunkFile
from regend.core.inflight import Inflight, WorkItem
from regend.core.scans import Scan
from regend.types import BlobId, Lane, RootId, StatSig

R, S = RootId(1), RootId(2)
SIG = StatSig(1, 1, 1, 1)


def item(path: str, version: int, lane: Lane = Lane.EDIT, blob: bytes = b"b") -> WorkItem:
    return WorkItem(R, path, version, BlobId(blob), SIG, lane, [Scan(R, (path,), trust=False)])


def start(inflight: Inflight) -> ChunkFile | None:
    started = inflight.start()
    return None if started is None else started.command(is_new=False)


def test_edits_before_bulk_in_order_of_arrival() -> None:
    inflight = Inflight()
    for name, lane in (("bulk", Lane.BULK), ("edit", Lane.EDIT), ("edit2", Lane.EDIT)):
        inflight.add(item(name, 1, lane))
    started = [start(inflight) for _ in range(4)]
    assert [c.path if c else None for c in started] == ["edit", "edit2", "bulk", None]
    assert (inflight.running, inflight.waiting, inflight.count(R), inflight.count(S)) == (3, 0, 3, 0)


def test_a_newer_version_replaces_a_waiting_one_and_keeps_the_better_lane() -> None:
    inflight = Inflight()
    inflight.add(item("f", 1, Lane.EDIT))
    newer = item("f", 2, Lane.BULK)
    inflight.add(newer)
    inflight.check_invariants()
    assert inflight.waiting == 1 and len(newer.scans) == 2
    assert start(inflight) == ChunkFile(R, "f", 2, Lane.EDIT)


def test_a_retry_does_not_go_back_to_an_older_version() -> None:
    inflight = Inflight()
    inflight.add(item("f", 1))
    start(inflight)
    failed = inflight.finish(R, "f", 1)
    assert failed is not None
    inflight.add(item("f", 2, blob=b"new"))
    failed.attempts = 1
    inflight.add(failed)
    assert start(inflight) == ChunkFile(R, "f", 2, Lane.EDIT, alone=True), "the path failed once already"
    assert inflight.newest(R, "f") is failed and failed.blob == b"new" and len(failed.scans) == 2


def test_a_newer_version_takes_over_the_failures_of_a_waiting_retry() -> None:
    """Otherwise a file that grows while its worker crashes is never quarantined, and what waits for it never ends."""
    inflight = Inflight()
    retry = item("f", 1)
    retry.attempts = 1
    inflight.add(retry)
    inflight.add(item("f", 2))
    assert start(inflight) == ChunkFile(R, "f", 2, Lane.EDIT, alone=True)


def test_one_item_of_a_path_runs_and_only_the_newest_waits() -> None:
    inflight = Inflight()
    inflight.add(item("f", 1))
    start(inflight)
    for version in (2, 3, 4):
        inflight.add(item("f", version))
        assert start(inflight) is None
    assert (inflight.running, inflight.waiting) == (1, 1)
    assert inflight.finish(R, "f", 2) is None, "nothing waits for an answer to this version"
    assert inflight.finish(R, "f", 1) is not None
    assert start(inflight) == ChunkFile(R, "f", 4, Lane.EDIT)
    finished = inflight.finish(R, "f", 4)
    assert finished is not None and len(finished.scans) == 3


def test_a_path_that_changes_without_end_keeps_its_place_and_holds_no_other_up() -> None:
    inflight = Inflight()
    inflight.add(item("hot", 1))
    for version in range(2, 9):
        inflight.add(item(f"other{version}", version))
        inflight.add(item("hot", version))
    assert start(inflight) == ChunkFile(R, "hot", 8, Lane.EDIT)
    inflight.add(item("hot", 9))
    assert start(inflight) == ChunkFile(R, "other2", 2, Lane.EDIT)


def test_bulk_has_a_turn_beside_a_path_that_changes_without_end() -> None:
    inflight = Inflight()
    inflight.add(item("bulk", 1, Lane.BULK))
    for version in (2, 3):
        inflight.add(item("hot", version))
        started = start(inflight)
        assert started is not None
        inflight.finish(R, started.path, started.version)
    assert inflight.waiting == 1 and started.path == "bulk"
    assert start(inflight) == ChunkFile(R, "hot", 3, Lane.EDIT)
    inflight.finish(R, "hot", 3)
    inflight.add(item("hot", 4))
    assert start(inflight) == ChunkFile(R, "hot", 4, Lane.EDIT), "it does not wait for itself"


def test_newest_is_the_one_decided_last() -> None:
    inflight = Inflight()
    inflight.add(item("f", 3))
    start(inflight)
    newest = inflight.newest(R, "f")
    assert newest is not None and newest.version == 3
    waiting = item("f", 4)
    inflight.add(waiting)
    assert inflight.newest(R, "f") is waiting
    assert inflight.newest(R, "g") is None


def test_a_dropped_root_answers_into_the_void_only_for_what_waits() -> None:
    inflight = Inflight()
    inflight.add(item("running", 1))
    start(inflight)
    inflight.add(item("waiting", 1))
    inflight.drop_waiting(R)
    assert inflight.waiting == 0
    assert inflight.finish(R, "waiting", 1) is None
    assert inflight.finish(R, "running", 1) is not None


@pytest.mark.parametrize("seed", range(50))
def test_a_large_and_a_small_file_of_bulk_go_in_turn_and_edits_before_all(seed: int) -> None:
    rng, inflight = random.Random(seed), Inflight()
    left: dict[str, tuple[Lane, int]] = {}
    for n in range(60):
        added = item(f"f{rng.randrange(40)}", n, rng.choice((Lane.EDIT, Lane.BULK)))
        added.size_bytes = rng.choice((0, 3_999, 4_000, 15_999, 16_000, 63_999, 64_000, 10_000_000))
        inflight.add(added)
        inflight.check_invariants()
        steps = sum(added.size_bytes < bound for bound in (64_000, 16_000, 4_000))
        left[added.path] = (added.lane, steps if added.lane is Lane.BULK else 0)
    small = False
    while (started := inflight.start()) is not None:
        lane, step = left[started.path]
        assert lane == min(place[0] for place in left.values())
        if lane is Lane.BULK:
            assert step == (max if small else min)(place[1] for place in left.values())
            small = not small
        del left[started.path]
    assert not left and not inflight.waiting
