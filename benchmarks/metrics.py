"""Worth of an answer: binary NDCG@10, reciprocal rank and recall@10 of a ranked list. Pure.

The rules are those of the published annotations. A result counts for a target when it is of the target's file and,
where the target names lines, overlaps them. Each target counts once, at its best rank. Results are *not* deduplicated
here: a second chunk of the same file takes a place on the page as it does for a person.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

TOP = 10


@dataclass(frozen=True, slots=True)
class Target:
    """A place that answers a question: a file, or lines of it (1-based, inclusive; 0 and 0 mean the whole file)."""

    path: str
    start_line: int = 0
    end_line: int = 0


class Found(NamedTuple):
    """A result: its path and lines. A result that is a whole file has the lines 1 and `WHOLE_FILE`."""

    path: str
    start_line: int
    end_line: int


WHOLE_FILE = 1 << 30


class Worth(NamedTuple):
    """Figures of one answer, each 0..1."""

    ndcg: float
    mrr: float
    recall: float


def same_file(path: str, other: str) -> bool:
    """Tell whether one path is the other or its end, at a folder's border."""
    return path == other or path.endswith("/" + other) or other.endswith("/" + path)


def hits(found: Found, target: Target) -> bool:
    """Tell whether a result counts for a target."""
    if not same_file(found.path, target.path):
        return False
    if not target.start_line:
        return True
    return found.start_line <= target.end_line and found.end_line >= target.start_line


def best_rank(results: Sequence[Found], target: Target) -> int:
    """Return the 1-based rank of the first result that counts for `target`, or 0."""
    return next((rank for rank, found in enumerate(results, 1) if hits(found, target)), 0)


def ndcg(ranks: Sequence[int], target_count: int, top: int = TOP) -> float:
    """Compute the binary NDCG.

    Args:
        ranks: the best rank of each target, 1-based; 0 where it was not found.
        target_count: of all targets, at least 1.
    """
    gain = sum(1.0 / math.log2(rank + 1) for rank in ranks if 1 <= rank <= top)
    ideal = sum(1.0 / math.log2(rank + 1) for rank in range(1, min(target_count, top) + 1))
    return gain / ideal


def worth(results: Sequence[Found], targets: Sequence[Target], top: int = TOP) -> Worth:
    """Judge the first `top` results for a question with at least one target."""
    ranks = [best_rank(results[:top], target) for target in targets]
    known = [rank for rank in ranks if rank]
    return Worth(ndcg(ranks, len(targets), top), 1.0 / min(known) if known else 0.0, len(known) / len(targets))


def mean_worth(answers: Sequence[Worth]) -> Worth:
    """Return the mean of each figure; zeros for no answers."""
    count = max(1, len(answers))
    return Worth(*(sum(column) / count for column in zip(*answers, strict=True))) if answers else Worth(0.0, 0.0, 0.0)
