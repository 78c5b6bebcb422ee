"""The limit on requests at once grows while a server keeps up, falls when it refuses or slows, and never starves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regend.embedding.pacing.concurrency import EXTRA_URGENT, Concurrency


def fill(concurrency: Concurrency) -> int:
    count = 0
    while concurrency.allows(urgent=False):
        concurrency.start()
        count += 1
    return count


def rounds(concurrency: Concurrency, count: int, latency_of: object = None, start_at: float = 0.0) -> list[int]:
    """Fill it up and answer everything, again and again; the limit after each round."""
    limits = []
    for number in range(count):
        together = fill(concurrency)
        latency_s = 0.1 if latency_of is None else latency_of(together)  # type: ignore[operator]
        for _ in range(together):
            concurrency.answered(latency_s, 1_000, start_at + number)
        concurrency.check_invariants()
        limits.append(concurrency.limit)
    return limits


def test_doubles_at_first_up_to_the_maximum() -> None:
    concurrency = Concurrency(10)
    assert concurrency.limit == 2
    limits = rounds(concurrency, 8)
    assert limits[0] > 2 and limits == sorted(limits) and limits[-1] == 10


def test_a_maximum_of_one() -> None:
    concurrency = Concurrency(1)
    assert rounds(concurrency, 3) == [1, 1, 1]


def test_does_not_grow_while_it_is_not_used() -> None:
    concurrency = Concurrency(10)
    for _ in range(20):
        concurrency.start()
        concurrency.answered(0.1, 1_000, 0.0)
    assert concurrency.limit == 2


def test_refusals_halve_it_once_a_round_and_then_it_grows_slowly() -> None:
    concurrency = Concurrency(16)
    rounds(concurrency, 20)
    assert fill(concurrency) == 16
    for _ in range(16):
        concurrency.refused(0.1, 100.0)
    assert concurrency.limit == 8 and concurrency.running == 0
    limits = rounds(concurrency, 3, start_at=101.0)
    assert limits[0] < 10 and limits[-1] <= 12


def test_it_never_falls_below_one() -> None:
    concurrency = Concurrency(4)
    for second in range(20):
        concurrency.start()
        concurrency.refused(0.1, float(second))
        concurrency.check_invariants()
    assert concurrency.limit == 1 and concurrency.allows(urgent=False)


def test_a_server_with_one_place_is_not_crowded() -> None:
    """Requests wait for each other there: more at once only means longer."""
    concurrency = Concurrency(32)
    limits = rounds(concurrency, 200, latency_of=lambda together: 0.1 * together)
    assert max(limits[-50:]) <= 8


def test_a_server_that_became_slower_is_learnt_anew() -> None:
    concurrency = Concurrency(8)
    rounds(concurrency, 20)
    for second in range(200):
        concurrency.start()
        concurrency.answered(1.0, 1_000, 1_000.0 + second)
    assert concurrency.limit == 7, "trimmed once, until it was seen that alone is as slow"
    assert max(rounds(concurrency, 40, latency_of=lambda _: 1.0, start_at=2_000.0)) == 8


def test_small_jitter_is_no_slowness() -> None:
    concurrency = Concurrency(8)
    concurrency.start()
    concurrency.answered(0.001, 10, 0.0)
    concurrency.start()
    concurrency.answered(0.04, 10, 1.0)
    assert concurrency.limit == 2


def test_sizes_are_compared_with_their_like() -> None:
    concurrency = Concurrency(8)
    concurrency.start()
    concurrency.answered(0.01, 10, 0.0)
    for second in range(10):
        concurrency.start()
        concurrency.answered(3.0, 100_000, float(second))
    assert concurrency.limit == 2


def test_urgent_ones_have_places_of_their_own() -> None:
    concurrency = Concurrency(3)
    fill(concurrency)
    for _ in range(EXTRA_URGENT):
        assert concurrency.allows(urgent=True) and not concurrency.allows(urgent=False)
        concurrency.start()
    assert not concurrency.allows(urgent=True)
    concurrency.abandoned()
    assert concurrency.allows(urgent=True)


@given(st.integers(1, 40), st.lists(st.tuples(st.sampled_from("sarx"), st.floats(0.001, 30)), max_size=200))
def test_any_history(maximum: int, steps: list[tuple[str, float]]) -> None:
    concurrency, now = Concurrency(maximum), 0.0
    for step, seconds in steps:
        now += seconds
        if step == "s":
            concurrency.start()
        elif concurrency.running and step == "a":
            concurrency.answered(seconds, seconds * 100, now)
        elif concurrency.running and step == "r":
            concurrency.refused(seconds, now)
        elif concurrency.running:
            concurrency.abandoned()
        concurrency.check_invariants()
