"""Languages: what a person may call one, and the name under which files of it are stored."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches

from regend.chunking.detection import language_called
from regend.chunking.grammars import TEXT, language_names
from regend.search.errors import FilterError

_FAMILIES = {"typescript": frozenset({"typescript", "tsx"}), "ocaml": frozenset({"ocaml", "ocaml_interface"})}
"""Languages whose name also means another one's files, which have a name of their own, too."""


_DATA = frozenset({"json", "toml", "ini", "xml", "csv", "properties", "html", "css", "scss", "less"})
_MOST_CODE = {"yaml": 0.5, "markdown": 0.25, "restructuredtext": 0.25, "asciidoc": 0.25, "org": 0.25}
"""Maximum files of code, for each file in one of these languages, in a tree that is written in it. Hundreds of files
in those of `_DATA` are no sign: of 162 public repositories three have so many, and all are cases of tests."""

_FEWEST = 10
"""Files in the language that such a tree has at least."""


def written_in(files: Mapping[str, int]) -> frozenset[str]:
    """Return the languages of data and documents that a tree is written in, as one of playbooks or a handbook is.

    Args:
        files: how many files of the tree are in each language.
    """
    code = sum(count for one, count in files.items() if is_code(one) and one not in _DATA and one not in _MOST_CODE)
    counts = {one: files.get(one, 0) for one in _MOST_CODE}
    return frozenset(one for one, count in counts.items() if count >= _FEWEST and count * _MOST_CODE[one] > code)


def canonical_language(name: str) -> str:
    """Return the name by which a language is stored: ``py``, ``.py`` and ``Python`` -> ``python``.

    Raises:
        FilterError: no file is of a language of that name; the message lists those there are.
    """
    found = language_called(name)
    if not found:
        raise FilterError(
            f"No language is called {name!r}{_meant(name)} There are {', '.join(sorted(language_names()))}."
        )
    return found


def languages_of(name: str) -> frozenset[str]:
    """Return the languages whose files a person means: ``ts`` those of ``typescript`` and ``tsx``; commas join several.

    Raises:
        FilterError: as `canonical_language`.
    """
    found = [canonical_language(one) for one in name.split(",") if one] or [canonical_language(name)]
    return frozenset[str]().union(*(_FAMILIES.get(one, {one}) for one in found))


def _meant(name: str) -> str:
    near = get_close_matches(name.strip().lower(), sorted(language_names()), n=1, cutoff=0.7)
    return f"; did you mean `{near[0]}`?" if near else "."


def is_code(language: str) -> bool:
    """Return whether the files of a language are more than plain text."""
    return language != TEXT
