"""Coverage: which of the query's words a text has, how much these are worth, and whether they stand together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import log
from typing import NamedTuple

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
        bits: one for each stem, so that a number says which of them there are.
    """

    shares: Mapping[str, float]
    spellings: Mapping[str, tuple[str, ...]]
    bits: Mapping[str, int]
    _sums: dict[int, float] = field(init=False, repr=False, compare=False, default_factory=dict)

    def held(self, stems: Iterable[str]) -> int:
        """Return the bits of those stems that are in the query."""
        bits, found = self.bits, 0
        for each in stems:
            if each in bits:
                found |= bits[each]
        return found

    def share_of(self, held: int) -> float:
        """Return the share that the stems with these bits have."""
        known = self._sums.get(held)
        if known is None:  # Few of all combinations occur.
            known = sum((share for own, share in self.shares.items() if held & self.bits[own]), 0.0)
            self._sums[held] = known
        return known


NO_WEIGHTS = WordWeights({}, {}, {})


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
    shares = {own: value / total for own, value in by_stem.items()}
    return WordWeights(shares, spellings, {own: 1 << number for number, own in enumerate(spellings)})


def rarity(count: int, chunks: int) -> float:
    """Return what a word is worth that `count` of all `chunks` hold, as BM25 has it; 0 where none does."""
    return log(1.0 + (max(0, chunks - count) + 0.5) / (count + 0.5)) if count else 0.0


class Coverage(NamedTuple):
    """The words of a query that a text has.

    Attributes:
        held: bits of those words, see `WordWeights.bits`.
        together: the share of neighbours in the query that stand together in the text, too, 0..1.
    """

    held: int
    together: float


def coverage_of(text: str, weights: WordWeights) -> Coverage:
    """Look for the words where words begin: ``parse`` is in ``reparse`` by chance, and in ``doParse`` on purpose."""
    lowered = folded(text)
    if len(lowered) != len(text):  # As that of a Turkish dotted capital I.
        text = lowered
    find, bits = lowered.find, weights.bits
    held = together = most = 0
    earlier: list[int] = []
    for own, spellings in weights.spellings.items():
        here: list[int] = []
        for spelling in spellings:
            at = find(spelling)
            if at >= 0:
                here += _beginnings(text, lowered, spelling, at)
        if here:
            held |= bits[own]
            if earlier and any(0 < after - before < most for before in earlier for after in here):
                together += 1
        earlier, most = here, len(own) + _GAP_CHARS
    return Coverage(held, together / max(1, len(bits) - 1))


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
