"""Languages: one data file each in `languages/`. `detection` says which of them a file is in.

A data file names the grammar, the file names and extensions, and which syntax nodes are definitions.
`docs/architecture.md` says how to add one. tree-sitter itself is imported only where something is parsed.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tree_sitter import Language as Grammar
    from tree_sitter import Parser

CHUNKER_VERSION = 5
"""Part of every blob's name: raise it when the same content would give other chunks, words of them, or symbols."""
TEXT = "text"


@dataclass(frozen=True, slots=True)
class LanguageSpec:
    """One data file.

    Attributes:
        grammar: name in tree-sitter-language-pack; empty for languages that are only recognised.
        definitions: syntax node type -> kind of symbol.
        names: node type -> how its name is found, see `symbols.NAME_RULES`; by default its field ``name``.
        qualifiers: node type -> the same for a path before the name (a Go receiver).
        scopes: node types that only contribute to paths (a Rust ``impl``).
        leading: node types that belong to the definition below them (comments, attributes).
        wrappers: node types whose span replaces that of the definition inside (a decorated definition).
        tails: node types that belong to the definition right before them (a Dart function's body).
        needs_body: node types that define something only where they have a body (a C ``struct``).
        local: kinds that count only outside of functions.
        max_depth: definitions nested deeper than this are left out; 0 for no bound.
        extensions, filenames, shebangs: how files are recognised; file names in lower case.
    """

    name: str
    grammar: str = ""
    extensions: tuple[str, ...] = ()
    filenames: tuple[str, ...] = ()
    shebangs: tuple[str, ...] = ()
    definitions: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    qualifiers: dict[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    leading: tuple[str, ...] = ("comment",)
    wrappers: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()
    needs_body: tuple[str, ...] = ()
    local: tuple[str, ...] = ("variable", "constant", "field")
    max_depth: int = 0


@cache
def _specs() -> dict[str, LanguageSpec]:
    known = LanguageSpec.__dataclass_fields__.keys()
    specs = {}
    for file in resources.files(__package__).joinpath("languages").iterdir():
        if file.name.endswith(".toml"):
            table = tomllib.loads(file.read_text("utf-8"))
            if unknown := table.keys() - known:
                raise ValueError(f"languages/{file.name}: unknown keys {sorted(unknown)}; known are {sorted(known)}")
            values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
            specs[table["name"]] = LanguageSpec(**values)
    return specs


@cache
def languages_by(marks: Literal["extensions", "filenames", "shebangs"]) -> dict[str, str]:
    """Return the languages by their extensions (with dots), file names or interpreters, all in lower case."""
    return {mark.lower(): spec.name for spec in _specs().values() for mark in getattr(spec, marks)}


def language_names() -> frozenset[str]:
    """Return all languages, ``text`` included."""
    return frozenset(_specs()) | {TEXT}


def spec_of(language: str) -> LanguageSpec:
    """Return the data of a language; an empty one for ``text`` and for unknown names."""
    return _specs().get(language) or LanguageSpec(TEXT)


@cache
def parser_of(grammar: str) -> Parser:
    """Make the parser for a grammar of tree-sitter-language-pack: one per process, not to be shared by threads."""
    from tree_sitter import Parser

    return Parser(grammar_of(grammar))


@cache
def grammar_of(grammar: str) -> Grammar:
    """Load a compiled grammar."""
    from tree_sitter_language_pack import get_language

    return get_language(grammar)  # type: ignore[arg-type]
