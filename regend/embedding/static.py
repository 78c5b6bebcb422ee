"""The built-in model: a table of word vectors learnt from code and its comments. How it was made: `docs/model.md`.

A text's vector is the weighted sum of its words' vectors, brought to unit length; a document's goes through one hidden
layer besides, which sees which words stand together. Words and pairs of words come from `code_words`, all numbers from
`model.npz` beside this module. There is no model to download, no network and no GPU.

The same text gives the same bits on every machine and in every batch: what is multiplied and added up are integers
whose sums stay below 2**24, where single precision is exact in any order of summation.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache, cached_property
from importlib import resources
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from regend.embedding.base import ModelInfo, Task
from regend.embedding.code_words import VERSION, blocks, words_of
from regend.embedding.vocabulary import Bag, Vocabulary

FILE = "model.npz"
_TF_ONE = 16
"""Term frequencies are damped to `1 + ln(count)`, in sixteenths."""
_MAX_COUNT = 255
_MAX_WEIGHT_SUM = (1 << 24) // 128 - 1
"""Rows hold -127 to 127, so sums of at most this weight are exact in float32."""
_RARE_PERCENT = 90
INPUT_ONE = 1024
"""The integer that stands for 1 as an input of the hidden layer. A unit vector's numbers add up to at most 16 of these,
so the layer's sums stay below 16 * 1024 * 127, and its bias has room."""
MAX_ACTIVATION = 255
"""512 hidden units at most: 512 * 255 * 127 is below 2**24."""
_DAMPED = np.round((1.0 + np.log(np.arange(1, _MAX_COUNT + 2))) * _TF_ONE).astype(np.int64)


class StaticEncoder:
    """Implements `LocalEncoder`; read-only, so threads may share one.

    Args:
        raw: an archive of the arrays below.

    Attributes:
        table: int8 [words, dim].
        document_weights: int64 [words]; what each word counts in a document, its row's scale included.
        query_weights: int64 [words]; the same in a query.
        into, bias, shift: of the hidden layer: float32 [dim, hidden] and [hidden], both whole numbers; int64 [hidden].
        out: float32 [hidden, dim], whole numbers.
        residual: what 1 of a vector is beside the layer's output.
    """

    def __init__(self, raw: bytes) -> None:
        with np.load(io.BytesIO(raw)) as arrays:
            model_id = str(arrays["model_id"])
            self.table: npt.NDArray[np.int8] = arrays["table"]
            self.document_weights = arrays["document_weights"].astype(np.int64)
            self.query_weights = arrays["query_weights"].astype(np.int64)
            self.into = arrays["into"].astype(np.float32)
            self.bias = arrays["bias"].astype(np.float32)
            self.shift = arrays["shift"].astype(np.int64)
            self.out = arrays["out"].astype(np.float32)
            self.residual = int(arrays["residual"])
            keys = arrays["keys"]
        self.vocabulary = Vocabulary(keys, len(self.table) - len(keys))
        self.info = ModelInfo(
            model_id=f"{model_id}-w{VERSION}",
            dim=self.table.shape[1],
            local=True,
            quick=True,
            note="built in: word vectors learnt from permissively licensed code; nothing leaves this machine",
        )

    def knows(self, text: str) -> bool:
        """Return whether the model has a vector of its own for a word of the text; unknown words share vectors."""
        return any(self.vocabulary.find(words_of(block).hashes).any() for _, block in blocks([text]))

    def importance(self, words: Sequence[str]) -> list[float]:
        """Return how much each word turns the vector of a query that it is in; an unknown word counts as a rare one."""
        importance, unknown = self._importance
        parts = words_of([word.encode() for word in words])
        text, first = np.unique(parts.text, return_index=True)
        found = self.vocabulary.find(parts.hashes[first])
        worth = np.full(len(words), unknown)
        worth[text[found > 0]] = importance[found[found > 0] - 1]
        return [float(each) for each in worth]

    @cached_property
    def _importance(self) -> tuple[npt.NDArray[np.float64], float]:
        """The importance of each known word, and of an unknown one. Workers, which see no query, never need it."""
        rows = self.table[: len(self.vocabulary.keys)]
        squares = np.concatenate([np.sum(part.astype(np.float32) ** 2, axis=1) for part in np.array_split(rows, 32)])
        importance = np.sqrt(squares) * self.query_weights[: len(rows)]
        return importance, float(np.percentile(importance, _RARE_PERCENT))

    def encode(self, texts: Sequence[str], task: Task) -> npt.NDArray[np.float32]:
        """See `LocalEncoder.encode`."""
        weights = self.query_weights if task == "query" else self.document_weights
        vectors = np.zeros((len(texts), self.table.shape[1]), np.float32)
        for first, block in blocks(texts):
            rows = vectors[first : first + len(block)]
            self._sum(self.vocabulary.bag(block), weights, rows)
            unit = _unit(rows.astype(np.int64))
            rows[:] = unit if task == "query" else self._deepened(unit)
        return vectors

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
            np.dot(own.astype(np.float32), self.table.take(bag.ids[low:high], axis=0).astype(np.float32), out=out[row])

    def _deepened(self, unit: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Apply the hidden layer: ``u + out(relu(into(u) + bias))``, at unit length again."""
        given = np.rint(unit * INPUT_ONE).astype(np.float32)
        hidden = np.maximum(given @ self.into + self.bias, 0.0).astype(np.int64) >> self.shift
        added = np.minimum(hidden, MAX_ACTIVATION).astype(np.float32) @ self.out
        return _unit(np.rint(unit * self.residual).astype(np.int64) + added.astype(np.int64))


def _unit(whole: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Bring rows to unit length. Squares are added up as integers: floating-point sums depend on the processor."""
    squares = np.einsum("ij,ij->i", whole, whole)
    empty = squares == 0
    if empty.any():  # No words that count: alike among themselves, like nothing else in particular.
        whole[empty, 0] = squares[empty] = 1
    return np.asarray(whole / np.sqrt(squares.astype(np.float64))[:, None])


@cache
def built_in() -> StaticEncoder:
    """Load the model of the package, once per process."""
    return StaticEncoder(resources.files(__package__).joinpath(FILE).read_bytes())
