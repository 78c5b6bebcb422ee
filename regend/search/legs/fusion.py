"""Fusion: one number in 0..1 from BM25 and cosine, which live on different scales.

Pure. Scores are normalised and blended rather than fused by rank: with equal weights, reciprocal rank fusion of BM25
and a weak model was measured to be worse than BM25 alone, because a rank throws away how sure a leg is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from regend.search.query.parse import QueryKind

_SURE_COSINE = 0.35
"""A top cosine below this is weak evidence and is not stretched to 1.

A guess; fitting it to the built-in model settles it."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of each candidate by leg, by doc.

    Attributes:
        words: BM25, as a share of the best.
        meaning: cosine, as a share of the best; without those that point away.
        blended: the weighted mean of both, 0..1; it has every candidate.
    """

    words: Mapping[int, float] = field(default_factory=dict)
    meaning: Mapping[int, float] = field(default_factory=dict)
    blended: Mapping[int, float] = field(default_factory=dict)


KIND_FACTORS: Mapping[QueryKind, float] = {
    "language": 1.0,
    "mixed": 0.8,
    "phrase": 0.3,
    "identifier": 0.3,
    "path": 0.2,
}
"""Share of the model's weight by kind of query: whoever types a name wants that name and not what is like it."""


def vector_weight(strength: float, kind: QueryKind) -> float:
    """Return the weight of the vector leg beside the lexical leg's 1.

    Args:
        strength: weight of the model on questions in words, 0 (none) to about 2 (a strong model).
    """
    return strength * KIND_FACTORS[kind]


def cosine_scale(scores: Iterable[float]) -> float:
    """Return the factor that makes the query's best cosine 1, unless that is below `_SURE_COSINE`."""
    return 1.0 / max(max(scores, default=0.0), _SURE_COSINE)


def blend(bm25: Mapping[int, float], cosine: Mapping[int, float], weight: float) -> Scores:
    """Return both legs' normalised scores and their weighted mean.

    A candidate that a leg does not know counts 0 there. A chunk that points away from the query and shares no word with
    it is left out.

    Args:
        bm25: scores of the lexical leg, at least 0.
        cosine: scores of the vector leg, -1..1.
        weight: of the vector leg, from `vector_weight`; the lexical leg weighs 1.
    """
    if not cosine or weight <= 0.0:
        cosine, weight = {}, 0.0
    total = 1.0 / (1.0 + weight)
    top = max(bm25.values(), default=0.0)
    scale = 1.0 / top if top > 0.0 else 0.0
    words = {doc: score * scale for doc, score in bm25.items()}
    scale = cosine_scale(cosine.values())
    meaning = {doc: score * scale for doc, score in cosine.items() if score > 0.0}
    blended = {doc: score * total for doc, score in words.items()}
    known = blended.get
    for doc, score in meaning.items():
        blended[doc] = known(doc, 0.0) + score * weight * total
    return Scores(words, meaning, blended)
