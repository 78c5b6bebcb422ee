"""Scores of both legs are put on one scale and blended, never fused by rank."""

import pytest

from regend.search.legs.fusion import blend, vector_weight


def test_bm25_is_divided_by_the_top() -> None:
    assert blend({1: 8.0, 2: 2.0}, {}, 1.0).blended == {1: 1.0, 2: 0.25}
    assert blend({}, {}, 1.0).blended == {}
    assert blend({1: 0.0}, {}, 1.0).blended == {1: 0.0}


def test_cosines_are_divided_by_the_top_and_never_below_nothing() -> None:
    scores = blend({3: 0.0}, {1: 0.8, 2: 0.4, 3: -0.1, 4: -0.1}, 1.0)
    assert scores.blended == {1: 0.5, 2: 0.25, 3: 0.0}
    assert scores.meaning == {1: 1.0, 2: 0.5}


def test_a_weak_top_cosine_is_not_stretched() -> None:
    assert blend({}, {1: 0.1}, 1.0).blended[1] < 0.25


def test_blend_is_a_weighted_mean() -> None:
    assert blend({1: 4.0, 2: 2.0}, {2: 0.8, 3: 0.4}, 1.0).blended == pytest.approx({1: 0.5, 2: 0.75, 3: 0.25})
    assert blend({1: 4.0, 2: 2.0}, {2: 0.8, 3: 0.4}, 3.0).blended == pytest.approx({1: 0.25, 2: 0.875, 3: 0.375})


def test_without_weight_bm25_stands_alone() -> None:
    assert blend({1: 3.0}, {2: 1.0}, 0.0).blended == {1: 1.0}


def test_a_name_leans_on_the_model_less_than_a_question() -> None:
    assert vector_weight(1.0, "identifier") < vector_weight(1.0, "mixed") < vector_weight(1.0, "language")
