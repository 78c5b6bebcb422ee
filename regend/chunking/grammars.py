"""Languages: one data file each in `languages/`. `detection` says which of them a file is in.

A data file names the grammar, the file names and extensions, and which syntax nodes are definitions.
`docs/architecture.md` says how to add one. tree-sitter itself is imported only where something is parsed.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from tree_sitter import Language as Grammar
    from tree_sitter import Parser

CHUNKER_VERSION = 15
"""Part of every blob's name: raise it when the same content would give other chunks, words of them, or symbols."""
TEXT = "text"


@dataclass(frozen=True, slots=True)
class LineRule:
    """A line that begins a definition, for languages without a grammar and for what a parser did not understand.

    Attributes:
        pattern: finds it, with the groups ``name`` and, for sections, ``level``: the longer, the deeper.
        ends: ``line``, ``brace`` (where its braces close), ``indent`` (before a line that is not indented deeper),
            ``section`` (before the next section that is not deeper), or a pattern of the line that ends it.
        whole: whether the name is a title, which nothing splits.
        everywhere: whether it counts beside a syntax tree, too.
    """

    pattern: str
    kind: str
    ends: str = "line"
    whole: bool = False
    everywhere: bool = False


@dataclass(frozen=True, slots=True)
class LanguageSpec:
    """One data file.

    Attributes:
        grammar: name in tree-sitter-language-pack; empty for languages without one.
        query: tree-sitter patterns; the first that matches a node decides. A pattern captures the definition under its
            kind (``@function``, ``@class``, …) and says how it is called. ``@scope`` only contributes to paths.

            - ``@name`` is split where `separators` stand; ``@text`` (a string) and ``@title`` (of a section) are not.
            - ``@words`` holds several names, with spaces between.
            - Several ``@part`` are put together. ``@declarator`` is gone down to the name.
            - The name ends before ``@until``.
            - ``@in`` stands before the name in the path (the receiver of a Go method).
            - ``@level`` marks a heading, which lasts up to the next heading of its level.
            - ``@body`` is a function without a name; what `local` names does not count in it, either.
            - A pattern with a kind and no name hides its node from later patterns: a list, whose names count each.
            - A capture that begins with ``_`` serves predicates.
        definitions: syntax node type -> kind of symbol, for nodes whose field ``name`` is their name.
        separators: what stands between the parts of a qualified name.
        trimmed: pattern of what stands in names and does not belong to them (the colon of a Ruby symbol).
        reserved: keywords that only a confused parser takes for a name.
        leading: node types that belong to the definition below them (comments, attributes).
        levels: signs that underline headings, the highest first; others follow in the order in which a file has them.
        wrappers: node types whose span replaces that of the only definition inside (a decorated definition).
        tails: node types that belong to the definition right before them (a Dart function's body).
        local: kinds and node types that count only outside of functions.
        open: node types that enclose what follows, up to the next of their types (a PHP ``namespace`` without braces).
        joined: kinds whose adjacent definitions of one name are one (the equations of a Haskell function).
        promoted: node types that belong to the type around their constructor (a PHP parameter with a visibility).
        blanks: patterns whose group ``blank`` is hidden from the parser (macros that stand in its way).
        preprocessed: whether the C preprocessor's conditionals stand in files.
        embedded: tree-sitter patterns for pieces in other languages: ``@content``, and ``@language`` where the file
            names it. ``(#set! language "css")`` names it otherwise, and ``(#set! together "yes")`` makes all
            pieces one text.
        lines: see `LineRule`.
        fences: pattern of the lines between which `lines` count for nothing.
        max_depth: definitions nested deeper than this are left out; 0 for no bound.
        extensions, filenames, shebangs: how files are recognised; file names in lower case.
    """

    name: str
    grammar: str = ""
    extensions: tuple[str, ...] = ()
    filenames: tuple[str, ...] = ()
    shebangs: tuple[str, ...] = ()
    query: str = ""
    definitions: dict[str, str] = field(default_factory=dict)
    separators: tuple[str, ...] = (".", "::")
    trimmed: str = ""
    reserved: tuple[str, ...] = ()
    leading: tuple[str, ...] = ("comment",)
    levels: str = ""
    wrappers: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()
    local: tuple[str, ...] = ("variable", "constant", "field")
    open: tuple[str, ...] = ()
    joined: tuple[str, ...] = ()
    promoted: tuple[str, ...] = ()
    blanks: tuple[str, ...] = ()
    preprocessed: bool = False
    embedded: str = ""
    lines: tuple[LineRule, ...] = ()
    fences: str = ""
    max_depth: int = 0

    @property
    def separator(self) -> re.Pattern[str]:
        """The separator of two parts of a qualified name; it matches within no operator."""
        return _separator(self.separators)


@cache
def _separator(separators: tuple[str, ...]) -> re.Pattern[str]:
    signs = "|".join(map(re.escape, separators))
    return re.compile(rf"(?<=[\w)>\]\"'`?!])\s*(?:{signs})\s*(?=[\w~\"'`$@\[])") if signs else re.compile("(?!)")


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
            values["lines"] = tuple(LineRule(**row) for row in table.get("lines", ()))
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
