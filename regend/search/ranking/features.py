"""Ranking features: a table, each row one small pure function, with its reason above it or in its docstring.

A score is the sum of `weight * value` over `FEATURES`; nothing else changes the order, so `explain` shows all of it.
To add a feature: write one function from `(Candidate, QueryContext)` to a number in -1..1, add one row. Its `scope`
says how expensive it is: ``file`` features see the path and what all legs say of the file and run once per file,
``chunk`` features see the legs' scores, ``read`` features see what the texts that reach the last round say of their
file, once per file, ``text`` features see each of these chunks, ``order`` features see how the others have ordered
them. A feature that a query cannot ask for is not evaluated, see `Feature.asked`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from regend.chunking.tokens import normalised
from regend.search.legs.fusion import KIND_FACTORS
from regend.search.legs.scope import has_path
from regend.search.query.asked.documents import asks_for_documents
from regend.search.query.asked.tests import asks_for_tests
from regend.search.query.asked.topics import Topic, topic_of
from regend.search.query.asked.uses import asks_for_uses
from regend.search.query.parse import Query
from regend.search.query.translations import Spoken, spoken
from regend.search.query.words import ROLE_WORDS, PathWords, identifier_stems, plain
from regend.search.ranking.coverage import NO_WEIGHTS, WordWeights
from regend.search.ranking.pairs import TREES
from regend.search.ranking.weights import WEIGHTS
from regend.store.base import ChunkView, Entry

_SHORT_TOKENS = 400
"""About a whole chunk. With 48, which spares all but import lines and closing braces, NDCG@10 over repositories left
out was 0.005 less: a chunk that was cut small says little even where its words match."""


_Value = Callable[["Candidate", "QueryContext"], float]


class FeatureShare(NamedTuple):
    """One feature's part of a score: `contribution` is `weight * value`, and all of them sum to the score."""

    name: str
    value: float
    weight: float
    contribution: float


@dataclass(slots=True, eq=False)
class FileFacts:
    """Facts of a file and of all of its chunks under consideration together; owned by one query.

    A file is ordered by what it has as a whole: the words in one chunk, the name in another and the meaning in a third
    are as good as all in one. Weighing each chunk alone was 0.02 worse in NDCG@10.

    Attributes:
        words, meaning: the best chunk's score of each leg, 0..1, see `fusion.Scores`.
        all_words: what the best chunks have of them together, as a share of the best file's, 0..1.
        evidence: the same of both legs blended.
        neighbours: the share of all files' evidence that lies in other files of the same folder, 0..1.
        language_share: of the found code's files, those in this file's language, 0..1; 0 for what is not code.
        present: the share of the query's words that the chunks and the path have, 0..1.
        covered: the same of the chunk that has most of them, with its symbol and the file's name.
        together: the share of neighbouring words of the query that stand together in a chunk, 0..1.
        names: the share of the query's names that a chunk has, spelt exactly so, 0..1.
        symbol: how well the name of an enclosing definition fits the query, 0..1.
        tokens: of the longest chunk.
        likeness: of the whole file's vector to the query's, as a share of the best file's, 0..1.
        history: what commits like the query say for the file, as a share of the best file's, 0..1, see `history`.
        pairs: what pairs of its features say together, see `pairs`.
    """

    entry: Entry
    path: PathWords
    words: float = 0.0
    meaning: float = 0.0
    all_words: float = 0.0
    evidence: float = 0.0
    neighbours: float = 0.0
    language_share: float = 0.0
    present: float = 0.0
    covered: float = 0.0
    together: float = 0.0
    names: float = 0.0
    symbol: float = 0.0
    tokens: int = 0
    likeness: float = 0.0
    history: float = 0.0
    pairs: float = 0.0


@dataclass(slots=True, eq=False)
class Candidate:
    """A chunk under consideration; owned by one query.

    Attributes:
        file: shared by all candidates of the file.
        share: of the file's best blended score, 0..1.
        base: sum of its ``file`` and ``chunk`` features, once known.
        defines: 1 where it holds a definition of the query's name, less for a looser match, 0 otherwise.
        meaning: its score of that leg, as a share of the file's best chunk's, 0..1.
        covered: the same of the share of the query's words that it has.
        symbol: how well the name of its enclosing definition fits the query, 0..1.
        apart: how much more of the query's neighbouring words stands together in the file's best chunk, 0..1.
        rare: the share of the query's rare words that the chunk holds, 0..1, see `legs.literal`.
        repeat: how many better chunks of the same file stand before it.
        behind: how much less its score is than that of the file's best chunk, 0 for that one.
        copies: other documents with the same text, for which it stands, see `ranking.copies`.
        view: the chunk itself; None until it is hydrated.
    """

    doc: int
    file: FileFacts
    share: float = 0.0
    meaning: float = 0.0
    base: float = 0.0
    defines: float = 0.0
    covered: float = 0.0
    symbol: float = 0.0
    apart: float = 0.0
    rare: float = 0.0
    repeat: int = 0
    behind: float = 0.0
    copies: tuple[int, ...] = ()
    view: ChunkView | None = None

    @property
    def entry(self) -> Entry:
        return self.file.entry

    @property
    def path(self) -> PathWords:
        return self.file.path


@dataclass(frozen=True, slots=True)
class QueryContext:
    """Facts of the query that the features need, made once per query."""

    query: Query
    wanted_roles: frozenset[str]
    whole_name: bool
    phrases: tuple[str, ...]
    names: tuple[str, ...]
    weights: WordWeights
    spoken: Spoken
    documents: bool = False
    topic: Topic | None = None
    tests: bool = False
    uses: bool = False


def query_context(query: Query, path_filter: str = "", weights: WordWeights = NO_WEIGHTS) -> QueryContext:
    """Return the context of `query`; a `path_filter` asks for roles by its words as the query does."""
    asked = query.stems | identifier_stems(path_filter) if path_filter else query.stems
    documents = query.kind == "language" and asks_for_documents(query.text)
    topic = None if query.kind == "path" else topic_of(query.text)
    tests = asks_for_tests(query.text)
    wanted = {role for role, words in ROLE_WORDS.items() if words & asked}
    return QueryContext(
        query=query,
        wanted_roles=frozenset(
            wanted | {role for role, is_asked in (("prose", documents), ("test", tests)) if is_asked}
        ),
        whole_name=query.kind == "identifier",
        phrases=tuple(map(plain, query.phrases)),
        names=tuple(name.rpartition(".")[2] for name in query.identifiers),
        weights=weights,
        spoken=spoken(query.text),
        documents=documents,
        topic=topic,
        tests=tests,
        uses=bool(query.identifiers) and asks_for_uses(query.text),
    )


def symbol_fit(symbol: str, context: QueryContext) -> float:
    """Compare an enclosing definition's name, which says what the chunk is for; uses in a body do not."""
    stems = identifier_stems(symbol)
    shared = len(stems & context.query.stems)
    return shared / len(stems) * min(1.0, shared / 2) if shared else 0.0


def file_name(candidate: Candidate, context: QueryContext) -> float:
    """Compare the file's name, which is its author's summary of it."""
    stems = candidate.path.name
    return len(stems & context.query.stems) / len(stems) if stems else 0.0


def named_path(candidate: Candidate, context: QueryContext) -> float:
    """Find the file that the query names; the weight lifts it above all others for a query that is only a path."""
    wanted = context.query.path
    if context.tests and candidate.path.role != "test":
        return 0.0
    return 1.0 if wanted and has_path(candidate.entry, wanted) else 0.0


def named_line(candidate: Candidate, context: QueryContext) -> float:
    """Find the chunk at the line after the path (``x.py:12``)."""
    line, view = context.query.line, candidate.view
    if not line or view is None or not view.start_line <= line <= view.end_line:
        return 0.0
    return named_path(candidate, context)


def unasked(role: str) -> _Value:
    """Return what sets a role back unless the query asks for it: tests, copies and prose repeat the code's words."""

    def value(candidate: Candidate, context: QueryContext) -> float:
        return -1.0 if candidate.path.role == role and role not in context.wanted_roles else 0.0

    return value


def asked_data(candidate: Candidate, context: QueryContext) -> float:
    """Count settings whose name is asked for along with the word: ``mysql settings`` and `application-mysql.yml`."""
    if candidate.path.role != "data" or not _asks_for_settings(context):
        return 0.0
    return file_name(candidate, context)


def asked_document(candidate: Candidate, context: QueryContext) -> float:
    """Count documents where they are what is asked for: how the project is installed, run, tested or released."""
    return 1.0 if context.documents and candidate.path.role == "prose" else 0.0


def source_code(candidate: Candidate, context: QueryContext) -> float:
    """Count code written by hand, neither test nor copy nor example, unless tests are what is asked for."""
    return 1.0 if candidate.path.role in _BY_HAND and not context.tests else 0.0


def asked_test(candidate: Candidate, context: QueryContext) -> float:
    """Count tests where they are what is asked for."""
    return 1.0 if context.tests and candidate.path.role == "test" else 0.0


def asked_use(candidate: Candidate, context: QueryContext) -> float:
    """Count chunks that have the name and do not define it, where the question asks for what uses it."""
    if not context.uses or candidate.defines or candidate.view is None:
        return 0.0
    return 1.0 if any(re.search(rf"(?<!\w){re.escape(n)}(?!\w)", candidate.view.text) for n in context.names) else 0.0


def asked_topic(candidate: Candidate, context: QueryContext) -> float:
    """Count the files that answer a question about the project in nearly every project."""
    topic = context.topic
    return 0.0 if topic is None else topic.answer(candidate.entry.path, candidate.path.role)


def _asks_for_settings(context: QueryContext) -> bool:
    """Tell settings from the verb: ``set the color of a button`` asks for no `button.css`."""
    stems = context.query.stems & ROLE_WORDS["data"]
    return bool(stems - {"set"}) or ("set" in stems and "setting" in context.query.text.lower())


def translated(candidate: Candidate, context: QueryContext) -> float:
    """Set back translations, which say again what the original says, unless the query may be in their language."""
    translation = candidate.path.translation
    return 0.0 if translation is None or context.spoken.fits(translation.language) else -1.0


def declaration(candidate: Candidate, context: QueryContext) -> float:
    """Set back a header or an interface whose implementation stands beside it, where most answers are."""
    return -1.0 if candidate.path.implementations and "stub" not in context.wanted_roles else 0.0


def exact_phrase(candidate: Candidate, context: QueryContext) -> float:
    """Count the quoted texts in the chunk: quotation marks mean these very words."""
    if not context.phrases or candidate.view is None:
        return 0.0
    text = plain(candidate.view.text)
    return sum(phrase in text for phrase in context.phrases) / len(context.phrases)


def names_in(text: str, context: QueryContext) -> float:
    """Count the names spelt exactly so, case included, which are worth more than their words scattered."""
    if not context.names:
        return 0.0
    text = normalised(text)
    return sum(name in text for name in context.names) / len(context.names)


_BY_HAND = ("source", "migration")

FeatureScope = Literal["file", "chunk", "read", "text", "order"]


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
    _row("words", "file", lambda chunk, _: chunk.file.words),
    # A query that is a name wants that name, and not what is like it.
    _row("meaning", "file", lambda chunk, context: chunk.file.meaning * KIND_FACTORS[context.query.kind]),
    # A file about the topic matches in several places; a chance match stands alone.
    _row("all_words", "file", lambda chunk, _: chunk.file.all_words),
    # A passage may be like the question by chance, a whole file hardly.
    _row("file_likeness", "read", lambda chunk, context: chunk.file.likeness * KIND_FACTORS[context.query.kind]),
    # People write what a change is for, in words that code may lack.
    _row("history", "read", lambda chunk, _: chunk.file.history),
    # If several files of a folder fit, the topic is at home there; a lone match elsewhere is more often chance.
    _row("neighbours", "file", lambda chunk, _: chunk.file.neighbours),
    # A user who types just a name wants its definition first. Its weight exceeds all others together, on purpose.
    _row(
        "whole_definition", "text", lambda chunk, context: chunk.defines if context.whole_name else 0.0,
        lambda context: context.whole_name,
    ),
    # A file is shown by its chunk that matches best, or by one that defines what was named.
    _row("best_of_file", "chunk", lambda chunk, _: chunk.share),
    _row("chunk_meaning", "chunk", lambda chunk, _: chunk.meaning),
    _row("chunk_words", "text", lambda chunk, _: max(chunk.covered, chunk.defines)),
    _row("chunk_symbol", "text", lambda chunk, _: chunk.symbol),
    # A message is raised where its words stand in their order.
    _row(
        "chunk_together", "text", lambda chunk, _: -chunk.apart, lambda context: len(context.weights.shares) > 1
    ),
    _row("symbol_words", "read", lambda chunk, _: chunk.file.symbol),
    _row("file_name", "file", file_name),
    _row("named_path", "file", named_path, lambda context: bool(context.query.path)),
    _row("named_line", "text", named_line, lambda context: bool(context.query.line)),
    # Most questions are about what the project is written in, and not about its scripts.
    _row("main_language", "file", lambda chunk, _: chunk.file.language_share),
    # Code written by hand is what most questions are about, even where their words ask for tests or settings, too.
    _row("source_code", "file", source_code),
    *(_row(f"unasked_{role}", "file", unasked(role)) for role in ROLE_WORDS if role != "source"),
    _row("asked_data", "file", asked_data, _asks_for_settings),
    _row("asked_document", "file", asked_document, lambda context: context.documents),
    _row("asked_test", "file", asked_test, lambda context: context.tests),
    _row("asked_use", "text", asked_use, lambda context: context.uses),
    _row("asked_topic", "file", asked_topic, lambda context: context.topic is not None),
    # Its weight exceeds what a translation with more examples than the original may have on top, on purpose.
    _row("unasked_translation", "file", translated),
    _row("unasked_declaration", "file", declaration),
    # A file that has all of the query's words beats one that BM25 likes for having a rare one often.
    _row("words_present", "read", lambda chunk, _: chunk.file.present),
    _row("words_covered", "read", lambda chunk, _: chunk.file.covered),
    _row(
        "words_together", "read", lambda chunk, _: chunk.file.together, lambda context: len(context.weights.shares) > 1
    ),
    _row("exact_phrase", "text", exact_phrase, lambda context: bool(context.phrases)),
    _row("verbatim_name", "read", lambda chunk, _: chunk.file.names, lambda context: bool(context.names)),
    # BM25 favours short chunks, and an import line or a closing brace answers nothing.
    _row("too_short", "read", lambda chunk, _: min(0.0, chunk.file.tokens / _SHORT_TOKENS - 1.0)),
    # Two features may say together what neither says alone: a name that fits says more of source code.
    _row("pairs", "read", lambda chunk, _: chunk.file.pairs),
    # One file should not fill the page: each further chunk of it adds less that is new.
    _row("same_file_again", "order", lambda chunk, _: 0.5**chunk.repeat - 1.0),
    # Where two chunks of a file are nearly as good, either may be the right one; one that is much worse is not.
    _row("worse_in_file", "order", lambda chunk, _: -min(1.0, chunk.behind)),
)  # fmt: skip
"""Weights come from `weights`, which a script fits; docs/search.md says what each row is worth."""

_VALUES = {feature.name: feature.value for feature in FEATURES}
_PAIRED = tuple(_VALUES[name] for name in TREES.features)


def add_pairs(files: Mapping[FileFacts, Candidate], context: QueryContext) -> None:
    """Set what pairs of features say of each file, of which one candidate is given; its other features are known."""
    rows = np.array([[value(one, context) for value in _PAIRED] for one in files.values()])
    for file, value in zip(files, TREES.values(rows).tolist() if files else (), strict=True):
        file.pairs = value
