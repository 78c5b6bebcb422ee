"""Scores of both legs are put on one scale and blended, never fused by rank."""

import pytest

from regend.search.fusion import best_three, blend, normalised_bm25, normalised_cosine, vector_weight


def test_bm25_is_divided_by_the_top() -> None:
    assert normalised_bm25({1: 8.0, 2: 2.0}) == {1: 1.0, 2: 0.25}
    assert normalised_bm25({}) == {}
    assert normalised_bm25({1: 0.0}) == {1: 0.0}


def test_a_weak_top_cosine_is_not_stretched() -> None:
    assert normalised_cosine({1: 0.1, 2: -0.5})[1] < 0.5
    assert normalised_cosine({1: 0.8, 2: 0.4, 3: -0.1}) == {1: 1.0, 2: 0.5, 3: 0.0}


def test_blend_is_a_weighted_mean() -> None:
    assert blend({1: 1.0, 2: 0.5}, {2: 1.0, 3: 0.5}, 1.0) == pytest.approx({1: 0.5, 2: 0.75, 3: 0.25})


def test_without_vectors_or_weight_bm25_stands_alone() -> None:
    assert blend({1: 1.0}, {}, 1.0) == {1: 1.0}
    assert blend({1: 1.0}, {2: 1.0}, 0.0) == {1: 1.0}


def test_a_name_leans_on_the_model_less_than_a_question() -> None:
    assert vector_weight(1.0, "identifier") < vector_weight(1.0, "mixed") < vector_weight(1.0, "language")


def test_best_three() -> None:
    assert best_three([1.0, 5.0, 2.0, 4.0]) == 11.0
    assert best_three([]) == 0.0
