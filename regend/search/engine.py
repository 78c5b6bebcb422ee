"""The engine: one query from text to results. Synchronous; runs in a query thread; reads snapshots and nothing else.

::

    parse -> scope -> spelling -> symbols -> select (see `selection`) -> snippets

It owns two small caches and no other state, so any number of threads may use one engine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from regend.errors import EmbeddingError
from regend.search import lookups
from regend.search.conditions import conditions_of
from regend.search.errors import QueryError
from regend.search.features import query_context
from regend.search.filters import Filters
from regend.search.fusion import vector_weight
from regend.search.legs import Vector, exact_definitions, find_definitions
from regend.search.query import Query, parse_query
from regend.search.ranking import RANKING, Ranked, RankingTable, explain
from regend.search.results import Outline, SearchOptions, SearchOutcome, SearchResult
from regend.search.scope import Scope, ScopeResolver
from regend.search.selection import MAX_DEPTH, Question, select
from regend.search.snippets import snippet
from regend.search.spelling import Correction, correct
from regend.search.stages import StageClock
from regend.store.base import Snapshot
from regend.types import MAX_CHUNKS_PER_BLOB

QueryEncoder = Callable[[str], Vector]

_MAX_NAME_CHARS = 120


class Engine:
    """Answers queries.

    Args:
        encode_query: text to float32 [dim], L2-normalised, for a model that runs in this process; None where the caller
            brings query vectors or there is no model.
        model_strength: what the model is worth beside BM25, see `fusion.vector_weight`; 0 leaves it out.
        table: features and weights.
    """

    def __init__(
        self, encode_query: QueryEncoder | None = None, model_strength: float = 0.5, table: RankingTable = RANKING
    ) -> None:
        self._encode_query = encode_query
        self._model_strength = model_strength
        self._table = table
        self._scopes = ScopeResolver()

    def search(self, snapshot: Snapshot, options: SearchOptions, query_vector: Vector | None = None) -> SearchOutcome:
        """The best chunks for a query.

        Args:
            query_vector: of the query's text, if the caller has it already.

        Raises:
            QueryError, FilterError, RootError: what was asked for makes no sense; the message says what to change.
        """
        clock = StageClock(cpu=options.explain)
        query = parse_query(options.query)
        filters = replace(options.filters, inline=query.inline)
        scope = self._scopes.resolve(snapshot, filters)
        notes = []
        if query.truncated:
            notes.append("The query is long; only its beginning was searched for.")
        clock.lap("parse")
        if scope.empty:
            notes.append(_nothing_in_scope(snapshot, filters))
            return _outcome(snapshot, (), query, notes, clock)
        query, corrections = _spelt(query, snapshot)
        notes += [f"No file holds {wrong!r}; searched for {right!r}." for wrong, right in corrections]
        clock.lap("spelling")
        weight = vector_weight(self._model_strength, query.kind)
        if query_vector is None and self._encode_query is not None and weight > 0.0:
            try:
                query_vector = self._encode_query(query.text)
            except EmbeddingError as error:
                notes.append(f"Searched by words only: {error}")
        clock.lap("embed")
        question = self._question(snapshot, scope, query, filters, options.path, query_vector, weight)
        clock.lap("symbols")
        rows, more = select(question, options.offset, options.k, clock)
        if not rows and question.phrases:
            # Better something near than nothing; the note says that it is not what was asked for.
            rows, more = select(self._without_phrases(question, filters), options.offset, options.k, clock)
            if rows:
                notes.append(f"No chunk holds {_quoted(query.phrases)} to the letter; these come nearest.")
        if not rows and not query.terms:
            raise QueryError(f"Nothing is called {query.text!r}; give a name, a path, or words that describe the code.")
        results = tuple(self._result(question, row, options) for row in rows)
        clock.lap("snippets")
        next_offset = options.offset + len(rows) if more and options.offset + len(rows) < MAX_DEPTH else None
        return _outcome(snapshot, results, query, notes, clock, next_offset)

    def _question(
        self,
        snapshot: Snapshot,
        scope: Scope,
        query: Query,
        filters: Filters,
        path: str,
        vector: Vector | None,
        weight: float,
    ) -> Question:
        """What the query is about, as far as the symbol tables can tell."""
        conditions = conditions_of(query, filters, query.phrases)
        definitions = find_definitions(snapshot, scope, query.identifiers, conditions)
        context = query_context(query, path)
        if (query.kind == "path" or query.text != query.whole) and len(query.text) <= _MAX_NAME_CHARS:
            # A heading, an operator, a name with signs in it: what is exactly a symbol is one, whatever it looks like,
            # unless there is a file of that name.
            exact = exact_definitions(snapshot, scope, query.text, conditions)
            if exact.views and not (query.kind == "path" and scope.has_file(query.path)):
                definitions = exact.joined(definitions)
                context = replace(context, whole_name=True)
        return Question(
            snapshot, scope, query, context, conditions, query.phrases, definitions, vector, weight, self._table
        )

    @staticmethod
    def _without_phrases(question: Question, filters: Filters) -> Question:
        return replace(question, conditions=conditions_of(question.query, filters, ()), phrases=())

    def symbols(self, snapshot: Snapshot, name: str, k: int = 10, filters: Filters | None = None) -> SearchOutcome:
        """Definitions by name; see `lookups.symbols`."""
        return lookups.symbols(snapshot, name, k, self._scopes.resolve(snapshot, filters or Filters()))

    def related(
        self, snapshot: Snapshot, root: str, path: str, line: int, k: int = 10, filters: Filters | None = None
    ) -> SearchOutcome:
        """Chunks like the one at a line; see `lookups.related`."""
        scope = self._scopes.resolve(snapshot, filters or Filters())
        return lookups.related(snapshot, root, path, line, k, scope, self._model_strength)

    def outline(self, snapshot: Snapshot, root: str, path: str) -> Outline:
        """A file's definitions; see `lookups.outline`."""
        return lookups.outline(snapshot, root, path)

    def _result(self, question: Question, row: Ranked, options: SearchOptions) -> SearchResult:
        candidate = row.candidate
        view = candidate.view
        assert view is not None
        anchor = question.definitions.line_within(view.doc // MAX_CHUNKS_PER_BLOB, view.start_line, view.end_line)
        shown = snippet(question.snapshot, view, question.query.terms, anchor, options.context)
        return SearchResult(
            root=row.root,
            path=candidate.entry.path,
            start_line=view.start_line,
            end_line=view.end_line,
            score=row.score,
            language=candidate.entry.language,
            symbol=view.symbol,
            kind=view.kind,
            snippet=shown.text,
            snippet_line=shown.line,
            explain=explain(candidate, question.context, self._table) if options.explain else (),
        )


def _spelt(query: Query, snapshot: Snapshot) -> tuple[Query, tuple[Correction, ...]]:
    """The query with misspelt words put right, and which they were."""
    if not query.terms:
        return query, ()
    text, corrections = correct(query.text, snapshot.frequencies)
    if not corrections:
        return query, ()
    right = parse_query(text)
    return replace(
        right, inline=query.inline, without=query.without, without_phrases=query.without_phrases,
        truncated=query.truncated,
    ), corrections  # fmt: skip


def _outcome(
    snapshot: Snapshot,
    results: tuple[SearchResult, ...],
    query: Query,
    notes: list[str],
    clock: StageClock,
    next_offset: int | None = None,
) -> SearchOutcome:
    return SearchOutcome(
        results, snapshot.generation, snapshot.complete, query.kind, tuple(notes), clock.wall_ms, clock.cpu_ms,
        next_offset,
    )  # fmt: skip


def _quoted(phrases: tuple[str, ...]) -> str:
    return " and ".join(f'"{phrase}"' for phrase in phrases)


def _nothing_in_scope(snapshot: Snapshot, filters: Filters) -> str:
    if not snapshot.roots:
        return "No root is indexed; add one with `regenctl add DIR`."
    return (
        f"No indexed file matches {filters}; loosen the filter, or ask `regenctl why FILE` about a file you expected."
    )
