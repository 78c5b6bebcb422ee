"""Coverage: which of the query's words a text has, how much these are worth, and whether they stand together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import log

from regend.chunking.tokens import folded, is_unspaced
from regend.search.query.words import stem

_MOST_PLACES = 12
"""Places of a word that are looked at; more say nothing new."""
_GAP_CHARS = 14
"""Maximum characters between two words that stand together, with the first one's ending."""


@dataclass(frozen=True, slots=True)
class WordWeights:
    """The stems of a query's words, in order, each with its share of what all are worth.

    Attributes:
        shares: by stem; they sum to 1, unless there are no stems.
        spellings: what to look for, by stem: the stem itself, and the word as typed where that begins otherwise.
    """

    shares: Mapping[str, float]
    spellings: Mapping[str, tuple[str, ...]]

    def share_of(self, stems: Iterable[str]) -> float:
        """Return the share that these stems have."""
        known, total = self.shares, 0.0
        for each in stems:
            if each in known:
                total += known[each]
        return total


NO_WEIGHTS = WordWeights({}, {})


def word_weights(worth: Mapping[str, float]) -> WordWeights:
    """Return the weights of words that are worth so much each; one of no worth says nothing about any text."""
    by_stem: dict[str, float] = {}
    spellings: dict[str, tuple[str, ...]] = {}
    for term, value in worth.items():
        own = stem(term)
        by_stem[own] = max(by_stem.get(own, 0.0), value)
        known = spellings.setdefault(own, (own,))
        if not term.startswith(known):
            spellings[own] = (*known, term)
    total = sum(by_stem.values()) or 1.0
    return WordWeights({own: value / total for own, value in by_stem.items()}, spellings)


def rarity(count: int, chunks: int) -> float:
    """Return what a word is worth that `count` of all `chunks` hold, as BM25 has it; 0 where none does."""
    return log(1.0 + (max(0, chunks - count) + 0.5) / (count + 0.5)) if count else 0.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """The words of a query that a text has.

    Attributes:
        stems: those of the words it has.
        together: the share of neighbours in the query that stand together in the text, too, 0..1.
    """

    stems: frozenset[str]
    together: float


def coverage_of(text: str, weights: WordWeights) -> Coverage:
    """Look for the words where words begin: ``parse`` is in ``reparse`` by chance, and in ``doParse`` on purpose."""
    lowered = folded(text)
    if len(lowered) != len(text):  # As that of a Turkish dotted capital I.
        text = lowered
    find = lowered.find
    places: dict[str, list[int]] = {}
    for own, spellings in weights.spellings.items():
        for spelling in spellings:
            at = find(spelling)
            if at >= 0:
                found = _beginnings(text, lowered, spelling, at)
                if found:
                    places[own] = places[own] + found if own in places else found
    if len(places) < 2:
        return Coverage(frozenset(places), 0.0)
    together = 0
    earlier: list[int] | None = None
    most = 0
    for own in weights.spellings:
        here = places.get(own)
        if here is not None and earlier is not None:
            together += any(0 < after - before < most for before in earlier for after in here)
        earlier, most = here, len(own) + _GAP_CHARS
    return Coverage(frozenset(places), together / (len(weights.spellings) - 1))


def _beginnings(text: str, lowered: str, spelling: str, at: int) -> list[int]:
    """Return the places from `at` on, where the spelling is first, at which a word begins with it."""
    found: list[int] = []
    anywhere = not spelling.isascii() and is_unspaced(spelling)
    for _ in range(_MOST_PLACES):
        if anywhere or not at or not text[at - 1].isalpha() or (text[at].isupper() and text[at - 1].islower()):
            found.append(at)
        at = lowered.find(spelling, at + 1)
        if at < 0:
            break
    return found
