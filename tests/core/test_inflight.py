"""Newer versions replace waiting ones, carry their scans along, and edits go first."""

from __future__ import annotations

from regend.core.commands import ChunkFile
from regend.core.inflight import Inflight, WorkItem
from regend.core.scans import Scan
from regend.types import BlobId, Lane, RootId, StatSig

R, S = RootId(1), RootId(2)
SIG = StatSig(1, 1, 1, 1)


def item(path: str, version: int, lane: Lane = Lane.EDIT, blob: bytes = b"b") -> WorkItem:
    return WorkItem(R, path, version, BlobId(blob), SIG, lane, [Scan(R, (path,), trust=False)])


def test_edits_before_bulk_in_order_of_arrival() -> None:
    inflight = Inflight()
    for name, lane in (("bulk", Lane.BULK), ("edit", Lane.EDIT), ("edit2", Lane.EDIT)):
        inflight.add(item(name, 1, lane))
    started = [inflight.start() for _ in range(4)]
    assert [c.path if c else None for c in started] == ["edit", "edit2", "bulk", None]
    assert (inflight.running, inflight.waiting, inflight.count(R), inflight.count(S)) == (3, 0, 3, 0)


def test_a_newer_version_replaces_a_waiting_one_and_keeps_the_better_lane() -> None:
    inflight = Inflight()
    inflight.add(item("f", 1, Lane.EDIT))
    newer = item("f", 2, Lane.BULK)
    inflight.add(newer)
    inflight.check_invariants()
    assert inflight.waiting == 1 and len(newer.scans) == 2
    assert inflight.start() == ChunkFile(R, "f", 2, Lane.EDIT)


def test_a_retry_does_not_go_back_to_an_older_version() -> None:
    inflight = Inflight()
    inflight.add(item("f", 1))
    inflight.start()
    failed = inflight.finish(R, "f", 1)
    assert failed is not None
    inflight.add(item("f", 2, blob=b"new"))
    failed.attempts = 1
    inflight.add(failed)
    assert inflight.start() == ChunkFile(R, "f", 2, Lane.EDIT, alone=False)
    assert inflight.newest(R, "f") is failed and failed.blob == b"new"


def test_the_same_version_is_not_started_twice() -> None:
    inflight = Inflight()
    inflight.add(item("f", 1))
    inflight.start()
    inflight.add(item("f", 1))
    assert inflight.start() is None
    assert inflight.waiting == 1
    inflight.finish(R, "f", 1)
    assert inflight.start() is not None


def test_newest_is_the_one_decided_last() -> None:
    inflight = Inflight()
    for version in (1, 3):
        inflight.add(item("f", version))
        inflight.start()
    newest = inflight.newest(R, "f")
    assert newest is not None and newest.version == 3
    waiting = item("f", 4)
    inflight.add(waiting)
    assert inflight.newest(R, "f") is waiting
    assert inflight.newest(R, "g") is None


def test_a_dropped_root_answers_into_the_void_only_for_what_waits() -> None:
    inflight = Inflight()
    inflight.add(item("running", 1))
    inflight.start()
    inflight.add(item("waiting", 1))
    inflight.drop_waiting(R)
    assert inflight.waiting == 0
    assert inflight.finish(R, "waiting", 1) is None
    assert inflight.finish(R, "running", 1) is not None
