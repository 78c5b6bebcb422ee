"""Answers for programs: a line for each result, as grep and Vim read it, or JSON.

::

    grep     path:line:text       with context path-line-text, and -- between results
    vimgrep  path:line:column:text
    jsonl    each result as a JSON object on a line of its own
"""

from __future__ import annotations

from collections import namedtuple

from regend.cli.asking.here import shown_path, working_directory
from regend.cli.asking.lines import Marks, best_line, best_lines, column_of, numbered

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator
    from typing import Any, NamedTuple

    from regend.cli.asking.lines import Line

    class Found(NamedTuple):
        """A place to print.

        Attributes:
            best: lines that fit; the others are their context.
            column: of the first of `best`, in bytes, 1-based.
        """

        path: str
        lines: list[Line]
        best: frozenset[int]
        columns: dict[int, int]
else:
    Found = namedtuple("Found", "path lines best columns")


def results_found(answer: dict[str, Any], arguments: argparse.Namespace) -> Iterator[Found]:
    """Yield each result with its best line, or with as many lines as the command line asks for."""
    here, marks = working_directory(), Marks(answer.get("words", ()))
    for result in answer["results"]:
        lines = [best_line(result)]
        best = lines
        if arguments.budget or arguments.verbose or arguments.context is not None:
            lines = numbered(result)
        elif arguments.snippet_lines:
            best = lines = best_lines(result, arguments.snippet_lines, marks)
        for passage in result.get("also", ()):
            lines = sorted(dict(lines + numbered(passage)).items())
        columns = {number: column_of(text, marks.spans(text)) for number, text in best}
        yield Found(shown_path(result["root"], result["path"], here), lines, frozenset(columns), columns)


def symbols_found(answer: dict[str, Any]) -> Iterator[Found]:
    """Yield each definition with its first line."""
    here = working_directory()
    for symbol in answer["symbols"]:
        text = symbol.get("text") or f"{symbol['kind']} {symbol['qualified']}"
        at, line = text.find(symbol["name"]), symbol["start_line"]
        column = column_of(text, [(at, at)] if at >= 0 else ())
        path = shown_path(symbol["root"], symbol["path"], here)
        yield Found(path, [(line, text)], frozenset((line,)), {line: column})


def outline_found(answer: dict[str, Any]) -> Iterator[Found]:
    """Yield each definition of a file with its kind and name."""
    path = shown_path(answer["root"], answer["path"], working_directory())
    for symbol in answer["symbols"]:
        line = symbol["start_line"]
        yield Found(path, [(line, f"{symbol['kind']} {symbol['qualified']}")], frozenset((line,)), {line: 1})


def grep_lines(places: Iterable[Found], null: bool) -> Iterator[str]:
    """Yield ``path:line:text``; a group of lines with context is set apart from the next by ``--``."""
    grouped = False
    for found in places:
        if grouped or (grouped := len(found.lines) > len(found.best)):
            yield "--"
        for number, text in found.lines:
            sign = ":" if number in found.best else "-"
            yield f"{found.path}{chr(0) if null else sign}{number}{sign}{one_line(text)}"


def vimgrep_lines(places: Iterable[Found], null: bool) -> Iterator[str]:
    """Yield ``path:line:column:text`` for each line that fits."""
    for found in places:
        for number, text in found.lines:
            if number in found.best:
                sign = chr(0) if null else ":"
                yield f"{found.path}{sign}{number}:{found.columns[number]}:{one_line(text)}"


def one_line(text: str) -> str:
    """Return a line of a file so that a reader of lines sees one."""
    return text.rstrip("\r").replace("\r", " ").replace("\0", " ")
