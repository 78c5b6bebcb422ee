"""Trees are brought into the form that the ranking evaluates, and learnt from each file once."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import fit
from benchmarks.boosting import SCALE, by_file, learn, trees_of
from benchmarks.fitting import Asked
from regend.search.ranking.pairs import Trees, loaded
from regend.search.ranking.weights import WEIGHTS
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


def test_the_command_learns_on_top_of_the_weights_in_use_and_writes_what_it_learnt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[list[float]] = []
    width = len(fit.FITTED)

    def learnt(asked: list[Asked], weights: np.ndarray, features: tuple[str, ...]) -> Trees:
        seen.append(weights.tolist())
        return Trees(features, np.zeros((1, 3), np.int64), np.zeros((1, 3)), np.full((1, 4), 0.25))

    wide = [replace(one, values=np.zeros((len(one.found), width))) for one in questions()[:4]]
    monkeypatch.setattr(fit, "indexed", lambda *_: wide)
    monkeypatch.setattr(fit, "learn", learnt)
    monkeypatch.setattr(fit.table_module, "__file__", str(tmp_path / "weights.py"))
    place = Path("q.json"), Path("judge.json"), tmp_path, tmp_path
    fit.run_pairs(*place)
    assert list(tmp_path.iterdir()) == []
    fit.run_pairs(*place, write=True)
    assert seen == [[WEIGHTS[name] for name in fit.FITTED]] * 2
    assert loaded((tmp_path / "pairs.json").read_text()).leaves.tolist() == [[0.25] * 4]
    assert "judge with pairs" in capsys.readouterr().out
