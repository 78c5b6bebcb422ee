"""Filters: what limits an answer, and how a person writes it into a query: ``retry lang:go -path:tests/** -mock``.

Pure. A filter is a key of `KEYS`, a colon and a value without spaces or in double quotes; several of one key are
alternatives, a ``-`` in front excludes. ``-word`` and ``-"some words"`` exclude chunks that hold them. Text in double
quotes is never a filter, so ``"kind:Deployment"`` searches for that text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from regend.chunking.detection import language_called
from regend.chunking.tokens import MARKS, whole_tokens, words_in
from regend.limits import KINDS
from regend.search.errors import FilterError
from regend.search.query.languages import canonical_language
from regend.search.query.log_lines import message_of
from regend.search.query.pasted import has_capital_syntax, pasted_kind, speaks_of
from regend.search.query.patterns import TextPattern, is_case_sensitive, is_expression, literal
from regend.search.query.spelling import edits

KEYS = ("lang", "path", "kind", "root", "file", "sym", "in")
GROUPS = ("code", "docs", "config")
"""Values of ``in``: what a file is for a person."""
_KIND_ALIASES = {
    "const": "constant", "ctor": "constructor", "def": "function", "fn": "function", "func": "function",
    "heading": "section", "iface": "interface", "meth": "method", "mod": "module", "namespace": "module",
    "var": "variable",
}  # fmt: skip
_KEY_ALIASES = {"f": "file", "repo": "root", "r": "root"}
_LISTED = frozenset({"lang", "kind", "root", "in"})
"""Keys whose value may list several, with commas; a glob has braces for that."""
_EXAMPLES = {"lang": "python", "kind": "function", "root": "api", "in": "code"}
_SYNONYMS = {
    "dir": "path", "ext": "lang", "extension": "lang", "filename": "path", "folder": "path", "language": "lang",
    "repository": "root", "symbol": "sym",
}  # fmt: skip
_NEAR = {near: key for key in ("language", "root", "kind", "path", "lang") for near in (*edits(key), key)}
"""Keys by what is at most one edit away."""
_MAX_INLINE = 32
_MAX_DOUBTS = 3

_EXPRESSION = r"/(?:[^/\\\n]|\\.)+/"
_PIECE = re.compile(
    rf"""
    (?<!\S)(?P<not>-|NOT[ ]+)?
    (?:
      (?P<key>lang|path|kind|root|file|f|repo|r|sym|in|content|case):(?!:|//)(?P<value>"[^"\n]+"|{_EXPRESSION}|[^\s"]+)
      | (?P<expression>{_EXPRESSION})
      | "(?P<phrase>[^"\n]{{2,}})"
      | (?P<or>OR)
      | (?P<word>[^\W_][\w{MARKS}]*(?:(?:::|->|[.-])[\w{MARKS}]+)*|_[\w{MARKS}]*)
    )(?!\S)
    | "[^"\n]{{2,}}"
    """,
    re.VERBOSE,
)
_QUOTED = re.compile(r'"[^"\n]{2,}"')
_SIGN = re.compile(r"[\\^$*+?()\[{|]")
_META = re.compile(rf"{_SIGN.pattern}|\s")
"""A sign that makes a regular expression of ``/text/``, which else is a folder."""
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
        lang: language name or a usual short form (``py``, ``c++``), or several with commas.
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
        option = getattr(self, key, "")
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
        patterns: what its text must and must not match; where there is one, quoted texts are among them.
        notes: sentences on what looks like syntax and was taken as text.
        case: ``yes``, ``no`` or ``auto``.
    """

    text: str
    inline: tuple[Inline, ...] = ()
    words: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    patterns: tuple[TextPattern, ...] = ()
    notes: tuple[str, ...] = ()
    case: str = "auto"


@dataclass(slots=True)
class _Splitter:
    """Takes a query apart, piece by piece."""

    text: str
    kind: str
    knows_root: Callable[[str], bool]
    at: int = 0
    rest: list[str] = field(default_factory=list)
    inline: list[Inline] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    phrases: list[str] = field(default_factory=list)
    wanted: list[list[tuple[str, str]]] = field(default_factory=list)
    unwanted: list[tuple[str, str]] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    case: str = "auto"
    joined: bool = False
    exact: bool = False

    def split(self) -> Split:
        """Return what the query is made of."""
        capitals = has_capital_syntax(self.text)
        last_end = -1
        for found in _PIECE.finditer(self.text):
            operator = found["or"] or (found["not"] or "").startswith("NOT")
            if operator and (capitals or (found["or"] and not self._has_both_sides(found))):
                self._keep(found[0])
                continue
            joins = self.joined and last_end >= 0 and not self.text[last_end : found.start()].strip()
            taken = self._take(found, joins)
            if taken or found["phrase"]:
                last_end = found.end()
            if taken:
                self.rest.append(self.text[self.at : found.start()].strip())
                self.at = found.end()
        if len(self.inline) > _MAX_INLINE:
            raise FilterError(f"The query has {len(self.inline)} filters; give at most {_MAX_INLINE}.")
        return self._result()

    def _has_both_sides(self, found: re.Match[str]) -> bool:
        return bool(self.text[: found.start()].strip() and self.text[found.end() :].strip())

    def _keep(self, piece: str) -> None:
        if piece not in self.taken:
            self.taken.append(piece.strip())

    def _take(self, found: re.Match[str], joins: bool) -> bool:
        """Take one piece out; return False where it is text."""
        negated, key, value = bool(found["not"]), found["key"] or "", found["value"] or ""
        dashed = (found["not"] or "") == "-"
        self.joined = found["or"] is not None and bool(self.wanted)
        if found["or"]:
            return True
        if found["word"]:
            return self._take_word(found, negated, dashed)
        if key == "case":
            if value not in ("yes", "no", "auto"):
                return False
            self.case = value
            return True
        if key and key != "content":
            return self._take_filter(found[0], _KEY_ALIASES.get(key, key), value.strip('"'), negated)
        return self._take_text(found, value if key else "", negated, dashed, joins)

    def _take_word(self, found: re.Match[str], negated: bool, dashed: bool) -> bool:
        word = found["word"]
        if not negated or (dashed and len(word) < 2):
            return False
        # `-Wsign-compare`, `-1M` and what a sentence speaks of are rather options.
        if dashed and (self.kind or "-" in word or word[0].isdigit() or speaks_of(self.text, found.span())):
            self._keep(found[0])
            return False
        self.words.append(word)
        return True

    def _take_filter(self, piece: str, key: str, value: str, negated: bool) -> bool:
        unknown_root = key == "root" and not all(map(self.knows_root, filter(None, value.split(","))))
        if unknown_root or (self.kind and not _is_usable(key, value)):
            self._keep(piece)
            return False
        if key == "in" and not set(value.split(",")) <= set(GROUPS):
            return False
        self.inline += _filters(key, value, negated)
        return True

    def _take_text(self, found: re.Match[str], content: str, negated: bool, dashed: bool, joins: bool) -> bool:
        """Take a quoted text, a regular expression, or ``content:``, which is one of both."""
        expression = found["expression"] or (content if content.startswith("/") and content.endswith("/") else "")
        phrase = found["phrase"] or (content.strip('"') if content and not expression else "")
        if expression and not content:
            inner = expression[1:-1]
            # Between words, `/* ... */`, signs and folders with spaces are text.
            alone = found[0] == self.text.strip()
            if not ((alone and not words_in(inner)) or (_META if alone else _SIGN).search(inner)):
                return False
            if not is_expression(inner):
                self._keep(found[0])
                return False
        if not expression and not phrase:
            return False
        if self.kind and not content and (dashed or not negated):
            self._keep(found[0])
            return False
        atom = ("/", expression[1:-1].replace("\\/", "/")) if expression else ('"', phrase)
        if negated and not expression and not content:
            self.phrases.append(phrase)
        elif negated:
            self.unwanted.append(atom)
            self.exact = True
        elif joins:
            self.wanted[-1].append(atom)
            self.exact = True
        else:
            self.wanted.append([atom])
            self.exact = self.exact or bool(expression or content)
        return negated or found["phrase"] is None  # A quoted text stays among the words, too.

    def _result(self) -> Split:
        rest = [*self.rest, self.text[self.at :].strip()]
        text = " ".join(part for part in rest if part)
        patterns: list[TextPattern] = []
        exact = self.exact or self.case == "yes" or any(one.key == "sym" for one in self.inline)
        exact = exact or (bool(self.wanted) and not words_in(text))  # The index knows words only.
        words = self.words
        if exact:
            patterns = [self._pattern(group) for group in self.wanted]
            patterns += [replace(self._pattern([atom]), negated=True) for atom in self.unwanted]
            patterns += [TextPattern(literal(phrase), True, self.case == "yes") for phrase in self.phrases]
            if self.case == "yes":
                patterns += [TextPattern(literal(word), True, True) for word in words]
                patterns += [TextPattern(literal(word), case=True) for word in _QUOTED.sub(" ", text).split()]
                words = []
            # The index knows single words only.
            patterns += [TextPattern(literal(word), True) for word in words if len(whole_tokens(word)) != 1]
            words = [word for word in words if len(whole_tokens(word)) == 1]
            contents = [value for group in self.wanted for sign, value in group if sign == '"' and value not in text]
            text = " ".join((text.replace('"', " "), *contents)).strip()
        elif not self.rest:
            text = self.text
        return Split(
            text, tuple(dict.fromkeys(self.inline)), tuple(words), tuple(() if exact else self.phrases),
            tuple(patterns), self._notes(), self.case,
        )  # fmt: skip

    def _pattern(self, group: list[tuple[str, str]]) -> TextPattern:
        expressions = [value if sign == "/" else literal(value) for sign, value in group]
        only_quoted = all(sign == '"' for sign, _ in group)
        case = self.case == "yes" or (not only_quoted and is_case_sensitive("".join(expressions), self.case))
        if len(expressions) == 1:
            return TextPattern(expressions[0], case=case)
        return TextPattern("|".join(f"(?:{one})" for one in expressions), case=case)

    def _notes(self) -> tuple[str, ...]:
        if not self.taken:
            return ()
        more = ", …" if self.taken[_MAX_DOUBTS:] else ""
        named = ", ".join(f"`{piece}`" for piece in self.taken[:_MAX_DOUBTS]) + more
        what = _KIND_NAMES.get(self.kind)
        because = f"The query looks like {what}, so " if what else ""
        was = "were" if len(self.taken) > 1 else "was"
        hint = "; to leave a word out, write `NOT word`" if any(piece.startswith("-") for piece in self.taken) else ""
        return (f"{because}{named} {was} searched for as text{hint}.",)


_KIND_NAMES = {"command": "a command line", "message": "a message of a program", "code": "code"}


def split_filters(text: str, knows_root: Callable[[str], bool] = lambda _name: True) -> Split:
    """Take filters, exclusions and expressions out of a query; what was pasted is text, see `pasted`.

    Args:
        knows_root: tells whether a value of ``root:`` is one; other text that looks so is text.

    Raises:
        FilterError: a language or a kind is unknown, a value is empty, or there are too many filters.
    """
    if not any(sign in text for sign in ':-/"') and "NOT" not in text and "OR" not in text:
        return Split(message_of(text))
    return _Splitter(message_of(text), pasted_kind(text), knows_root).split()


def _is_usable(key: str, value: str) -> bool:
    """Return whether a filter within pasted text was surely meant as one."""
    if key in ("lang", "kind"):
        return all(_fits(key, one) for one in value.split(","))
    if key in ("path", "file"):
        return not value.startswith(("/", "\\")) and any(sign in value for sign in "/*.")
    return key in ("sym", "in") or re.fullmatch(r"[\w./,-]+", value) is not None


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
        return bool(language_called(value))
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


def canonical_kind(name: str) -> str:
    """Return the name by which a kind is stored: ``fn`` -> ``function``.

    Raises:
        FilterError: there is no kind of that name; the message lists those there are.
    """
    lowered = name.lower()
    kind = _KIND_ALIASES.get(lowered, lowered)
    if kind not in KINDS:
        raise FilterError(f"No kind is called {name!r}; there are {', '.join(sorted(KINDS))}.")
    return kind


def _kind(name: str) -> str:
    try:
        return canonical_kind(name)
    except FilterError as error:
        raise FilterError(f'{error} To search for the text itself, write "kind:{name}" in double quotes.') from error
