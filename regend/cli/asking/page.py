"""Answers for people: a heading and the best lines of each result, with the query's words marked."""

from __future__ import annotations

import os
import sys

from regend.cli.asking.here import shown_path, working_directory
from regend.cli.asking.lines import Marks, best_line, best_lines, cut, numbered, without_indent
from regend.cli.terminal import Style, columns, printable
from regend.errors import count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence
    from typing import Any

    from regend.cli.asking.lines import Line

_NAMED_COPIES = 3
_BEST_LINES = 3
_FOOTER_ROWS = 2
"""Rows of the screen below the results: the footer and the shell's next prompt."""


class Room:
    """The terminal's size; one that is unknown has no limits."""

    def __init__(self, rows: int = 0, width: int = 0) -> None:
        self.rows = rows
        self.width = width

    @classmethod
    def of_terminal(cls) -> Room:
        try:
            size = os.get_terminal_size(sys.stdout.fileno())
        except (OSError, ValueError):
            return cls()
        return cls(size.lines, size.columns)


def result_lines(answer: dict[str, Any], arguments: argparse.Namespace, style: Style, room: Room) -> Iterator[str]:
    """Yield the page of a search: one screen, unless more was asked for."""
    here, marks = working_directory(), Marks(answer.get("words", ()))
    results = answer["results"]
    count, apart = _share_of_screen(len(results), len(answer["notes"]), room)
    best_score = results[0]["score"] if results and not arguments.offset else 0.0
    whole = arguments.verbose or arguments.budget or arguments.context is not None
    width = 0 if arguments.verbose else room.width
    for place, result in enumerate(results):
        if place and (apart or whole):
            yield ""
        yield _heading(result, here, best_score, bool(whole), style)
        if whole:
            yield from _whole(result, arguments.context is None, marks, style, width)
        else:
            lines = best_lines(result, arguments.snippet_lines or count, marks)
            yield from _code_lines(without_indent(lines), _digits(lines), marks, style, width)
        if whole and (copies := result.get("copy_count")):
            named = [printable(_copy(copy, here)) for copy in result["copies"][:_NAMED_COPIES]]
            more = ", …" if copies > len(named) else ""
            yield style(f"  and {count_text(copies, 'more place')}: {', '.join(named)}{more}", "dim")
        if result.get("explain"):
            yield from _explained(result["explain"], best_score or result["score"], style)
    if answer.get("stages"):
        yield ""
        rows = [(name, f"{s['wall_ms']:.3f}", f"{s['cpu_ms']:.3f}") for name, s in answer["stages"].items()]
        for line in columns([("stage", "ms", "CPU ms"), *rows], right=frozenset({1, 2})):
            yield style(line, "yellow")


def _share_of_screen(results: int, notes: int, room: Room) -> tuple[int, bool]:
    """Return how many lines each result may have, and whether a blank line fits between two results."""
    rows = (room.rows - _FOOTER_ROWS - notes) // max(1, results)
    if not room.rows or rows < 2:  # A pager shows what does not fit.
        return _BEST_LINES, True
    lines = min(_BEST_LINES, rows - 1)
    return lines, rows > lines + 1


def _heading(result: dict[str, Any], here: str, best_score: float, whole: bool, style: Style) -> str:
    line, _ = best_line(result)
    span = f"{result['start_line']}-{result['end_line']}" if whole else str(line)
    place = style(printable(shown_path(result["root"], result["path"], here)), "magenta", "bold")
    symbol = f"  {style(printable(result['symbol']), 'cyan')}" if result["symbol"] else ""
    share = ""
    if best_score > 0:
        share = "  " + style(f"{max(0.0, 100 * result['score'] / best_score):.0f} %", "dim")
    copies = result.get("copy_count", 0)
    also = style(f"  +{count_text(copies, 'copy', 'copies')}", "dim") if copies and not whole else ""
    unsaved = style("  unsaved", "yellow") if result.get("unsaved") else ""
    return f"{place}:{style(span, 'green')}{symbol}{share}{also}{unsaved}"


def _whole(result: dict[str, Any], beyond: bool, marks: Marks, style: Style, room: int) -> Iterator[str]:
    """Yield the snippet, if `beyond` is true the lines that fit beyond it, and further passages of the file."""
    also = result.get("also") or ()
    matches = [(match["line"], match["text"]) for match in result.get("matches") or ()] if beyond else []
    width = _digits([(p["end_line"], "") for p in (result, *also)])
    gap = style(f"  {'⋮'.rjust(width)}", "dim")
    yield from _code_lines(numbered(result), width, marks, style, room)
    if matches:
        yield gap
        yield from _code_lines(matches, width, marks, style, room)
    for passage in also:
        symbol = f"  {style(printable(passage['symbol']), 'cyan')}" if passage["symbol"] else ""
        yield gap + symbol
        yield from _code_lines(numbered(passage), width, marks, style, room)


def _code_lines(lines: Sequence[Line], digits: int, marks: Marks, style: Style, width: int) -> Iterator[str]:
    for number, line in lines:
        text = cut(printable(line.rstrip("\r")), max(20, width - digits - 4) if width else 0)
        yield f"  {style(str(number).rjust(digits), 'green')}  {marks.marked(text, style)}".rstrip()


def _digits(lines: Sequence[Line]) -> int:
    return len(str(max((number for number, _ in lines), default=1)))


def _copy(copy: dict[str, Any], here: str) -> str:
    return f"{shown_path(copy['root'], copy['path'], here)}:{copy['start_line']}-{copy['end_line']}"


def _explained(features: dict[str, Any], best_score: float, style: Style) -> Iterator[str]:
    """Yield what each feature added, as a share of the best score; what added nothing is left out."""
    scale = 100 / best_score if best_score > 0 else 100.0
    shares = {name: feature["contribution"] * scale for name, feature in features.items()}
    rows = [
        (name, f"{features[name]['value']:.4g}", f"{share:+.1f} %")
        for name, share in sorted(shares.items(), key=lambda item: -abs(item[1]))
        if round(share, 1)
    ]
    for line in columns(rows, right=frozenset({1, 2})):
        yield f"    {style(line, 'yellow')}"


def footer(answer: dict[str, Any], where: str, style: Style) -> str:
    """Return the line below the results."""
    found = count_text(len(answer["results"]), "result")
    taken = f", {count_text(answer['tokens'], 'token')}" if answer.get("tokens") else ""
    more = f"; more with --offset {answer['next_offset']}" if answer.get("next_offset") else ""
    return style(f"{found}{taken} {where} in {answer['took_ms']:.1f} ms{more}", "dim")


def outline_lines(answer: dict[str, Any], style: Style) -> Iterator[str]:
    """Yield the definitions of a file, indented by what encloses them."""
    place = printable(shown_path(answer["root"], answer["path"], working_directory()))
    yield f"{style(place, 'magenta')} {style(answer['language'], 'dim')}"
    rows: list[tuple[str, str, str]] = []
    enclosing: list[int] = []
    for symbol in answer["symbols"]:
        first, last = symbol["start_line"], symbol["end_line"]
        while enclosing and enclosing[-1] < first:
            enclosing.pop()
        rows.append((f"{first}-{last}", symbol["kind"], "  " * len(enclosing) + printable(symbol["name"])))
        enclosing.append(last)
    for line in columns(rows, right=frozenset({0})):
        yield f"  {line}"


def symbol_lines(answer: dict[str, Any], style: Style) -> Iterator[str]:
    """Yield a line for each definition."""
    here = working_directory()
    for symbol in answer["symbols"]:
        path = style(printable(shown_path(symbol["root"], symbol["path"], here)), "magenta")
        span = style(f"{symbol['start_line']}-{symbol['end_line']}", "green")
        name = style(printable(symbol["qualified"]), "cyan")
        yield f"{path}:{span}  {style(printable(symbol['kind']), 'dim')} {name}"
