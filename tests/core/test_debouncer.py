"""Hints are released after a quiet moment, never later than the maximum delay, and none is ever lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regend.core.debouncer import DebounceConfig, Debouncer
from regend.core.scans import Scan
from regend.core.watermark import Watermark
from regend.types import RootId

R, S = RootId(1), RootId(2)
CONFIG = DebounceConfig(quiet_s=1.0, max_delay_s=5.0, storm_paths=3, busy_limit_s=10.0)


def released(scans: list[Scan]) -> list[tuple[RootId, tuple[str, ...], bool, list[int]]]:
    return [(scan.root, scan.scopes, scan.trust, scan.seqs) for scan in scans]


def test_released_after_quiet() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    debouncer.add_path(R, "a", 0.0)
    debouncer.add_path(R, "a", 0.5)
    assert debouncer.take_due(1.0) == []
    assert debouncer.pending(R) == 1
    assert released(debouncer.take_due(1.5)) == [(R, ("a",), False, [1])]
    assert debouncer.pending(R) == debouncer.pending(S) == 0
    assert debouncer.next_deadline() is None


def test_released_at_the_maximum_delay_although_it_never_rests() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    released = []
    for tenth in range(100):
        debouncer.add_path(R, "log", tenth / 10)
        released += [tenth / 10 for _ in debouncer.take_due(tenth / 10)]
    assert released == [5.0]


def test_a_quiet_path_does_not_wait_for_a_busy_one() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    debouncer.add_path(R, "quiet", 0.0)
    debouncer.add_path(R, "busy", 0.9)
    assert released(debouncer.take_due(1.0)) == [(R, ("quiet",), False, [1])]


def test_a_storm_collapses_to_one_rescan_that_holds_every_number() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    for n in range(4):
        debouncer.add_path(R, f"f{n}", 0.0)
    debouncer.add_path(R, "f9", 0.5)
    debouncer.check_invariants()
    assert released(debouncer.take_due(1.5)) == [(R, ("",), True, [1, 2, 3, 4])]


def test_many_rescans_collapse_too() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    for n in range(4):
        debouncer.add_rescan(R, f"d{n}", 0.0)
    debouncer.add_rescan(R, "d0", 0.0)
    assert released(debouncer.take_due(1.0)) == [(R, ("",), True, [1, 2, 3, 4])]


def test_a_rescan_of_the_whole_takes_the_hints_with_it() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    debouncer.add_path(R, "a", 0.0)
    debouncer.add_rescan(R, "", 0.0)
    assert released(debouncer.take_due(1.0)) == [(R, ("",), True, [1, 2])]


def test_hints_and_rescans_are_told_apart() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    debouncer.add_path(R, "a", 0.0)
    debouncer.add_rescan(R, "d", 0.0)
    assert released(debouncer.take_due(1.0)) == [(R, ("a",), False, [1]), (R, ("d",), True, [2])]


def test_a_busy_root_waits_for_git_and_no_longer_than_the_limit() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    debouncer.set_busy(R, True, 0.0)
    debouncer.add_path(R, "a", 0.0)
    debouncer.add_path(S, "b", 0.0)
    assert released(debouncer.take_due(2.0)) == [(S, ("b",), False, [2])]
    assert debouncer.next_deadline() == 10.0
    assert released(debouncer.take_due(10.0)) == [(R, ("a",), False, [1])]


def test_a_root_is_released_when_git_is_done() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    debouncer.add_path(R, "a", 0.0)
    debouncer.set_busy(R, True, 0.0)
    assert debouncer.take_due(3.0) == []
    debouncer.set_busy(R, False, 3.0)
    assert released(debouncer.take_due(3.0)) == [(R, ("a",), False, [1])]


def test_a_flush_takes_everything_now() -> None:
    debouncer = Debouncer(CONFIG, Watermark())
    debouncer.set_busy(R, True, 0.0)
    debouncer.add_path(R, "a", 0.0)
    debouncer.add_rescan(S, "", 0.0)
    assert released(debouncer.release_all()) == [(R, ("a",), False, [1]), (S, ("",), True, [2])]
    assert debouncer.next_deadline() is None


def test_a_dropped_root_releases_its_numbers() -> None:
    watermark = Watermark()
    debouncer = Debouncer(CONFIG, watermark)
    for n in range(5):
        debouncer.add_path(R, f"f{n}", 0.0)
    assert watermark.held_count == 4, "the fifth hint joined the storm"
    debouncer.drop(R)
    debouncer.drop(R)
    assert watermark.held_count == 0
    assert debouncer.take_due(99.0) == []


@given(st.lists(st.tuples(st.floats(0, 2), st.sampled_from("abcd"), st.booleans()), max_size=40))
def test_every_hint_is_covered_in_time(steps: list[tuple[float, str, bool]]) -> None:
    """Oracle: each hint must be followed, within the maximum delay, by a release that covers its path."""
    watermark = Watermark()
    debouncer = Debouncer(CONFIG, watermark)
    now, open_hints = 0.0, dict[str, float]()

    def release(at: float) -> None:
        for due in debouncer.take_due(at):
            watermark.release(*due.seqs)
            for path in list(open_hints):
                if "" in due.scopes or path in due.scopes:
                    assert at - open_hints.pop(path) <= CONFIG.max_delay_s + 1e-9

    for pause, path, rescan in steps:
        target = now + pause
        while (deadline := debouncer.next_deadline()) is not None and deadline <= target:
            now = max(now, deadline)
            release(now)
        now = target
        add = debouncer.add_rescan if rescan else debouncer.add_path
        add(R, path, now)
        open_hints.setdefault(path, now)
        debouncer.check_invariants()
    while (deadline := debouncer.next_deadline()) is not None:
        now = max(now, deadline)
        release(now)
    assert not open_hints and watermark.held_count == 0
