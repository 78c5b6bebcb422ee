"""Figures of a run: values with their unit and program, as JSON and as tables of medians with their spread. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

OURS = "regend"
_OURS_FIRST = (OURS, "semble", "ripgrep")


@dataclass(frozen=True, slots=True)
class Figure:
    """A quantity that was measured, once for each round.

    Attributes:
        program: what was measured; all but `OURS` stand beside it, in the same run.
    """

    what: str
    unit: str
    values: tuple[float, ...]
    program: str = OURS

    @property
    def median(self) -> float:
        return statistics.median(self.values)


@dataclass(frozen=True, slots=True)
class Section:
    """One benchmark of a run.

    Attributes:
        about: what it ran over: tree, files, chunks, options.
        remarks: what could not be measured, and why.
    """

    name: str
    about: Mapping[str, Any]
    figures: Sequence[Figure]
    remarks: Sequence[str] = field(default=())


class Rounds:
    """Collects the values of rounds, in the order in which they are first named."""

    def __init__(self) -> None:
        self._values: dict[tuple[str, str, str], list[float]] = {}

    def add(self, what: str, unit: str, value: float, program: str = OURS) -> None:
        self._values.setdefault((what, unit, program), []).append(value)

    def figures(self) -> list[Figure]:
        return [Figure(what, unit, tuple(values), program) for (what, unit, program), values in self._values.items()]


def as_json(section: Section) -> dict[str, Any]:
    """Return a section as a JSON object; `median`, `low` and `high` are there for readers without this module."""
    return {
        "about": dict(section.about),
        "remarks": list(section.remarks),
        "figures": [
            {
                "what": figure.what, "program": figure.program, "unit": figure.unit,
                "median": _short(figure.median), "low": _short(min(figure.values)), "high": _short(max(figure.values)),
                "values": [_short(value) for value in figure.values],
            }
            for figure in section.figures
        ],
    }  # fmt: skip


def from_json(name: str, data: Mapping[str, Any]) -> Section:
    """Read a section that `as_json` wrote."""
    figures = [Figure(f["what"], f["unit"], tuple(f["values"]), f["program"]) for f in data["figures"]]
    return Section(name, data["about"], figures, data["remarks"])


def table(section: Section) -> str:
    """Return a section as a Markdown table: a row for each figure, a column for each program, medians and spread."""
    known = {(figure.what, figure.program): figure for figure in section.figures}
    programs = sorted({f.program for f in section.figures}, key=_place)
    rows = [("what", "unit", *programs), ("---", "---", *("---" for _ in programs))]
    for what, unit in dict.fromkeys((figure.what, figure.unit) for figure in section.figures):
        ours = known.get((what, OURS))
        cells = [_cell(known.get((what, program)), ours) for program in programs]
        rows.append((what, unit, *cells))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def number(value: float) -> str:
    """Return a number with three digits that mean something."""
    if value == round(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"


def describe(about: Mapping[str, Any]) -> str:
    """Return what a section ran over, in one line."""
    return ", ".join(
        f"{name}: {value:,}" if type(value) is int else f"{name}: {value}" for name, value in about.items()
    )


def _cell(figure: Figure | None, ours: Figure | None) -> str:
    """Return a figure's median, its spread, and for another program how many times ours it is."""
    if figure is None:
        return ""
    text = number(figure.median)
    if len(figure.values) > 1:
        text += f" ({number(min(figure.values))}–{number(max(figure.values))})"
    if ours is not None and figure is not ours and ours.median:
        text += f"; {figure.median / ours.median:.2f} ×"
    return text


def _place(program: str) -> tuple[int, str]:
    return (_OURS_FIRST.index(program) if program in _OURS_FIRST else len(_OURS_FIRST), program)


def _short(value: float) -> float:
    return round(value, 6) if abs(value) < 1 else round(value, 3)


def joined(parts: Iterable[str]) -> str:
    """Return paragraphs with an empty line between."""
    return "\n\n".join(part for part in parts if part)
