"""Fusion: one number in 0..1 from BM25 and cosine, which live on different scales.

Pure. Scores are normalised and blended rather than fused by rank: with equal weights, reciprocal rank fusion of BM25
and a weak model was measured to be worse than BM25 alone, because a rank throws away how sure a leg is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from regend.search.query import QueryKind

_SURE_COSINE = 0.35
"""A top cosine below this is weak evidence and is not stretched to 1.

A guess; fitting it to the built-in model settles it."""

KIND_FACTORS: Mapping[QueryKind, float] = {
    "language": 1.0,
    "mixed": 0.8,
    "phrase": 0.3,
    "identifier": 0.3,
    "path": 0.2,
}
"""How much of the model's weight a query of each kind gets: who types a name wants that name, not its likeness."""


def vector_weight(strength: float, kind: QueryKind) -> float:
    """Weight of the vector leg beside the lexical leg's 1.

    Args:
        strength: what the model is worth on questions in words, 0 (nothing) to about 2 (a strong model).
    """
    return strength * KIND_FACTORS[kind]


def normalised_bm25(scores: Mapping[int, float]) -> dict[int, float]:
    """Divide by the query's top, which makes 1 the best match there is."""
    top = max(scores.values(), default=0.0)
    if top <= 0.0:
        return dict.fromkeys(scores, 0.0)
    scale = 1.0 / top
    return {doc: score * scale for doc, score in scores.items()}


def normalised_cosine(scores: Mapping[int, float]) -> dict[int, float]:
    """Divide by the query's top (at least `_SURE_COSINE`); what points away from the query counts as nothing."""
    scale = 1.0 / max(max(scores.values(), default=0.0), _SURE_COSINE)
    return {doc: score * scale if score > 0.0 else 0.0 for doc, score in scores.items()}


def blend(lexical: Mapping[int, float], cosine: Mapping[int, float], weight: float) -> dict[int, float]:
    """Weighted mean of normalised scores; a candidate that a leg does not know counts 0 there.

    Args:
        weight: of the vector leg, from `vector_weight`; the lexical leg weighs 1.
    """
    if not cosine or weight <= 0.0:
        return dict(lexical)
    total = 1.0 / (1.0 + weight)
    blended = {doc: score * total for doc, score in lexical.items()}
    share = weight * total
    for doc, score in cosine.items():
        blended[doc] = blended.get(doc, 0.0) + score * share
    return blended


def best_three(scores: Iterable[float]) -> float:
    """Sum of the three highest scores: what a file's chunks say together, without favouring long files."""
    return sum(sorted(scores, reverse=True)[:3])
