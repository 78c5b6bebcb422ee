"""Learning the trees of `regend.search.ranking.pairs`: LambdaMART (Burges, 2010) on top of the fitted weights.

LightGBM does it, which nothing else needs: `pip install lightgbm==4.7.0`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.fitting import Asked, Matrix, Numbers, Vector
from benchmarks.metrics import hits
from regend.search.ranking.pairs import Trees

TREES = 150
ASKED_TIMES = 3
"""How often a question of the kind `asked` counts, of which there are few beside those of commits."""
SCALE = 8.0
"""Factor of a weighted sum before the booster sees it, whose loss takes a difference of 1 as a little doubt only. With
4, 8 and 16 NDCG@10 of `choose` rose by 0.0051, 0.0046 and 0.0023, with trees of three levels."""
_NEVER = 1e9
_SETTINGS: Mapping[str, object] = {
    "objective": "lambdarank",
    "lambdarank_truncation_level": 20,
    "max_depth": 2,
    "num_leaves": 4,
    "learning_rate": 0.08,
    "min_data_in_leaf": 100,
    "lambda_l2": 5.0,
    "feature_fraction": 0.6,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "seed": 1,
    "verbosity": -1,
}


def by_file(one: Asked, weights: Vector) -> tuple[Matrix, Vector, Numbers]:
    """Return for each file of a question, best first, its features, its score, and 1 where it is an answer."""
    scores, files = one.values @ weights + one.held, one.files
    order = np.argsort(-scores, kind="stable")
    _, first = np.unique(files[order], return_index=True)
    rows = order[np.sort(first)]
    right = {
        int(number)
        for number, found in zip(files, one.found, strict=True)
        if any(hits(found, target) for target in one.question.targets)
    }
    return one.values[rows], scores[rows], np.array([int(file) in right for file in files[rows]], np.int64)


def learn(asked: Sequence[Asked], weights: Vector, features: tuple[str, ...]) -> Trees:
    """Learn trees that improve the order by `weights`.

    Raises:
        SystemExit: LightGBM is missing.
    """
    try:
        lightgbm: Any = importlib.import_module("lightgbm")
    except ImportError:
        raise SystemExit("Trees are learnt by LightGBM; install it: pip install lightgbm==4.7.0") from None
    parts = [
        own
        for one in asked
        if one.found
        for own in [by_file(one, weights)] * (ASKED_TIMES if one.question.category == "asked" else 1)
    ]
    rows, scores, answers = (np.concatenate(each) for each in zip(*parts, strict=True))
    data = lightgbm.Dataset(
        rows, answers, group=[len(own) for own, _, _ in parts], init_score=SCALE * scores, free_raw_data=False
    )
    dumped = lightgbm.train(dict(_SETTINGS), data, TREES).dump_model()
    return trees_of([tree["tree_structure"] for tree in dumped["tree_info"]], features)


def trees_of(roots: Sequence[Mapping[str, Any]], features: tuple[str, ...]) -> Trees:
    """Bring LightGBM's trees of two levels into three questions and four leaves each."""
    columns, bounds, leaves = [], [], []
    for root in roots:
        if "split_feature" not in root:  # It found nothing more to ask.
            continue
        left, right = (_question(root[side]) for side in ("left_child", "right_child"))
        columns.append([root["split_feature"], left[0], right[0]])
        bounds.append([round(root["threshold"], 5), left[1], right[1]])
        leaves.append([round(leaf / SCALE, 6) for leaf in (*left[2], *right[2])])
    return Trees(
        features,
        np.array(columns, np.int64).reshape(-1, 3),
        np.array(bounds, np.float64).reshape(-1, 3),
        np.array(leaves, np.float64).reshape(-1, 4),
    )


def _question(node: Mapping[str, Any]) -> tuple[int, float, tuple[float, float]]:
    """Return column, bound and leaves of a child; one that asks nothing asks what is never true."""
    if "split_feature" not in node:
        return 0, _NEVER, (node["leaf_value"],) * 2
    leaves = node["left_child"]["leaf_value"], node["right_child"]["leaf_value"]
    return node["split_feature"], round(node["threshold"], 5), leaves
