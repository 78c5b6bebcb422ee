"""Filters: what limits an answer, and how a person writes it into a query: ``retry lang:go -path:tests/** -mock``.

Pure. A filter is a key of `KEYS`, a colon and a value without spaces or in double quotes; several of one key are
alternatives, a ``-`` in front excludes. ``-word`` and ``-"some words"`` exclude chunks that hold them. Text in double
quotes is never a filter, so ``"kind:Deployment"`` searches for that text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from regend.chunking.tokens import MARKS
from regend.search.errors import FilterError
from regend.search.query.languages import canonical_language, find_language
from regend.search.query.spelling import edits

KEYS = ("lang", "path", "kind", "root")
KINDS = frozenset({
    "block", "class", "constant", "constructor", "element", "enum", "extension", "field", "function", "impl", "index",
    "interface", "key", "macro", "method", "module", "object", "protocol", "rule", "section", "struct", "table",
    "test", "trait", "type", "union", "variable", "window",
})  # fmt: skip
"""Kinds of definitions in any language, and of chunks without one."""
_KIND_ALIASES = {
    "const": "constant", "ctor": "constructor", "def": "function", "fn": "function", "func": "function",
    "heading": "section", "iface": "interface", "meth": "method", "mod": "module", "namespace": "module",
    "var": "variable",
}  # fmt: skip
_LISTED = frozenset({"lang", "kind", "root"})
"""Keys whose value may list several, with commas; a glob has braces for that."""
_EXAMPLES = {"lang": "python", "kind": "function", "root": "api"}
_SYNONYMS = {
    "dir": "path", "ext": "lang", "extension": "lang", "file": "path", "filename": "path", "folder": "path",
    "language": "lang", "repo": "root", "repository": "root",
}  # fmt: skip
_NEAR = {near: key for key in ("language", *reversed(KEYS)) for near in (*edits(key), key)}
"""Keys by what is at most one edit away."""
_MAX_INLINE = 32
_MAX_DOUBTS = 3

_PIECE = re.compile(
    r'(?<!\S)(?P<not>-?)(?P<key>lang|path|kind|root):(?!:)(?P<value>"[^"\n]+"|[^\s"]+)(?!\S)'
    r'|(?<!\S)-"(?P<phrase>[^"\n]{2,})"(?!\S)'
    rf"|(?<!\S)-(?P<word>[^\W\d][\w{MARKS}]+)(?!\S)"
    r'|"[^"\n]{2,}"'
)
_DOUBTFUL = re.compile(r'(?<!\S)(?P<not>-?)(?P<key>[A-Za-z]{2,12}):(?P<space> *)(?P<value>[^\s":][^\s"]*)|"[^"\n]{2,}"')


class Inline(NamedTuple):
    """One filter of a query."""

    key: str
    value: str
    negated: bool


@dataclass(frozen=True, slots=True)
class Filters:
    """Limits of an answer; an empty one limits nothing. All that is given must hold.

    Attributes:
        root: absolute path of a root, or the name of its last folder where that is unambiguous.
        path: glob over relative paths, see `globs`.
        lang: language name or a usual short form (``py``, ``c++``).
        under: absolute paths of roots, directories and files; what counts lies at or below one of them.
        globs: as `path`, and several; one that begins with ``!`` excludes.
        inline: those of the query; of one key, any that is not negated and none that is.
    """

    root: str = ""
    path: str = ""
    lang: str = ""
    inline: tuple[Inline, ...] = ()
    under: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()

    def wanted(self, key: str) -> tuple[str, ...]:
        """Return the values of the query's filters of that key, of which one must fit."""
        return tuple(one.value for one in self.inline if one.key == key and not one.negated)

    def alternatives(self, key: str) -> list[tuple[str, ...]]:
        """Return groups of values of that key, the options' and the query's; one of each group must fit."""
        option = getattr(self, key)
        listed = {"root": self.under, "path": tuple(glob for glob in self.globs if not glob.startswith("!"))}
        return [values for values in ((option,) if option else (), listed.get(key, ()), self.wanted(key)) if values]

    def unwanted(self, key: str) -> tuple[str, ...]:
        """Return the values of that key, the options' and the query's, of which none may fit."""
        globs = tuple(glob[1:] for glob in self.globs if glob.startswith("!")) if key == "path" else ()
        return globs + tuple(one.value for one in self.inline if one.key == key and one.negated)

    def __str__(self) -> str:
        """Return the filters as a person would write them."""
        given = [f"{key} {value!r}" for key in ("root", "path", "lang") if (value := getattr(self, key))]
        given += [f"the place {place!r}" for place in self.under] + [f"glob {glob!r}" for glob in self.globs]
        return ", ".join(given + [f"`{'-' * one.negated}{one.key}:{one.value}`" for one in self.inline])


class Split(NamedTuple):
    """A query and what was taken out of it.

    Attributes:
        text: the rest, single-spaced where something was taken out.
        words: words that a chunk must not hold.
        phrases: texts in quotes that a chunk must not hold.
    """

    text: str
    inline: tuple[Inline, ...] = ()
    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()


def split_filters(text: str) -> Split:
    """Take filters and exclusions out of a query.

    Raises:
        FilterError: a language or a kind is unknown, a value is empty, or there are too many filters.
    """
    if ":" not in text and "-" not in text:
        return Split(text)
    inline: list[Inline] = []
    words: list[str] = []
    phrases: list[str] = []
    rest: list[str] = []
    at = 0
    for found in _PIECE.finditer(text):
        if found["key"]:
            inline += _filters(found["key"], found["value"].strip('"'), bool(found["not"]))
        elif found["phrase"]:
            phrases.append(found["phrase"])
        elif found["word"]:
            words.append(found["word"])
        else:
            continue
        rest.append(text[at : found.start()].strip())
        at = found.end()
    if not rest:
        return Split(text)
    if len(inline) > _MAX_INLINE:
        raise FilterError(f"The query has {len(inline)} filters; give at most {_MAX_INLINE}.")
    rest.append(text[at:].strip())
    return Split(" ".join(part for part in rest if part), tuple(dict.fromkeys(inline)), tuple(words), tuple(phrases))


def doubts(text: str) -> tuple[str, ...]:
    """Return sentences on what looks like a misspelt filter: ``language:go``, ``Path:src/**``, ``kind: class``.

    Such text is searched for as it stands and not refused, because `error:timeout` may be just that.
    """
    if ":" not in text:
        return ()
    found = (_doubt(match) for match in _DOUBTFUL.finditer(text) if match["key"])
    return tuple(dict.fromkeys(sentence for sentence in found if sentence))[:_MAX_DOUBTS]


def _doubt(match: re.Match[str]) -> str:
    key, value = match["key"].lower(), match["value"]
    apart = bool(match["space"])
    if apart:
        meant = key if key in ("lang", "path", "kind") else ""  # `root: ` is common in text, and so is any name.
    else:
        near = _NEAR.get(key, "")
        meant = "" if match["key"] in KEYS else _SYNONYMS.get(key) or _SYNONYMS.get(near, near)
    if not meant or not _fits(meant, value):
        return ""
    right = f"{match['not']}{meant}:{value}"
    return f"`{match[0]}` is not a filter and was searched for as text; did you mean `{right}`?"


def _fits(key: str, value: str) -> bool:
    """Return whether such a filter could have that value."""
    if key == "lang":
        return bool(find_language(value))
    if key == "kind":
        return _KIND_ALIASES.get(value.lower(), value.lower()) in KINDS
    if key == "path":
        return not value.startswith("//") and any(sign in value for sign in "/*.")
    return re.fullmatch(r"[\w./-]*[^\W\d][\w./-]*", value) is not None


def _filters(key: str, value: str, negated: bool) -> list[Inline]:
    values = [part for part in value.split(",") if part] if key in _LISTED else [value]
    if not values:
        raise FilterError(f"The filter `{key}:{value}` has no value; write one, such as `{key}:{_EXAMPLES[key]}`.")
    if key == "kind":
        values = [_kind(one) for one in values]
    elif key == "lang":
        values = [_language(one) for one in values]
    return [Inline(key, one, negated) for one in values]


def _language(name: str) -> str:
    try:
        return canonical_language(name)
    except FilterError as error:
        raise FilterError(f'{error} To search for the text itself, write "lang:{name}" in double quotes.') from error


def _kind(name: str) -> str:
    lowered = name.lower()
    kind = _KIND_ALIASES.get(lowered, lowered)
    if kind not in KINDS:
        raise FilterError(
            f"The filter `kind:{name}` names no kind; there are {', '.join(sorted(KINDS))}. To search for the text "
            f'itself, write "kind:{name}" in double quotes.'
        )
    return kind
