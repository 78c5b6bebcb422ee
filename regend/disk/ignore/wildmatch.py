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
    """How many leading characters are plain (git's `simple_length`)."""
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
            members, at = _bracket(pattern, at, fold)
            if not members:
                return None
            items.append(_char_class(members))
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
    """The same within a component: between two stars everything has a fixed length, so the leftmost match will do."""
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


def _char_class(members: frozenset[int]) -> str:
    """As ranges: what is negated has 254 members; one by one they take five times as long to compile."""
    spans: list[list[int]] = []
    for byte in sorted(members):
        if spans and byte == spans[-1][1] + 1:
            spans[-1][1] = byte
        else:
            spans.append([byte, byte])
    shown = (f"\\x{first:02x}" if first == last else f"\\x{first:02x}-\\x{last:02x}" for first, last in spans)
    return "[" + "".join(shown) + "]"


def _bracket(pattern: str, start: int, fold: bool) -> tuple[frozenset[int] | None, int]:
    """Evaluate the bracket expression at `start`; step for step as `wildmatch.c` does.

    Returns:
        The bytes it matches (None: malformed, matches nothing) and the index after it.
    """
    at = start + 1
    char = pattern[at : at + 1]
    negated = char in ("!", "^")
    if negated:
        at += 1
        char = pattern[at : at + 1]
    matched: set[str] = set()
    previous = ""
    while True:
        if not char:
            return None, at
        following = pattern[at + 1 : at + 2]
        if char == "\\":
            at += 1
            char = following
            if not char:
                return None, at
            matched.add(char)
        elif char == "-" and previous and following and following != "]":
            at += 1
            char = following
            if char == "\\":
                at += 1
                char = pattern[at : at + 1]
                if not char:
                    return None, at
            span = {chr(code) for code in range(ord(previous), ord(char) + 1)}
            matched |= span
            if fold:
                matched |= {c.lower() for c in span if c in string.ascii_uppercase}
            char = ""
        elif char == "[" and following == ":":
            close = pattern.find("]", at + 2)
            if close < 0:
                return None, at
            if close == at + 2 or pattern[close - 1] != ":":
                matched.add("[")
            else:
                name = pattern[at + 2 : close - 1]
                if name not in _CLASSES:
                    return None, at
                matched |= set(_CLASSES[name])
                if fold and name == "upper":
                    matched |= set(string.ascii_lowercase)
                at = close
                char = ""
        else:
            matched.add(char)
        previous = char
        at += 1
        char = pattern[at : at + 1]
        if char == "]":
            break
    members = set()
    for code in range(1, 256):
        text = chr(code)
        if fold and text in string.ascii_uppercase:
            text = text.lower()
        if (text in matched) != negated and code != ord("/"):
            members.add(code)
    return frozenset(members), at + 1
