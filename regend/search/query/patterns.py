"""Patterns: what the text of a chunk must and must not hold, to the letter or as a regular expression.

Expressions are those of RE2 (https://github.com/google/re2/wiki/Syntax), whose time grows with the text and not with
what the expression could match; look-around and back references, which would need more, are errors.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import re2

from regend.search.errors import QueryError
from regend.search.query.literals import Pieces, pieces_of

MAX_PATTERNS = 16
_MAX_MEMORY_BYTES = 8 << 20
"""Maximum memory of one compiled expression."""
_CAPITAL = re.compile(r"[A-Z]")
_CLASSES = re.compile(r"\\[pP]\{[^}]*\}|\\x\{[^}]*\}|\\.")


class Matcher(Protocol):
    """A compiled expression."""

    def search(self, text: str) -> Match | None: ...


class Match(Protocol):
    """Where an expression matched."""

    def start(self) -> int: ...

    def end(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TextPattern:
    """An expression for the text of a chunk.

    Attributes:
        expression: of RE2; ``^`` and ``$`` are ends of lines.
        negated: the text must not match.
        case: capital letters and small ones differ.
    """

    expression: str
    negated: bool = False
    case: bool = False

    def matcher(self) -> Matcher:
        """Return it compiled.

        Raises:
            QueryError: it is no expression of RE2.
        """
        return _compiled(self.expression, self.case)

    def pieces(self) -> tuple[Pieces, ...]:
        """Return groups of pieces of words; a text that matches has a word with a piece of each."""
        return pieces_of(self.expression)


def literal(text: str) -> str:
    """Return the expression of a text in which any white space is like one space."""
    return r"\s+".join(map(re2.escape, text.split()))


def is_expression(text: str) -> bool:
    """Tell whether a text can be used as an expression."""
    try:
        _compiled(text, False)
    except QueryError:
        return False
    return True


def is_case_sensitive(expression: str, case: str) -> bool:
    """Tell whether case counts: as asked for, or if the expression has a capital letter."""
    return case == "yes" or (case != "no" and _CAPITAL.search(_CLASSES.sub("", expression)) is not None)


@lru_cache(maxsize=64)
def _compiled(expression: str, case: bool) -> Matcher:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY_BYTES
    try:
        found: Matcher = re2.compile(("(?m)" if case else "(?mi)") + f"(?:{expression})", options)
    except re2.error as error:
        reason = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else str(error)
        raise QueryError(
            f"The expression /{expression}/ cannot be used: {reason}. The syntax is that of RE2, without look-around "
            "and back references; put text in double quotes to search for it as it stands."
        ) from error
    return found
