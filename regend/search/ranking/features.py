"""Ranking features: a table, each row one small pure function, with its reason above it or in its docstring.

A score is the sum of `weight * value` over `FEATURES`; nothing else changes the order, so `explain` shows all of it.
To add a feature: write one function from `(Candidate, QueryContext)` to a number in -1..1, add one row. Its `scope`
says how expensive it is: ``file`` features see the path and what all legs say of the file and run once per file,
``chunk`` features see the legs' scores, ``text`` features see the hydrated chunk and run only for the candidates that
reach the last round, ``order`` features see how the others have ordered them. A feature that a query cannot ask for is
not evaluated, see `Feature.asked`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import log1p
from typing import Literal, NamedTuple

from regend.chunking.tokens import folded, normalised
from regend.search.legs.fusion import KIND_FACTORS
from regend.search.query.parse import Query
from regend.search.query.translations import Spoken, spoken
from regend.search.query.words import ROLE_WORDS, PathWords, identifier_stems, plain
from regend.search.ranking.weights import WEIGHTS
from regend.store.base import ChunkView, Entry

_SHORT_TOKENS = 400
"""About a whole chunk. With 48, which spares all but import lines and closing braces, NDCG@10 over repositories left
out was 0.005 less: a chunk that was cut small says little even where its words match."""
_LONG_FILE = 5.0
"""The logarithm of about 150 chunks: a file with more is no more likely to be the answer."""


class FeatureShare(NamedTuple):
    """One feature's part of a score: `contribution` is `weight * value`, and all of them sum to the score."""

    name: str
    value: float
    weight: float
    contribution: float


@dataclass(slots=True)
class Candidate:
    """A chunk under consideration; owned by one query.

    Attributes:
        blended: both legs' scores, 0..1.
        evidence: what the file's best chunks say together, as a share of the best file's, 0..1.
        share: of the file's best blended score, 0..1.
        neighbours: the share of all files' evidence that lies in other files of the same folder, 0..1.
        base: sum of its ``file`` and ``chunk`` features, once known.
        defines: 1 where it holds a definition of the query's name, less for a looser match, 0 otherwise.
        likeness: of the whole file's vector to the query's, as a share of the best file's, 0..1.
        rare: the share of the query's rare words that the chunk holds, 0..1, see `legs.literal`.
        present: the share of the query's words that the file has in its candidates' texts and its path, 0..1.
        repeat: how many better chunks of the same file stand before it.
        copies: other documents with the same text, for which it stands, see `ranking.copies`.
        view: the chunk itself; None until it is hydrated.
    """

    doc: int
    entry: Entry
    words: PathWords
    blended: float
    evidence: float
    share: float = 0.0
    neighbours: float = 0.0
    base: float = 0.0
    defines: float = 0.0
    likeness: float = 0.0
    rare: float = 0.0
    present: float = 0.0
    repeat: int = 0
    copies: tuple[int, ...] = ()
    view: ChunkView | None = None


@dataclass(frozen=True, slots=True)
class QueryContext:
    """Facts of the query that the features need, made once per query."""

    query: Query
    wanted_roles: frozenset[str]
    whole_name: bool
    phrases: tuple[str, ...]
    names: tuple[str, ...]
    spoken: Spoken


def query_context(query: Query, path_filter: str = "") -> QueryContext:
    """Return the context of `query`; a `path_filter` asks for roles by its words as the query does."""
    asked = query.stems | identifier_stems(path_filter) if path_filter else query.stems
    return QueryContext(
        query=query,
        wanted_roles=frozenset(role for role, words in ROLE_WORDS.items() if words & asked),
        whole_name=query.kind == "identifier",
        phrases=tuple(map(plain, query.phrases)),
        names=tuple(name.rpartition(".")[2] for name in query.identifiers),
        spoken=spoken(query.text),
    )


def symbol_words(candidate: Candidate, context: QueryContext) -> float:
    """Compare the enclosing definition's name, which says what the chunk is for; uses in a body do not."""
    view = candidate.view
    if view is None or not view.symbol:
        return 0.0
    stems = identifier_stems(view.symbol)
    shared = len(stems & context.query.stems)
    return shared / len(stems) * min(1.0, shared / 2) if shared else 0.0


def file_name(candidate: Candidate, context: QueryContext) -> float:
    """Compare the file's name, which is its author's summary of it."""
    stems = candidate.words.name
    return len(stems & context.query.stems) / len(stems) if stems else 0.0


def named_path(candidate: Candidate, context: QueryContext) -> float:
    """Find the file that the query names; the weight lifts it above all others for a query that is only a path."""
    wanted = context.query.path
    path = normalised(candidate.entry.path)
    return 1.0 if wanted and (path == wanted or path.endswith("/" + wanted)) else 0.0


def named_line(candidate: Candidate, context: QueryContext) -> float:
    """Find the chunk at the line after the path (``x.py:12``)."""
    line, view = context.query.line, candidate.view
    if not line or view is None or not view.start_line <= line <= view.end_line:
        return 0.0
    return named_path(candidate, context)


def unasked_role(candidate: Candidate, context: QueryContext) -> float:
    """Set back tests, vendored, generated and example code, stubs, prose and data: they repeat the code's words."""
    role = candidate.words.role
    translation = candidate.words.translation
    if translation is not None and not context.spoken.fits(translation.language):
        role = "translation"
    return 0.0 if role in context.wanted_roles else _ROLE_PENALTIES[role]


_ROLE_PENALTIES = {
    "source": 0.0,
    "test": -1.0,
    "vendor": -1.0,
    "generated": -1.0,
    "example": -0.8,
    "prose": -0.8,
    "data": -0.8,
    "stub": -0.5,
    "translation": -1.6,
}
"""A translation says again what its original says, and stands behind it whatever else it has: hence less than -1."""


def share_present(texts: Sequence[str], words: PathWords, context: QueryContext) -> float:
    """Return the share of the query's words that occur in the path or in one of the texts, even within other words."""
    stems = context.query.stems
    if not stems:
        return 0.0
    missing = stems - words.name - words.folders
    if not missing:
        return 1.0
    text = folded(texts[0] if len(texts) == 1 else "\n".join(texts))
    lacking = 0
    for stem in missing:
        if stem not in text:
            lacking += 1
    return 1.0 - lacking / len(stems)


def exact_phrase(candidate: Candidate, context: QueryContext) -> float:
    """Count the quoted texts in the chunk: quotation marks mean these very words."""
    if not context.phrases or candidate.view is None:
        return 0.0
    text = plain(candidate.view.text)
    return sum(phrase in text for phrase in context.phrases) / len(context.phrases)


def verbatim_name(candidate: Candidate, context: QueryContext) -> float:
    """Count the names spelt exactly so, case included, which are worth more than their words scattered."""
    if not context.names or candidate.view is None:
        return 0.0
    text = normalised(candidate.view.text)
    return sum(name in text for name in context.names) / len(context.names)


def too_short(candidate: Candidate, context: QueryContext) -> float:
    """Set back short chunks: BM25 favours them, and an import line or a closing brace answers nothing."""
    if candidate.view is None:
        return 0.0
    return min(0.0, candidate.view.token_count / _SHORT_TOKENS - 1.0)


FILE_LIKENESS = "file_likeness"
WORDS_PRESENT = "words_present"
FeatureScope = Literal["file", "chunk", "text", "order"]
_Value = Callable[[Candidate, QueryContext], float]


class Feature(NamedTuple):
    """One row of the table.

    Attributes:
        asked: whether the query is one for which the value can be other than 0.
    """

    name: str
    weight: float
    scope: FeatureScope
    value: _Value
    asked: Callable[[QueryContext], bool]


def _row(
    name: str, scope: FeatureScope, value: _Value, asked: Callable[[QueryContext], bool] = lambda context: True
) -> Feature:
    return Feature(name, WEIGHTS[name], scope, value, asked)


FEATURES: tuple[Feature, ...] = (
    # A word that few chunks hold is a condition, not an opinion: its weight exceeds all others together, on purpose.
    _row("rare_word", "text", lambda chunk, _: chunk.rare),
    # Both legs agree that the words or the meaning fit.
    _row("blend", "chunk", lambda chunk, _: chunk.blended),
    # A file about the topic matches in several places; a chance match stands alone.
    _row("file_evidence", "file", lambda file, _: file.evidence),
    # If several files of a folder fit, the topic is at home there; a lone match elsewhere is more often chance.
    _row("neighbours", "file", lambda file, _: file.neighbours),
    # A passage may be like the question by chance, a whole file hardly; a query that is a name wants that name.
    _row(FILE_LIKENESS, "text", lambda chunk, context: chunk.likeness * KIND_FACTORS[context.query.kind]),
    # A user who types just a name wants its definition first. Its weight exceeds all others together, on purpose.
    _row(
        "whole_definition", "text", lambda chunk, context: chunk.defines if context.whole_name else 0.0,
        lambda context: context.whole_name,
    ),
    # A name within a question is usually its subject, and its definition the answer.
    _row(
        "named_definition", "text", lambda chunk, context: 0.0 if context.whole_name else chunk.defines,
        lambda context: not context.whole_name,
    ),
    # A file is shown by its chunk that matches best, or by one that defines what was named.
    _row("best_of_file", "text", lambda chunk, _: max(chunk.share, chunk.defines)),
    _row("symbol_words", "text", symbol_words),
    _row("file_name", "file", file_name),
    _row("named_path", "file", named_path, lambda context: bool(context.query.path)),
    _row("named_line", "text", named_line, lambda context: bool(context.query.line)),
    _row("unasked_role", "file", unasked_role),
    # The code that does a thing is mostly long; facades, stubs and re-exports only mention it.
    _row("long_file", "file", lambda file, _: min(1.0, log1p(file.entry.chunk_count) / _LONG_FILE)),
    # A file that has all of the query's words beats one that BM25 likes for having a rare one often.
    _row(WORDS_PRESENT, "text", lambda chunk, _: chunk.present),
    _row("exact_phrase", "text", exact_phrase, lambda context: bool(context.phrases)),
    _row("verbatim_name", "text", verbatim_name, lambda context: bool(context.names)),
    _row("too_short", "text", too_short),
    # One file should not fill the page: each further chunk of it adds less that is new.
    _row("same_file_again", "order", lambda chunk, _: 0.5**chunk.repeat - 1.0),
)  # fmt: skip
"""Weights come from `weights`, which a script fits; docs/search.md says what each row is worth."""
