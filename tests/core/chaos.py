"""How likely each kind of trouble is in the simulation."""

from __future__ import annotations

from dataclasses import dataclass

FLUSH_LIMIT_S = 12.0
"""Longest time to the answer of a flush while no root is lost: failures cost pauses, files that never rest nothing."""


@dataclass(frozen=True)
class Chaos:
    """How hostile the world is; each is a probability unless its name says otherwise."""

    chunk_crash: float = 0.05
    embed_failure: float = 0.1
    commit_failure: float = 0.05
    hint_lost: float = 0.03
    crash: float = 0.02
    root_lost: float = 0.02
    forget_blob: float = 0.02
    no_workers: float = 0.03
    hang: float = 0.02
    latency_s: float = 0.2
