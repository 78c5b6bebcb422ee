"""Snippets: the lines of a chunk that a person wants to see first."""

from __future__ import annotations

import re
from typing import NamedTuple

from regend.search.locate import surrounding
from regend.store.base import ChunkView, Snapshot

SNIPPET_LINES = 12
_HEADER_LINES = 4
"""A definition whose name stands within so many first lines is shown from the chunk's top, comments included."""
_MATCHES_PER_TERM = 8
_SCANNED_TERMS = 8
_MAX_LINE_CHARS = 400
"""A longer line is cut: one minified line must not make an answer of megabytes."""


class Snippet(NamedTuple):
    """Text and the 1-based line at which it begins."""

    text: str
    line: int


def snippet(snapshot: Snapshot, view: ChunkView, terms: tuple[str, ...], anchor: int = 0, context: int = 0) -> Snippet:
    """The most telling lines of `view`.

    Args:
        terms: words of the query, lower-case; they choose the lines where no definition does.
        anchor: line of a definition at which to begin, or 0.
        context: further lines of the file to show on either side.
    """
    lines = view.text.split("\n")
    first = _first_line(view, lines, terms, anchor)
    last = min(view.start_line + len(lines), first + SNIPPET_LINES) - 1
    if context:
        first, last = max(1, first - context), last + context
        numbered = _numbered(snapshot, view, first, last)
        while first not in numbered:
            first += 1
        lines = [numbered[first]]
        while len(lines) <= last - first and first + len(lines) in numbered:
            lines.append(numbered[first + len(lines)])
    else:
        lines = lines[first - view.start_line : last + 1 - view.start_line]
    shown = (line if len(line) <= _MAX_LINE_CHARS else line[:_MAX_LINE_CHARS] + "…" for line in lines)
    return Snippet("\n".join(shown), first)


def _first_line(view: ChunkView, lines: list[str], terms: tuple[str, ...], anchor: int) -> int:
    start = view.start_line
    if len(lines) <= SNIPPET_LINES:
        return start
    if start < anchor < start + len(lines):
        return start if anchor - start < _HEADER_LINES else anchor
    name = re.split(r"[.:#/\s]+", view.symbol)[-1]
    if name and any(name in line for line in lines[:_HEADER_LINES]):
        return start
    return start + _densest(view.text, terms, len(lines))


def _densest(text: str, terms: tuple[str, ...], line_count: int) -> int:
    """Index of the line at which the window with the most distinct terms begins; the first such window."""
    lowered = text.lower()
    found: list[tuple[int, int]] = []
    for number, term in enumerate(terms[:_SCANNED_TERMS]):
        position, line, counted = lowered.find(term), 0, 0
        for _ in range(_MATCHES_PER_TERM):
            if position < 0:
                break
            line += lowered.count("\n", counted, position)
            counted = position
            found.append((line, 1 << number))
            line_end = lowered.find("\n", position)
            position = -1 if line_end < 0 else lowered.find(term, line_end)
    found.sort()
    best, best_count = 0, 0
    for index, (first, _) in enumerate(found):
        mask = 0
        for line, bit in found[index:]:
            if line >= first + SNIPPET_LINES:
                break
            mask |= bit
        if mask.bit_count() > best_count:
            best, best_count = first, mask.bit_count()
    return max(0, min(best - 1, line_count - SNIPPET_LINES))


def _numbered(snapshot: Snapshot, view: ChunkView, first: int, last: int) -> dict[int, str]:
    """Lines by number, from as many neighbours as are needed; lines between chunks are blank in the file."""
    numbered: dict[int, str] = {}
    for chunk in surrounding(snapshot, view, first, last):
        for number, line in enumerate(chunk.text.split("\n"), chunk.start_line):
            numbered.setdefault(number, line)
    known = sorted(numbered)
    for number in range(known[0], known[-1]):
        numbered.setdefault(number, "")
    return numbered
