"""The record of tests that do harm on purpose: attempts and outcomes, as one table at the end of a run.

Tests add lines to one file, whichever process they run in: `REGEND_LEDGER` names it, so that several runs may add up.
"""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path

LEDGER = "REGEND_LEDGER"
COLUMNS = ("tried", "survived", "diverged", "lost", "leaked")


def record(kind: str, tried: int, *, diverged: int = 0, lost: int = 0, leaked: int = 0, note: str = "") -> None:
    """Add a line.

    Args:
        kind: what was done, such as ``kill -9``.
        diverged: cases after which an answer was wrong.
        lost: cases after which something was gone that had been answered for.
        leaked: cases after which a file, descriptor, process or thread was left.
        note: a figure to be shown beside them.
    """
    survived = tried - diverged - lost - leaked
    line = json.dumps(
        {"kind": kind, "note": note} | dict(zip(COLUMNS, (tried, survived, diverged, lost, leaked), strict=True))
    )
    if LEDGER in os.environ:
        with Path(os.environ[LEDGER]).open("a") as file:
            file.write(line + "\n")


def table(path: Path) -> list[str]:
    """The lines of the table; empty where nothing was recorded."""
    sums: dict[str, list[int]] = defaultdict(lambda: [0] * len(COLUMNS))
    notes: dict[str, list[str]] = defaultdict(list)
    for line in path.read_text().splitlines() if path.exists() else []:
        row = json.loads(line)
        sums[row["kind"]] = [a + row[column] for a, column in zip(sums[row["kind"]], COLUMNS, strict=True)]
        if row["note"] and row["note"] not in notes[row["kind"]]:
            notes[row["kind"]].append(row["note"])
    if not sums:
        return []
    total = [sum(column) for column in zip(*sums.values(), strict=True)]
    rows = [*sorted(sums.items()), ("all", total)]
    width = max(len(kind) for kind, _ in rows)
    lines = [f"{'':{width}}" + "".join(f"{column:>10}" for column in COLUMNS)]
    return lines + [
        f"{kind:{width}}" + "".join(f"{number:>10,}" for number in numbers) + "  " + "; ".join(notes[kind][-3:])
        for kind, numbers in rows
    ]
