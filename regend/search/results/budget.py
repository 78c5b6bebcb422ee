"""Budget: as much of the best results as fits into so many tokens, for readers that pay for each, such as agents.

Each file comes once. Breadth goes first: every file gets a passage, the first ones larger than the later ones, because
the answer is likely at the top and may be anywhere. The rest goes to further passages of files that are in, and
last to making the passages longer, in the order of the results.
"""

from __future__ import annotations

from typing import NamedTuple

from regend.chunking.tokens import estimate_tokens
from regend.limits import MAX_OFFSET, MAX_RESULTS
from regend.search.options import Page
from regend.search.ranking.ranking import Ranked
from regend.search.results.outcome import Copy, Passage, SearchOutcome, SearchResult
from regend.search.results.presentation import Show
from regend.search.results.snippets import Snippet
from regend.store.base import ChunkView

FIRST_SHARE = 0.2
"""Share of the budget for the first file's passage."""
NEXT_SHARE = 0.75
"""Share of each further file, as a part of its predecessor's share."""
_NAMED_COPIES = 3
"""Maximum places with the same text that are named, which also takes tokens."""
MIN_PASSAGE_TOKENS = 40
"""A share never falls below this: a heading and some three lines."""


def rows_for(page: Page) -> int:
    """Return how many chunks or files to select: `k`, or as many as may fit into the budget."""
    return min(MAX_RESULTS, page.budget // MIN_PASSAGE_TOKENS + 1) if page.budget else page.k


def shown(rows: list[Ranked], more: bool, page: Page, show: Show) -> SearchOutcome:
    """Return an answer with the chosen rows: each with its snippet, or packed into the page's budget.

    Args:
        more: whether further rows come after these.
    """
    if page.budget:
        results, tokens = pack(rows, page.budget, page.k, show)
        return SearchOutcome(
            tuple(results), show.snapshot.generation, show.snapshot.complete, tokens=tokens, words=show.words
        )
    end = page.offset + len(rows)
    return SearchOutcome(
        tuple(map(show.result, rows)), show.snapshot.generation, show.snapshot.complete,
        next_offset=end if more and end <= MAX_OFFSET else None, words=show.words,
    )  # fmt: skip


class _Piece(NamedTuple):
    """A passage in the making: a chunk, what of it is shown, and what that costs."""

    chosen: Ranked
    shown: Snippet
    tokens: int


def _holds(pieces: list[_Piece], view: ChunkView) -> bool:
    """Return whether lines of `view` are in already; chunks may overlap where the configuration says so."""
    shown = [piece.chosen.view for piece in pieces]
    return any(other.start_line <= view.end_line and view.start_line <= other.end_line for other in shown)


def pack(rows: list[Ranked], budget: int, most: int, show: Show) -> tuple[list[SearchResult], int]:
    """Pack passages into at most `budget` tokens, one result per file; return the results and the tokens they take.

    Args:
        rows: chunks, best first; several of one file are welcome.
        budget: estimated tokens of all headings (path, lines, symbol), passages, and copies (path, lines).
        most: files at most.
    """
    files: dict[tuple[str, str], list[_Piece]] = {}
    left, share = budget, budget * FIRST_SHARE
    for row in rows:
        if row.place in files:
            continue
        piece = _cut(row, min(left, max(MIN_PASSAGE_TOKENS, int(share))), show)
        if piece is not None:
            files[row.place] = [piece]
            left -= piece.tokens
            share *= NEXT_SHARE
        if left < MIN_PASSAGE_TOKENS or len(files) >= most:
            break
    copies: dict[tuple[str, str], tuple[Copy, ...]] = {}
    for place, (first,) in files.items():
        copies[place], cost = _named_copies(show.copies(first.chosen), left)
        left -= cost
    for row in rows:
        pieces = files.get(row.place)
        if pieces is None or left < MIN_PASSAGE_TOKENS or _holds(pieces, row.view):
            continue
        piece = _cut(row, min(left, max(MIN_PASSAGE_TOKENS, int(budget * FIRST_SHARE))), show)
        if piece is not None:
            pieces.append(piece)
            left -= piece.tokens
    for pieces in files.values():
        for number, piece in enumerate(pieces):
            longer = _cut(piece.chosen, piece.tokens + left, show)
            if longer is not None and longer.tokens > piece.tokens:
                left -= longer.tokens - piece.tokens
                pieces[number] = longer
    return [_result(pieces, copies[place], show) for place, pieces in files.items()], budget - left


def _named_copies(copies: tuple[Copy, ...], left: int) -> tuple[tuple[Copy, ...], int]:
    """Return the first copies that fit into the tokens that are left, `_NAMED_COPIES` at most, and what they cost."""
    total = 0
    for count, copy in enumerate(copies[:_NAMED_COPIES]):
        cost = estimate_tokens(f"{copy.path}:{copy.start_line}-{copy.end_line}")
        if total + cost > left:
            return copies[:count], total
        total += cost
    return copies[:_NAMED_COPIES], total


def _cut(row: Ranked, tokens: int, show: Show) -> _Piece | None:
    """Cut as many of the chunk's lines as fit into `tokens`; None where not even one does."""
    view = row.view
    heading = f"{row.candidate.entry.path}:{view.start_line}-{view.end_line} {view.symbol}\n"
    count = view.text.count("\n") + 1
    room = tokens - estimate_tokens(heading)
    lines = min(count, max(1, int(count * room / max(1, estimate_tokens(view.text)))))
    while lines > 0:
        shown = show.lines(view, lines)
        cost = estimate_tokens(heading + shown.text)
        if cost <= tokens:
            best = shown.best if shown.line <= shown.best < shown.line + lines else shown.line
            return _Piece(row, shown._replace(matches=(), best=best), cost)
        lines -= max(1, lines // 5)
    return None


def _result(pieces: list[_Piece], copies: tuple[Copy, ...], show: Show) -> SearchResult:
    first, *rest = pieces
    rest.sort(key=lambda piece: piece.shown.line)
    also = tuple(
        Passage(view.start_line, view.end_line, view.symbol, piece.shown.text, piece.shown.line)
        for piece in rest
        for view in [piece.chosen.view]
    )
    return show.result(first.chosen, first.shown, also, copies)
