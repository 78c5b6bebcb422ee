"""Options of a run of the benchmarks."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Setup:
    """Options that all benchmarks share.

    Attributes:
        tree: the tree to index.
        cores: those that daemons, their workers and other programs may use; empty for all.
        rounds: how often each benchmark is repeated.
        seconds: how long to watch an idle daemon, or to keep one under load.
        asked: queries; empty to make them of words of the tree.
        beside: other programs and floors to run.
        chunks: how many chunks the trees of `scale` have, about.
        directories: how many directories the tree of `idle` has.
    """

    tree: Path
    cores: frozenset[int] = frozenset()
    rounds: int = 3
    seconds: float = 60.0
    asked: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    chunks: tuple[int, ...] = (10_000, 100_000)
    directories: int = 10_000
