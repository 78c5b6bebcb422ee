"""The factor on estimated tokens follows what was really used, slowly, and stays within reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.embedding.pacing.tokenscale import TokenScale


def test_starts_at_one_and_learns() -> None:
    scale = TokenScale()
    assert scale.factor == 1.0
    scale.learn(1_000, 1_500)
    assert scale.factor == 1.5
    scale.learn(1_000, 500)
    assert scale.factor == pytest.approx(1.0, rel=0.01)


def test_what_is_old_is_forgotten() -> None:
    scale = TokenScale()
    for _ in range(100):
        scale.learn(10_000, 20_000)
    for _ in range(100):
        scale.learn(10_000, 8_000)
    assert scale.factor == pytest.approx(0.8, rel=0.02)
    scale.learn(1e9, 3e9)
    assert scale.factor == pytest.approx(3.0)


@pytest.mark.parametrize(("estimated", "actual"), [(0, 5), (5, 0), (-1, 5), (5, -1)])
def test_nothing_is_learnt_from_nonsense(estimated: float, actual: float) -> None:
    scale = TokenScale()
    scale.learn(estimated, actual)
    assert scale.factor == 1.0


@given(st.lists(st.tuples(st.floats(-10, 1e6), st.floats(-10, 1e7)), max_size=30))
def test_bounded(pairs: list[tuple[float, float]]) -> None:
    scale = TokenScale()
    for estimated, actual in pairs:
        scale.learn(estimated, actual)
        assert 0.2 <= scale.factor <= 5.0
