"""Cut the lines of a file into chunks along its definitions.

A definition that fits is a piece. A larger one is opened up into the definitions inside it and the lines between them;
without definitions inside it is cut into windows. Then neighbours are gathered. Every border between two of them has a
rank, made of what stands on both sides of it and of nothing else, and they are joined in the order of these ranks as
long as they fit together. So an edit changes the chunks it touches: for it to change another one, the ranks of all
borders on the way to it must rise from one to the next.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from regend.chunking.prose import weighted_tokens
from regend.chunking.symbols import Definition
from regend.chunking.tokens import estimate_tokens, line_tokens
from regend.config import LimitConfig
from regend.types import Chunk, chunk_id

MIN_LINES = 3
MIN_TOKENS = 25
"""A chunk of fewer lines or tokens is joined with a neighbour, whatever encloses it."""
MAX_SIGNATURE_CHARS = 200
_NAME_ROWS = 8
"""Maximum rows of a definition in which its name is looked for."""
_WITHOUT_OUTLINE = frozenset({"block", "window", "section", "key", "rule", "element", "index", "table"})
"""Kinds of documents and data: what is inside them has no signature."""
_CLOSING = re.compile(r"[\s)\]}>;,]*(?:(?:end|fi|done|esac|</[\w.:-]*>)[\s)\]}>;,]*)?\Z")
"""A line that only ends what lines before it began."""
_MAX_CLOSING_CHARS = 24
_TOGETHER, _ADJACENT, _APART, _ACROSS = range(4)
"""Ranks of borders begin so: within what belongs together, without and with blank lines between, and between what lies
in different definitions."""
_Span = tuple[int, int]
"""First and last of some rows or pieces, both included."""


@dataclass(slots=True)
class _Nest:
    definition: Definition
    inside: list[_Nest] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A definition that is cut up; `around` is the number of the one that it lies in. The file has number 0."""

    around: int
    symbol: str
    kind: str
    inside: list[_Nest]


class _Piece(NamedTuple):
    """Rows, from 0 and both included, that form a chunk or a part of one; neither the first nor the last is blank.

    Attributes:
        around: number of the opened definition that it lies in.
        is_head: whether that definition begins with it.
        floor: first row that a later window may repeat for overlap, or -1.
    """

    first_row: int
    last_row: int
    symbol: str
    kind: str
    around: int
    is_head: bool = False
    floor: int = -1


class Cutter:
    """Cuts one file's lines."""

    def __init__(self, lines: list[str], limits: LimitConfig) -> None:
        self._lines = lines
        self._overlap_lines = limits.overlap_lines
        self._size = limits.chunk_tokens
        self._most = limits.chunk_tokens + limits.chunk_tokens // 4
        self._gathered = max(1, limits.chunk_tokens * 2 // 3)
        self._weights = line_tokens(lines)
        self._sums = list(itertools.accumulate(self._weights, initial=0))
        self._opened: list[_Opened] = []

    def cut(self, definitions: list[Definition], kind: str) -> tuple[Chunk, ...]:
        """Return the chunks of a file; `kind` is that of lines outside of all definitions."""
        self._opened = [_Opened(0, "", kind, _outermost(definitions))]
        pieces = [window for piece in self._pieces() for window in self._windows(piece)]
        ranks = [self._rank(before, after) for before, after in itertools.pairwise(pieces)]

        def tokens(first: int, last: int) -> int:
            return self._tokens(pieces[first].first_row, pieces[last].last_row)

        def gathers(first: int, border: int, last: int) -> bool:
            before, after = pieces[border], pieces[border + 1]
            most = self._size if before.symbol == after.symbol else self._gathered
            return before.around == after.around and tokens(first, last) <= most

        def is_small(first: int, last: int) -> bool:
            return pieces[last].last_row - pieces[first].first_row < MIN_LINES - 1 or tokens(first, last) < MIN_TOKENS

        def completes(first: int, border: int, last: int) -> bool:
            return (is_small(first, border) or is_small(border + 1, last)) and tokens(first, last) <= self._most

        groups = [pieces[first : last + 1] for first, last in _joined(ranks, gathers, completes)] if pieces else []
        return tuple(self._chunk(group, ordinal) for ordinal, group in enumerate(groups))

    def _tokens(self, first_row: int, last_row: int) -> int:
        return self._sums[last_row + 1] - self._sums[first_row]

    # -- pieces --------------------------------------------------------------------------------------------------------

    def _pieces(self) -> Iterator[_Piece]:
        """Yield the definitions that fit and the rows between them; open up large ones. No recursion."""
        work: list[_Piece | tuple[int, int, int]] = [(0, 0, len(self._lines) - 1)]
        while work:
            item = work.pop()
            if isinstance(item, _Piece):
                if item.first_row <= item.last_row:
                    yield item
                continue
            number, row, last_row = item
            first_row = row
            opened = self._opened[number]
            following: list[_Piece | tuple[int, int, int]] = []
            for nest in opened.inside:
                first = max(nest.definition.first_row, row)
                last = min(nest.definition.end_row, last_row)
                if last < first:
                    continue  # It shares its lines with the one before.
                following.append(self._between(number, row, first - 1, is_head=row == first_row))
                path, kind = nest.definition.path, nest.definition.kind
                if nest.inside and self._tokens(first, last) > self._size:
                    following.append((len(self._opened), first, last))
                    self._opened.append(_Opened(number, path, kind, nest.inside))
                else:
                    following.append(_Piece(*self._trimmed(first, last), path, kind, number))
                row = last + 1
            following.append(self._between(number, row, last_row, is_head=row == first_row))
            work.extend(reversed(following))

    def _between(self, number: int, first_row: int, last_row: int, *, is_head: bool) -> _Piece:
        """Return the piece of rows that lie between the definitions inside an opened one."""
        opened = self._opened[number]
        kind = opened.kind if is_head or not number else "block"
        return _Piece(*self._trimmed(first_row, last_row), opened.symbol, kind, number, is_head)

    def _trimmed(self, first: int, last: int) -> _Span:
        """Return the rows without blank ones at their ends; a span without rows where all are blank."""
        while first <= last and not self._weights[first]:
            first += 1
        while first <= last and not self._weights[last]:
            last -= 1
        return first, last

    def _windows(self, piece: _Piece) -> Iterator[_Piece]:
        """Yield the piece, or the windows that it is cut into where it is too large."""
        if self._tokens(piece.first_row, piece.last_row) <= self._most:
            yield piece
            return
        number = len(self._opened)
        self._opened.append(_Opened(piece.around, piece.symbol, piece.kind, []))
        parts = list(self._parts(piece))
        sums, size = self._sums, self._size

        def fits(first: int, _border: int, last: int) -> bool:
            return sums[parts[last][1] + 1] - sums[parts[first][0]] <= size

        for first, last in _joined([self._row_rank(a, b) for (_, a), (b, _) in itertools.pairwise(parts)], fits):
            is_head, floor = (False, piece.first_row) if first else (piece.is_head, -1)
            yield _Piece(parts[first][0], parts[last][1], piece.symbol, piece.kind, number, is_head, floor)

    def _parts(self, piece: _Piece) -> Iterator[_Span]:
        """Yield runs of rows without blank ones between that fit, and every row of a longer run."""
        row = piece.first_row
        for blank in [row for row in range(row, piece.last_row + 1) if not self._weights[row]] + [piece.last_row + 1]:
            if row < blank:
                if self._tokens(row, blank - 1) <= self._size:
                    yield row, blank - 1
                else:
                    yield from ((row, row) for row in range(row, blank))
            row = blank + 1

    # -- ranks ---------------------------------------------------------------------------------------------------------

    def _row_rank(self, before: int, after: int) -> int:
        """Rank the border between two rows: blank lines part more than none, and shallow rows more than deep ones."""
        line = self._lines[after]
        code = line.lstrip()
        if len(code) <= _MAX_CLOSING_CHARS and _CLOSING.match(code):
            rank = 0
        else:
            rank = (_ADJACENT if after == before + 1 else _APART) << 8 | 255 - min(len(line) - len(code), 255)
        return rank << 32 | _hash(f"{self._lines[before]}\n{line}")

    def _rank(self, before: _Piece, after: _Piece) -> int:
        """Rank the border between two pieces."""
        if self._belong_together(before, after):
            kind = _TOGETHER
        elif before.around != after.around:
            kind = _ACROSS
        else:
            kind = _ADJACENT if after.first_row == before.last_row + 1 else _APART
        sides = self._mark(before, before.last_row), self._mark(after, after.first_row)
        return kind << 32 | _hash("\n".join(sides))

    def _belong_together(self, before: _Piece, after: _Piece) -> bool:
        if before.is_head and before.around:
            return True
        if before.symbol == after.symbol and before.around == after.around:
            return True  # Overloads, a signature and its equations, windows.
        rows = range(after.first_row, after.last_row + 1)
        return len(rows) < MIN_LINES and all(map(_CLOSING.match, (self._lines[row] for row in rows)))

    def _mark(self, piece: _Piece, row: int) -> str:
        """Return what tells a side of a border apart: the name of a definition, or else the line."""
        is_named = piece.kind != "block" and piece.symbol and not piece.is_head and piece.floor < 0
        return piece.symbol if is_named else self._lines[row]

    # -- chunks --------------------------------------------------------------------------------------------------------

    def _chunk(self, group: list[_Piece], ordinal: int) -> Chunk:
        symbol, kind = self._name(group)
        first, last = group[0].first_row, group[-1].last_row
        if group[0].floor >= 0 and self._overlap_lines:
            first = max(group[0].floor, first - self._overlap_lines)
            first = next(row for row in range(first, last + 1) if self._weights[row])
        text = "\n".join(self._lines[first : last + 1])
        tokens = self._tokens(first, last)
        outline = self._outline(group, max(self._most - tokens, self._size // 4))
        words = weighted_tokens(f"{text}\n{outline}" if outline else text)
        if outline:
            tokens += estimate_tokens(outline)
        return Chunk(
            chunk_id(symbol, text, outline), ordinal, first + 1, last + 1, symbol, kind, tokens, text, words, outline
        )

    def _name(self, group: list[_Piece]) -> tuple[str, str]:
        """Return symbol and kind: of the piece or opened definition that makes two thirds, or of what encloses all."""
        if len(group) == 1:
            return group[0].symbol, group[0].kind
        share = -(-2 * self._sum(group) // 3)
        inside: dict[int, list[_Piece]] = {}
        for piece in group:
            number = piece.around
            while number:
                inside.setdefault(number, []).append(piece)
                number = self._opened[number].around
        number = max((number for number, pieces in inside.items() if self._sum(pieces) >= share), default=0)
        opened = self._opened[number]
        pieces = inside.get(number, group)
        if number and (not opened.inside or any(piece.is_head and piece.around == number for piece in pieces)):
            return opened.symbol, opened.kind
        largest = max(pieces, key=lambda piece: self._sum([piece]))
        if self._sum([largest]) >= share:
            return largest.symbol, largest.kind
        return opened.symbol, "block" if number else opened.kind

    def _sum(self, pieces: list[_Piece]) -> int:
        return sum(self._tokens(piece.first_row, piece.last_row) for piece in pieces)

    def _outline(self, group: list[_Piece], room: int) -> str:
        """Return the signatures of what the definitions that begin in the group have beyond it, a line each.

        Where they do not fit into `room` tokens, their names stand instead, as many as fit.
        """
        last_row = group[-1].last_row
        members = [
            nest.definition
            for piece in group
            if piece.is_head and self._opened[piece.around].kind not in _WITHOUT_OUTLINE
            for nest in self._opened[piece.around].inside
            if nest.definition.start_row > last_row
        ]
        if not members:
            return ""
        signatures = list(dict.fromkeys(self._signature(member) for member in members))
        if sum(map(estimate_tokens, signatures)) > room:
            signatures = list(dict.fromkeys(member.name for member in members))
        sums = itertools.accumulate(map(estimate_tokens, signatures))
        return "\n".join(line for line, total in zip(signatures, sums, strict=True) if total <= room)

    def _signature(self, definition: Definition) -> str:
        """Return the line of the definition that holds its name, or the name alone."""
        rows = range(definition.start_row, min(definition.end_row + 1, definition.start_row + _NAME_ROWS))
        lines = (self._lines[row].strip() for row in rows)
        line = next((line for line in lines if definition.name in line), definition.name)
        return line if len(line) <= MAX_SIGNATURE_CHARS else definition.name


def _outermost(definitions: list[Definition]) -> list[_Nest]:
    """Return the definitions as a forest; they come sorted, enclosing ones first."""
    top: list[_Nest] = []
    stack: list[_Nest] = []
    for definition in definitions:
        while stack and stack[-1].definition.depth >= definition.depth:
            stack.pop()
        nest = _Nest(definition)
        (stack[-1].inside if stack else top).append(nest)
        stack.append(nest)
    return top


def _joined(ranks: list[int], *rules: Callable[[int, int, int], bool]) -> Iterator[_Span]:
    """Join neighbours across the borders between them, in the order of the borders' ranks; yield what comes of it.

    Args:
        ranks: of the border after each item but the last.
        rules: one after the other goes over all borders that are left. Each is asked with the first item that would be
            joined, the item before the border, and the last item.
    """
    count = len(ranks) + 1
    starts, ends = list(range(count)), list(range(count))
    borders = sorted(range(count - 1), key=ranks.__getitem__)
    for rule in rules:
        left = []
        for border in borders:
            first, last = starts[border], ends[border + 1]
            if rule(first, border, last):
                ends[first], starts[last] = last, first
            else:
                left.append(border)
        borders = left
    first = 0
    while first < count:
        yield first, ends[first]
        first = ends[first] + 1


def _hash(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))
