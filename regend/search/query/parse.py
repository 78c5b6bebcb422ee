"""Query understanding: what a person typed, taken apart once per request, without looking at any index.

Pure. Its findings decide which legs are asked and which of the ranking's features apply.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from regend.chunking.tokens import (
    MARKS,
    MAX_NAME_CHARS,
    MAX_TOKEN_CHARS,
    STOP_WORDS,
    folded,
    is_unspaced,
    normalised,
    query_terms,
    whole_tokens,
)
from regend.search.errors import QueryError
from regend.search.query.filters import Inline, Split, doubts, split_filters
from regend.search.query.issues import told_in
from regend.search.query.pasted import pasted_kind
from regend.search.query.patterns import MAX_PATTERNS, TextPattern
from regend.search.query.places import NamedPlace, places_in
from regend.search.query.words import QUESTION_WORDS, identifier_stems, stem

QueryKind = Literal["identifier", "path", "phrase", "language", "mixed"]
"""One name, one file, quoted text only, words, or words with names, paths or quoted text among them."""

MAX_QUERY_CHARS = 2_000
MAX_TERMS = 48
_MAX_IDENTIFIERS = 4


@dataclass(frozen=True, slots=True)
class Query:
    """A query, understood.

    Attributes:
        text: what was asked without filters and exclusions, trimmed, at most `MAX_QUERY_CHARS` characters.
        kind: the whole's nature.
        terms: distinct tokens for the lexical leg, in order; without stop words unless there is nothing else. Empty
            only for a name without words, such as ``<<``, or with too long ones.
        identifiers: names in it, dotted where qualified (``ns::name`` -> ``ns.name``), most specific spelling kept.
        phrases: texts in double quotes, as typed.
        path: the first file it names, or empty.
        line: the 1-based line it names with the path (``x.py:12``), or 0.
        stems: stems of the words it is about.
        whole: the name or path, where the query is nothing else.
        truncated: True when it was longer than the limits and its end was not used.
        inline: filters that stood in it.
        without: tokens that a chunk must not hold.
        without_phrases: texts that a chunk must not hold.
        doubts: sentences on what looks like a misspelt filter, and on what is too much.
        places: all files and lines that it names, see `places`.
        patterns: what a chunk's text must and must not match.
        pasted: it is a piece of a command line, a message or code, see `pasted`.
    """

    text: str
    kind: QueryKind
    terms: tuple[str, ...]
    identifiers: tuple[str, ...]
    phrases: tuple[str, ...]
    path: str
    line: int
    stems: frozenset[str]
    whole: str
    truncated: bool
    inline: tuple[Inline, ...] = ()
    without: tuple[str, ...] = ()
    without_phrases: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    places: tuple[NamedPlace, ...] = ()
    patterns: tuple[TextPattern, ...] = ()
    pasted: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether chunks are looked through for it one by one."""
        return bool(self.patterns) or any(one.key == "sym" for one in self.inline)

    def respelt(self, text: str) -> Query:
        """Return the query with its words as in `text`; filters, exclusions, doubts and places stay."""
        return self._with_text(text, self.places)

    def naming(self, places: tuple[NamedPlace, ...]) -> Query:
        """Return the query with these places in its text."""
        return self._with_text(self.text, places)

    def unplaced(self) -> Query:
        """Return the query with names instead of the places, where there are no such files."""
        return self._with_text(self.text, ())

    def placed(self, paths: Mapping[NamedPlace, str]) -> Query:
        """Return the query with the places spelt as these paths, without those that are not among them."""
        text, at, shift = "", 0, 0
        places: list[NamedPlace] = []
        for place in sorted(self.places, key=lambda place: place.start):
            if place in paths:
                text += self.text[at : place.start] + paths[place]
                at, shift = place.end, len(text)
                start = shift - len(paths[place])
                places.append(place._replace(path=paths[place], start=start, end=shift))
        first = next(place for place in self.places if place in paths)
        places.sort(key=lambda place: place.line != first.line or place.path != paths[first])
        return self._with_text(text + self.text[at:], tuple(places))

    def _with_text(self, text: str, places: tuple[NamedPlace, ...]) -> Query:
        found = _understood(text, query_terms(text), places)
        return replace(
            found, truncated=self.truncated, inline=self.inline,
            without=self.without, without_phrases=self.without_phrases, doubts=self.doubts,
            patterns=self.patterns, pasted=self.pasted, phrases=() if self.pasted else found.phrases,
        )  # fmt: skip


_PHRASE = re.compile(r'"([^"\n]{2,})"')
_NAME = rf"[^\W\d][\w{MARKS}]*"
_QUALIFIED = re.compile(rf"{_NAME}(?:(?:::|->|[.#:/\\]){_NAME})*[!?]?")
_SEPARATORS = re.compile(r"::|->|[.#:/\\]")
_HUMP = re.compile(r"[a-z0-9][A-Z]|[A-Z]{2}[a-z]")
_CONTRACTED = re.compile(r"\b(?:(can)|(wo)n|(\w+)n)['\u2019]t\b|(?<=[\w`])['\u2019](?:d|ll|m|re|s|ve)\b", re.IGNORECASE)
_ARGUMENTS = re.compile(r"(?<=\w)([(<\[])")
_SIGILS = "@$%+-/\\.:#"
_EDGES = "`'\"()[]{}<>,;!?*&=|^~"


def parse_query(text: str, knows_root: Callable[[str], bool] = lambda _name: True) -> Query:
    """Understand `text`.

    Args:
        knows_root: tells whether a value of ``root:`` is one.

    Raises:
        QueryError: it holds nothing that could be searched for, or an expression that cannot be used.
        FilterError: a filter in it cannot be used.
    """
    told = told_in(text.strip())
    trimmed = _written_out(normalised(told))
    typed = trimmed[:MAX_QUERY_CHARS]
    split = split_filters(typed, knows_root)
    for pattern in split.patterns:
        pattern.matcher()  # A wrong one is an error even where nothing is in scope.
    tokens = query_terms(split.text)
    exact = bool(split.patterns) or any(one.key == "sym" for one in split.inline)
    if not tokens and not exact and (split.words or split.phrases):
        # There is nothing else to look for, so what looked like exclusions was meant; `-main` may be a name.
        rest = (split.text, *(f"-{word}" for word in split.words), *split.phrases)
        split = split._replace(text=" ".join(rest).strip(), words=(), phrases=())
        tokens = query_terms(split.text)
    if tokens:
        query = _understood(split.text, tokens, () if exact else places_in(split.text))
    elif exact:
        query = Query(split.text, "phrase", (), (), (), "", 0, frozenset(), "", truncated=False)
    else:
        query = _wordless(typed, split)
    unwanted = {word: whole_tokens(word) for word in split.words}
    runs = tuple(word for word, tokens in unwanted.items() if len(tokens) > 1)  # The index has only pairs of them.
    pasted = bool(pasted_kind(typed))
    return replace(
        query, truncated=query.truncated or len(trimmed) > MAX_QUERY_CHARS, inline=split.inline,
        without=tuple(tokens[0] for tokens in unwanted.values() if len(tokens) == 1),
        without_phrases=(*split.phrases, *runs),
        doubts=(*split.notes, *(() if pasted else (*doubts(typed), *_beyond(split)))),
        patterns=split.patterns[:MAX_PATTERNS], pasted=pasted, phrases=() if pasted else query.phrases,
    )  # fmt: skip


def _written_out(text: str) -> str:
    """Return the text without the ends of its contractions: `t` in ``doesn't`` and `s` in ``it's`` are no words.

    A text with quotes is left alone, because it is to be found to the letter.
    """
    if '"' in text or not ("'" in text or "\u2019" in text):
        return text
    return _CONTRACTED.sub(lambda found: found[1] or (found[2] and "will") or found[3] or "", text)


def _beyond(split: Split) -> tuple[str, ...]:
    """Return a sentence where the query demands more texts than are looked for."""
    count = len(split.patterns) or len(set(_PHRASE.findall(split.text)))
    many = f"Only the first {MAX_PATTERNS} of the {count} texts that chunks must or must not hold count."
    return (many,) if count > MAX_PATTERNS else ()


def _understood(text: str, tokens: tuple[str, ...], places: tuple[NamedPlace, ...]) -> Query:
    """Take a text without filters apart.

    Args:
        tokens: of the text, see `query_terms`; at least one.
        places: that it names.
    """
    beside = _beside(text, places)
    phrases = tuple(dict.fromkeys(_PHRASE.findall(beside)))[:MAX_PATTERNS]
    pieces = _PHRASE.sub(" ", beside).split()
    names = _named_identifiers(pieces, lonely=not places)
    terms = tuple(dict.fromkeys(tokens)) if phrases else _content(tokens, names)
    used = terms[:MAX_TERMS]
    path, line = (places[0].path.strip("/"), places[0].line) if places else ("", 0)
    if path and not phrases and STOP_WORDS.issuperset(query_terms(beside)):  # `where is src/a.py` asks for the file.
        kind: QueryKind = "path"
    else:
        kind = _kind(pieces, path, names, phrases)
    whole = {"path": path, "identifier": names[0] if names else ""}.get(kind, "")
    return Query(
        text, kind, used, names, phrases, path, line, _stems(used, names), whole, truncated=len(terms) > MAX_TERMS,
        places=places,
    )  # fmt: skip


def _beside(text: str, places: tuple[NamedPlace, ...]) -> str:
    """Return the text without the places; a path in double quotes and without a line is a quoted text, too."""
    parts, at = [], 0
    for place in sorted(places, key=lambda place: place.start):
        if place.line or text[place.start] != '"':
            parts.append(text[at : place.start])
            at = place.end
    return " ".join((*parts, text[at:]))


def _content(tokens: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the distinct tokens without words that only ask, unless there are no others.

    Every word of a name was meant, whatever the word.
    """
    named = dict.fromkeys(token for name in names for token in query_terms(name))
    content = dict.fromkeys(token for token in tokens if token not in QUESTION_WORDS or token in named) | named
    return tuple(content or dict.fromkeys(tokens))


def _kind(pieces: list[str], path: str, names: tuple[str, ...], phrases: tuple[str, ...]) -> QueryKind:
    if len(pieces) == 1 and names and not phrases and not path:
        return "identifier"
    if phrases and not pieces:
        return "phrase"
    return "mixed" if names or path or phrases else "language"


def _wordless(typed: str, split: Split) -> Query:
    """Return the query of a text without words that the index could know; only a name such as ``<<`` makes one."""
    name = split.text
    if not name or len(name.split()) > 1 or len(name) > MAX_NAME_CHARS:
        if message := too_long(name):
            raise QueryError(message)
        shown = f"The query {typed[:40]!r} has no word to search for" if typed else "The query is empty"
        if split.inline:
            shown += " besides its filters"
        raise QueryError(f"{shown}; give a name, a path, or words that describe the code.")
    return Query(name, "identifier", (), (name,), (), "", 0, frozenset(), name, truncated=False)


def too_long(text: str) -> str:
    """Return what is wrong with a text whose only word is very long, and what else to ask; empty if it is not."""
    longest = max(map(len, re.findall(r"\w+", text)), default=0)
    if longest <= MAX_TOKEN_CHARS:
        return ""
    return (
        f"The query {text[:40]!r} has no word to search for but one of {longest} characters, and of such only names "
        "are indexed; give a name, a path, or words that describe the code, or put it between slashes."
    )


def _stems(terms: tuple[str, ...], names: tuple[str, ...]) -> frozenset[str]:
    """Return the stems of single words: an identifier's parts stand for the whole."""
    accented = {folded(term): term for term in terms if not term.isascii()}
    terms = tuple(term for term in terms if accented.get(term, term) == term)  # Both forms of a word have one stem.
    parts = [identifier_stems(term) for term in terms]
    own = [stems if len(stems) > 1 else {stem(term)} for term, stems in zip(terms, parts, strict=True)]
    return frozenset[str]().union(*own, *map(identifier_stems, names))


def _named_identifiers(pieces: list[str], lonely: bool) -> tuple[str, ...]:
    """Return the names among the pieces.

    Args:
        lonely: there is nothing else in the query.


    A piece alone counts whatever its spelling. Among other words it must be spelt like code, or begin with a capital
    without being the first word, as type names do ("how the Functor …").
    """
    names: dict[str, None] = {}
    for position, piece in enumerate(pieces):
        quoted = piece.startswith("`") and piece.rstrip(".,;:?!").endswith("`")
        bare, bracket, _ = _ARGUMENTS.sub(r" \1", piece.lstrip(_EDGES + _SIGILS)).partition(" ")
        bare = bare.strip(_EDGES + _SIGILS)
        chatter = len(pieces) > 1 and bare.lower() in QUESTION_WORDS and not (quoted or bracket)
        if chatter or not _QUALIFIED.fullmatch(bare):
            continue
        spelt = "_" in bare.strip("_") or _HUMP.search(bare) or _SEPARATORS.search(bare)
        alone = lonely and len(pieces) == 1 and not is_unspaced(bare)  # A whole question may have no space in it.
        capital = position > 0 and bare[:1].isupper() and len(bare) > 2
        if alone or quoted or bracket or spelt or capital:
            names[_SEPARATORS.sub(".", bare)] = None
    return tuple(names)[:_MAX_IDENTIFIERS]
