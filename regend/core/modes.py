"""How stages overlap: the three modes, and the choice between them by the work at hand and the machine. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Mode = Literal["sequential", "parallel", "pipeline"]

BULK_FILES = 64
"""Minimum files that make the order of stages matter; as many as the edit lane takes."""
_SMALL_BYTES = 1_000_000_000
"""Memory below which one file at a time is worth its time."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Facts that do not change while the daemon runs, and decide which mode suits it.

    Attributes:
        cores: that may be busy at once; may be a fraction.
        memory_bytes: 0 if not known.
        embeds_elsewhere: the model that serves runs on a server or an accelerator, not on the workers' cores.
    """

    cores: float = 2.0
    memory_bytes: int = 0
    embeds_elsewhere: bool = True


def choose_mode(files: int, surroundings: Surroundings) -> Mode:
    """Choose a mode for so many files that wait for a worker or are in one.

    A server answers while workers chunk, so stages overlap. On the workers' own cores overlap gains nothing: words are
    searchable sooner when everything is chunked first, and many vectors are committed at once.
    """
    if files < BULK_FILES or surroundings.embeds_elsewhere:
        return "pipeline"
    if surroundings.cores < 2.0 and 0 < surroundings.memory_bytes < _SMALL_BYTES:
        return "sequential"
    return "parallel"
