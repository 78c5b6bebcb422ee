"""The built-in model: a table of word vectors learnt from code and its comments. How it was made: `docs/model.md`.

A text's vector is the weighted sum of its words' vectors, brought to unit length. Words and pairs of words come from
`code_words`, the table and the weights from `model.npz` beside this module. There is no model to download, no network
and no GPU.

The same text gives the same bits on every machine and in every batch: rows and weights are integers, and their products
and sums stay below 2**24, where single precision is exact in any order of summation.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from importlib import resources
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from regend.embedding.base import ModelInfo, Task
from regend.embedding.code_words import blocks
from regend.embedding.vocabulary import Bag, Vocabulary

FILE = "model.npz"
_TF_ONE = 16
"""Term frequencies are damped to `1 + ln(count)`, in sixteenths."""
_MAX_COUNT = 255
_MAX_WEIGHT_SUM = (1 << 24) // 128 - 1
"""Rows hold -127 to 127, so sums of at most this weight are exact in float32."""
_DAMPED = np.round((1.0 + np.log(np.arange(1, _MAX_COUNT + 2))) * _TF_ONE).astype(np.int64)


class StaticModel:
    """The arrays of the model; read-only, so threads may share one.

    Attributes:
        table: int8 [words, dim].
        document_weights: int64 [words]; what each word counts in a document, its row's scale included.
        query_weights: int64 [words]; the same in a query.
    """

    def __init__(self, raw: bytes) -> None:
        with np.load(io.BytesIO(raw)) as arrays:
            self.model_id = str(arrays["model_id"])
            self.table: npt.NDArray[np.int8] = arrays["table"]
            self.document_weights = arrays["document_weights"].astype(np.int64)
            self.query_weights = arrays["query_weights"].astype(np.int64)
            keys = arrays["keys"]
        self.vocabulary = Vocabulary(keys, len(self.table) - len(keys))

    def encode(self, texts: Sequence[str], task: Task) -> npt.NDArray[np.float32]:
        """Unit vectors, float32 [len(texts), dim]."""
        weights = self.query_weights if task == "query" else self.document_weights
        sums = np.zeros((len(texts), self.table.shape[1]), np.float32)
        for first, block in blocks(texts):
            self._sum(self.vocabulary.bag(block), weights, sums[first : first + len(block)])
        return _unit(sums)

    def _sum(self, bag: Bag, weights: npt.NDArray[np.int64], out: npt.NDArray[np.float32]) -> None:
        counted = weights[bag.ids] * _DAMPED[np.minimum(bag.counts, _MAX_COUNT) - 1] // _TF_ONE
        bounds = bag.start.tolist()
        for row, (low, high) in enumerate(pairwise(bounds)):
            if low == high:
                continue
            own = counted[low:high]
            total = int(own.sum())
            if total > _MAX_WEIGHT_SUM:
                own = own * _MAX_WEIGHT_SUM // total
            np.dot(own.astype(np.float32), self.table[bag.ids[low:high]].astype(np.float32), out=out[row])


def _unit(sums: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Rows at unit length. Squares are added up as integers: floating-point sums depend on the processor."""
    whole = sums.astype(np.int64)
    squares = np.einsum("ij,ij->i", whole, whole)
    empty = squares == 0
    if empty.any():  # No words that count: alike among themselves, like nothing else in particular.
        whole[empty, 0] = squares[empty] = 1
    return np.asarray(whole / np.sqrt(squares.astype(np.float64))[:, None], np.float32)


@cache
def built_in() -> StaticModel:
    """The model of the package, loaded once per process."""
    return StaticModel(resources.files(__package__).joinpath(FILE).read_bytes())


class StaticEncoder:
    """Implements `LocalEncoder` with the built-in model."""

    def __init__(self) -> None:
        self._model = built_in()
        self.info = ModelInfo(
            model_id=self._model.model_id,
            dim=self._model.table.shape[1],
            local=True,
            note="built in: word vectors learnt from permissively licensed code; nothing leaves this machine",
        )

    def encode(self, texts: Sequence[str], task: Task) -> npt.NDArray[np.float32]:
        """See `LocalEncoder.encode`."""
        return self._model.encode(texts, task)
