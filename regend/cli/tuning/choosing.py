"""Which values of settings are tried, and which of them are proposed. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from regend.limits import MODES

GAIN = 0.07
"""Least gain in time that is worth a setting. Two runs of the same settings differ by up to 5 % on an idle machine."""
MAX_WORKERS = 8
_WINDOWS = (2, 4, 8)
_BATCHES = (16, 32, 64, 128)


@dataclass(frozen=True, slots=True)
class Run:
    """One index of the sample, from nothing.

    Attributes:
        took_s: until every chunk is searchable by words and vectors.
        cpu_s: of the daemon and its workers, their start included.
    """

    took_s: float
    cpu_s: float


@dataclass(frozen=True, slots=True)
class Trial:
    """One value of a setting, and a run for each round.

    Attributes:
        is_usual: it is the value that holds now.
    """

    key: str
    value: object
    is_usual: bool
    runs: tuple[Run, ...]

    @property
    def took_s(self) -> float:
        """The median."""
        return statistics.median(run.took_s for run in self.runs)

    @property
    def cpu_s(self) -> float:
        """The median."""
        return statistics.median(run.cpu_s for run in self.runs)


def candidates(cores: int, has_own_batches: bool) -> dict[str, tuple[object, ...]]:
    """Return the values to try by key, in the order in which they are tried. As many workers as cores is the default.

    Args:
        has_own_batches: the model is asked for batches of chunks, and not by the workers that cut them.
    """
    counts = {1, (cores + 1) // 2, cores + 1} & set(range(1, MAX_WORKERS + 1)) - {cores}
    tried: dict[str, tuple[object, ...]] = {
        "workers.mode": MODES, "workers.count": tuple(sorted(counts)), "workers.window": _WINDOWS,
    }  # fmt: skip
    return tried | ({"embedding.batch_items": _BATCHES} if has_own_batches else {})


def chosen(trials: Sequence[Trial]) -> Trial:
    """Return the best trial of one setting: the usual value, unless another is faster in every round and by `GAIN`.

    Rounds are compared one by one, because a machine that other work slows down slows all trials of a round.
    """
    usual = next(trial for trial in trials if trial.is_usual)
    best, least = usual, 1.0 - GAIN
    for trial in trials:
        ratios = [mine.took_s / others.took_s for mine, others in zip(trial.runs, usual.runs, strict=True)]
        if max(ratios) < 1.0 and statistics.median(ratios) <= least:
            best, least = trial, statistics.median(ratios)
    return best


def gain_of(trial: Trial, usual: Trial) -> float:
    """Return the share of the usual time that the trial saves; the median over rounds."""
    return 1.0 - statistics.median(
        mine.took_s / others.took_s for mine, others in zip(trial.runs, usual.runs, strict=True)
    )


def proposal(trials: Iterable[Trial], now: Mapping[str, object]) -> dict[str, object]:
    """Return the values to set, by key: those that are better than what holds now."""
    by_key: dict[str, list[Trial]] = {}
    for trial in trials:
        by_key.setdefault(trial.key, []).append(trial)
    best = {key: chosen(group).value for key, group in by_key.items()}
    return {key: value for key, value in best.items() if value != now[key]}
