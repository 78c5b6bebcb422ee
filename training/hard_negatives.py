"""Wrong answers that look right: for a question, the code that BM25 takes for the answer.

Used by `Sampling.hard`, a share of batches in which every question comes with such code.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.dataset import Data, Ints

POOL = 16_000
"""Records of one language among which is looked; more are drawn at random."""
ASKED = 3_000
"""Questions of each language."""
NEAR = 7
_K1, _B = 1.2, 0.75
_COMMON = 0.1
"""Words in more than this share of the pool are left out: they decide little and take long."""


def groups(data: Data, rows: Ints, random: np.random.Generator) -> list[Ints]:
    """Group records: one with a doc, and those of its language that BM25 finds for the doc's first sentence.

    Args:
        rows: records to choose from, int64 [n].
    """
    found: list[Ints] = []
    for language in np.unique(data.language[rows]):
        own = rows[data.language[rows] == language]
        pool = np.sort(random.choice(own, min(POOL, len(own)), replace=False))
        asked = pool[np.diff(data.fields["sentence"].start)[pool] >= 4]
        if len(pool) < 200:
            continue
        postings = _Postings(data, pool)
        for row in random.permutation(asked)[:ASKED]:
            scores = postings.scores(_words(data, "sentence", int(row)))
            near = pool[np.argpartition(-scores, NEAR)[: NEAR + 1]]
            found.append(np.concatenate([[row], near[near != row][:NEAR]]))
    return found


class _Postings:
    def __init__(self, data: Data, pool: Ints) -> None:
        body = data.fields["body"]
        lengths = body.start[pool + 1] - body.start[pool]
        at = np.concatenate([np.arange(body.start[row], body.start[row + 1]) for row in pool])
        ids, counts = body.ids[at].astype(np.int64), body.counts[at].astype(np.float32)
        docs = np.repeat(np.arange(len(pool)), lengths)
        sizes = np.bincount(docs, weights=counts, minlength=len(pool))
        order = np.argsort(ids, kind="stable")
        damping = _K1 * (1 - _B + _B * sizes[docs] / sizes.mean())
        self._docs = docs[order]
        self._worth = (counts * (_K1 + 1) / (counts + damping))[order]
        self._start = np.searchsorted(ids[order], np.arange(len(data.vocabulary) + 1))
        self._size = len(pool)

    def scores(self, words: Ints) -> npt.NDArray[np.float64]:
        total = np.zeros(self._size)
        for word in words:
            low, high = self._start[word], self._start[word + 1]
            count = high - low
            if 0 < count <= _COMMON * self._size:
                idf = np.log(1 + (self._size - count + 0.5) / (count + 0.5))
                total[self._docs[low:high]] += idf * self._worth[low:high]
        return total


def _words(data: Data, field: str, row: int) -> Ints:
    ragged = data.fields[field]
    return ragged.ids[ragged.start[row] : ragged.start[row + 1]].astype(np.int64)
