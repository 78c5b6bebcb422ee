"""Selection: from a question that is understood to an order of chunks, as deep as the page asks.

::

    legs (words, meaning) -> blend -> shortlist -> hydrate + definitions + named file -> rank

Nearly all questions need the first page only, for which the legs are asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from regend.search.legs.conditions import holds, passing, verified
from regend.search.legs.fusion import Scores
from regend.search.legs.legs import Definitions, Vector, blended_candidates
from regend.search.legs.literal import NO_LITERAL, Literal
from regend.search.legs.locate import Place, chunks_at
from regend.search.legs.named import named_entries
from regend.search.legs.scope import Scope
from regend.search.query.languages import written_in
from regend.search.query.parse import Query
from regend.search.query.words import PathWords, path_words
from regend.search.ranking.copies import Grouped, grouped
from regend.search.ranking.features import Candidate, FeatureShare, QueryContext, asked_topic
from regend.search.ranking.likeness import likeness_of
from regend.search.ranking.ranking import FoundFiles, Ranked, RankingTable, added_candidate, rank, shortlist
from regend.search.stages import StageClock
from regend.store.base import ChunkConditions, ChunkView, Entry, Snapshot
from regend.types import MAX_CHUNKS_PER_BLOB, RootId

MAX_DEPTH = 2_000
"""Maximum results that any page reaches: `MAX_OFFSET` and `MAX_RESULTS` together."""
FIRST_LOOK = 10
_LOOKS = (FIRST_LOOK, 50, 200, 800, MAX_DEPTH)
"""Results that each look finds at least; nearly every request needs the first only."""
_SHORTLIST = 96
"""Chunks hydrated at least."""
_LOCATED_DEFINITIONS = 8
"""Definitions looked up by line, at most, when no leg brought their chunks."""
_DEEPER = 4
"""Factor by which the legs look deeper while copies leave too few texts."""
NAMED_PLACE = "named_place"
"""Name of the share that a line which the query names adds to the score of its chunk."""
_PLACE_STEP = 250.0
"""More than all features together may add, for each place."""
_READ_COPIES = 64
"""Maximum copies of a chunk that are read to see what they define."""
_ACCOMPANYING = frozenset({"data", "prose"})
"""Roles of files that stand beside code, unless there is hardly any."""


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
        whole_files: files are wanted, so only those that are the same as a whole are copies.
        places: lines that the query names; what holds them stands first, in this order.
        topical: beginnings of files that tell of the query's topic.
        told: says how well a file's history fits the query, 0..1.
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
    whole_files: bool = False
    places: tuple[Place, ...] = ()
    topical: tuple[Place, ...] = ()
    told: Callable[[Entry], float] = lambda _: 0.0


def chunk_of(row: Ranked) -> Hashable:
    """Return what makes a row one result of chunks."""
    return row.candidate.doc


class ResultPage(NamedTuple):
    """Some of a question's results.

    Attributes:
        more: whether there are more after these.
        beyond: the page is empty because it begins behind the last result, of which there is at least one.
    """

    rows: list[Ranked]
    more: bool
    beyond: bool


def page_of(
    look: Callable[[int], list[Ranked]], name_of: Callable[[Ranked], Hashable], offset: int, count: int
) -> ResultPage:
    """Return `count` results after the first `offset`.

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
            return ResultPage(order[offset:end], len(order) > end or len(rows) > room, 0 < len(order) <= offset)
    return ResultPage(order[offset:end], more=False, beyond=0 < len(order) <= offset)


def ranked(question: Question, depth: int, clock: StageClock) -> list[Ranked]:
    """Return all candidates that a look to this depth finds, in order; a few more than `depth` where there are."""
    q = question
    scores, copies, first = _distinct(q, depth)
    held = {first.get(doc, doc) for doc in q.literal.docs}
    if q.phrases or q.query.without_phrases:
        kept = verified(q.snapshot, q.scope, dict(scores.blended), q.phrases, q.query.without_phrases)
        scores = replace(scores, blended=kept)
    clock.lap("legs")
    candidates, files = shortlist(scores, q.scope.entry, q.context, max(_SHORTLIST, depth + 4), q.table, _FileWords(q))
    lacking = held.intersection(scores.blended) - {candidate.doc for candidate in candidates}
    candidates += _added(q, sorted(lacking), files)
    clock.lap("shortlist")
    for candidate in candidates:
        candidate.copies = copies.get(candidate.doc, ())
    candidates = _hydrated(q, candidates, files)
    shown = {candidate.entry.entry_id: candidate.file for candidate in candidates}
    for file in shown.values():
        file.history = q.told(file.entry)
    if q.vector is not None and q.weight > 0.0:
        likeness = likeness_of(q.snapshot, (file.entry for file in shown.values()), q.vector)
        for entry_id, file in shown.items():
            file.likeness = likeness[entry_id]
    clock.lap("hydrate")
    rows = rank(candidates, lambda entry: q.scope.shown_root(q.snapshot, entry), q.context, q.table)
    rows = _named_first(rows, q.places) if q.places else rows
    clock.lap("rank")
    return rows


def _named_first(rows: list[Ranked], places: tuple[Place, ...]) -> list[Ranked]:
    """Put what holds the lines that the query names before all else, in the order of the places."""
    lifted: list[Ranked] = []
    for row in rows:
        entry_id, view = row.candidate.entry.entry_id, row.view
        holding = (at for at, p in enumerate(places) if p.entry_id == entry_id and p.line <= view.end_line)
        at = next((at for at in holding if view.start_line <= places[at].line), None)
        if at is not None:
            value = 1.0 - at / len(places)
            weight = _PLACE_STEP * len(places)
            share = FeatureShare(NAMED_PLACE, value, weight, weight * value)
            row = row._replace(score=row.score + share.contribution, shares=(*row.shares, share))
        lifted.append(row)
    return sorted(lifted, key=lambda row: -row.score)


def _distinct(q: Question, depth: int) -> Grouped:
    """Return what both legs find and the holders of rare words, each text once; they look deeper where copies crowd.

    Each look is as deep as its depth and the index say, so that pages fit together.
    """
    asked, found_count = depth, 0
    while True:
        found = blended_candidates(q.scope, q.query.terms, q.vector, q.weight, asked, q.conditions)
        exhausted, found_count = len(found.blended) <= found_count, len(found.blended)
        blended = {**dict.fromkeys(q.literal.docs, 0.0), **found.blended}
        if q.skipped is not None:
            blended = {doc: score for doc, score in blended.items() if not q.skipped(doc)}
        result = _grouped(q, replace(found, blended=blended))
        enough = not result.copies or len(result.scores.blended) > depth + 4
        if enough or exhausted or asked >= MAX_DEPTH:
            return result
        asked = min(MAX_DEPTH, _DEEPER * asked)


def _grouped(q: Question, scores: Scores) -> Grouped:
    return grouped(q.snapshot, q.scope, scores, q.context, partial(_counting, q), q.whole_files)


def _counting(q: Question, docs: Sequence[int]) -> Collection[int]:
    """Return those of `docs` that may be answers."""
    asked = [doc for doc in docs if q.skipped is None or not q.skipped(doc)]
    return passing(q.scope, asked, q.conditions) if q.conditions else asked


def _hydrated(q: Question, candidates: list[Candidate], files: FoundFiles) -> list[Candidate]:
    """Return candidates with their chunks, and what no leg found: definitions of the query's names, the file it names.

    The same text counts once.
    """
    views = {view.doc: view for view in q.snapshot.chunks([candidate.doc for candidate in candidates])}
    added, copies = _added_views(q, views)
    found = list(candidates)
    kept_docs = [doc for doc, view in added.items() if holds(view, q.phrases, q.query.without_phrases)]
    for candidate in _added(q, kept_docs, files):
        views[candidate.doc] = added[candidate.doc]
        candidate.copies = copies.get(candidate.doc, ())
        found.append(candidate)
    kept: dict[tuple[bytes, bytes], Candidate] = {}
    for candidate in found:
        chunk = candidate.view = views.get(candidate.doc)
        if chunk is None:
            continue
        text = (chunk.chunk, candidate.entry.blob if q.whole_files else b"")
        if kept.setdefault(text, candidate) is not candidate:
            continue
        candidate.rare = max(map(q.literal.share, (candidate.doc, *candidate.copies)))
        candidate.defines = max(q.definitions.grade_within(*place) for place in _places(q, candidate, chunk))
        if asked_topic(candidate, q.context):
            candidate.defines = 1.0  # The word names the file that is called so nearly everywhere.
            path = candidate.path
            if not q.context.whole_name or q.query.stems & (path.name | path.folders):
                candidate.rare = 1.0
    return list(kept.values())


def _places(q: Question, candidate: Candidate, chunk: ChunkView) -> Iterator[tuple[int, int, int]]:
    """Yield entry, first and last line of the chunk, and of its copies in files that define a name of the query."""
    yield candidate.entry.entry_id, chunk.start_line, chunk.end_line
    if candidate.copies and q.definitions.views:
        defining = {view.entry_id for view in q.definitions.views}
        docs = [doc for doc in candidate.copies if doc // MAX_CHUNKS_PER_BLOB in defining][:_READ_COPIES]
        for copy in q.snapshot.chunks(docs):
            yield copy.doc // MAX_CHUNKS_PER_BLOB, copy.start_line, copy.end_line


def _added_views(
    q: Question, views: dict[int, ChunkView]
) -> tuple[dict[int, ChunkView], Mapping[int, tuple[int, ...]]]:
    """Return chunks of definitions and of the named file whose text is not in `views`, each text once, and copies."""
    known = set() if q.whole_files else {view.chunk for view in views.values()}
    located = {v.doc: v for v in _located(q, views) if v.doc not in views and v.chunk not in known}
    if located and q.conditions:
        passed = passing(q.scope, located, q.conditions)
        located = {doc: view for doc, view in located.items() if doc in passed}
    found = _grouped(q, Scores(blended=dict.fromkeys(located, 0.0)))
    distinct = found.scores.blended
    located.update((view.doc, view) for view in q.snapshot.chunks([doc for doc in distinct if doc not in located]))
    return {doc: located[doc] for doc in distinct if doc in located}, found.copies


def _added(q: Question, docs: Sequence[int], files: FoundFiles) -> Iterator[Candidate]:
    """Make candidates of chunks in scope that the shortlist lacks.

    Args:
        files: what was found of all files; that of the others is added.
    """
    for doc in docs:
        entry = q.scope.entry(doc // MAX_CHUNKS_PER_BLOB)
        if entry is not None:
            yield added_candidate(doc, files.facts_of(entry), q.context, q.table)


class _FileWords:
    """Says what the path and the index say of a file.

    A translation is one only where its original is indexed, and a declaration only where its implementation is. Data
    and documents are the source of a tree that consists of them.
    """

    def __init__(self, question: Question) -> None:
        self._snapshot, self._scope = question.snapshot, question.scope
        self._written_in: dict[RootId, frozenset[str]] = {}

    def __call__(self, entry: Entry) -> PathWords:
        words, beside = path_words(entry.path, entry.marks), self._scope.beside
        originals = () if words.translation is None else words.translation.originals
        if originals and not any(beside(entry, path) for path in originals):
            words = words._replace(translation=None)
        if words.implementations:
            there = tuple(path for path in words.implementations if beside(entry, path))
            words = words._replace(implementations=there)
        is_settings = entry.path.startswith(".")
        if words.role in _ACCOMPANYING and not is_settings and self._is_written_in(entry):
            words = words._replace(role="source")
        return words

    def _is_written_in(self, entry: Entry) -> bool:
        for root in entry.roots - self._written_in.keys():
            self._written_in[root] = written_in(self._snapshot.languages(root))
        return any(entry.language in self._written_in[root] for root in entry.roots)


def _located(q: Question, views: dict[int, ChunkView]) -> Iterator[ChunkView]:
    """Find chunks of definitions that no leg found, and those of the files and lines that the query names."""
    places = list(q.places)
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
    if q.query.path and not q.places:
        places += [Place(entry.entry_id, 1) for entry in named_entries(q.scope, q.query.path)]
    places += q.topical
    if places:
        yield from chunks_at(q.snapshot, places).values()
