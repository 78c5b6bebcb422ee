"""git's `wildmatch` as regular expressions.

The source is git's `wildmatch.c` and `match_pathname` in `dir.c` (git 2.39), quirks included, because "ignored" has to
mean what `git check-ignore` says. pathspec's own translation differs in character classes (`[[:alpha:]]`, `\\` within
brackets), `**` next to other characters, trailing blanks other than spaces, and patterns below a directory that was
re-included; `docs/decisions` has the count. Text and patterns are bytes seen as Latin-1, as git compares bytes.
"""

from __future__ import annotations

import re
import string

_SPECIAL = frozenset("*?[\\")
_STAR = "*"
_SLASH = "/"
_TREE = "**/"
_BELOW = "**\\/"
_CLASSES = {
    "alnum": string.ascii_letters + string.digits,
    "alpha": string.ascii_letters,
    "blank": " \t",
    "cntrl": "".join(map(chr, [*range(32), 127])),
    "digit": string.digits,
    "graph": "".join(map(chr, range(33, 127))),
    "lower": string.ascii_lowercase,
    "print": "".join(map(chr, range(32, 127))),
    "punct": string.punctuation,
    "space": " \t\n\r",
    "upper": string.ascii_uppercase,
    "xdigit": string.hexdigits,
}


def literal_length(pattern: str) -> int:
    """Return how many leading characters are plain (git's `simple_length`)."""
    for index, char in enumerate(pattern):
        if char in _SPECIAL:
            return index
    return len(pattern)


def path_regex(pattern: str, fold: bool) -> str | None:
    """Translate a pattern that contains a slash; it is anchored to the directory of its file.

    git compares the plain prefix first and only hands the rest to `wildmatch`, so a `**` right after that prefix counts
    as one at the beginning: ``a**/b`` matches ``ax/y/b``.

    Returns:
        A regular expression without anchors, or None when the pattern can never match.
    """
    pattern = pattern.removeprefix("/")
    plain = literal_length(pattern)
    rest = translate(pattern[plain:], fold)
    return None if rest is None else "".join(_literal(char, fold) for char in pattern[:plain]) + rest


def translate(pattern: str, fold: bool) -> str | None:
    """Translate one `wildmatch` pattern (with WM_PATHNAME; WM_CASEFOLD when `fold`).

    Returns:
        A regular expression without anchors, or None when the pattern can never match.
    """
    items: list[str] = []
    at, end = 0, len(pattern)
    while at < end:
        char = pattern[at]
        if char == "*":
            start = at
            while at < end and pattern[at] == "*":
                at += 1
            bounded = (start == 0 or pattern[start - 1] == "/") and (
                at == end or pattern[at] == "/" or pattern.startswith("\\/", at)
            )
            if at - start == 1 or not bounded:
                items.append(_STAR)
            elif at < end and pattern[at] == "/":
                at += 1
                items.append(_TREE)
            elif at < end:
                at += 2
                items.append(_BELOW)
            else:
                items.append(r"[\s\S]*")
        elif char == "?":
            items.append("[^/]")
            at += 1
        elif char == "[":
            char_class, at = _bracket(pattern, at, fold)
            if not char_class:
                return None
            items.append(char_class)
        elif char == "\\":
            if at + 1 == end:
                return None
            items.append(_literal(pattern[at + 1], fold))
            at += 2
        else:
            items.append(_literal(char, fold))
            at += 1
    return _join(items)


def _join(items: list[str]) -> str:
    """Put the pieces together so that matching never backtracks over more than one star or one `**` at a time.

    Between two `**` lies a fixed number of path components, so the leftmost match is as good as any other, and an
    atomic group may forget the rest. Otherwise ``**/a/**/a/**/a`` could keep the daemon busy for minutes.
    """
    starts = [at for at, item in enumerate(items) if item in (_TREE, _BELOW)]
    if not starts:
        return _join_stars(items)
    out = [_join_stars(items[: starts[0]])]
    for start, stop in zip(starts, [*starts[1:], len(items)], strict=True):
        # `**/` stands for any number of components, `**\\/` (git's own oddity) for at least one.
        run = f"(?:[^/]*/){'*' if items[start] == _TREE else '+'}?{_join_stars(items[start + 1 : stop])}"
        out.append(run if stop == len(items) else f"(?>{run})")
    return "".join(out)


def _join_stars(items: list[str]) -> str:
    """Join the pieces of a component: between two stars the length is fixed, so the leftmost match will do."""
    out: list[str] = []
    at = 0
    while at < len(items):
        item = items[at]
        at += 1
        if item != _STAR:
            out.append(item)
            continue
        start = at
        while at < len(items) and items[at] != _STAR and items[at] != _SLASH:
            at += 1
        run = "".join(items[start:at])
        another = at < len(items) and items[at] == _STAR
        out.append(f"(?>[^/]*?{run})" if another else f"[^/]*{run}")
    return "".join(out)


def _literal(char: str, fold: bool) -> str:
    if fold and char in string.ascii_letters:
        return f"[{char.lower()}{char.upper()}]"
    return char if char == _SLASH else re.escape(char)


def _bracket(pattern: str, start: int, fold: bool) -> tuple[str, int]:
    """Translate the bracket expression at `start`; step for step as `wildmatch.c` reads it.

    Returns:
        A regular expression for one character (empty: malformed, matches nothing) and the index after it.
    """
    at = start + 1
    negated = pattern[at : at + 1] in ("!", "^")
    at += negated
    members: list[str] = []
    previous = ""
    while True:
        char, following = pattern[at : at + 1], pattern[at + 1 : at + 2]
        if char == "-" and previous and following and following != "]":
            at += 2 if following == "\\" else 1
            last = pattern[at : at + 1]
            if not last:
                return "", at
            if previous <= last:
                members.append(_span(previous, last))
                if fold and (low := max(previous, "A")) <= (high := min(last, "Z")):
                    members.append(_span(low.lower(), high.lower()))
            previous = ""
        elif char == "[" and following == ":":
            close = pattern.find("]", at + 2)
            if close < 0:
                return "", at
            if close == at + 2 or pattern[close - 1] != ":":
                members.append(_span("[", "["))
                previous = "["
            else:
                name = pattern[at + 2 : close - 1]
                if name not in _CLASSES:
                    return "", at
                members += map(_span, _CLASSES[name], _CLASSES[name])
                if fold and name == "upper":
                    members.append(_span("a", "z"))
                at = close
                previous = ""
        else:
            at += char == "\\"
            previous = pattern[at : at + 1]
            if not previous:
                return "", at
            members.append(_span(previous, previous))
        at += 1
        if pattern[at : at + 1] == "]":
            return _char_class("".join(members), negated, fold), at + 1


def _span(first: str, last: str) -> str:
    return f"\\U{ord(first):08x}-\\U{ord(last):08x}"


def _char_class(members: str, negated: bool, fold: bool) -> str:
    """Return an expression for one character other than ``/`` that is a member, or is not where they are `negated`.

    git folds the text and not what stands in brackets, so there only lower-case members match letters, in either case.
    """
    found = f"[{members}]"
    if fold:
        lower = "".join(char for char in string.ascii_lowercase if re.match(found, char))
        found = f"(?![A-Z]){found}" + (f"|[{lower.upper()}]" if lower else "")
    return f"(?!{found})[^/]" if negated else f"(?!/)(?:{found})"
