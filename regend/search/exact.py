"""Exact search: chunks whose text matches expressions, or in which a definition of a name begins.

The index keeps no positions, so texts are read one by one, but only those that have a word with each piece that the
expressions demand: those that the words of the query find first, then the others, source before tests. It ends with
enough results or when its time is up, and says which.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from regend.chunking.tokens import normalised
from regend.errors import count_text
from regend.search.legs.conditions import conditions_of, passing
from regend.search.legs.legs import Definitions, find_definitions
from regend.search.legs.locate import Place, chunks_at
from regend.search.legs.scope import Scope
from regend.search.options import SearchOptions
from regend.search.query.literals import MAX_GROUPS
from regend.search.query.patterns import Matcher
from regend.search.query.words import path_words, standing
from regend.search.ranking.features import Candidate, FileFacts
from regend.search.ranking.ranking import Ranked
from regend.search.results.budget import rows_for, shown
from regend.search.results.outcome import SearchOutcome
from regend.search.results.presentation import Show
from regend.store.base import ChunkView, LexicalQuery, Snapshot
from regend.types import DOC_ORDINAL_BITS, doc_id

MAX_SECONDS = 2.0
"""How long one search reads."""
_BATCH = 256
_BEST_WORDS = 1_000
"""Chunks that the words of the query put first."""
_LAST_PART = 0.5
"""Maximum grade of a definition that only the last part of a name fits, see `find_definitions`."""
_SEPARATOR = re.compile(r"(?<=\w)(?:::|->|[#/\\])(?=\w)")


def exact_search(
    snapshot: Snapshot, scope: Scope, options: SearchOptions, now: Callable[[], float] = time.monotonic
) -> SearchOutcome:
    """Return the chunks in scope that match all of the query's expressions, in an order that depends on nothing else.

    Args:
        now: seconds, for the bound of its time.
    """
    query = options.query
    wanted = [pattern.matcher() for pattern in query.patterns if not pattern.negated]
    unwanted = [pattern.matcher() for pattern in query.patterns if pattern.negated]
    deadline = now() + MAX_SECONDS
    count = options.offset + rows_for(options) + 1
    rows: list[Ranked] = []
    places: list[Place] = []
    texts: set[bytes] = set()
    read = total = 0
    known: set[tuple[str, str]] = set()
    docs = _docs(snapshot, scope, options)
    total = len(docs)
    for at in range(0, total, _BATCH):
        if len(rows) >= count or now() > deadline:
            break
        for view in snapshot.chunks(docs[at : at + _BATCH]):
            line = _match_line(view, wanted, unwanted)
            row = _row(snapshot, scope, view, len(rows)) if line and view.chunk not in texts else None
            if row is None or (options.files and row.place in known):
                continue
            texts.add(view.chunk)
            known.add(row.place)
            rows.append(row)
            places.append(Place(row.candidate.entry.entry_id, line))
        read = min(total, at + _BATCH)
    page = rows[options.offset : count - 1]
    definitions = find_definitions(snapshot, scope, _names(options.filters.wanted("sym")))
    show = Show(snapshot, scope, query.terms, definitions, options.context, options.lines, None, tuple(places))
    outcome = shown(page, len(rows) >= count, options, show)
    notes: list[str] = []
    if read < total and len(rows) < count:
        notes.append(
            f"The search ended after {MAX_SECONDS:g} s with {read:,} of {count_text(total, 'chunk')} read; "
            "narrow it with a filter."
        )
    elif not rows:
        notes.append("No chunk in scope matches.")
    return replace(outcome, notes=(*notes, *query.doubts), generation=snapshot.generation, complete=snapshot.complete)


def _docs(snapshot: Snapshot, scope: Scope, options: SearchOptions) -> list[int]:
    """Return the documents in scope that may match, in the order in which they are read."""
    groups = {group for pattern in options.query.patterns if not pattern.negated for group in pattern.pieces()}
    pieces = tuple(sorted(groups, key=sorted)[:MAX_GROUPS])
    conditions = replace(conditions_of(options.query, options.filters, ()), pieces=pieces)
    wanted, unwanted = options.filters.wanted("sym"), options.filters.unwanted("sym")
    if wanted:
        found = find_definitions(snapshot, scope, _names(wanted), conditions)
        docs = _defining(snapshot, found)
    else:
        docs = list(_all_docs(scope))
    if unwanted:
        left_out = set(_defining(snapshot, find_definitions(snapshot, scope, _names(unwanted))))
        docs = [doc for doc in docs if doc not in left_out]
    if conditions:
        kept = passing(scope, docs, conditions)
        docs = [doc for doc in docs if doc in kept]
    if options.query.terms and not wanted:
        asked = LexicalQuery(options.query.terms, conditions=conditions)
        hits = [hit for pool, allow in scope.pools for hit in pool.lexical(asked, _BEST_WORDS, allow=allow)]
        hits.sort(key=lambda hit: (-round(hit.score, 3), hit.doc))
        known = set(docs)
        docs = list(dict.fromkeys([hit.doc for hit in hits if hit.doc in known] + docs))
    return docs


def _names(typed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names as typed, and with dots between their parts, as they are stored."""
    return tuple(dict.fromkeys((*typed, *(_SEPARATOR.sub(".", name) for name in typed))))


def _defining(snapshot: Snapshot, found: Definitions) -> list[int]:
    """Return the documents in which the definitions begin, without those of which only the last part is called so."""
    places = [Place(view.entry_id, view.start_line) for view in found.views]
    at = chunks_at(snapshot, [place for place in places if found.grades[place] > _LAST_PART])
    return list(dict.fromkeys(at[place].doc for place in places if place in at))


def _all_docs(scope: Scope) -> Iterator[int]:
    entries = [
        entry
        for pool, allow in scope.pools
        for entry in (pool.entries.values() if allow is None else map(pool.entries.get, allow))
        if entry is not None and (not scope.inner or scope.roots_of(entry))
    ]
    entries.sort(key=lambda entry: (standing(entry.path, marks=entry.marks), entry.path, entry.entry_id))
    for entry in entries:
        yield from range(doc_id(entry.entry_id, 0), doc_id(entry.entry_id, 0) + entry.chunk_count)


def _match_line(view: ChunkView, wanted: list[Matcher], unwanted: list[Matcher]) -> int:
    """Return the line of the file at which the first expression matches, or 0 where one does not match."""
    line = view.start_line
    # A query is normalised; an expression may still ask how a letter is encoded.
    texts = dict.fromkeys((view.text, normalised(view.text)))
    for at, matcher in enumerate(wanted):
        held = next(((text, found) for text in texts if (found := matcher.search(text)) is not None), None)
        if held is None:
            return 0
        if at == 0:
            line += held[0].count("\n", 0, held[1].start())
    return 0 if any(matcher.search(text) for matcher in unwanted for text in texts) else line


def _row(snapshot: Snapshot, scope: Scope, view: ChunkView, rank: int) -> Ranked | None:
    """Return the row of a chunk, with its other places."""
    entry = scope.entry(view.doc >> DOC_ORDINAL_BITS)
    if entry is None:
        return None
    same = snapshot.copies([view.doc]).get(view.doc, ())
    copies = tuple(doc for doc in same if doc != view.doc and scope.holds(doc >> DOC_ORDINAL_BITS))
    candidate = Candidate(view.doc, FileFacts(entry, path_words(entry.path, entry.marks)), view=view, copies=copies)
    return Ranked(1.0 / (1 + rank), scope.shown_root(snapshot, entry), candidate)
