"""Requests join, narrow scans go first, and a scan is finished only when all that came of it is."""

from __future__ import annotations

import pytest

from regend.core.scans import MAX_OVERTAKEN, Scan, Scans
from regend.types import RootId

R, S = RootId(1), RootId(2)


def scan(*scopes: str, root: RootId = R, trust: bool = False, seq: int = 0) -> Scan:
    return Scan(root, scopes, trust, seqs=[seq])


def test_requests_of_one_kind_join() -> None:
    scans = Scans(slots=2, max_scopes=4)
    scans.request(scan("b", seq=1))
    scans.request(scan("a", "b/c", "bc", seq=2))
    started = scans.start()
    assert started is not None and (started.scopes, started.seqs, started.scan_id) == (("a", "b", "bc"), [1, 2], 0)
    assert scans.start() is None
    assert scans.last_id == 0 and scans.listing(0) is started


def test_trust_and_roots_are_kept_apart() -> None:
    scans = Scans(slots=9, max_scopes=3)
    for request in (scan("a"), scan("a", trust=True), scan("a", root=S)):
        scans.request(request)
    assert scans.count() == 3 and scans.count(S) == 1


def test_too_many_scopes_become_the_whole() -> None:
    scans = Scans(slots=1, max_scopes=2)
    scans.request(scan("a", "b", "c"))
    started = scans.start()
    assert started is not None and started.whole


def test_narrow_scans_go_first_and_one_whole_scan_runs_at_a_time() -> None:
    scans = Scans(slots=2, max_scopes=9)
    for request in (scan("", trust=True), scan("", root=S, trust=True), scan("a")):
        scans.request(request)
    order = [scans.start() for _ in range(3)]
    assert [s.scopes if s else None for s in order] == [("a",), ("",), None]
    assert order[0] is not None
    scans.listed(order[0])
    assert scans.start() is None, "a slot is free, but the other whole scan must wait for the first"
    scans.check_invariants()


@pytest.mark.parametrize("slots", [1, 2])
def test_narrow_scans_without_end_do_not_hold_up_a_whole_one(slots: int) -> None:
    scans = Scans(slots, max_scopes=9)
    for _ in range(slots):
        scans.request(scan("a"))
        scans.start()
    scans.request(scan("", trust=True))
    order = []
    for number in range(2 * MAX_OVERTAKEN):
        scans.request(scan(f"b{number}"))
        scans.listed(next(s for s in scans._listing.values() if not s.whole or slots == 1))
        started = scans.start()
        assert started is not None
        order.append(started.whole)
    assert order.index(True) == MAX_OVERTAKEN and order.count(True) == 1


def test_finished_when_nothing_is_left_and_parents_learn_of_it() -> None:
    scans = Scans(slots=2, max_scopes=9)
    parent = scan("a", seq=1)
    scans.request(parent)
    assert scans.start() is parent
    scans.listed(parent)
    parent.work = 1
    child = Scan(R, ("a/b",), trust=False, parents=[parent])
    scans.request(child)
    assert scans.start() is child
    assert scans.listing(1) is child
    scans.listed(child)
    child.ops = 1
    assert scans.take_finished() == []
    child.ops = 0
    child.gone = ["x"]
    assert scans.take_finished() == [] and scans.take_deletable() == [child]
    child.gone = []
    assert scans.take_finished() == [child]
    assert parent.work == 0
    assert not scans.is_idle(R)
    assert scans.take_finished() == [parent]
    assert scans.is_idle(R)


def test_a_dropped_root_keeps_the_slot_of_a_listing_scan() -> None:
    scans = Scans(slots=1, max_scopes=9)
    listing, waiting = scan("a"), scan("b")
    scans.request(listing)
    scans.start()
    scans.request(waiting)
    assert set(map(id, scans.drop(R))) == {id(listing), id(waiting)}
    assert listing.dropped and scans.count(R) == 1
    scans.request(scan("c", root=S))
    assert scans.start() is None
    scans.listed(listing)
    assert scans.start() is not None
    assert scans.is_idle(R)
