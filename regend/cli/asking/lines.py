"""Lines of results: which of them are shown, and which words in them fit the query."""

from __future__ import annotations

import re

from regend.cli.terminal import width_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from regend.cli.terminal import Style

    Line = tuple[int, str]
    """A number in the file, and the text."""

_BEGINS = r"(?:(?<![^\W\d_])|(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]))"
_ENDS = r"(?![^\W\d_A-Z])"
"""Words within a name begin and end where its spelling says so: "retry" stands in "maxRetry_count" and "RetryLimit"."""


class Marks:
    """Finds the words of a query in lines.

    Args:
        words: in lower case, see `SearchResponse.words`.
    """

    def __init__(self, words: Iterable[str]) -> None:
        known = sorted(words, key=len, reverse=True)
        plain = "|".join(re.escape(word) for word in known if word.isascii())
        other = "|".join(re.escape(word) for word in known if not word.isascii())
        parts = [f"{_BEGINS}(?i:{plain}){_ENDS}"] if plain else []
        parts += [f"(?i:{other})"] if other else []
        self._pattern = re.compile("|".join(parts) or "(?!)")

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield where the words stand."""
        return (found.span() for found in self._pattern.finditer(text))

    def count(self, text: str) -> int:
        """Return how many different words stand in a line."""
        return len({found[0].lower() for found in self._pattern.finditer(text)})

    def marked(self, text: str, style: Style) -> str:
        """Return the text with the words in colour."""
        return self._pattern.sub(lambda found: style(found[0], "red", "bold"), text) if style.on else text


def numbered(passage: dict[str, Any]) -> list[Line]:
    """Return the lines of a result's or passage's snippet."""
    lines = passage["snippet"].split("\n") if passage["snippet"] else []
    return list(enumerate(lines, passage["snippet_line"]))


def _all_lines(result: dict[str, Any]) -> list[Line]:
    return numbered(result) + [(match["line"], match["text"]) for match in result.get("matches", ())]


def best_line(result: dict[str, Any]) -> Line:
    """Return the line of a result to go to."""
    line: int = result.get("line") or result["snippet_line"]
    return line, dict(_all_lines(result)).get(line, "")


def best_lines(result: dict[str, Any], count: int, marks: Marks) -> list[Line]:
    """Return the `count` best lines of a result, in order.

    These are the line to go to, then the lines with most words of the query, then those that follow the first.
    """
    lines = _all_lines(result)
    first = best_line(result)
    telling = [line for line in lines if line[0] != first[0] and any(c.isalnum() for c in line[1])]
    telling.sort(key=lambda line: (-marks.count(line[1]), line[0] < first[0], abs(line[0] - first[0])))
    return sorted([first, *telling[: count - 1]])


def column_of(text: str, spans: Iterable[tuple[int, int]]) -> int:
    """Return the 1-based column, in bytes, of the first span; without one, that of the first letter."""
    first = next(iter(spans), None)
    at = first[0] if first else len(text) - len(text.lstrip())
    return len(text[:at].encode("utf-8", "surrogateescape")) + 1


def cut(text: str, width: int) -> str:
    """Return as much of a line as fits into `width` columns of a terminal; 0 cuts nothing."""
    if not width or (len(text) <= width and text.isascii()):
        return text
    if text.isascii():
        return text[: width - 1] + "…"
    used = fitting = 0
    for place, letter in enumerate(text):
        used += width_of(letter)
        if used > width:
            return text[:fitting] + "…"
        if used < width:
            fitting = place + 1
    return text


def without_indent(lines: Sequence[Line]) -> list[Line]:
    """Return lines without the white space that all of them begin with."""
    texts = [text for _, text in lines if text.strip()]
    indent = min((len(text) - len(text.lstrip()) for text in texts), default=0)
    return [(number, text[indent:]) for number, text in lines]
