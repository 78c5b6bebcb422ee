"""Baselines of the engine: rankings by one idea each, one result per file, over the same chunks as the engine's.

Pure but for the encoder that is handed in. A ranking is a list of paths, best first; ties go by path.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from regend.chunking.tokens import lexical_tokens, query_terms
from regend.embedding.base import LocalEncoder
from regend.types import embedded_text

TOP = 10
_K1, _B = 1.2, 0.75
"""Those of tantivy, which the engine uses (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009)."""
_BATCH = 256


@dataclass(frozen=True, slots=True)
class IndexedChunk:
    """A chunk as the daemon indexed it."""

    path: str
    symbol: str
    text: str


def bm25(chunks: Sequence[IndexedChunk], queries: Iterable[str], top: int = TOP) -> list[list[str]]:
    """Rank files by the BM25 of their best chunk: text only, no path, no symbol, no rule of any kind."""
    counts = [Counter(lexical_tokens(chunk.text).split()) for chunk in chunks]
    lengths = [sum(count.values()) for count in counts]
    average = sum(lengths) / max(1, len(lengths)) or 1.0
    postings: dict[str, list[tuple[int, int]]] = {}
    for number, count in enumerate(counts):
        for term, times in count.items():
            postings.setdefault(term, []).append((number, times))
    rankings = []
    for query in queries:
        scores: dict[int, float] = {}
        for term in query_terms(query):
            found = postings.get(term, [])
            idf = math.log(1.0 + (len(chunks) - len(found) + 0.5) / (len(found) + 0.5))
            for number, times in found:
                norm = times + _K1 * (1.0 - _B + _B * lengths[number] / average)
                scores[number] = scores.get(number, 0.0) + idf * times * (_K1 + 1.0) / norm
        rankings.append(_best_files(((chunks[n].path, score) for n, score in scores.items()), top))
    return rankings


def vectors_alone(
    encoder: LocalEncoder, chunks: Sequence[IndexedChunk], queries: Sequence[str], top: int = TOP
) -> list[list[str]]:
    """Rank files by the cosine of their best chunk to the query, and nothing else."""
    if not chunks or not queries:
        return [[] for _ in queries]
    texts = [embedded_text(chunk.symbol, chunk.text) for chunk in chunks]
    batches = [encoder.encode(texts[at : at + _BATCH], "document") for at in range(0, len(texts), _BATCH)]
    scores = np.concatenate(batches) @ encoder.encode(list(queries), "query").T
    paths = [chunk.path for chunk in chunks]
    return [_best_files(zip(paths, scores[:, n].tolist(), strict=True), top) for n in range(len(queries))]


def matching_words(chunks: Sequence[IndexedChunk], queries: Iterable[str], top: int = TOP) -> list[list[str]]:
    """Rank files by how many of the query's words their text holds, then by how often, as a person does with ripgrep.

    Words match within words and whatever their case, as `rg -i` finds them. Stop words do not count.
    """
    texts: dict[str, list[str]] = {}
    for chunk in chunks:
        texts.setdefault(chunk.path, []).append(chunk.text)
    lowered = {path: "\n".join(parts).lower() for path, parts in texts.items()}
    rankings = []
    for query in queries:
        words = {word for word in re.findall(r"\w+", query.lower()) if query_terms(word)}
        telling = {word for word in words if word in query_terms(query)} or words
        scored = []
        for path, text in lowered.items():
            counts = [text.count(word) for word in telling]
            if matched := sum(count > 0 for count in counts):
                scored.append((path, matched + min(0.999, sum(counts) / 1e6)))
        rankings.append(_best_files(scored, top))
    return rankings


def _best_files(scored: Iterable[tuple[str, float]], top: int) -> list[str]:
    best: dict[str, float] = {}
    for path, score in scored:
        if score > best.get(path, -math.inf):
            best[path] = score
    return sorted(best, key=lambda path: (-best[path], path))[:top]
