"""Path globs of `--path` and ``path:``, with the meaning that `.gitignore` taught everyone and git's own matcher.

* ``*`` and ``?`` do not cross ``/``; ``**`` does; ``[a-z]`` and ``[!a-z]`` are sets; ``{a,b}`` lists alternatives.
* A glob without ``/`` matches a file or folder of that name anywhere: ``*.py``, ``tests``.
* A glob with ``/`` is anchored at the root: ``src/**``, ``/setup.py``.
* A glob that names a folder covers all that lies beneath it: ``src/core`` is ``src/core/**``.

Unlike in git, braces list alternatives, and a bracket or backslash that opens nothing stands for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from regend.disk.ignore.wildmatch import translate
from regend.search.errors import FilterError

PathMatcher = Callable[[str], bool]

_MAX_GLOB_CHARS = 1_000
_MAX_ALTERNATIVES = 64
_ALTERNATIVES = re.compile(r"\{([^{}]*,[^{}]*)\}")
_PLAIN = re.compile(r"(\\.|\[[!^]?.[^\]]*\])|[\\\[]", re.DOTALL)
"""Finds escaped or bracketed text, as the group, or a sign that opens nothing."""


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
    translated = [found for one in _without_braces(glob) if (found := _translated(one)) is not None]
    # Signs of globs may stand in names, too: `app/[id]/page.tsx` is a path before it is a glob.
    plain = glob.removeprefix("./").rstrip("/")
    translated.append(("" if "/" in glob else "(?:.*/)?") + re.escape(plain.removeprefix("/")))
    expression = re.compile(f"(?:{'|'.join(translated)})(?:/.*)?", re.DOTALL)
    return lambda path: expression.fullmatch(path) is not None


def _without_braces(glob: str) -> list[str]:
    """Write ``{a,b}`` out, innermost braces first; a brace without a comma or partner stands for itself."""
    done: list[str] = []
    waiting = [glob]
    while waiting:
        one = waiting.pop()
        found = _ALTERNATIVES.search(one)
        if found is None:
            done.append(one)
        else:
            waiting += [one[: found.start()] + part + one[found.end() :] for part in found[1].split(",")]
        if len(done) + len(waiting) > _MAX_ALTERNATIVES:
            raise FilterError(
                f"The braces of path glob {glob!r} give more than {_MAX_ALTERNATIVES} alternatives; use `*` instead."
            )
    return done


def _translated(glob: str) -> str | None:
    """Return the regular expression of a glob without braces, or None where it can match nothing."""
    glob = glob.removeprefix("./")
    segments = [_PLAIN.sub(lambda found: found[1] or "\\" + found[0], part) for part in glob.split("/") if part]
    return translate("/".join(segments if "/" in glob else ["**", *segments]), fold=False)
