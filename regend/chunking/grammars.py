"""Languages: one data file each in `languages/`, and which of them a file is in.

A data file names the grammar, the file names and extensions, and which syntax nodes are definitions.
`docs/architecture.md` says how to add one. tree-sitter itself is imported only where something is parsed.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import translate
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from tree_sitter import Language as Grammar
    from tree_sitter import Parser

CHUNKER_VERSION = 2
"""Part of every blob's name: raise it when the same content would give other chunks or symbols."""
TEXT = "text"
_SHEBANG = re.compile(rb"#!\s*(?:\S*/)?(?:env\s+(?:-\S+\s+|\w+=\S*\s+)*(?:\S*/)?)?([A-Za-z][A-Za-z_+-]*)[\d.]*(?:\s|$)")
_MODELINE = re.compile(rb"-\*-\s*(?:.*?mode:\s*)?([\w+#-]+)\s*(?:;.*)?-\*-|\b(?:vim?|ex):.*?\b(?:ft|filetype)=(\w+)")


@dataclass(frozen=True, slots=True)
class LanguageSpec:
    """One data file.

    Attributes:
        grammar: name in tree-sitter-language-pack; empty for languages that are only recognised.
        skip: a reason for which no file of this "language" is chunked (`generated` for lock files).
        extensions, filenames, shebangs: how files are recognised; file names may be ``fnmatch`` patterns.
        aliases: other names, as editors' mode lines give them.
        claims: extension -> regular expression; a file of another language's extension that matches it is ours.
        definitions: syntax node type -> kind of symbol; an empty kind: only if `refine` or the name's rule gives one.
        patterns: node type -> tree-sitter query that finds those nodes as `@d`, in place of all nodes of the type.
        refine: node type -> type of a direct child -> kind, where the child tells more (``interface`` in Kotlin).
        names: node type -> how its name is found, see `names.RULES`; by default its field ``name``.
        qualifiers: node type -> the same for a path before the name (a Go receiver).
        scopes: node types that only contribute to paths (a Rust ``impl``).
        flat: node types that do not contribute to the paths of what they hold (a C ``typedef``).
        runs: node types that reach as far as the next sibling of a type that is also in `runs` or a definition.
        leading: node types that belong to the definition below them (comments, attributes).
        wrappers: node types whose span replaces that of the definition inside (a decorated definition).
        tails: node types that belong to the definition right before them (a Dart function's body).
        local: kinds that count only outside of functions.
        max_depth: definitions nested deeper than this are left out; 0 for no bound.
        max_symbols: definitions in one file beyond this are left out; 0 for the chunker's own bound.
    """

    name: str
    grammar: str = ""
    skip: str = ""
    extensions: tuple[str, ...] = ()
    filenames: tuple[str, ...] = ()
    shebangs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    claims: dict[str, str] = field(default_factory=dict)
    definitions: dict[str, str] = field(default_factory=dict)
    patterns: dict[str, str] = field(default_factory=dict)
    refine: dict[str, dict[str, str]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    qualifiers: dict[str, str] = field(default_factory=dict)
    scopes: tuple[str, ...] = ()
    flat: tuple[str, ...] = ()
    runs: tuple[str, ...] = ()
    leading: tuple[str, ...] = ("comment",)
    wrappers: tuple[str, ...] = ()
    tails: tuple[str, ...] = ()
    local: tuple[str, ...] = ("variable", "constant", "field")
    max_depth: int = 0
    max_symbols: int = 0


@dataclass(frozen=True, slots=True)
class _Signs:
    """What files are recognised by, over all languages; names and extensions in lower case."""

    filenames: Mapping[str, str]
    patterns: tuple[tuple[re.Pattern[str], str], ...]
    extensions: Mapping[str, str]
    claims: Mapping[str, tuple[tuple[re.Pattern[bytes], str], ...]]
    shebangs: Mapping[str, str]
    aliases: Mapping[str, str]


def detect_language(path: str, head: bytes = b"") -> str:
    """The language of a file, by its name, then its extension, then its first lines.

    Args:
        path: relative or absolute, with ``/``.
        head: the beginning of the content.

    Returns:
        A name in `language_names()`; ``text`` when nothing fits.
    """
    signs = _signs()
    name = path.rpartition("/")[2].lower()
    found = signs.filenames.get(name)
    if found is None:
        found = next((language for pattern, language in signs.patterns if pattern.match(name)), None)
    start = name.find(".")
    while found is None and start >= 0:  # The longest extension first: `.min.js` before `.js`.
        extension = name[start:]
        for pattern, language in signs.claims.get(extension, ()):
            if pattern.search(head):
                return language
        found = signs.extensions.get(extension)
        start = name.find(".", start + 1)
    if found is None and head:
        found = _by_first_lines(signs, head)
    return found or TEXT


def language_names() -> frozenset[str]:
    """All languages, ``text`` included."""
    return frozenset(_specs()) | {TEXT}


def spec_of(language: str) -> LanguageSpec:
    """The data of a language; an empty one for ``text`` and for names that nobody knows."""
    return _specs().get(language) or LanguageSpec(TEXT)


def parse_spec(table: Mapping[str, Any], source: str) -> LanguageSpec:
    """Check a data file's table and build the spec.

    Raises:
        ValueError: an unknown key, or a value of the wrong type; the message names file and key.
    """
    hints = get_type_hints(LanguageSpec)
    unknown = table.keys() - hints.keys()
    if unknown:
        raise ValueError(f"languages/{source}: unknown keys {sorted(unknown)}; known are {sorted(hints)}")
    values: dict[str, Any] = {}
    for key, value in table.items():
        listed = tuple(value) if isinstance(value, list) else value
        wanted = getattr(hints[key], "__origin__", hints[key])
        if not isinstance(listed, wanted):
            raise ValueError(f"languages/{source}: `{key}` must be of type {wanted.__name__}, not {value!r}")
        values[key] = listed
    return LanguageSpec(**values)


@cache
def parser_of(grammar: str) -> Parser:
    """A parser for a grammar of tree-sitter-language-pack; one per process, not to be shared between threads."""
    from tree_sitter import Parser

    return Parser(grammar_of(grammar))


@cache
def grammar_of(grammar: str) -> Grammar:
    """The compiled grammar itself."""
    from tree_sitter_language_pack import get_language

    return get_language(grammar)  # type: ignore[arg-type]


@cache
def _specs() -> dict[str, LanguageSpec]:
    specs = {}
    files = resources.files(__package__).joinpath("languages").iterdir()
    for file in sorted(files, key=lambda f: f.name):  # In one order everywhere, for files that two languages claim.
        if file.name.endswith(".toml"):
            spec = parse_spec(tomllib.loads(file.read_text("utf-8")), file.name)
            specs[spec.name] = spec
    return specs


@cache
def _signs() -> _Signs:
    specs = _specs().values()
    names = [(name.lower(), spec.name) for spec in specs for name in spec.filenames]
    claims: dict[str, tuple[tuple[re.Pattern[bytes], str], ...]] = {}
    for spec in specs:
        for extension, expression in spec.claims.items():
            compiled = re.compile(expression.encode(), re.MULTILINE)
            claims[extension] = (*claims.get(extension, ()), (compiled, spec.name))
    return _Signs(
        filenames={name: language for name, language in names if not set(name) & set("*?[")},
        patterns=tuple((re.compile(translate(name)), language) for name, language in names if set(name) & set("*?[")),
        extensions={extension: spec.name for spec in specs for extension in spec.extensions},
        claims=claims,
        shebangs={name: spec.name for spec in specs for name in spec.shebangs},
        aliases={name: spec.name for spec in specs for name in (spec.name, *spec.aliases)},
    )


def _by_first_lines(signs: _Signs, head: bytes) -> str | None:
    """By the interpreter that runs the file, or by the mode that an editor is asked to use."""
    shebang = _SHEBANG.match(head)
    if shebang:
        found = signs.shebangs.get(shebang.group(1).decode().lower())
        if found is not None:
            return found
    if head.startswith(b"<?xml"):
        return "xml"
    modeline = _MODELINE.search(b"\n".join(head.split(b"\n", 5)[:5]))
    if modeline is None:
        return None
    return signs.aliases.get((modeline.group(1) or modeline.group(2)).decode("ascii", "replace").lower())
