"""Snippets: the lines of a chunk that a person wants to see first, and the lines beyond them that fit the query.

Beyond a chunk that holds the head of a large class, these are the heads of the class's members.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from regend.chunking.tokens import folded
from regend.limits import SNIPPET_LINES
from regend.search.legs.locate import surrounding
from regend.search.query.words import plain, stem
from regend.store.base import ChunkView, Snapshot, SymbolView

MATCHED_LINES = 3
"""Maximum lines beyond the snippet that are named."""
_HEADER_LINES = 4
"""Lines at a chunk's top within which a definition's name may stand for the chunk to be shown from the top."""
_MATCHES_PER_TERM = 8
_SCANNED_TERMS = 8
_MIN_TERM_CHARS = 3
_UNNAMED = frozenset({"block", "window"})
"""Kinds of chunks whose symbol names what is around them."""
_WORD = re.compile(r"\w+")
_MAX_LINE_CHARS = 400
"""Maximum characters of a line that are shown: one minified line must not make an answer of megabytes."""


class MatchedLine(NamedTuple):
    """A line of the file, 1-based, and its text."""

    line: int
    text: str


class Snippet(NamedTuple):
    """Text, the 1-based line at which it begins, what the query matches in the chunk's other lines, and the best line.

    The best line is the one to go to, in the text or in `matches`: the definition that the query names, or the line
    with most of its words, or where the chunk's own definition is.
    """

    text: str
    line: int
    matches: tuple[MatchedLine, ...] = ()
    best: int = 0


def snippet(
    snapshot: Snapshot,
    view: ChunkView,
    terms: tuple[str, ...],
    anchor: int = 0,
    context: int = 0,
    max_lines: int = SNIPPET_LINES,
    at_best: bool = False,
) -> Snippet:
    """Return the most relevant lines of `view`.

    Args:
        terms: words of the query, lower-case; they choose the lines where no definition does.
        anchor: line of a definition at which to begin, or 0.
        context: further lines of the file to show on either side.
        max_lines: lines at most, without `context`; at least 1.
        at_best: begin at the best line if it is not among the lines that are shown otherwise.
    """
    lines = view.text.split("\n")
    first = _first_line(view, lines, terms, anchor, max_lines)
    counts = _counts(view.text, terms)
    best = view.start_line + _best_line(view, lines, counts, anchor)
    if at_best and not first <= best < first + max_lines:
        first = max(view.start_line, min(best, view.end_line - max_lines + 1))
    last = min(view.start_line + len(lines), first + max_lines) - 1
    matches: tuple[MatchedLine, ...] = ()
    if last - first + 1 < len(lines):
        begin = view.start_line
        beyond = _best_lines(counts, first - begin - context, last - begin + context)
        matches = tuple(MatchedLine(begin + number, _cut(lines[number])) for number in beyond)
    if context:
        first, last = max(1, first - context), last + context
        chunks = surrounding(snapshot, view, first, last)
        numbered = {
            number: line
            for chunk in reversed(chunks)
            for number, line in enumerate(chunk.text.split("\n"), chunk.start_line)
        }
        first, last = max(first, min(numbered)), min(last, max(numbered))
        # Lines between chunks are blank in the file.
        lines = [numbered.get(number, "") for number in range(first, last + 1)]
    else:
        lines = lines[first - view.start_line : last + 1 - view.start_line]
    return Snippet("\n".join(map(_cut, lines)), first, matches, best)


def line_of(phrase: str, view: ChunkView) -> int:
    """Return the line of the file at which a text of the chunk begins, to the letter, or 0."""
    wanted, lines = plain(phrase), view.text.split("\n")
    if not wanted or wanted not in plain(view.text):
        return 0
    last = next(at for at in range(len(lines)) if wanted in plain("\n".join(lines[: at + 1])))
    first = next(at for at in range(last, -1, -1) if wanted in plain("\n".join(lines[at : last + 1])))
    return view.start_line + first


def _cut(line: str) -> str:
    return line if len(line) <= _MAX_LINE_CHARS else line[:_MAX_LINE_CHARS] + "…"


def _first_line(view: ChunkView, lines: list[str], terms: tuple[str, ...], anchor: int, max_lines: int) -> int:
    start = view.start_line
    if len(lines) <= max_lines:
        return start
    header = min(_HEADER_LINES, max(1, max_lines // 2))
    if start <= anchor < start + len(lines):
        return start if anchor - start < header else anchor
    named = _named_line(view, lines)
    if named is not None:
        return start if named < header else start + named
    return start + _densest(view.text, lines, terms, max_lines)


def _best_line(view: ChunkView, lines: list[str], counts: dict[int, int], anchor: int) -> int:
    """Return the index of the best line, see `Snippet`."""
    if 0 <= anchor - view.start_line < len(lines):
        return anchor - view.start_line
    named = _named_line(view, lines)
    most = max(counts.values(), default=0)
    if named is not None and counts.get(named, 0) == most:
        return named
    return min((line for line, count in counts.items() if count == most), default=0)


def _counts(text: str, terms: tuple[str, ...]) -> dict[int, int]:
    """Return the indexes of lines that hold words with the terms' stems, and of how many; short terms count last."""
    long = tuple(term for term in terms if len(term) >= _MIN_TERM_CHARS or not term.isascii())
    masks: dict[int, int] = {}
    for line, bit in _hits(text, _stems(long)) or _hits(text, _stems(terms)):
        masks[line] = masks.get(line, 0) | bit
    return {line: mask.bit_count() for line, mask in masks.items()}


def _stems(terms: tuple[str, ...]) -> dict[str, int]:
    """Return the stems of the first terms with their bits, and with the same bit each term without its stem in it.

    Short forms are such terms: ``cmd`` has the stem of "command".
    """
    bits: dict[str, int] = {}
    for term in terms[:_SCANNED_TERMS]:
        whole, part = folded(term), folded(stem(term))
        bit = bits.setdefault(part, 1 << len(bits))
        if part not in whole:
            bits.setdefault(whole, bit)
    return bits


def _named_line(view: ChunkView, lines: list[str]) -> int | None:
    """Return the index of the line at the chunk's top that holds its symbol's name."""
    name = "" if view.kind in _UNNAMED else re.split(r"[.:#/\s]+", view.symbol)[-1]
    return next((number for number, line in enumerate(lines[:_HEADER_LINES]) if name in line), None) if name else None


def _hits(text: str, bits: dict[str, int]) -> list[tuple[int, int]]:
    """Find folded terms: indexes of lines, each with the term's bit, in order."""
    lowered = folded(text)
    found: list[tuple[int, int]] = []
    for term, bit in bits.items():
        position, line, counted = lowered.find(term), 0, 0
        for _ in range(_MATCHES_PER_TERM):
            if position < 0:
                break
            line += lowered.count("\n", counted, position)
            counted = position
            found.append((line, bit))
            line_end = lowered.find("\n", position)
            position = -1 if line_end < 0 else lowered.find(term, line_end)
    found.sort()
    return found


def _densest(text: str, lines: list[str], terms: tuple[str, ...], max_lines: int) -> int:
    """Return the index of the line at which to begin, so that the most distinct terms are shown, first ones first.

    The head of what they are in is shown with them if there is room: the nearest of the least indented lines above.
    """
    folded_terms = dict.fromkeys(map(folded, terms[:_SCANNED_TERMS]))
    found = _hits(text, {term: 1 << number for number, term in enumerate(folded_terms)})
    best, last, best_count = 0, 0, 0
    for index, (first, _) in enumerate(found):
        mask, end = 0, first
        for line, bit in found[index:]:
            if line >= first + max_lines:
                break
            if not mask & bit:
                mask, end = mask | bit, line
        if mask.bit_count() > best_count:
            best, last, best_count = first, end, mask.bit_count()
    above = [at for at in range(max(0, last + 1 - max_lines), best) if lines[at].strip()]
    head = min(above, key=lambda at: (_indent(lines[at]), -at), default=best)
    if _indent(lines[head]) < _indent(lines[best]):
        return min(head, len(lines) - max_lines)
    return max(0, min(best - (max_lines > 1), len(lines) - max_lines))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _best_lines(counts: dict[int, int], first: int, last: int) -> Iterable[int]:
    """Return the indexes of the lines outside of `first` to `last` with the most words of the query, in order."""
    others = (line for line in counts if not first <= line <= last)
    return sorted(sorted(others, key=lambda line: (-counts[line], line))[:MATCHED_LINES])


def members(symbols: Iterable[SymbolView], view: ChunkView, terms: tuple[str, ...]) -> tuple[MatchedLine, ...]:
    """Return the heads of members of the chunk's definition that lie beyond the chunk and fit the query best, in order.

    Args:
        symbols: of the chunk's file.
    """
    signatures = view.outline.split("\n")
    beyond = [s for s in symbols if s.start_line > view.end_line and s.path.rpartition(".")[0] == view.symbol]
    head_of: dict[str, str] = {}
    for line in signatures:
        for word in _WORD.findall(line):
            head_of.setdefault(word, line)
    heads = [(s.start_line, head_of.get(s.name) or _head(" ".join(s.name.split()), signatures)) for s in beyond]
    best = _best_lines(_counts("\n".join(text for _, text in heads), terms), 0, -1)
    return tuple(MatchedLine(line, _cut(text)) for line, text in (heads[at] for at in best))


def _head(name: str, signatures: list[str]) -> str:
    """Return the first signature with a name that no whole word is, such as an operator, or the name alone."""
    if _WORD.fullmatch(name):
        return name
    whole = re.compile(rf"(?<!\w){re.escape(name)}(?!\w)")
    return next(filter(whole.search, signatures), name)
