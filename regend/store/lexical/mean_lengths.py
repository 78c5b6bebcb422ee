"""Mean lengths of the lexical fields, which tantivy keeps to itself: estimated from a sample, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import accumulate
from threading import Lock

from regend.chunking.tokens import lexical_tokens
from regend.store.base import Entry
from regend.types import PoolId

Lengths = tuple[float, float, float]
LengthsOf = Callable[[int, int], tuple[int, int] | None]
"""Entry id, position -> tokens of the chunk's text and symbol; None where it does not exist."""

_SAMPLE = 256
"""Maximum chunks in a sample, which takes about 5 ms. Its mean, and so BM25's length factor, is within about 5 %."""
_STALE_SHARE = 0.2


class MeanLengths:
    """Remembers each pool's mean lengths until its size has changed; any thread may use it."""

    def __init__(self) -> None:
        self._known: dict[PoolId, tuple[int, Lengths]] = {}
        self._lock = Lock()

    def of(self, pool: PoolId, doc_count: int, entries: Mapping[int, Entry], lengths_of: LengthsOf) -> Lengths:
        """Return the mean tokens of text, symbol and path; 1 each for an empty pool."""
        known = self._known.get(pool)
        if known is not None and abs(known[0] - doc_count) <= _STALE_SHARE * known[0]:
            return known[1]
        found = _sampled(entries, lengths_of)
        with self._lock:
            self._known[pool] = (doc_count, found)
        return found


def _sampled(entries: Mapping[int, Entry], lengths_of: LengthsOf) -> Lengths:
    """Return the means over a sample that is spread evenly over all chunks."""
    ordered = [entries[entry_id] for entry_id in sorted(entries)]
    ends = list(accumulate(entry.chunk_count for entry in ordered))
    total = ends[-1] if ends else 0
    step = max(1.0, total / _SAMPLE)
    sums, count, at = [0, 0, 0], 0, 0
    for number in range(min(total, _SAMPLE)):
        position = int(number * step)
        while ends[at] <= position:
            at += 1
        entry = ordered[at]
        lengths = lengths_of(entry.entry_id, position - ends[at] + entry.chunk_count)
        if lengths is not None:
            sums[0] += lengths[0]
            sums[1] += lengths[1]
            sums[2] += len(lexical_tokens(entry.path).split())
            count += 1
    body, symbol, path = (max(1.0, summed / max(1, count)) for summed in sums)
    return body, symbol, path
