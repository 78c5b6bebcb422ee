"""The model as torch sees it: a table of word vectors, and how much each word counts in documents and in queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True, slots=True)
class Bags:
    """Texts as bags of words: text i has `ids[start[i]:start[i + 1]]` with term weights `tf` (already damped)."""

    start: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    tf: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.start) - 1

    def part(self, first: int, last: int) -> Bags:
        """Return texts `first` to `last - 1`."""
        low, high = self.start[first], self.start[last]
        return Bags(self.start[first : last + 1] - low, self.ids[low:high], self.tf[low:high])


class WordBagModel(nn.Module):
    """Sum of weighted word vectors, normalised.

    Args:
        words: rows of the table.
        dim: of each vector.
        query_table: queries have a table of their own.
        hidden: width of a residual layer over document vectors; 0 for none.
    """

    def __init__(
        self, words: int, dim: int, query_table: bool = False, hidden: int = 0, query_map: bool = False
    ) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(words, dim) * dim**-0.5)
        self.query_table = nn.Parameter(self.table.detach().clone()) if query_table else None
        self.document_gain = nn.Parameter(torch.zeros(words))
        self.query_gain = nn.Parameter(torch.zeros(words))
        self.into = nn.Linear(dim, hidden) if hidden else None
        self.out = nn.Linear(hidden, dim, bias=False) if hidden else None
        if self.out is not None:
            nn.init.zeros_(self.out.weight)
        self.query_map = nn.Linear(dim, dim, bias=False) if query_map else None
        if self.query_map is not None:
            nn.init.eye_(self.query_map.weight)

    def documents(self, bags: Bags) -> Tensor:
        """Encode documents as unit vectors [len(bags), dim]."""
        pooled = functional.normalize(self._pool(bags, self.table, self.document_gain))
        if self.into is not None and self.out is not None:
            pooled = pooled + self.out(functional.relu(self.into(pooled)))
        return functional.normalize(pooled)

    @torch.no_grad()
    def pooled(self, bags: Bags) -> npt.NDArray[np.float64]:
        """Compute the input of the hidden layer: unit vectors, float64 [len(bags), dim]."""
        return functional.normalize(self._pool(bags, self.table, self.document_gain)).double().numpy()

    @classmethod
    def of(cls, saved: dict[str, Any]) -> WordBagModel:
        """Load the model of a file that `train` has written."""
        recipe, state = saved["settings"]["recipe"], saved["state"]
        words, dim = state["table"].shape
        model = cls(words, dim, recipe["query_table"], recipe["hidden"], recipe["query_map"])
        model.load_state_dict(state)
        return model

    def queries(self, bags: Bags) -> Tensor:
        """Encode questions as unit vectors [len(bags), dim]."""
        table = self.table if self.query_table is None else self.query_table
        pooled = functional.normalize(self._pool(bags, table, self.query_gain))
        if self.query_map is not None:
            pooled = functional.normalize(self.query_map(pooled))
        return pooled

    def _pool(self, bags: Bags, table: Tensor, gain: Tensor) -> Tensor:
        ids = torch.from_numpy(bags.ids)
        weights = torch.from_numpy(bags.tf) * torch.exp(gain[ids])
        return functional.embedding_bag(
            ids, table, torch.from_numpy(bags.start[:-1]), mode="sum", per_sample_weights=weights
        )


@torch.no_grad()
def encode_all(model: WordBagModel, bags: Bags, side: str, batch: int = 4096) -> npt.NDArray[np.float32]:
    """Encode many texts as vectors: float32 [len(bags), dim]."""
    encode = model.queries if side == "query" else model.documents
    parts = [encode(bags.part(at, min(at + batch, len(bags)))).numpy() for at in range(0, len(bags), batch)]
    return np.concatenate(parts)
