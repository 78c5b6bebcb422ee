"""Trees are brought into the form that the ranking evaluates, and learnt from each file once."""

import sys

import numpy as np
import pytest

from benchmarks.boosting import SCALE, by_file, learn, trees_of
from tests.benchmarks.test_fitting import asked, questions


def leaf(value: float) -> dict[str, object]:
    return {"leaf_value": value * SCALE}


def test_each_file_counts_once_by_its_best_chunk() -> None:
    one = asked("r", [("bad.py", [0.1, 0.0]), ("good.py", [0.6, 0.0]), ("bad.py", [0.4, 0.0])])
    rows, scores, answers = by_file(one, np.array([1.0, 0.0]))
    assert rows[:, 0].tolist() == [0.6, 0.4] == scores.tolist()
    assert answers.tolist() == [1, 0]


def test_a_tree_of_any_shape_has_four_leaves() -> None:
    split = {"split_feature": 1, "threshold": 0.5, "left_child": leaf(1.0), "right_child": leaf(2.0)}
    whole = {"split_feature": 0, "threshold": 0.5, "left_child": split, "right_child": leaf(4.0)}
    trees = trees_of([whole, leaf(9.0)], ("a", "b"))
    assert trees.values(np.array([[0.1, 0.1], [0.1, 0.9], [0.9, 0.1]])).tolist() == [1.0, 2.0, 4.0]


def test_without_lightgbm_the_message_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(SystemExit, match="pip install lightgbm"):
        learn(questions(), np.array([1.0, 1.0]), ("a", "b"))
