"""Languages: what a person may call one, and the name under which files of it are stored."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache

from regend.chunking.grammars import TEXT, detect_language, language_names
from regend.search.errors import FilterError

_ALIASES = {
    "c#": "csharp", "c++": "cpp", "docker": "dockerfile", "golang": "go", "makefile": "make", "node": "javascript",
    "objective-c": "objc", "objectivec": "objc", "plain": "text", "protobuf": "proto", "py3": "python",
    "python3": "python", "shell": "bash", "terraform": "hcl", "txt": "text", "zsh": "bash",
}  # fmt: skip
"""Usual names that are not extensions."""


def canonical_language(name: str) -> str:
    """Return the name by which a language is stored: ``py``, ``.py`` and ``Python`` -> ``python``.

    Raises:
        FilterError: no file is of a language of that name; the message lists those there are.
    """
    found = find_language(name)
    if not found:
        raise FilterError(
            f"No language is called {name!r}{_meant(name)} There are {', '.join(sorted(language_names()))}."
        )
    return found


@lru_cache(maxsize=256)
def find_language(name: str) -> str:
    """Return the name by which a language is stored, or nothing where there is none of that name."""
    wanted = name.strip().lower()
    found = _ALIASES.get(wanted, wanted)
    if found in language_names():
        return found
    found = detect_language(f"name.{wanted.removeprefix('.')}")  # Extensions are names, too: `rs`, `hpp`, `tf`.
    return found if found != TEXT and found in language_names() else ""


def _meant(name: str) -> str:
    near = get_close_matches(name.strip().lower(), sorted(language_names()), n=1, cutoff=0.7)
    return f"; did you mean `{near[0]}`?" if near else "."


def is_code(language: str) -> bool:
    """Return whether the files of a language are more than plain text."""
    return language != TEXT
