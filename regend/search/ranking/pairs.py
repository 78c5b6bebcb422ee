"""Pairs of features: small boosted trees, which add to the weighted sum what two features say only together.

Pure. Each tree asks one feature, and then another one or the same again; its leaf adds a little to the score of a file.
They were learnt by `python -m benchmarks fit --pairs --write` on top of the weights, see docs/search.md.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib import resources

import numpy as np
import numpy.typing as npt

FILE = "pairs.json"

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trees:
    """Boosted trees of two levels.

    Attributes:
        features: names of the columns that they ask.
        columns: int64 [trees, 3], what the root asks, and what its left and its right child ask.
        bounds: float64 [trees, 3]; a greater value goes to the right.
        leaves: float64 [trees, 4], from left to right.
    """

    features: tuple[str, ...]
    columns: Numbers
    bounds: Floats
    leaves: Floats

    def values(self, rows: Floats) -> Floats:
        """Return what all trees together add for each row (float64 [rows, features])."""
        right = rows[:, self.columns] > self.bounds
        leaf = np.where(right[..., 0], 2 + right[..., 2], right[..., 1])
        return np.asarray(np.take_along_axis(self.leaves[None], leaf[..., None], 2)[..., 0].sum(1))

    def dumped(self) -> str:
        """Return the text that `loaded` reads: a line for each tree."""
        rows = zip(self.columns.tolist(), self.bounds.tolist(), self.leaves.tolist(), strict=True)
        lines = ",\n".join(json.dumps([*columns, *bounds, *leaves]) for columns, bounds, leaves in rows)
        return f'{{"features": {json.dumps(self.features)},\n"trees": [\n{lines}\n]}}\n'


def loaded(text: str) -> Trees:
    """Read what `Trees.dumped` wrote."""
    found = json.loads(text)
    rows = np.array(found["trees"], np.float64).reshape(-1, 10)
    return Trees(tuple(found["features"]), rows[:, :3].astype(np.int64), rows[:, 3:6], rows[:, 6:])


TREES = loaded(resources.files(__package__).joinpath(FILE).read_text())
