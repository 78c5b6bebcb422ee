"""Related code: chunks like the one at a line, or files like a file."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from regend.chunking.tokens import asked_tokens
from regend.errors import PathError
from regend.search.legs.fusion import vector_weight
from regend.search.legs.legs import NO_DEFINITIONS, Vector
from regend.search.legs.locate import Place, beyond_end, chunks_at
from regend.search.legs.scope import Scope, find_file
from regend.search.options import RelatedOptions
from regend.search.query.parse import parse_query
from regend.search.query.words import QUESTION_WORDS
from regend.search.ranking.features import query_context
from regend.search.ranking.files import select_files
from regend.search.ranking.ranking import RANKING, Ranked, RankingTable
from regend.search.ranking.selection import Question, ResultPage, chunk_of, page_of, ranked
from regend.search.results.budget import rows_for, shown
from regend.search.results.outcome import SearchOutcome
from regend.search.results.presentation import Show
from regend.search.stages import StageClock
from regend.store.base import NO_CONDITIONS, ChunkView, Entry, Snapshot
from regend.types import DOC_ORDINAL_BITS, doc_id

_TERMS = 24
_READ_CHUNKS = 64
"""Maximum chunks of a file that are read for its words; they are spread over the file."""
_FILE_WEIGHT = 1.0
"""The likeness of whole files counts as much as the best chunk's own blend: the question is a file, too. A guess."""
_FEATURES = frozenset({"words", "meaning", "all_words", "best_of_file", "same_file_again", "worse_in_file"})
_TABLE = RankingTable(feature for feature in RANKING.features if feature.name in _FEATURES)
"""The question is code here, so the features about a typed query do not apply."""


def related(snapshot: Snapshot, options: RelatedOptions, scope: Scope, model_strength: float) -> SearchOutcome:
    """Return chunks like the one at a line, or files like a file, by vectors and by the most distinctive words.

    Raises:
        RootError, PathError: no such indexed file, or it has no chunks.
    """
    clock = StageClock()
    origin, views, vector = origin_of(snapshot, options)
    if not views:
        raise PathError(
            f"File {options.path!r} has no chunks to compare with; it is empty or was skipped (`regenctl why`)."
        )
    terms = distinctive_terms("\n".join(view.text for view in views))
    question = _question(snapshot, scope, origin, terms, vector, model_strength)
    if options.line:
        page = _chunks_like(question, origin, views[0], options, clock)
    else:
        page = _files_like(question, origin, options, clock)
    show = Show(snapshot, scope, terms, NO_DEFINITIONS, options.context, options.lines)
    notes = beyond_end(origin, options.line, views[0]) if options.line else []
    if vector is None:
        notes.append(f"This {'chunk' if options.line else 'file'} has no vector yet; compared by words only.")
    if scope.empty:
        notes.append(f"No indexed file matches {options.filters}; loosen the filter.")
    return replace(shown(page.rows, page.more, options, show), notes=tuple(notes))


def origin_of(snapshot: Snapshot, options: RelatedOptions) -> tuple[Entry, list[ChunkView], Vector | None]:
    """Return what is compared with: the file, its chunk at the line or some of its chunks, and their vector.

    Raises:
        RootError, PathError: no such indexed file.
    """
    _, origin = find_file(snapshot, options.root, options.path)
    if not options.line:
        return origin, _spread_over(snapshot, origin), snapshot.file_vector(origin)
    place = Place(origin.entry_id, options.line)
    here = chunks_at(snapshot, [place]).get(place)
    if here is None:
        return origin, [], None
    return origin, [here], snapshot.pools[origin.pool].vector(here.doc)


def _question(
    snapshot: Snapshot, scope: Scope, origin: Entry, terms: tuple[str, ...], vector: Vector | None, strength: float
) -> Question:
    query = replace(parse_query(" ".join(terms) or origin.path), terms=terms, path="", identifiers=())
    # Whole code is known here, so meaning may weigh as in a question of words.
    weight = 2.0 * vector_weight(strength, "language")
    return Question(
        snapshot, scope, query, query_context(query), NO_CONDITIONS, (), NO_DEFINITIONS, vector, weight, _TABLE
    )


def _chunks_like(
    question: Question, origin: Entry, here: ChunkView, options: RelatedOptions, clock: StageClock
) -> ResultPage:
    others = replace(question, skipped=lambda doc: doc == here.doc)

    def look(depth: int) -> list[Ranked]:
        # The chunk itself may also stand in another worktree's version of the file.
        own = (here.chunk, origin.path)
        return [row for row in ranked(others, depth, clock) if (row.view.chunk, row.candidate.entry.path) != own]

    return page_of(look, chunk_of, options.offset, rows_for(options))


def _files_like(question: Question, origin: Entry, options: RelatedOptions, clock: StageClock) -> ResultPage:
    def is_origin(doc: int) -> bool:
        entry = question.scope.entry(doc >> DOC_ORDINAL_BITS)
        return entry is not None and entry.pool == origin.pool and entry.path == origin.path

    others = replace(question, skipped=is_origin)
    return select_files(others, options.offset, rows_for(options), _FILE_WEIGHT, clock)


def _spread_over(snapshot: Snapshot, entry: Entry) -> list[ChunkView]:
    """Return up to `_READ_CHUNKS` chunks of a file, evenly spread."""
    step = max(1, -(-entry.chunk_count // _READ_CHUNKS))
    return snapshot.chunks([doc_id(entry.entry_id, ordinal) for ordinal in range(0, entry.chunk_count, step)])


def distinctive_terms(text: str) -> tuple[str, ...]:
    """Return up to `_TERMS` tokens that distinguish a text most.

    Length stands for rarity (long tokens are compound identifiers) and BM25's own inverse document frequency does the
    rest.
    """
    tokens = asked_tokens(text).split()
    counts = Counter(t for t in tokens if (len(t) > 2 or not t.isascii()) and t not in QUESTION_WORDS)
    ordered = sorted(counts, key=lambda token: (-min(counts[token], 4) * min(len(token), 16), token))
    return tuple(ordered[:_TERMS])
