"""Jupyter notebooks: the sources of their cells stand where they stand in the file; outputs are left out.

The format is JSON with a cell's source as a list of lines (https://nbformat.readthedocs.io), one string a row as
Jupyter writes it. Each row of the file becomes the source text that stands in it, or is blank.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

LANGUAGE = "notebook"
_EXTENSION = ".ipynb"
_FACTOR = 32
"""A notebook may be this many times larger than other files, as most of it is outputs."""
_TOKEN = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[{}\[\],:]', re.DOTALL)
"""A string without an end is the rest of the text, lest each quotation mark in it be tried as a beginning."""
_MOST_OPEN = 5
"""Brackets open around the source of a cell, and an empty name before them; nothing deeper counts."""
_MAGIC = re.compile(r"^[ \t]*[%!?].*$", re.MULTILINE)
_DEFAULT = "python"


@dataclass(slots=True)
class Cell:
    """The source of one cell; `rows` says for each of its lines the row of the file."""

    kind: str = ""
    lines: list[str] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)

    def text(self) -> str:
        """Return the source for a parser; what only a notebook runs (``%time``, ``!ls``) is blank."""
        text = "\n".join(self.lines)
        return _MAGIC.sub("", text) if self.kind == "code" else text


@dataclass(frozen=True, slots=True)
class Notebook:
    """The text that people wrote in a notebook.

    Attributes:
        lines: as many as the file has rows.
        language: of the code cells.
    """

    lines: list[str]
    cells: tuple[Cell, ...]
    language: str


def largest_bytes(path: str, max_file_bytes: int) -> int:
    """Return how large a file of this name may be; what counts of a notebook is looked at later."""
    return max_file_bytes * _FACTOR if path.endswith(_EXTENSION) else max_file_bytes


def notebook_of(text: str) -> Notebook | None:
    """Read a notebook; None if it is no JSON that has cells."""
    cells: list[Cell] = []
    language, path, key = _DEFAULT, [""], ""
    row = at = 0
    for token in _TOKEN.finditer(text):
        sign = token[0]
        if sign in "{[":
            path.append(key)
            if len(path) < _MOST_OPEN and path[1:] == ["", "cells", ""] and sign == "{":
                cells.append(Cell())
            key = ""
        elif sign in "}]":
            if len(path) > 1:
                path.pop()
            key = ""
        elif sign == ",":
            key = ""
        elif sign != ":":
            row += text.count("\n", at, token.start())
            at = token.start()
            if text.startswith(":", _after_spaces(text, token.end())):
                key = sign[1:-1]
                continue
            if len(path) > _MOST_OPEN:
                continue
            place = [*path[2:], key]
            if place[:2] == ["cells", ""] and cells:
                _take(cells[-1], place[2:], sign, row)
            elif place in (["metadata", "kernelspec", "language"], ["metadata", "language_info", "name"]):
                language = sign[1:-1]
    if not cells:
        return None
    parts: dict[int, list[str]] = {}
    for cell in cells:
        for line, where in zip(cell.lines, cell.rows, strict=True):
            if line or where in parts:
                parts.setdefault(where, []).append(line)
    lines = ["  ".join(parts.get(number, ())) for number in range(text.count("\n") + 1)]
    return Notebook(lines, tuple(cell for cell in cells if cell.lines), language)


def _after_spaces(text: str, at: int) -> int:
    while at < len(text) and text[at] in " \t\r\n":
        at += 1
    return at


def _take(cell: Cell, place: list[str], token: str, row: int) -> None:
    """Note the type of a cell, or a string of its source."""
    if place == ["cell_type"]:
        cell.kind = token[1:-1]
    elif place in (["source"], ["source", ""]):
        try:
            source = str(json.loads(token, strict=False))
        except ValueError:
            return
        parts = source.removesuffix("\n").split("\n")
        cell.lines += parts
        cell.rows += [row] * len(parts)
