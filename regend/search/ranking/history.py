"""History: which files the commits changed whose subjects are like the question.

Pure. A subject says in people's words what its files are for, and questions are asked in people's words, too. Subjects
are compared by BM25. A commit's score counts for each file that it changed, the less the more files these are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache

import numpy as np
import numpy.typing as npt

from regend.chunking.tokens import STOP_WORDS, asked_tokens
from regend.search.query.words import stem
from regend.search.ranking.coverage import rarity
from regend.store.base import Entry
from regend.types import Change, RootId

MAX_FILES = 20
"""A commit that changed more files says nothing about any of them."""
_COMMITS = 50
"""Best commits that count for a question."""
_OF_A_FILE = 5
"""Best commits that count for a file, so that files which change all the time are not favoured."""
_K1, _B = 1.2, 0.75

_Numbers = npt.NDArray[np.int32]


class History:
    """The changes of one root; read-only, so threads may share it. 3,000 take about 2 MB."""

    def __init__(self, changes: Iterable[Change]) -> None:
        paths: dict[str, int] = {}
        holders: dict[str, list[int]] = {}
        lengths: list[int] = []
        self._files: list[tuple[int, ...]] = []
        for number, change in enumerate(changes):
            words = frozenset(map(stem, asked_tokens(change.subject).split())) - STOP_WORDS
            for word in words:
                holders.setdefault(word, []).append(number)
            lengths.append(len(words))
            few = change.paths if len(change.paths) <= MAX_FILES else ()
            self._files.append(tuple(paths.setdefault(path, len(paths)) for path in few))
        self._paths = tuple(paths)
        self._holders: dict[str, _Numbers] = {word: np.array(each, np.int32) for word, each in holders.items()}
        share = np.array(lengths, np.float64) * len(lengths) / (sum(lengths) or 1)
        self._weights = (_K1 + 1.0) / (1.0 + _K1 * (1.0 - _B + _B * share))

    def __len__(self) -> int:
        return len(self._files)

    def shares(self, terms: Iterable[str]) -> Mapping[str, float]:
        """Return what the changes like a question say for each path, as a share of the best path's; else nothing.

        Args:
            terms: words of the question, lower-case.
        """
        scores = np.zeros(len(self._weights))
        for word in dict.fromkeys(map(stem, terms)):
            held = self._holders.get(word)
            if held is not None:
                scores[held] += rarity(len(held), len(scores))
        scores *= self._weights
        found: dict[int, list[float]] = {}
        for number in np.argsort(-scores, kind="stable")[:_COMMITS].tolist():  # Best first; equal ones: newest first.
            if scores[number] <= 0.0:
                break
            files = self._files[number]
            for file in files:
                found.setdefault(file, []).append(float(scores[number]) / len(files) ** 0.5)
        sums = {file: sum(sorted(each, reverse=True)[:_OF_A_FILE]) for file, each in found.items()}
        most = max(sums.values(), default=0.0)
        return {self._paths[file]: value / most for file, value in sums.items()}


HistoryOf = Callable[[RootId], History | None]


def told_by(history_of: HistoryOf, terms: Iterable[str]) -> Callable[[Entry], float]:
    """Return what says of a file how well its changes fit the question, 0..1; 0 where nothing is known of any."""
    asked = tuple(terms)

    @cache
    def shares(root: RootId) -> Mapping[str, float]:
        history = history_of(root)
        return {} if history is None else history.shares(asked)

    return lambda entry: max((shares(root).get(entry.path, 0.0) for root in entry.roots), default=0.0)
