"""The engine: one query from text to results. Synchronous; runs in a query thread; reads snapshots and nothing else.

::

    parse -> scope -> legs (words, meaning) -> blend -> shortlist -> hydrate + definitions -> rank -> snippets

It owns two small caches and no other state, so any number of threads may use one engine.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from regend.errors import EmbeddingError
from regend.search import lookups
from regend.search.features import Candidate, QueryContext, query_context
from regend.search.fusion import vector_weight
from regend.search.legs import Definitions, Vector, blended_candidates, find_definitions
from regend.search.locate import Place, chunks_at
from regend.search.query import Filters, Query, parse_query
from regend.search.ranking import RANKING, Ranked, RankingTable, added_candidate, explain, rank, shortlist
from regend.search.results import Outline, SearchOptions, SearchOutcome, SearchResult
from regend.search.scope import Scope, ScopeResolver
from regend.search.snippets import snippet
from regend.search.weights import MODEL_STRENGTH
from regend.store.base import Snapshot
from regend.types import MAX_CHUNKS_PER_BLOB

QueryEncoder = Callable[[str], Vector]

_SHORTLIST = 24
"""Chunks hydrated at least; from 16 to 80 NDCG@10 on six repositories did not move, time did."""
_LOCATED_DEFINITIONS = 8
"""Definitions looked up by line, at most, when no leg brought their chunks."""


class Engine:
    """Answers queries.

    Args:
        encode_query: text to float32 [dim], L2-normalised, for a model that runs in this process; None where the caller
            brings query vectors or there is no model.
        model_strength: what the model is worth beside BM25, see `fusion.vector_weight`; 0 leaves it out.
        table: features and weights.
    """

    def __init__(
        self,
        encode_query: QueryEncoder | None = None,
        model_strength: float = MODEL_STRENGTH,
        table: RankingTable = RANKING,
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
        clock = _Clock()
        query = parse_query(options.query)
        context = query_context(query, options.path)
        scope = self._scopes.resolve(snapshot, options.filters)
        notes = []
        if query.truncated:
            notes.append("The query is long; only its beginning was searched for.")
        clock.lap("parse")
        if scope.empty:
            notes.append(_nothing_in_scope(snapshot, options.filters))
            return SearchOutcome((), snapshot.generation, snapshot.complete, query.kind, tuple(notes), clock.stage_ms)
        weight = vector_weight(self._model_strength, query.kind)
        if query_vector is None and self._encode_query is not None and weight > 0.0:
            try:
                query_vector = self._encode_query(query.text)
            except EmbeddingError as error:
                notes.append(f"Searched by words only: {error}")
        clock.lap("embed")
        blended = blended_candidates(scope, query.terms, query_vector, weight, options.k)
        clock.lap("legs")
        candidates = shortlist(blended, scope.entry, context, max(_SHORTLIST, options.k + 10), self._table)
        clock.lap("shortlist")
        definitions = find_definitions(snapshot, scope, query.identifiers)
        candidates = self._hydrated(snapshot, scope, candidates, definitions, blended, context)
        clock.lap("hydrate")
        ranked = rank(candidates, lambda entry: scope.shown_root(snapshot, entry), context, self._table)[: options.k]
        clock.lap("rank")
        results = tuple(self._result(snapshot, row, query, definitions, context, options) for row in ranked)
        clock.lap("snippets")
        return SearchOutcome(results, snapshot.generation, snapshot.complete, query.kind, tuple(notes), clock.stage_ms)

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

    def _hydrated(
        self,
        snapshot: Snapshot,
        scope: Scope,
        candidates: list[Candidate],
        definitions: Definitions,
        blended: dict[int, float],
        context: QueryContext,
    ) -> list[Candidate]:
        """Candidates with their chunks, and those definitions of the query's names that no leg brought.

        The same chunk at the same path in two entries (two worktrees on different commits) counts once.
        """
        found = candidates + self._named_file(snapshot, scope, candidates, blended, context)
        views = {view.doc: view for view in snapshot.chunks([candidate.doc for candidate in found])}
        if definitions.views:
            spans: dict[int, list[tuple[int, int]]] = {}
            for view in views.values():
                spans.setdefault(view.doc // MAX_CHUNKS_PER_BLOB, []).append((view.start_line, view.end_line))
            lacking = [
                Place(symbol.entry_id, symbol.start_line)
                for symbol in definitions.views
                if not any(a <= symbol.start_line <= b for a, b in spans.get(symbol.entry_id, ()))
            ]
            for view in chunks_at(snapshot, lacking[:_LOCATED_DEFINITIONS]).values():
                entry = scope.entry(view.doc // MAX_CHUNKS_PER_BLOB)
                if entry is not None and view.doc not in views:
                    views[view.doc] = view
                    found.append(added_candidate(view.doc, entry, blended.get(view.doc, 0.0), context, self._table))
        kept: list[Candidate] = []
        owner: dict[tuple[int, str, bytes], int] = {}
        for candidate in found:
            chunk = candidate.view = views.get(candidate.doc)
            entry = candidate.entry
            if (
                chunk is None
                or owner.setdefault((entry.pool, entry.path, chunk.chunk), entry.entry_id) != entry.entry_id
            ):
                continue
            candidate.defines = definitions.tier_within(entry.entry_id, chunk.start_line, chunk.end_line)
            kept.append(candidate)
        return kept

    def _named_file(
        self,
        snapshot: Snapshot,
        scope: Scope,
        candidates: list[Candidate],
        blended: dict[int, float],
        context: QueryContext,
    ) -> list[Candidate]:
        """A chunk of the very file that the query names, at its line if it names one, unless a leg brought it."""
        query = context.query
        if not query.path:
            return []
        entries = {
            entry.entry_id: entry
            for record in snapshot.roots.values()
            if (entry := snapshot.pools[record.pool].entry_at(record.root, query.path)) is not None
            and scope.entry(entry.entry_id) is not None
        }
        known = {candidate.doc for candidate in candidates}
        located = chunks_at(snapshot, [Place(entry_id, query.line or 1) for entry_id in entries])
        return [
            added_candidate(view.doc, entries[place.entry_id], blended.get(view.doc, 0.0), context, self._table)
            for place, view in located.items()
            if view.doc not in known
        ]

    def _result(
        self,
        snapshot: Snapshot,
        row: Ranked,
        query: Query,
        definitions: Definitions,
        context: QueryContext,
        options: SearchOptions,
    ) -> SearchResult:
        candidate = row.candidate
        view = candidate.view
        assert view is not None
        anchor = definitions.line_within(view.doc // MAX_CHUNKS_PER_BLOB, view.start_line, view.end_line)
        shown = snippet(snapshot, view, query.terms, anchor, options.context)
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
            explain=explain(candidate, context, self._table) if options.explain else (),
        )


class _Clock:
    """Milliseconds by stage."""

    def __init__(self) -> None:
        self._at = perf_counter()
        self.stage_ms: dict[str, float] = {}

    def lap(self, stage: str) -> None:
        now = perf_counter()
        self.stage_ms[stage] = (now - self._at) * 1e3
        self._at = now


def _nothing_in_scope(snapshot: Snapshot, filters: Filters) -> str:
    if not snapshot.roots:
        return "No root is indexed; add one with `regenctl add DIR`."
    given = ", ".join(
        f"{name} {value!r}"
        for name, value in zip(("root", "path", "lang"), (filters.root, filters.path, filters.lang), strict=True)
        if value
    )
    return f"No indexed file matches {given}; loosen the filter, or ask `regenctl why FILE` about a file you expected."
