"""Pauses grow, are jittered over their full length, respect what a server asks for, and end with either budget."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.embedding.pacing.backoff import BackoffConfig, pause_s

CONFIG = BackoffConfig(attempts=6, budget_s=60.0, first_s=1.0, longest_s=5.0)


def test_the_upper_end_doubles_up_to_a_bound() -> None:
    assert [pause_s(CONFIG, n, 0.0, None, 1.0) for n in (1, 2, 3, 4, 5, 6)] == [1.0, 2.0, 4.0, 5.0, 5.0, None]
    many = BackoffConfig(attempts=10_000, longest_s=5.0)
    assert pause_s(many, 5_000, 0.0, None, 1.0) == 5.0


@given(st.integers(1, 5), st.floats(0.0, 1.0, exclude_max=True))
def test_jitter_covers_everything_from_zero(attempts: int, luck: float) -> None:
    longest = pause_s(CONFIG, attempts, 0.0, None, 1.0)
    assert longest is not None and pause_s(CONFIG, attempts, 0.0, None, luck) == pytest.approx(luck * longest)


def test_what_the_server_asks_for_is_the_least() -> None:
    assert pause_s(CONFIG, 1, 0.0, 7.0, 0.0) == 7.0
    assert pause_s(CONFIG, 1, 0.0, 7.0, 0.5) == pytest.approx(7.35)
    assert pause_s(CONFIG, 1, 0.0, 0.0, 0.5) == 0.0


def test_the_time_budget() -> None:
    assert pause_s(CONFIG, 1, 59.0, None, 1.0) == 1.0
    assert pause_s(CONFIG, 1, 59.1, None, 1.0) is None
    assert pause_s(CONFIG, 1, 0.0, 61.0, 0.0) is None


def test_one_attempt_is_no_retry() -> None:
    assert pause_s(BackoffConfig(attempts=1), 1, 0.0, 0.0, 0.0) is None
