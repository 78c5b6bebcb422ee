"""Feature hashing: vectors from nothing but the words themselves.

The stand-in until a trained model is there, and the embedder of the tests. Texts that share words are close; texts that
mean the same in other words are not. Method: Weinberger et al., "Feature Hashing for Large Scale Multitask Learning"
(2009), over identifier-split tokens and pairs of neighbours, with sub-linear term frequency.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from zlib import crc32

import numpy as np
import numpy.typing as npt

from regend.chunking.tokens import lexical_tokens
from regend.embedding.base import ModelInfo, Task

DIM = 256
_PAIR_WEIGHT = 0.5
"""A pair counts half: it confirms its words, and there are as many pairs as words. A guess; not tuned."""
_PAIR_FACTOR = np.uint64(0x9E3779B1)
"""Odd, so that (a, b) and (b, a) are different pairs (Knuth's multiplicative hash, 32 bits)."""
_PAIR_SHIFT = np.uint64(16)
_PAIR_MARK = np.uint64(1 << 62)
_PLACE_BITS = np.uint64(DIM - 1)
_SIGN_BIT = np.uint64(DIM)


class HashingEncoder:
    """Implements `LocalEncoder`; stateless but for a cache of token hashes."""

    info = ModelInfo(
        model_id="hashing-256-v1",
        dim=DIM,
        local=True,
        note="feature hashing stand-in: matches shared words, knows no meaning",
    )

    def encode(self, texts: Sequence[str], task: Task) -> npt.NDArray[np.float32]:
        """See `LocalEncoder.encode`. Documents and queries are treated alike."""
        vectors = np.zeros((len(texts), DIM), dtype=np.float32)
        for row, text in enumerate(texts):
            vectors[row] = _encode(text)
        return vectors


def _encode(text: str) -> npt.NDArray[np.float64]:
    """One unit vector. Each text by itself and in float64, so that the bits do not depend on the batch."""
    tokens = lexical_tokens(text).split()
    words = np.fromiter(map(_hash, tokens), np.uint64, len(tokens))
    pairs = ((words[:-1] * _PAIR_FACTOR + words[1:]) >> _PAIR_SHIFT) | _PAIR_MARK
    features, counts = np.unique(np.concatenate((words, pairs)), return_counts=True)
    weights = np.sqrt(counts) * np.where(features < _PAIR_MARK, 1.0, _PAIR_WEIGHT)
    signed = np.where(features & _SIGN_BIT, -weights, weights)
    total = np.bincount((features & _PLACE_BITS).astype(np.int64), weights=signed, minlength=DIM).astype(np.float64)
    norm = float(np.sqrt(np.square(total).sum()))
    if norm == 0.0:  # No words, or each place cancelled out: it is like other texts without words.
        total[0] = norm = 1.0
    return np.asarray(total / norm)


@lru_cache(maxsize=200_000)
def _hash(token: str) -> int:
    """Stable over processes and versions, unlike `hash`."""
    return crc32(token.encode("utf-8", "surrogatepass"))
