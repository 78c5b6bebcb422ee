"""Names that two to six source files define -> all of these files."""

from __future__ import annotations

import re

from benchmarks.corpus.material import FUNCTIONS, TYPES, Material, Question

LIMIT = 5
_MIN_FILES, _MAX_FILES = 2, 6
_NAME = re.compile(r"_*[A-Za-z]\w*(?:[a-z0-9][A-Z]|[A-Z][a-z]|_[A-Za-z])\w*[?!]?")
"""A name of several words, or a capital one: others are as often words of the language."""
_MIN_CHARS = 6
_USUAL = frozenset(
    ("__init__", "hashCode", "setUp", "tearDown", "toString", "ToString", "Config", "Options", "Dispose", "Equals",
     "GetHashCode", "MarshalJSON", "UnmarshalJSON", "copyWith", "toJSON", "Default")
)  # fmt: skip
"""Names that say nothing without the type that they belong to."""
_DEFINED = FUNCTIONS | TYPES - {"extension", "impl", "module"}


def questions(material: Material) -> list[Question]:
    """Ask up to `LIMIT` questions, no two about the same files."""
    files = files_by_name(material)
    names = [name for name, paths in files.items() if _MIN_FILES <= len(paths) <= _MAX_FILES and _is_telling(name)]
    asked: dict[tuple[str, ...], Question] = {}
    for name in material.drawn("symbol", names, str):
        if len(asked) == LIMIT:
            break
        paths = tuple(sorted(files[name]))
        asked.setdefault(paths, Question(name, paths))
    return list(asked.values())


def files_by_name(material: Material) -> dict[str, set[str]]:
    """Map each defined name to the source files that define it."""
    files: dict[str, set[str]] = {}
    for path in material.sources:
        for definition in material.definitions(path):
            if not definition.scope_only and definition.kind in _DEFINED:
                files.setdefault(definition.name, set()).add(path)
    return files


def _is_telling(name: str) -> bool:
    return len(name) >= _MIN_CHARS and name not in _USUAL and _NAME.fullmatch(name) is not None
