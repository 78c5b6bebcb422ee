"""The demands of an expression: pieces of words without which no text matches.

The lexical index knows words and not texts, but can tell which of its words hold a piece. So chunks that cannot match
are never read. The reading is careful: where it is not sure what an expression means, nothing is demanded.
"""

from __future__ import annotations

import re

MIN_PIECE_CHARS = 3
"""Shorter pieces are in too many words to leave much out."""
MAX_PIECE_CHARS = 64
"""A longer piece is cut to its beginning: the index refuses an expression of more than 1,000 states."""
MAX_GROUPS = 4
"""Maximum demands of one expression; each costs a look through the words of the index."""
_MAX_ALTERNATIVES = 16
_MAX_DEPTH = 50

Pieces = frozenset[str]
"""Lower-case letters, digits and inner underscores. A text that matches has a word that holds one of them."""

_WORD = re.compile(r"[0-9A-Za-z_]")
_ESCAPE = re.compile(r"\\(?:x\{[^}]*\}|x[0-9A-Fa-f]{2}|[pP]\{[^}]*\}|[pP].|[0-7]{1,3}|[^Q])", re.DOTALL)
_CLASS = re.compile(r"\[\^?\]?(?:\[:\^?\w+:\]|\\[^Q]|[^\]\\])*\]", re.DOTALL)
_REPEAT = re.compile(r"(?:[*+?]|\{(\d+)(?:,\d*)?\})\??")
_OPENING = re.compile(r"\((?!\?)|\(\?(?:P?<\w+>|[imsU-]*:)")
_FLAGS = re.compile(r"\(\?[imsU-]+\)")


class _DoubtError(Exception):
    """The expression has something that is not read here."""


def pieces_of(expression: str) -> tuple[Pieces, ...]:
    """Return groups of pieces; a text that matches the expression, a valid one of RE2, has a word for each group."""
    reader = _Reader(expression)
    try:
        groups = reader.alternatives(0)
    except _DoubtError:
        return ()
    best = sorted(set(groups), key=lambda pieces: (-_worth(pieces), sorted(pieces)))
    return tuple(best[:MAX_GROUPS]) if reader.at == len(expression) else ()


def _worth(pieces: Pieces) -> int:
    """Return the length of the shortest piece: the longer, the fewer words hold it."""
    return min(map(len, pieces))


def _demand(run: str) -> list[Pieces]:
    """Return the group that a run of word characters makes; the index has words without underscores at their ends."""
    piece = run.strip("_").lower()[:MAX_PIECE_CHARS]
    return [frozenset((piece,))] if len(piece) >= MIN_PIECE_CHARS else []


class _Reader:
    """Reads an expression from left to right. `at` is where it is."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def alternatives(self, depth: int) -> list[Pieces]:
        """Read up to the end of the group, or of the expression."""
        if depth > _MAX_DEPTH:
            raise _DoubtError
        branches = [self._branch(depth)]
        while self.text.startswith("|", self.at):
            self.at += 1
            branches.append(self._branch(depth))
        if len(branches) == 1:
            return branches[0]
        if not all(branches):
            return []
        either = frozenset[str]().union(*(max(groups, key=_worth) for groups in branches))
        return [either] if len(either) <= _MAX_ALTERNATIVES else []

    def _branch(self, depth: int) -> list[Pieces]:
        groups: list[Pieces] = []
        run = ""
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            char, inner = self._atom(depth)
            repeat = _REPEAT.match(self.text, self.at)
            if repeat is None and char:
                run += char
                continue
            least = 1
            while repeat is not None:
                self.at = repeat.end()
                least *= bool(repeat[1].strip("0")) if repeat[1] else repeat[0][0] == "+"
                repeat = _REPEAT.match(self.text, self.at)
            groups += _demand(run + char if least else run)
            groups += inner if least else []
            run = char if least else ""  # The last repetition stands before what follows.
        return groups + _demand(run)

    def _atom(self, depth: int) -> tuple[str, list[Pieces]]:
        """Read what can be repeated: a character of a word, or something else with what it demands."""
        char = self.text[self.at]
        if _WORD.match(char):
            self.at += 1
            return char, []
        if char == "(" and (opening := _OPENING.match(self.text, self.at)) is not None:
            self.at = opening.end()
            inner = self.alternatives(depth + 1)
            if not self.text.startswith(")", self.at):
                raise _DoubtError
            self.at += 1
            return "", inner
        other = {"\\": _ESCAPE, "[": _CLASS, "(": _FLAGS}.get(char)
        if other is None:
            self.at += 1
            return "", []
        if (found := other.match(self.text, self.at)) is None:
            raise _DoubtError
        self.at = found.end()
        return "", []
