"""Words of code as numbers, many texts at a time: the built-in model's tokens.

Identifiers come apart as `tokens.split_identifier` does it: at case changes, underscores and digits, so
`parseHTTPHeader` gives the words of ``parse http header``; what is not ASCII comes apart beforehand, see
`tokens.spaced`. Two words with at most one character between them are a
pair also, and a pair has the hash of its words written together: "host_name", "HostName" and "host name" all meet
"hostname".

Everything is array arithmetic over the bytes of a block of texts; there is no Python loop over words. All numbers are
integers, so every machine finds the same ones. Method of the hashes: polynomial modulo 2**64 over the lower-case bytes,
by prefix sums (Karp and Rabin, "Efficient randomized pattern-matching algorithms", 1987).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from regend.chunking.tokens import spaced

VERSION = 2
"""Part of the model's name: raise it when the same text gives other words."""
MAX_TEXT_BYTES = 1 << 15
"""Maximum bytes of one text that are looked at; chunks are a tenth of it."""
MAX_WORD_BYTES = 32
"""Maximum length of a word; longer runs are encoded data."""
_BLOCK_BYTES = 1 << 16
_BASE = 0x9E3779B97F4A7C15 | 1
"""Odd, so that it has an inverse modulo 2**64."""

_OTHER, _LOWER, _UPPER, _DIGIT = range(4)
_CLASSES = np.zeros(256, np.uint8)
_CLASSES[ord("a") : ord("z") + 1] = _LOWER
_CLASSES[0x80:] = _LOWER
_CLASSES[ord("A") : ord("Z") + 1] = _UPPER
_CLASSES[ord("0") : ord("9") + 1] = _DIGIT


def _powers(base: int) -> npt.NDArray[np.uint64]:
    """Compute `base ** i` modulo 2**64 for each place of a block."""
    with np.errstate(over="ignore"):
        steps = np.full(_BLOCK_BYTES + MAX_TEXT_BYTES + 2, base, np.uint64)
        steps[0] = 1
        return np.multiply.accumulate(steps)


_UP = _powers(_BASE)
_DOWN = _powers(pow(_BASE, -1, 1 << 64))
_CODES = np.arange(256, dtype=np.uint64) + np.uint64(1)
_CODES[ord("A") : ord("Z") + 1] = _CODES[ord("a") : ord("z") + 1]


class Words(NamedTuple):
    """The words of a block of texts, in order.

    Attributes:
        text: which text of the block, int64 [n], ascending.
        hashes: uint64 [n].
        pair_text: as `text`, for the pairs.
        pair_hashes: uint64 [m].
    """

    text: npt.NDArray[np.int64]
    hashes: npt.NDArray[np.uint64]
    pair_text: npt.NDArray[np.int64]
    pair_hashes: npt.NDArray[np.uint64]


def blocks(texts: Sequence[str]) -> Iterator[tuple[int, list[bytes]]]:
    """Yield the texts as bytes in blocks of bounded size: (number of the first, texts)."""
    block: list[bytes] = []
    first = size = 0
    for number, text in enumerate(texts):
        raw = spaced(text[:MAX_TEXT_BYTES]).encode("utf-8", "surrogatepass")[:MAX_TEXT_BYTES]
        if block and size + len(raw) + 1 > _BLOCK_BYTES:
            yield first, block
            first, block, size = number, [], 0
        block.append(raw)
        size += len(raw) + 1
    if block:
        yield first, block


def words_of(block: list[bytes]) -> Words:
    """Find the words and pairs of the texts of one block."""
    raw = np.frombuffer(b"\n".join(block) + b"\n", np.uint8)
    classes = _CLASSES[raw]
    before = np.empty_like(classes)
    before[0], before[1:] = _OTHER, classes[:-1]
    after = np.empty_like(classes)
    after[-1], after[:-1] = _OTHER, classes[1:]
    upper = classes == _UPPER
    # A word begins where the class changes, but for a capital that leads lower-case letters, which it takes along.
    starts = (classes != before) & (classes != _OTHER)
    starts &= ~((classes == _LOWER) & (before == _UPPER))
    starts |= upper & (before == _UPPER) & (after == _LOWER)
    following = np.empty_like(starts)
    following[-1], following[:-1] = True, starts[1:]
    ends = (classes != _OTHER) & (following | (after == _OTHER))
    begin, end = np.flatnonzero(starts), np.flatnonzero(ends) + 1
    with np.errstate(over="ignore"):
        sums = np.empty(len(raw) + 1, np.uint64)
        sums[0] = 0
        np.cumsum(_CODES[raw] * _DOWN[: len(raw)], out=sums[1:])
        hashes = (sums[end] - sums[begin]) * _UP[end - 1]
        lengths = end - begin
        short = lengths <= MAX_WORD_BYTES
        if not short.all():
            begin, end, hashes, lengths = begin[short], end[short], hashes[short], lengths[short]
        near = begin[1:] - end[:-1] <= 1
        left, right = np.flatnonzero(near), np.flatnonzero(near) + 1
        pair_hashes = hashes[left] * _UP[lengths[right]] + hashes[right]
    bounds = np.cumsum(np.fromiter(map(len, block), np.int64, len(block)) + 1)
    text = np.searchsorted(bounds, begin, side="right")
    pair_text = text[left]
    within = pair_text == text[right]
    if not within.all():
        pair_text, pair_hashes = pair_text[within], pair_hashes[within]
    return Words(text, hashes, pair_text, pair_hashes)
