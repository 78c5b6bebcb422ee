"""Subtypes: the declarations that extend or implement a type, found in the text of chunks that name it.

The index knows definitions by their own names only. A declaration names its supertype where it begins, in one of few
shapes, so the chunks with that name that are likeliest to declare a type are read.
"""

from __future__ import annotations

import re
from functools import lru_cache, partial

from regend.search.legs.legs import NO_DEFINITIONS, Definitions
from regend.search.legs.reading import read_definitions
from regend.search.legs.scope import Scope
from regend.store.base import ChunkConditions, Snapshot

_DECLARING = (
    "class", "extends", "implements", "interface", "impl", "instance", "struct", "behaviour", "protocol", "extend",
    "deriving", "parent", "module", "type",
)  # fmt: skip
_ROUND = r"\((?:[^()]|\((?:[^()]|\((?:[^()]|\([^()]*+\))*+\))*+\))*+\)"
_BRACKETS = rf"<(?:[^<>{{}};]|<[^<>{{}};]*+>)*+>|{_ROUND}|\[[^\[\]]*+\]"
_ANY = rf"(?:[^<>()\[\]{{}};=]|{_BRACKETS}){{0,300}}?"
"""Text between the parts of a declaration. Brackets with all that they enclose count as one sign."""
_PART = (
    rf"(?:[^<>()\[\]{{}};=\n]|{_BRACKETS}|(?<=[,:&+])[ \t]*\n"
    r"|\n(?=\s*(?:[,:&+]|(?:extends|implements|with|on|public|private|protected)\b)))"
)
"""The same where a line ends a declaration, unless the next one goes on with it."""
_GAP = rf"{_PART}{{0,300}}?"
_CODE = r"^[^\n*/#\"'`]{0,200}?(?<![\w.$@-])"
"""Beginning of a line that is no comment."""
_SHAPES = (
    (
        "java javascript typescript tsx php dart scala groovy vue svelte astro verilog",
        rf"{_CODE}(?:class|interface|object|enum|record|trait|mixin|service)\b{_GAP}"
        rf"\b(?:extends|implements|with|on)\s(?:(?!\bpermits\b){_PART}){{0,300}}?TYPE",
    ),
    (
        "cpp c objc csharp kotlin swift d powershell",
        rf"{_CODE}(?:class|struct|interface|protocol|extension|actor|enum|record|object|union)\b(?!\s+(?:func|var|let)\b)"
        rf"(?:::|(?!:){_PART}){{0,300}}?:(?!:)(?:(?!\bwhere\b){_PART}){{0,300}}?TYPE",
    ),
    ("cpp c objc", r"^@(?:interface|protocol)\s+\w+[^{};@]{0,300}?[:<,]\s*TYPE"),
    ("python starlark cython", rf"^[ \t]*(?:c?p?def\s+)?class\s+\w+\s*(?:\[[^\n()]*\])?\s*\({_ANY}TYPE(?!\s*=)"),
    ("ruby crystal", r"^[ \t]*(?:abstract\s+)?(?:class|struct)\s+[\w:]+\s*(?:\([^)]*\))?\s*<\s*(?:::)?TYPE"),
    ("ruby", r"\bClass\.new\(\s*(?:::)?TYPE"),
    ("ruby crystal", r"^[ \t]+(?:include|extend|prepend)\s+(?:::)?TYPE"),
    ("matlab", r"^\s*classdef\b[^<\n]*<[^\n]*?TYPE"),
    ("julia", r"\b(?:struct|type)\s+\w+\s*(?:\{[^}\n]*\})?\s*<:\s*TYPE"),
    ("rust", rf"{_CODE}impl(?:\s*<[^{{;]*?>)?\s+!?TYPE\s*(?:<[^{{;]*?>)?\s+for\b"),
    ("rust", rf"{_CODE}trait\s+\w+\s*(?:<[^{{;:]*?>)?\s*:{_GAP}TYPE"),
    ("rust", r"^[ \t]*#\[derive\([^)]*?TYPE"),
    (
        "haskell purescript",
        r"^\s*(?:(?:deriving|derive)\s+)?(?:\w+\s+)?instance\s+(?:\w+\s*::\s*)?(?:\{-#[^}]*\}\s*)?"
        r"(?:[^=\n]*(?:\n\s[^=\n]*)*=>\s*)?TYPE(?![^\n]*=>)",
    ),
    ("haskell purescript", r"^\s*class\s+[^=\n|]*?TYPE[^=\n|]*=>"),
    ("haskell purescript", r"^[^\n\"]*\bderiving\b(?:\s+\w+)?\s+(?:\([^)]*?)?TYPE"),
    (
        "clojure",
        rf"\((?:defrecord|deftype|extend-type)\s+[^\s()]+(?:\s+\[[^\]]*\])?\s+(?:[^\s()]+\s+|{_ROUND}\s*){{0,100}}?TYPE",
    ),
    ("clojure", r"\((?:reify|extend-protocol|proxy\s+\[)\s*TYPE"),
    ("commonlisp elisp", r"\((?:defclass|define-condition)\s+[^\s()]+\s+\([^()]*?TYPE"),
    ("elixir", r"^\s*(?:@behaviour\s+|use\s+|@derive\b[^\n]*?|defimpl\s+)TYPE"),
    ("erlang", r"^-behaviou?r\(\s*TYPE"),
    ("ocaml ocaml_interface", r"^\s*module\s+(?:type\s+)?\w+\s*(?:\([^)\n]*\)\s*)*:\s*TYPE"),
    ("ocaml ocaml_interface", r"^\s*(?:include|inherit)!?\s+(?:module\s+type\s+of\s+)?TYPE"),
    ("go", r"\bvar\s+_\s+TYPE\s*="),
    (
        "go",
        r"\btype\s+\w+(?:\[[^\]\n]*\])?\s+(?:struct|interface)\s*\{(?:[^{}]|\{[^{}]*\}){0,2000}?"
        r"^[ \t]+\*?TYPE[ \t]*(?:`[^`\n]*`)?$",
    ),
    ("perl", r"^\s*(?:use\s+(?:parent|base)\b|extends\b|with\b|(?:our\s+|push\s*\(?\s*)?@ISA\b)[^;]{0,300}?TYPE"),
    ("php", r"^[ \t]+use\s+[\w\\, ]*?TYPE"),
    ("solidity", rf"{_CODE}(?:contract|interface|library)\s+\w+\s+is\s{_GAP}TYPE"),
    ("pascal", r"=\s*(?:class|interface|object)\s*(?:abstract|sealed)?\s*\([^)]*?TYPE"),
    ("fsharp", r"^\s*(?:inherit|interface)\s+TYPE"),
    ("vb", r"^\s*(?:Inherits|Implements)\s[^\n]*?TYPE"),
    ("nim", r"=\s*(?:ref\s+)?object\s+of\s+TYPE"),
    ("lua javascript typescript", r"[=:]\s*OWNER[.:](?:extend|subclass|derive|inherit)\w*\s*\("),
    ("javascript typescript", r"\b(?:inherits\(\s*[\w$]+\s*,|Object\.create\()\s*OWNER"),
    ("r", rf"Class\((?:[^()]|{_ROUND}){{0,2000}}?\b(?:inherit|contains)\s*=\s*(?:c\([^)]*?)?[\"']?TYPE"),
    ("graphql", r"^\s*(?:type|interface)\s+\w+\s+implements\s[^{]*?TYPE"),
    ("fortran", r"\bextends\s*\(\s*TYPE"),
    ("ada", r"\btype\s+\w+\s+is\s+(?:abstract\s+|limited\s+)*new\s[^;]*?TYPE"),
    ("thrift", r"^\s*service\s+\w+\s+extends\s+TYPE"),
)
"""Languages, and how a declaration in them names its supertype."""
_SEPARATOR = r"(?:\.|::|\\|/)"


def find_subtypes(snapshot: Snapshot, scope: Scope, names: tuple[str, ...], conditions: ChunkConditions) -> Definitions:
    """Return the definitions in scope that extend or implement a type.

    Args:
        names: of which the type has one, see `asked_supertype`.
        conditions: that each chunk must meet.
    """
    for name in names:
        word = name.rpartition(".")[2].lower()
        lines_of = partial(declaring_lines, name=name)
        found = read_definitions(snapshot, scope, (word,), _DECLARING, conditions, lines_of)
        if found.views:
            return found
    return NO_DEFINITIONS


def declaring_lines(text: str, language: str, name: str) -> list[int]:
    """Return the lines of a text, from 0, that name a type as the supertype of what they declare.

    Args:
        name: dotted where qualified; one without capitals is meant in any case.
    """
    found = (match.end() for shape in _shapes_of(language, name) for match in shape.finditer(text))
    return sorted({text.count("\n", 0, end) for end in found})


@lru_cache(maxsize=64)
def _shapes_of(language: str, name: str) -> tuple[re.Pattern[str], ...]:
    """Return what finds declarations of subtypes of a dotted name in a language."""
    *owners, own = map(re.escape, name.split("."))
    cased = "" if any(map(str.isupper, name)) else "i"
    above = f"(?:{_SEPARATOR.join(owners)}{_SEPARATOR})?" if owners else rf"(?:[\w$]+{_SEPARATOR})*"
    before = r"(?<![\w$.\\:/])" if owners else r"(?<![\w$])"
    owner = rf"(?{cased}:{before}{above}{own})(?![\w$])"
    wanted = rf"{owner}(?!\s*{_SEPARATOR}\s*\w)"
    return tuple(
        re.compile(shape.replace("TYPE", wanted).replace("OWNER", owner), re.MULTILINE)
        for languages, shape in _SHAPES
        if language in languages.split()
    )
