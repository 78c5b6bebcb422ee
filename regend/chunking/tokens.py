"""Words of code: identifiers whole and in parts, for the lexical leg, for queries, and for counting.

`parseHTTPHeader` becomes ``parsehttpheader parse http header``, `max_size_2` becomes ``max_size_2 max size 2``. Index
and query go through the same functions, so they meet. Only the standard library is used: clients may import this.
"""

from __future__ import annotations

import re
import sys

MAX_TOKEN_CHARS = 64
"""Longer runs are encoded data, not words."""
_CACHED_WORDS = 50_000
"""About 10 MB at most; a repository's common words are far fewer."""

_ASCII_WORDS = "".join(char if char.isalnum() or char == "_" else " " for char in map(chr, range(128)))
"""Maps everything that is not part of a word to a space: with `split` three times faster than a regular expression."""
_WORD = re.compile(r"\w+")
_PART = re.compile(r"[A-Z]{2,}s(?![a-z])|[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+")
_WIDE_PART = re.compile(r"[^\W\d_]+?(?=[A-Z])|[^\W\d_]+|\d+")
"""For names with letters beyond ASCII: a new part begins at a capital ASCII letter only."""
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]+")
"""Kana and Han are written without spaces between words; they are indexed by pairs of characters."""

_QUESTION_WORDS = """
a an and any are as at be been but by can could did do does doing done for from get gets had has have having how i if in
into is it its itself just let me my of off on onto or our out over should so some such than that the their them then
there these they this those through to too under up us use used uses using very via was we were what when where whether
which while who whom whose why will with within without would you your
"""
STOP_WORDS = frozenset(_QUESTION_WORDS.split())
"""Words of questions that say nothing about code. Words that are common names in code (`not`, `all`, `set`) stay."""


def lexical_tokens(text: str) -> str:
    """All tokens of a text, lower-case, joined by single spaces; identifiers both whole and in parts."""
    words = text.translate(_ASCII_WORDS).split() if text.isascii() else _WORD.findall(text)
    return " ".join(filter(None, map(_cached.__getitem__, words)))


def query_terms(text: str) -> tuple[str, ...]:
    """The distinct terms of a query in order of appearance; stop words go, unless nothing else is there."""
    terms = tuple(dict.fromkeys(lexical_tokens(text).split()))
    telling = tuple(term for term in terms if term not in STOP_WORDS)
    return telling or terms


def split_identifier(name: str) -> list[str]:
    """Lower-case parts of an identifier: at case changes, underscores, digits; Kana and Han in pairs."""
    if name.isascii():
        return [part.lower() for part in _PART.findall(name)]
    parts: list[str] = []
    for part in _WIDE_PART.findall(name):
        unspaced = _UNSPACED.search(part)
        if unspaced is None:
            parts.append(part.lower())
            continue
        run = unspaced.group()
        parts += [piece.lower() for piece in (part[: unspaced.start()], part[unspaced.end() :]) if piece]
        parts += [run[i : i + 2] for i in range(max(1, len(run) - 1))]
    return parts


def estimate_tokens(text: str) -> int:
    """About how many tokens a subword model makes of the text; at least 1.

    Two for every seven characters that are not spaces. Counting words was no better and ten times slower. See
    `tests/chunking/test_tokens.py` for what it is held to.
    """
    return (len(text) - text.count(" ")) * 2 // 7 + 1


class _Tokens(dict[str, str]):
    """One identifier -> its tokens, space-joined: itself, and its parts where there are several."""

    def __missing__(self, word: str) -> str:
        if len(self) >= _CACHED_WORDS:
            self.clear()
        tokens = self[word] = _tokens_of(word)
        return tokens


_cached = _Tokens()


def _tokens_of(word: str) -> str:
    if len(word) > MAX_TOKEN_CHARS:
        return ""
    whole = word.strip("_").lower()
    parts = split_identifier(word)
    if len(parts) > 1:
        return " ".join((whole, *parts))
    return sys.intern(parts[0] if parts else whole)
