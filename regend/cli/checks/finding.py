"""One finding of `regenctl doctor`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One finding.

    Attributes:
        result: ``ok``, ``warn`` (regend works with restrictions) or ``fail``.
        detail: what the check found.
        remedy: what to do; empty where nothing is wrong.
    """

    name: str
    result: str
    detail: str
    remedy: str = ""
