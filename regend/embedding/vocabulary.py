"""Words and their numbers: a perfect table for the words that the built-in model knows, buckets for all others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from regend.embedding.code_words import words_of

_BITS = 20
_SHIFT = np.uint64(64 - _BITS)
_FIRST, _SECOND, _BUCKET = np.uint64(0xD6E8FEB86659FD93), np.uint64(0xA0761D6478BD642F), np.uint64(0xE7037ED1A0B428DB)
"""Odd multipliers of three independent multiplicative hashes (Knuth)."""
_TEXT_SHIFT = 16
MAX_IDS = 1 << _TEXT_SHIFT


class Bag(NamedTuple):
    """Bags of words: text i has `ids[start[i]:start[i + 1]]`, ascending, each with its count.

    Attributes:
        start: int64 [texts + 1].
        ids: int64 [n].
        counts: int64 [n], at least 1.
    """

    start: npt.NDArray[np.int64]
    ids: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


class Vocabulary:
    """Numbers words and pairs.

    Args:
        keys: hashes of the known words, uint64 [n], distinct; word i has number i.
        buckets: at least 1; unknown words share the numbers from n on, unknown pairs have none.
    """

    def __init__(self, keys: npt.NDArray[np.uint64], buckets: int) -> None:
        if len(keys) + buckets > MAX_IDS:
            raise ValueError(f"{len(keys)} words and {buckets} buckets are more than {MAX_IDS} numbers.")
        self.keys = keys
        self.buckets = buckets
        self._known = np.concatenate([np.zeros(1, np.uint64), keys])
        self._first = np.zeros(1 << _BITS, np.uint16)
        self._second = np.zeros(1 << _BITS, np.uint16)
        with np.errstate(over="ignore"):
            places = (keys * _FIRST) >> _SHIFT
            _, winners = np.unique(places, return_index=True)
            self._first[places[winners]] = winners + 1
            others = np.setdiff1d(np.arange(len(keys)), winners)
            second = (keys[others] * _SECOND) >> _SHIFT
        if len(np.unique(second)) != len(second):
            raise ValueError("Two words meet in both tables; leave one of them out of the vocabulary.")
        self._second[second] = others + 1

    def __len__(self) -> int:
        """Return how many numbers there are."""
        return len(self.keys) + self.buckets

    def find(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
        """Find the number plus one of each hash, 0 for unknown ones: int64, of the shape of `hashes`."""
        with np.errstate(over="ignore"):
            found: npt.NDArray[np.int64] = self._first[(hashes * _FIRST) >> _SHIFT].astype(np.int64)
            other = self._known[found] != hashes
            wrong = np.flatnonzero(other & (found > 0))
            found[other] = 0
            if len(wrong):
                again = self._second[(hashes[wrong] * _SECOND) >> _SHIFT].astype(np.int64)
                found[wrong] = np.where(self._known[again] == hashes[wrong], again, 0)
        return found

    def bag(self, block: list[bytes]) -> Bag:
        """Count the words of each text of a block."""
        words = words_of(block)
        found = self.find(words.hashes)
        with np.errstate(over="ignore"):
            bucket = (words.hashes * _BUCKET) >> np.uint64(32)
        unknown = len(self.keys) + (bucket % np.uint64(self.buckets)).astype(np.int64)
        ids = np.where(found > 0, found - 1, unknown)
        pairs = self.find(words.pair_hashes)
        known = np.flatnonzero(pairs)
        both = np.concatenate(
            [words.text << _TEXT_SHIFT | ids, words.pair_text[known] << _TEXT_SHIFT | (pairs[known] - 1)]
        )
        both.sort()
        first = np.empty(len(both), np.bool_)
        first[:1] = True
        np.not_equal(both[1:], both[:-1], out=first[1:])
        at = np.flatnonzero(first)
        distinct = both[at]
        start = np.searchsorted(distinct, np.arange(len(block) + 1) << _TEXT_SHIFT)
        return Bag(start, distinct & (MAX_IDS - 1), np.diff(at, append=len(both)))
