"""The breaker opens after failures in a row, lets one request try after a pause, and closes when one succeeds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from regend.embedding.pacing.breaker import FAILURES, Breaker, BreakerState


def fail(breaker: Breaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        assert breaker.allows(now)
        breaker.start(now)
        breaker.failed(now)
        breaker.check_invariants()


def test_closed_until_enough_failures_in_a_row() -> None:
    breaker = Breaker()
    fail(breaker, FAILURES - 1)
    breaker.succeeded()
    fail(breaker, FAILURES - 1)
    assert breaker.state(0.0) is BreakerState.CLOSED and breaker.allows(0.0) and breaker.next_deadline() is None
    fail(breaker, 1)
    assert breaker.state(0.0) is BreakerState.OPEN and not breaker.allows(0.99) and breaker.next_deadline() == 1.0


def test_one_trial_after_the_pause() -> None:
    breaker = Breaker()
    fail(breaker, FAILURES)
    assert breaker.state(1.0) is BreakerState.HALF_OPEN and breaker.allows(1.0)
    breaker.start(1.0)
    assert not breaker.allows(1.0)
    breaker.succeeded()
    breaker.check_invariants()
    assert breaker.state(1.0) is BreakerState.CLOSED
    fail(breaker, FAILURES - 1, 1.0)
    assert breaker.allows(1.0), "failures count from zero again"


def test_failed_trials_make_the_pause_longer_up_to_a_bound() -> None:
    breaker, now, pauses = Breaker(), 0.0, []
    fail(breaker, FAILURES)
    for _ in range(8):
        deadline = breaker.next_deadline()
        assert deadline is not None
        pauses.append(deadline - now)
        now = deadline
        fail(breaker, 1, now)
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0]
    now += 60.0
    breaker.start(now)
    breaker.succeeded()
    fail(breaker, FAILURES, now)
    assert breaker.next_deadline() == now + 1.0, "and it starts small again"


def test_an_abandoned_trial_frees_the_place() -> None:
    breaker = Breaker()
    fail(breaker, FAILURES)
    breaker.start(1.0)
    breaker.abandoned()
    breaker.check_invariants()
    assert breaker.allows(1.0)


def test_late_answers_of_requests_sent_before_it_opened() -> None:
    breaker = Breaker()
    for _ in range(FAILURES + 2):
        breaker.start(0.0)
    for second in (*[0.5] * FAILURES, 0.6, 0.7):
        breaker.failed(second)
    assert breaker.next_deadline() == 1.5
    breaker.succeeded()
    assert breaker.state(0.5) is BreakerState.CLOSED


@given(st.lists(st.tuples(st.sampled_from("sofa"), st.floats(0.0, 3.0)), max_size=200))
def test_any_history(steps: list[tuple[str, float]]) -> None:
    """It always allows a request again in the end, whatever happened."""
    breaker, now = Breaker(), 0.0
    for step, seconds in steps:
        now += seconds
        if step == "s" and breaker.allows(now):
            breaker.start(now)
        elif step == "o":
            breaker.succeeded()
        elif step == "f":
            breaker.failed(now)
        elif step == "a":
            breaker.abandoned()
        breaker.check_invariants()
    breaker.abandoned()
    assert breaker.allows(max(now, breaker.next_deadline() or 0.0))
