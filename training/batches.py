"""Batches of (question, code): which field of a record asks, and what of the code is shown, is drawn each time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from training.dataset import Data, Ints, Ragged
from training.hard_negatives import NEAR, groups
from training.model import Bags

_SHIFT = 16
_MASK = (1 << _SHIFT) - 1


@dataclass(frozen=True, slots=True)
class Sampling:
    """Settings of how batches are drawn.

    Attributes:
        size: pairs of a batch.
        shares: of questions by field: the first sentence of the doc, all of it, the name, the words of the path.
        dropout: share of a document's words left out.
        mask_name: share of documents without the words of their name, when the name is not the question.
        mask_asked_name: the same, when it is.
        with_doc: share of documents that keep their doc when something else is asked.
        with_symbol: share of documents that begin with their qualified name, as in the index.
        packages: share of batches that are made of whole packages, where negatives are close.
        languages: share of batches of a single language.
        hard: share of batches in which each question comes with code that BM25 takes for its answer.
        balance: exponent of a language's size in how often it is drawn; 1 for as often as it is there.
    """

    size: int = 2048
    shares: tuple[float, float, float, float] = (0.38, 0.18, 0.28, 0.16)
    dropout: float = 0.35
    mask_name: float = 0.35
    mask_asked_name: float = 0.1
    with_doc: float = 0.5
    with_symbol: float = 0.9
    packages: float = 0.25
    languages: float = 0.25
    hard: float = 0.0
    balance: float = 0.6
    query_dropout: float = 0.1


class Sampler:
    """Draws batches from the records of a split."""

    def __init__(self, data: Data, sampling: Sampling, seed: int, rows: Ints | None = None) -> None:
        self._data = data
        self._sampling = sampling
        self._random = np.random.default_rng(seed)
        self.rows = np.flatnonzero(data.split == 0) if rows is None else rows
        has_doc = np.diff(data.fields["sentence"].start)[self.rows] > 0
        sizes = np.bincount(data.language[self.rows], minlength=len(data.names["language"])).astype(np.float64)
        language_share = np.where(sizes > 0, sizes**sampling.balance, 0.0)
        language_share /= language_share.sum()
        weight = language_share[data.language[self.rows]] / sizes[data.language[self.rows]]
        weight = np.where(has_doc, weight, weight * 0.35)
        self._cumulative = np.cumsum(weight / weight.sum())
        self._has_doc = np.zeros(len(data.language), np.bool_)
        self._has_doc[self.rows] = has_doc
        self._by_language = {
            int(one): self.rows[data.language[self.rows] == one] for one in np.unique(data.language[self.rows])
        }
        self._language_share = language_share
        order = np.argsort(data.package[self.rows], kind="stable")
        bounds = np.searchsorted(data.package[self.rows][order], np.arange(len(data.names["package"]) + 1))
        self._hard = groups(data, self.rows, self._random) if sampling.hard else []
        self._by_package = [self.rows[order[a:b]] for a, b in pairwise(bounds) if b - a >= 8]

    def batch(self) -> tuple[Bags, Bags, npt.NDArray[np.bool_]]:
        """Draw questions, their documents row by row, and where a document is no wrong answer to a question [n, n]."""
        rows = self._rows()
        sampling, random = self._sampling, self._random
        n = len(rows)
        asked = random.choice(4, n, p=np.array(sampling.shares) / sum(sampling.shares))
        asked[(asked < 2) & ~self._has_doc[rows]] = 2
        kinds = self._data.kind[rows]
        section = self._data.names["kind"].index("section") if "section" in self._data.names["kind"] else -1
        block = self._data.names["kind"].index("block")
        asked[(kinds == section) | (kinds == block)] = 0
        lengths = np.diff(self._data.fields["symbol"].start)[rows]
        asked[(asked == 2) & (lengths == 0)] = 3
        questions = merged(
            [
                self._field(name, rows, asked == number)
                for number, name in enumerate(("sentence", "doc", "symbol", "path"))
            ]
        )
        keep = random.random(len(questions[0])) >= sampling.query_dropout
        # A question of one word keeps it.
        keep |= np.bincount(questions[0] >> _SHIFT, minlength=n)[questions[0] >> _SHIFT] < 3
        # asked - 1 is the row of `same`: 0 for both ways of asking by the doc.
        masked = random.random(n) < np.where(asked == 2, sampling.mask_asked_name, sampling.mask_name)
        parts = [self._field("body", rows, np.ones(n, np.bool_))]
        parts.append(
            self._field("symbol", rows, ~masked & (random.random(n) < sampling.with_symbol) & (kinds != block))
        )
        parts.append(self._field("doc", rows, (asked >= 2) & (random.random(n) < sampling.with_doc)))
        keys, counts = merged(parts)
        hidden = self._field("symbol", rows, masked)[0]
        kept = random.random(len(keys)) >= sampling.dropout
        kept &= ~np.isin(keys, hidden)
        alike = (
            self._data.same[np.maximum(asked - 1, 0)[:, None], rows[None, :]]
            == self._data.same[np.maximum(asked - 1, 0), rows][:, None]
        )
        np.fill_diagonal(alike, False)
        return bags(questions[0][keep], questions[1][keep], n), bags(keys[kept], counts[kept], n), alike

    def _rows(self) -> Ints:
        sampling, random, size = self._sampling, self._random, self._sampling.size
        draw = random.random()
        if draw < sampling.packages:
            chosen: list[Ints] = []
            have = 0
            while have < size:
                own = self._by_package[random.integers(len(self._by_package))]
                take = random.choice(own, min(len(own), 128), replace=False)
                chosen.append(take)
                have += len(take)
            return np.concatenate(chosen)[:size]
        if draw < sampling.packages + sampling.languages:
            language = int(random.choice(len(self._language_share), p=self._language_share))
            own = self._by_language[language]
            return random.choice(own, min(size, len(own)), replace=False)
        if draw < sampling.packages + sampling.languages + sampling.hard:
            order = random.permutation(len(self._hard))[: size // (NEAR + 1)]
            return np.unique(np.concatenate([self._hard[at] for at in order]))
        picks = np.searchsorted(self._cumulative, random.random(size))
        return self.rows[np.minimum(np.unique(picks), len(self.rows) - 1)]

    def _field(self, name: str, rows: Ints, wanted: npt.NDArray[np.bool_]) -> tuple[Ints, Ints]:
        return keyed(self._data.fields[name], rows, np.flatnonzero(wanted))


def keyed(ragged: Ragged, rows: Ints, places: Ints) -> tuple[Ints, Ints]:
    """Return the tokens of `rows[places]` as (place << 16 | id, count)."""
    low, high = ragged.start[rows[places]], ragged.start[rows[places] + 1]
    lengths = high - low
    total = int(lengths.sum())
    at = (
        np.repeat(low - np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths) + np.arange(total)
        if total
        else np.zeros(0, np.int64)
    )
    return (np.repeat(places, lengths) << _SHIFT) | ragged.ids[at].astype(np.int64), ragged.counts[at].astype(np.int64)


def merged(parts: list[tuple[Ints, Ints]]) -> tuple[Ints, Ints]:
    """Sum of several fields' tokens: keys ascending and distinct, counts."""
    keys = np.concatenate([part[0] for part in parts])
    counts = np.concatenate([part[1] for part in parts])
    order = np.argsort(keys, kind="stable")
    keys, counts = keys[order], counts[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(keys) else np.zeros(0, np.int64)
    return keys[first], np.add.reduceat(counts, first) if len(first) else counts


def bags(keys: Ints, counts: Ints, texts: int) -> Bags:
    """Build bags from ascending keys."""
    start = np.searchsorted(keys, np.arange(texts + 1) << _SHIFT)
    return Bags(start, keys & _MASK, damped(counts))


def damped(counts: npt.NDArray[np.integer]) -> npt.NDArray[np.float32]:
    """Weigh term frequencies: 1 + ln(count)."""
    return (1.0 + np.log(counts)).astype(np.float32)
