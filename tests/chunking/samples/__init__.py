"""A realistic file of each language with the definitions that a person finds in it, and the page that counts them.

A sample is a text file: ``=== `` and the path that the file would have (and its language, where the path does not
tell), its lines, then ``=== expected`` and a line
``kind path first-last`` for each definition. `python -m tests.chunking.samples` writes the page.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from regend.chunking.chunker import chunk_content
from regend.chunking.detection import detect_language
from regend.chunking.grammars import spec_of
from regend.chunking.symbols import ROLES, SCOPE
from regend.config import LimitConfig
from regend.types import UNSURE

FOLDER = Path(__file__).parent
PAGE = Path(__file__).parents[3] / "docs" / "languages.md"
_BEGIN, _END = "<!-- languages -->", "<!-- end -->"
_EXPECTED = "\n=== expected\n"
_SHOWN = 6
_CAPTURE = re.compile(r"@([a-z]\w*)")


@dataclass(frozen=True, slots=True)
class Sample:
    name: str
    path: str
    source: str
    expected: tuple[str, ...]
    language: str

    def found(self) -> list[str]:
        """Return a row for each definition that the chunker finds."""
        result = chunk_content(self.source.encode(), self.language, UNSURE, LimitConfig())
        assert not result.skip_reason
        return [f"{s.kind} {s.path} {s.start_line}-{s.end_line}" for s in result.symbols]


@cache
def samples() -> tuple[Sample, ...]:
    result = []
    for file in sorted(FOLDER.glob("*.txt")):
        head, _, rest = file.read_text("utf-8").partition("\n")
        source, mark, expected = rest.partition(_EXPECTED)
        assert head.startswith("=== ") and mark, file.name
        path, _, language = head[4:].strip().partition(" ")
        source += "\n"
        language = language or detect_language(path, source.encode())
        result.append(Sample(file.stem, path, source, tuple(expected.splitlines()), language))
    return tuple(result)


def kinds_of(language: str) -> set[str]:
    """Return the kinds of definitions that the data file of a language names."""
    spec = spec_of(language)
    captured = {capture for capture in _CAPTURE.findall(spec.query) if capture not in ROLES}
    kinds = captured | set(spec.definitions.values()) | {rule.kind for rule in spec.lines}
    return kinds - {SCOPE} | ({"impl"} if SCOPE in kinds else set())


def _without_lines(row: str) -> str:
    return row.rpartition(" ")[0]


def counts(sample: Sample) -> tuple[int, int, int]:
    """Return how many definitions are expected, found by kind and name, and found with their whole path and lines."""
    found, expected = Counter(sample.found()), Counter(sample.expected)

    def named(rows: Counter[str]) -> Counter[str]:
        names: Counter[str] = Counter()
        for row, count in rows.items():
            kind, _, path = _without_lines(row).partition(" ")
            names[f"{kind} {path.rpartition('.')[2]}"] += count
        return names

    return expected.total(), (named(found) & named(expected)).total(), (found & expected).total()


def table() -> str:
    """Return the table of the page: a row for each language."""
    rows: dict[str, Counter[str]] = {}
    for sample in samples():
        expected, found, exact = counts(sample)
        row = rows.setdefault(sample.language, Counter())
        row.update(expected=expected, found=found, exact=exact)
    lines = [f"| {name} | {_files(name)} | {_numbers(rows[name])} |" for name in sorted(rows)]
    total = sum(rows.values(), Counter())
    head = ["| language | files | definitions | found | with path and lines |", "|---|---|---|---|---|"]
    return "\n".join([_BEGIN, *head, *lines, f"| **{len(rows)} languages** | | {_numbers(total)} |", _END])


def _files(language: str) -> str:
    spec = spec_of(language)
    return " ".join(sorted(spec.extensions)[:_SHOWN] + sorted(spec.filenames)[:_SHOWN])


def _numbers(row: Counter[str]) -> str:
    return f"{row['expected']} | {row['found']} | {row['exact']}"


def page() -> str:
    """Return the page with the table of now."""
    text = PAGE.read_text("utf-8")
    before, _, rest = text.partition(_BEGIN)
    return before + table() + rest.partition(_END)[2]
