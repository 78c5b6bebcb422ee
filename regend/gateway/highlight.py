"""Colours code: cuts a snippet into runs of text, each with the class of its token and whether the query names it.

The page gets runs and no HTML, so nothing in a file can become a part of the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name, get_lexer_for_filename
from pygments.lexers.special import TextLexer
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

Run = tuple[str, str] | tuple[str, str, int]
"""Class and text, and 1 if the query names the text."""
MAX_CHARS = 40_000
"""A longer snippet is not coloured; lexers take 1 µs and more for a character."""
_OTHER_NAMES = {
    "asm": "gas", "commonlisp": "common-lisp", "elisp": "emacs-lisp", "erb": "erb", "glsl": "glsl", "hcl": "terraform",
    "jinja": "html+jinja", "latex": "tex", "ocaml_interface": "ocaml", "org": "org", "perl": "perl",
    "properties": "properties", "proto": "protobuf", "purescript": "haskell", "restructuredtext": "rst",
    "starlark": "python", "svelte": "html", "tsx": "typescript", "vb": "vbnet", "vue": "html", "astro": "html",
    "sql": "sql", "notebook": "python", "bicep": "terraform", "batch": "batch",
}  # fmt: skip
"""Names of Pygments for languages that have another name here."""


def runs(text: str, language: str, path: str, words: Sequence[str]) -> list[list[Run]]:
    """Return the runs of each line of a text.

    Args:
        path: of the file; it tells the lexer where the language does not.
        words: in lower case; they are marked where they stand as words or parts of words.
    """
    mark = _mark(tuple(words[:64]))
    lines: list[list[Run]] = [[]]
    for name, piece in _tokens(text, language, path.rpartition("/")[2]):
        for number, part in enumerate(piece.split("\n")):
            if number:
                lines.append([])
            if part:
                lines[-1] += _marked(name, part, mark)
    return lines


def coloured_runs(found: Mapping[str, Any], words: Sequence[str]) -> list[list[Run]]:
    """Return the runs of the snippet of a result of `search` or `related`, which was asked with these words."""
    return runs(found["snippet"], found["language"], found["path"], words)


@lru_cache(128)  # Some 2 MB. While a query is typed, the same snippets come again and again.
def _tokens(text: str, language: str, name: str) -> tuple[tuple[str, str], ...]:
    """Return class and text of each token; the whole text as one where it cannot be coloured."""
    if len(text) <= MAX_CHARS:
        tokens = tuple((_class_of(token), piece) for token, piece in _lexer(language, name).get_tokens(text))
        # Lexers normalise line ends; where the text would not be what it was, colours are not worth it.
        if "".join(piece for _, piece in tokens) == text:
            return tokens
    return (("", text),)


@lru_cache(256)
def _lexer(language: str, name: str) -> Lexer:
    options = {"stripnl": False, "ensurenl": False}
    try:
        return get_lexer_by_name(_OTHER_NAMES.get(language, language), **options)
    except ClassNotFound:
        pass
    try:
        return get_lexer_for_filename(name, **options)
    except ClassNotFound:
        return TextLexer(**options)


@lru_cache(1_024)
def _class_of(token: Any) -> str:
    """Return the short name of a token, or of the nearest wider one, as in Pygments' style sheets."""
    while token not in STANDARD_TYPES:
        token = token.parent
    return str(STANDARD_TYPES[token])


@lru_cache(64)
def _mark(words: tuple[str, ...]) -> re.Pattern[str] | None:
    long_enough = sorted({word for word in words if len(word) > 1}, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, long_enough)), re.IGNORECASE) if long_enough else None


def _marked(name: str, part: str, mark: re.Pattern[str] | None) -> Iterator[Run]:
    place = 0
    for found in mark.finditer(part) if mark else ():
        if found.start() > place:
            yield name, part[place : found.start()]
        yield name, found[0], 1
        place = found.end()
    if place < len(part):
        yield name, part[place:]
