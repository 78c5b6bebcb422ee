"""BM25 of a text that is not in the index, as the lexical leg would score it if it were indexed.

Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), with the constants and the inverse document
frequency of tantivy, whose scores these stand beside. Lengths are not rounded as tantivy rounds them, and mean lengths
are estimated, so a score may differ by a few per cent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from math import log

from regend.store.base import FieldStatistics, LexicalQuery

_K1 = 1.2
_B = 0.75


class Scorer:
    """Scores documents for one query.

    Args:
        ask: terms to their statistics.
    """

    def __init__(self, query: LexicalQuery, ask: Callable[[Sequence[str]], FieldStatistics]) -> None:
        self._terms = [term for term in dict.fromkeys(query.terms) if term]
        statistics = ask(self._terms)
        self._boosts = (query.body, query.symbol, query.path)
        self._means = statistics.mean_lengths
        count = statistics.doc_count
        self._idf = {term: tuple(_idf(count, held) for held in statistics.frequencies[term]) for term in self._terms}

    def score(self, document: Sequence[Counter[str]]) -> float:
        """Return the document's score: at least 0, and 0 where it holds no term.

        Args:
            document: counts of its tokens in body, symbol and path.
        """
        total = 0.0
        for field, (counts, boost) in enumerate(zip(document, self._boosts, strict=True)):
            if boost <= 0.0 or not counts:
                continue
            norm = _K1 * (1.0 - _B + _B * counts.total() / self._means[field])
            for term in self._terms:
                count = counts.get(term)
                if count:
                    total += boost * self._idf[term][field] * count * (_K1 + 1.0) / (count + norm)
        return total


def _idf(count: int, held: int) -> float:
    """Return the weight of a term that `held` of `count` documents hold."""
    return log(1.0 + (max(count, held) - held + 0.5) / (held + 0.5))
