"""Path globs of `--path`: pure, linear in the path's length, and with the meaning that `.gitignore` taught everyone.

* ``*`` and ``?`` do not cross ``/``; ``**`` does; ``[a-z]`` and ``[!a-z]`` are sets; ``{a,b}`` lists alternatives.
* A glob without ``/`` matches a file or folder of that name anywhere: ``*.py``, ``tests``.
* A glob with ``/`` is anchored at the root: ``src/**``, ``/setup.py``.
* A glob that names a folder covers all that lies beneath it: ``src/core`` is ``src/core/**``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from regend.search.errors import FilterError

PathMatcher = Callable[[str], bool]

_MAX_GLOB_CHARS = 1_000
_MAX_ALTERNATIVES = 64


@lru_cache(maxsize=256)
def compile_glob(glob: str) -> PathMatcher:
    """Compile `glob` into a predicate over paths relative to the root, with ``/``.

    Raises:
        FilterError: the glob is empty, too long, or its braces expand to too many alternatives.
    """
    if not glob.strip("/ "):
        raise FilterError(f"The path glob {glob!r} matches nothing; give one such as `src/**` or `*.py`.")
    if len(glob) > _MAX_GLOB_CHARS:
        raise FilterError(f"The path glob has {len(glob)} characters; give at most {_MAX_GLOB_CHARS}.")
    alternatives = _expand_braces(glob)
    expression = re.compile("|".join(_anchored(one) for one in alternatives), re.DOTALL)
    return lambda path: expression.fullmatch(path) is not None


def _expand_braces(glob: str) -> list[str]:
    """Write ``{a,b}`` out, innermost braces first; a brace without a comma or partner stands for itself."""
    done: list[str] = []
    waiting = [glob]
    while waiting:
        one = waiting.pop()
        found = re.search(r"\{([^{}]*,[^{}]*)\}", one)
        if found is None:
            done.append(one)
        else:
            waiting += [one[: found.start()] + part + one[found.end() :] for part in found[1].split(",")]
        if len(done) + len(waiting) > _MAX_ALTERNATIVES:
            raise FilterError(
                f"The braces of path glob {glob!r} give more than {_MAX_ALTERNATIVES} alternatives; use `*` instead."
            )
    return done


def _anchored(glob: str) -> str:
    """Regular expression of one glob without braces."""
    glob = glob.removeprefix("./")
    floating = "/" not in glob
    segments = [segment for segment in glob.split("/") if segment]
    if floating:
        segments.insert(0, "**")
    return _segments(segments) + "(?:/.*)?"


def _segments(segments: list[str]) -> str:
    """Join segments; ``**`` spans any number of folders.

    Every ``**`` but the last is matched as early as possible and never reconsidered (an atomic group), which loses
    no match and keeps a hostile glob such as ``**/a/**/a/**/a`` linear.
    """
    runs: list[list[str]] = [[]]
    for segment in segments:
        if segment == "**":
            if runs[-1] or len(runs) == 1:
                runs.append([])
        else:
            runs[-1].append(_segment(segment))
    head = "/".join(runs[0])
    if len(runs) == 1:
        return head
    start = head + "/" if head else ""
    *middle, last = runs[1:]
    body = "".join(f"(?>(?:[^/]+/)*?{'/'.join(run)}/)" for run in middle)
    return start + body + (f"(?:[^/]+/)*{'/'.join(last)}" if last else ".+")


def _segment(segment: str) -> str:
    """One path component; every ``*`` but the last is atomic for the reason given in `_segments`."""
    pieces: list[str] = []
    fixed: list[str] = []
    stars = 0
    position = 0
    while position < len(segment):
        char = segment[position]
        position += 1
        if char == "*":
            pieces.append("".join(fixed))
            fixed = []
            stars += 1
            while position < len(segment) and segment[position] == "*":
                position += 1
        elif char == "?":
            fixed.append("[^/]")
        elif char == "[":
            text, position = _char_set(segment, position)
            fixed.append(text)
        elif char == "\\" and position < len(segment):
            fixed.append(re.escape(segment[position]))
            position += 1
        else:
            fixed.append(re.escape(char))
    pieces.append("".join(fixed))
    if stars == 0:
        return pieces[0]
    first, *middle, last = pieces
    return first + "".join(f"(?>[^/]*?{piece})" for piece in middle) + "[^/]*" + last


def _char_set(segment: str, position: int) -> tuple[str, int]:
    """The set that opens just before `position`, and where it ends; an unclosed ``[`` stands for itself."""
    end = position
    if segment[end : end + 1] in ("!", "^"):
        end += 1
    end = segment.find("]", end + 1)
    if end < 0:
        return r"\[", position
    body = segment[position:end]
    negated = body[0] in "!^"
    members = re.sub(r"([\\\[\]^&~|])", r"\\\1", body[1:] if negated else body)
    try:
        re.compile(f"[{members}]")
    except re.error:  # A reversed range such as [z-a] matches nothing.
        return "(?!)", end + 1
    return (f"[^/{members}]" if negated else f"(?!/)[{members}]"), end + 1
