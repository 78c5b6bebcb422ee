"""Trees over pairs of features: what they add is what their leaves say, and never more than a promise weighs."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.fit import FITTED
from regend.search.ranking.pairs import TREES, Trees, loaded
from tests.search.ranking.test_features import MOST_OF_PAIRS

SHARE = st.floats(0.0, 1.0, allow_subnormal=False)


def walked(trees: Trees, row: list[float]) -> float:
    """Follow each tree from its root, one question after the other."""
    total = 0.0
    for columns, bounds, leaves in zip(trees.columns, trees.bounds, trees.leaves, strict=True):
        side = int(row[columns[0]] > bounds[0])
        total += float(leaves[2 * side + int(row[columns[1 + side]] > bounds[1 + side])])
    return total


@given(st.lists(st.lists(SHARE, min_size=len(TREES.features), max_size=len(TREES.features)), min_size=1, max_size=5))
def test_all_rows_at_once_are_as_one_by_one(rows: list[list[float]]) -> None:
    assert np.allclose(TREES.values(np.array(rows)), [walked(TREES, row) for row in rows])


def test_the_shipped_trees_ask_the_fitted_features() -> None:
    assert TREES.features == FITTED
    assert len(TREES.leaves) > 100
    assert TREES.columns.min() >= 0
    assert TREES.columns.max() < len(FITTED)


def test_they_add_or_take_less_than_1() -> None:
    assert TREES.leaves.max(1).sum() < MOST_OF_PAIRS
    assert TREES.leaves.min(1).sum() > -MOST_OF_PAIRS


def test_what_is_written_is_read_again() -> None:
    again = loaded(TREES.dumped())
    assert again.features == TREES.features
    assert all(np.array_equal(getattr(again, name), getattr(TREES, name)) for name in ("columns", "bounds", "leaves"))
