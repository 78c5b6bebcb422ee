"""Fitting finds the feature that tells answers, and charges repeats as the ranking does."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.annotations import Question, Repository
from benchmarks.fit import FITTED, HELD, TOTAL, rewritten, used
from benchmarks.fitting import Asked, Problem, fit, judged, without
from benchmarks.metrics import Found, Target, Worth
from regend.search.ranking import weights as table_module
from regend.search.ranking.features import FEATURES


def asked(name: str, rows: list[tuple[str, list[float]]], answer: str = "good.py", held: float = 0.0) -> Asked:
    question = Question("q", (Target(answer),), "semantic")
    repository = Repository(name, "go", "", Path("/r"), (question,))
    found = tuple(Found(path, 1 + 10 * n, 9 + 10 * n) for n, (path, _) in enumerate(rows))
    return Asked(repository, question, found, np.array([v for _, v in rows]), np.full(len(rows), held))


NOISE = np.random.default_rng(5).random(40)


def questions() -> list[Asked]:
    """The first feature tells the answer, the second one nothing."""
    return [
        asked(
            f"r{n % 4}", [("bad.py", [0.4, NOISE[2 * n]]), ("good.py", [0.6, NOISE[2 * n + 1]]), ("bad.py", [0.1, 1.0])]
        )
        for n in range(20)
    ]


def test_the_gradient_is_that_of_the_loss() -> None:
    problem, weights = Problem(questions()), np.array([0.7, 0.4])
    _, gradient = problem.loss(weights)
    for axis in range(2):
        step = np.zeros(2)
        step[axis] = 1e-6
        slope = (problem.loss(weights + step)[0] - problem.loss(weights - step)[0]) / 2e-6
        assert gradient[axis] == pytest.approx(slope, rel=1e-4)


def test_the_telling_feature_gets_the_weight() -> None:
    weights = fit(questions(), 1e-4)
    assert weights[0] > 10 * weights[1] >= 0.0
    assert all(result.ndcg == 1.0 for result in judged(questions(), weights, 2.0))


def test_a_strong_pull_leaves_little() -> None:
    assert fit(questions(), 1e4) == pytest.approx(np.zeros(2), abs=0.02)


def test_the_scale_in_use_keeps_proportions() -> None:
    assert used(np.array([1.0, 2.0])) == pytest.approx(np.array([TOTAL / 3, TOTAL * 2 / 3]))


def test_further_chunks_of_a_file_are_charged() -> None:
    one = asked("r", [("bad.py", [1.0]), ("bad.py", [0.9]), ("good.py", [0.5])])
    weight = np.array([1.0])
    assert judged([one], weight, 0.0) == [Worth(pytest.approx(0.5), pytest.approx(1 / 3), 1.0)]
    assert judged([one], weight, 2.0)[0].mrr == 0.5
    assert judged([one], weight, 0.7, 0.0)[0].mrr == pytest.approx(1 / 3)
    assert judged([one], weight, 0.7, 1.0)[0].mrr == 0.5


def test_what_is_held_counts() -> None:
    one = asked("r", [("bad.py", [1.0]), ("good.py", [0.5])])
    one.held[1] = 2.0
    assert judged([one], np.array([1.0]), 2.0)[0].ndcg == 1.0


def test_questions_without_candidates_or_answers_are_no_error() -> None:
    lost = asked("r", [("bad.py", [1.0, 0.0])])
    empty = Asked(lost.repository, lost.question, (), np.zeros((0, 2)), np.zeros(0))
    assert fit([*questions(), lost, empty], 0.01)[0] > 0
    assert judged([lost, empty], np.array([1.0, 1.0]), 2.0) == [Worth(0, 0, 0)] * 2


def test_dropping_a_feature() -> None:
    assert [one.values.shape[1] for one in without(questions(), 0)] == [1] * 20


def test_every_feature_is_fitted_or_held() -> None:
    assert {feature.name for feature in FEATURES} == set(FITTED) | HELD
    assert not HELD & set(FITTED)


def test_writing_changes_fitted_weights_only() -> None:
    source = Path(table_module.__file__).read_text()
    values: dict[str, object] = {}
    exec(rewritten(source, np.full(len(FITTED), 0.12345)), values)
    new = values["WEIGHTS"]
    assert isinstance(new, dict)
    assert new == {name: weight if name in HELD else 0.123 for name, weight in table_module.WEIGHTS.items()}
