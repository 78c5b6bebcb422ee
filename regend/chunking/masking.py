"""Blank what confuses a parser, byte for byte, so that every offset and every line stays.

A macro between ``class`` and a name, or braces that `#ifdef` opens twice, make a parser of C take one thing for
another. A macro that is in the way becomes spaces. A conditional whose branches do not stand for themselves is reduced
to its first branch.
"""

from __future__ import annotations

import itertools
import re
from functools import cache

from regend.chunking.prefilter import may_match

_DIRECTIVE = re.compile(rb"^[ \t]*#[ \t]*(if|elif|else|endif)\w*\b(?:[^\\\n]|\\\r?\n|\\)*", re.MULTILINE)
_ANY_DIRECTIVE = re.compile(rb"^[ \t]*#(?:[^\\\n]|\\\r?\n|\\)*", re.MULTILINE)
_NEVER = re.compile(rb"[ \t]*#[ \t]*if[ \t(]+0\b")
_CONTINUES = re.compile(rb"\s*(?:else\b|catch\b|\|\||&&|\+(?!\s*\()|[{;?:,)}\].*/=<>]|\w+[ \t]*[,)])")
_BROKEN_OFF = re.compile(rb"(?:[=(\[?|]|&&|<<|[^+]\+|\?[^;{}]*:|\)\s*:(?:[^;{}]*,)?|\([^();{}]*,|\belse|\breturn)\s*\Z")
"""The end of text that goes on behind it."""
_BODY = re.compile(rb"\s*(?:[{?]|&&|\|\|)")
"""Signs that continue the statement before them."""
_AROUND_BYTES = 200
_MOST_AROUND = 16
"""Maximum conditionals around one that is looked at: each of them has its text read once more. Headers have a few."""
_QUOTED = re.compile(rb"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_NOT_A_LINE_END = re.compile(rb"[^\n]")


def masked(raw: bytes, blanks: tuple[str, ...], *, preprocessed: bool) -> bytes:
    """Return the source for the parser.

    Args:
        blanks: patterns whose groups ``blank…`` become spaces and ``quote…`` double quotes; a group of another name
            becomes this name.
        preprocessed: whether the C preprocessor's conditionals stand in it.
    """
    for pattern in map(_compiled, blanks):
        if may_match(pattern, raw):
            raw = pattern.sub(_blank, raw)
    if preprocessed and b"#" in raw:
        spans = sorted(_dropped(raw))
        if spans:
            parts, at = [], 0
            for start, end in spans:
                if end > at:
                    start = max(start, at)
                    parts += [raw[at:start], _spaces(raw[start:end])]
                    at = end
            raw = b"".join([*parts, raw[at:]])
    return raw


@cache
def _compiled(pattern: str) -> re.Pattern[bytes]:
    return re.compile(pattern.encode(), re.MULTILINE)


def _blank(match: re.Match[bytes]) -> bytes:
    """Blank the named groups of a match; one whose name begins otherwise becomes this name."""
    whole = match[0]
    for word, number in match.re.groupindex.items():
        if match[number] is None:
            continue
        first, last = (place - match.start() for place in match.span(number))
        spaces = _spaces(whole[first:last])
        if word.startswith("quote"):
            spaces = b'"' * len(spaces)
        elif not word.startswith("blank"):
            spaces = word.encode() + spaces[len(word) :]
        whole = whole[:first] + spaces + whole[last:]
    return whole


def _spaces(raw: bytes) -> bytes:
    return _NOT_A_LINE_END.sub(b" ", raw)


def _dropped(raw: bytes) -> list[tuple[int, int]]:
    """Return what to blank of conditionals whose branches do not stand for themselves: directives, other branches."""
    spans: list[tuple[int, int]] = []
    stack: list[list[re.Match[bytes]]] = []
    for directive in _DIRECTIVE.finditer(raw):
        word = directive[1]
        if word == b"if":
            stack.append([directive])
        elif stack:
            stack[-1].append(directive)
            if word == b"endif":
                closed = stack.pop()
                if len(stack) <= _MOST_AROUND:
                    spans += _broken(raw, closed)
    return spans


def _broken(raw: bytes, directives: list[re.Match[bytes]]) -> list[tuple[int, int]]:
    branches = [(a.end(), b.start()) for a, b in itertools.pairwise(directives)]
    start = directives[0].start()
    before = _code(_ANY_DIRECTIVE.sub(b"", raw[max(0, start - _AROUND_BYTES) : start].partition(b"\n")[2]))
    after = _code(raw[directives[-1].end() : directives[-1].end() + _AROUND_BYTES])
    stands = all(_stands(_code(raw[start:end])) for start, end in branches)
    if stands and not _BROKEN_OFF.search(before) and not _BODY.match(after):
        return []
    kept = 1 if len(branches) > 1 and _NEVER.match(directives[0][0]) else 0
    spans = [directive.span() for directive in directives]
    return spans + [span for number, span in enumerate(branches) if number != kept]


def _code(text: bytes) -> bytes:
    """Return the text without directives, strings and comments."""
    if b"#" in text:
        text = _DIRECTIVE.sub(b"", text)
    if b"'" in text or b'"' in text or b"/" in text:
        text = _QUOTED.sub(b"", text)
    return text


def _stands(branch: bytes) -> bool:
    """Tell whether a branch closes what it opens, and neither goes on with a statement nor leaves one open."""
    if branch.count(b"{") != branch.count(b"}") or branch.count(b"(") != branch.count(b")"):
        return False
    code = branch.strip()
    if not code or code[:1] == b"#":
        return True
    return _CONTINUES.match(code) is None and _BROKEN_OFF.search(code) is None
