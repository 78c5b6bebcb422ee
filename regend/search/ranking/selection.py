"""Selection: from a question that is understood to an order of chunks, as deep as the page asks.

::

    legs (words, meaning) -> blend -> shortlist -> hydrate + definitions + named file -> rank

Nearly all questions need the first page only, for which the legs are asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from math import log1p
from unicodedata import normalize

from regend.search.legs.conditions import holds, passing, verified
from regend.search.legs.legs import Definitions, Vector, blended_candidates
from regend.search.legs.literal import NO_LITERAL, Literal
from regend.search.legs.locate import Place, chunks_at
from regend.search.legs.scope import Scope
from regend.search.query.parse import Query
from regend.search.query.words import path_words
from regend.search.ranking.features import FILE_LIKENESS, POPULAR_NAME, Candidate, FileFacts, QueryContext
from regend.search.ranking.likeness import likeness_of
from regend.search.ranking.ranking import Ranked, RankingTable, added_candidate, rank, shortlist
from regend.search.stages import StageClock
from regend.store.base import ChunkConditions, ChunkView, Entry, Snapshot
from regend.types import MAX_CHUNKS_PER_BLOB

MAX_DEPTH = 2_000
"""Maximum results that any page reaches: `MAX_OFFSET` and `MAX_RESULTS` together."""
FIRST_LOOK = 10
_LOOKS = (FIRST_LOOK, 50, 200, 800, MAX_DEPTH)
"""Results that each look finds at least; nearly every request needs the first only."""
_SHORTLIST = 96
"""Chunks hydrated at least."""
_POPULAR = 8.0
"""The logarithm of about 3,000 chunks; a name that more have is no more popular."""
_LOCATED_DEFINITIONS = 8
"""Definitions looked up by line, at most, when no leg brought their chunks."""


@dataclass(frozen=True, slots=True)
class Question:
    """A query, understood, and the index it is asked of.

    Attributes:
        conditions: what a chunk must and must not be, as far as the index can tell.
        phrases: texts that a chunk must hold.
        definitions: of the query's names.
        vector: of the query, float32 [dim], L2-normalised; None leaves the vector leg out.
        weight: of the vector leg beside the lexical leg's 1.
        literal: rare words, whose holders are candidates whatever the legs find.
        skipped: doc -> whether it is no answer, such as the very code that was asked about.
    """

    snapshot: Snapshot
    scope: Scope
    query: Query
    context: QueryContext
    conditions: ChunkConditions
    phrases: tuple[str, ...]
    definitions: Definitions
    vector: Vector | None
    weight: float
    table: RankingTable
    literal: Literal = NO_LITERAL
    skipped: Callable[[int], bool] | None = None


def chunk_of(row: Ranked) -> Hashable:
    """Return what makes a row one result of chunks."""
    return row.candidate.doc


def page_of(
    look: Callable[[int], list[Ranked]], name_of: Callable[[Ranked], Hashable], offset: int, count: int
) -> tuple[list[Ranked], bool]:
    """Return `count` results after the first `offset`, and whether there are more.

    A deeper look orders the best results a little differently, because it sees more of each file. So each look only
    appends to what a smaller one has found. The depths are the same for each request, so the first results are, too,
    whatever the number that is asked for, and pages neither repeat nor miss anything.

    Args:
        look: asks the legs so deep that about that many rows come, best first.
        name_of: what makes a row one result.
    """
    order: list[Ranked] = []
    known: set[Hashable] = set()
    end = offset + count
    for depth in _LOOKS:
        rows = [row for row in look(depth) if name_of(row) not in known]
        room = max(0, depth - len(order))
        order += rows[:room]
        known.update(map(name_of, rows[:room]))
        if len(order) >= end or len(rows) <= room:
            return order[offset:end], len(order) > end or len(rows) > room
    return order[offset:end], False


def ranked(question: Question, depth: int, clock: StageClock) -> list[Ranked]:
    """Return all candidates that a look to this depth finds, in order; a few more than `depth` where there are."""
    q = question
    scores = blended_candidates(q.scope, q.query.terms, q.vector, q.weight, depth, q.conditions)
    held = q.literal.docs
    blended = {**dict.fromkeys(held, 0.0), **scores.blended}
    if q.phrases or q.query.without_phrases:
        blended = verified(q.snapshot, q.scope, blended, q.phrases, q.query.without_phrases)
    if q.skipped is not None:
        blended = {doc: score for doc, score in blended.items() if not q.skipped(doc)}
    scores = replace(scores, blended=blended)
    clock.lap("legs")
    candidates, files = shortlist(scores, q.scope.entry, q.context, max(_SHORTLIST, depth + 4), q.table)
    lacking = held.intersection(blended) - {candidate.doc for candidate in candidates}
    candidates += _added(q, sorted(lacking), files)
    clock.lap("shortlist")
    candidates = _hydrated(q, candidates, files)
    clock.lap("hydrate")
    shown = list({candidate.entry.entry_id: candidate.file for candidate in candidates}.values())
    if POPULAR_NAME in q.table.names:
        _set_popularity(q.scope, shown)
    if q.vector is not None and q.weight > 0.0 and FILE_LIKENESS in q.table.names:
        likeness = likeness_of(q.snapshot, (file.entry for file in shown), q.vector)
        for file in shown:
            file.likeness = likeness[file.entry.entry_id]
        clock.lap("likeness")
    rows = rank(candidates, lambda entry: q.scope.shown_root(q.snapshot, entry), q.context, q.table)
    clock.lap("rank")
    return rows


def _hydrated(q: Question, candidates: list[Candidate], files: dict[int, FileFacts]) -> list[Candidate]:
    """Return candidates with their chunks, and what no leg found: definitions of the query's names, the file it names.

    The same chunk at the same path in two entries (two worktrees on different commits) counts once.
    """
    views = {view.doc: view for view in q.snapshot.chunks([candidate.doc for candidate in candidates])}
    added = {view.doc: view for view in _located(q, views) if view.doc not in views}
    if added and q.conditions:
        kept = passing(q.scope, added, q.conditions)
        added = {doc: view for doc, view in added.items() if doc in kept}
    found = list(candidates)
    kept_docs = [doc for doc, view in added.items() if holds(view, q.phrases, q.query.without_phrases)]
    for candidate in _added(q, kept_docs, files):
        views[candidate.doc] = added[candidate.doc]
        found.append(candidate)
    kept_candidates: list[Candidate] = []
    owner: dict[tuple[int, str, bytes], int] = {}
    for candidate in found:
        chunk = candidate.view = views.get(candidate.doc)
        entry = candidate.entry
        if chunk is None or owner.setdefault((entry.pool, entry.path, chunk.chunk), entry.entry_id) != entry.entry_id:
            continue
        candidate.rare = q.literal.share(candidate.doc)
        candidate.defines = q.definitions.grade_within(entry.entry_id, chunk.start_line, chunk.end_line)
        kept_candidates.append(candidate)
    return kept_candidates


def _set_popularity(scope: Scope, files: Sequence[FileFacts]) -> None:
    """Set how many chunks have a file's name as a word."""
    names = [file.entry.path.rpartition("/")[2].partition(".")[0].lower() for file in files]
    for file, count in zip(files, scope.frequencies(names), strict=True):
        file.popularity = min(1.0, log1p(count) / _POPULAR)


def _added(q: Question, docs: Sequence[int], files: dict[int, FileFacts]) -> Iterator[Candidate]:
    """Make candidates of chunks in scope that the shortlist lacks.

    Args:
        files: those that are known, by entry id; the others are added.
    """
    for doc in docs:
        entry = q.scope.entry(doc // MAX_CHUNKS_PER_BLOB)
        if entry is not None:
            file = files.setdefault(entry.entry_id, FileFacts(entry, path_words(entry.path)))
            yield added_candidate(doc, file, q.context, q.table)


def _located(q: Question, views: dict[int, ChunkView]) -> Iterator[ChunkView]:
    """Find chunks of definitions that no leg found, and one of the file that the query names, at its line if any."""
    places: list[Place] = []
    if q.definitions.views:
        spans: dict[int, list[tuple[int, int]]] = {}
        for view in views.values():
            spans.setdefault(view.doc // MAX_CHUNKS_PER_BLOB, []).append((view.start_line, view.end_line))
        lacking = [
            Place(symbol.entry_id, symbol.start_line)
            for symbol in q.definitions.views
            if not any(a <= symbol.start_line <= b for a, b in spans.get(symbol.entry_id, ()))
        ]
        places += lacking[:_LOCATED_DEFINITIONS]
    if q.query.path:
        places += [Place(entry.entry_id, q.query.line or 1) for entry in _named_files(q)]
    if places:
        yield from chunks_at(q.snapshot, places).values()


def _named_files(q: Question) -> Iterator[Entry]:
    for record in q.snapshot.roots.values():
        pool = q.snapshot.pools[record.pool]
        path = q.query.path
        # A path of macOS may be encoded with its accents apart, whatever was typed.
        entry = pool.entry_at(record.root, path) or pool.entry_at(record.root, normalize("NFD", path))
        if entry is not None and q.scope.entry(entry.entry_id) is not None:
            yield entry
