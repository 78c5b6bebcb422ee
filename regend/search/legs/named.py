"""Named files: which indexed files are those that a query names, wherever and on whichever machine it was written.

A path counts from its end: ``/home/ci/build/src/a.py`` is ``src/a.py`` here, because that has the most in common.
"""

from __future__ import annotations

from collections.abc import Iterator

from regend.chunking.tokens import asked_tokens, normalised
from regend.search.legs.locate import Place, beyond_end, chunks_at
from regend.search.legs.scope import Scope
from regend.search.query.asked.topics import Topic
from regend.search.query.parse import Query
from regend.search.query.places import NamedPlace, possible_places
from regend.search.query.words import file_role, standing
from regend.store.base import NO_CONDITIONS, ChunkConditions, Entry, LexicalQuery, Snapshot
from regend.types import DOC_ORDINAL_BITS

MAX_NAMED = 8
"""Maximum files that one path may mean, and places of one query."""
_LOOKED_AT = 2_000
"""Chunks whose path has the words of the file's name."""
_FEW = 64
"""Best chunks by the words of their paths, among which what only may be a file is looked for: dotted names are many."""


def located(scope: Scope, query: Query) -> tuple[Query, tuple[Place, ...]]:
    """Return the query with the names of its files as they are here, and the lines of them that it names.

    A text that only looks like a file, such as ``self.t``, is a name where no such file is indexed.
    """
    query = _with_files(scope, query)
    paths: dict[NamedPlace, str] = {}
    found: list[Place] = []
    for place in query.places:
        entries = named_entries(scope, place.path, place.line > 0)
        if entries:
            paths[place] = _shared_end(place.path, entries[0])
            found += [Place(entry.entry_id, place.line) for entry in entries if place.line]
    if paths:
        return query.placed(paths), tuple(dict.fromkeys(found))[:MAX_NAMED]
    if any(place.line or "/" in place.path for place in query.places):
        return query, ()
    return query.unplaced() if query.places else query, ()


def _with_files(scope: Scope, query: Query) -> Query:
    """Return the query with the files that it names although nothing but the index tells that they are files."""
    places = query.places
    for place in possible_places(query.text):
        known = any(one.path == place.path for one in places)
        if known or not named_entries(scope, place.path, quick=True):
            continue
        apart = tuple(one for one in places if one.end <= place.start or place.end <= one.start)
        if len(apart) == len(places) or (place.start, place.end) == (0, len(query.text)):
            places = (*apart, place)
    return query if places is query.places else query.naming(tuple(sorted(places, key=lambda one: one.start)))


def within_files(snapshot: Snapshot, scope: Scope, places: tuple[Place, ...]) -> tuple[tuple[Place, ...], list[str]]:
    """Return the places with the nearest lines that chunks hold, and notes on those behind the end of their files."""
    found = chunks_at(snapshot, places)
    held: list[Place] = []
    notes: list[str] = []
    for place in places:
        entry, chunk = scope.entry(place.entry_id), found.get(place)
        if entry is not None and chunk is not None:
            notes += beyond_end(entry, place.line, chunk)
            held.append(place._replace(line=min(max(place.line, chunk.start_line), chunk.end_line)))
    return tuple(dict.fromkeys(held)), notes


def named_entries(scope: Scope, path: str, anywhere: bool = False, quick: bool = False) -> list[Entry]:
    """Return the files in scope whose paths have most in common with the end of `path`, source first.

    Args:
        anywhere: the same name in another folder counts, too, as it may have been built elsewhere.
        quick: only the best chunks by the words of their paths are looked at.
    """
    wanted = _parts(path)
    tokens = tuple(dict.fromkeys(asked_tokens(wanted[-1]).split())) if wanted else ()
    if not tokens:
        return []
    terms = tuple(dict.fromkeys(asked_tokens(path).split()))
    conditions = NO_CONDITIONS if quick else ChunkConditions(words=tokens)
    query = LexicalQuery(terms, body=0.0, symbol=0.0, path=1.0, conditions=conditions)
    best: dict[int, tuple[int, Entry]] = {}
    for pool, allow in scope.pools:
        for hit in pool.lexical(query, _FEW if quick else _LOOKED_AT, allow=allow):
            entry_id = hit.doc >> DOC_ORDINAL_BITS
            if entry_id not in best and (entry := scope.entry(entry_id)) is not None:
                best[entry_id] = _shared_count(wanted, _parts(entry.path)), entry
    most = max((count for count, _ in best.values()), default=0)
    absolute = path.startswith(("/", ".."))
    if not most or (most < len(wanted) and not anywhere and not (absolute and most > 1)):
        return []
    entries = [entry for count, entry in best.values() if count == most]
    entries = [entry for entry in entries if len(_parts(entry.path)) == most] or entries  # It is the whole path.
    name = normalised(path).rpartition("/")[2]
    entries.sort(
        key=lambda entry: (
            not normalised(entry.path).endswith(name),  # It differs in its case.
            standing(entry.path, marks=entry.marks),
            len(entry.path),
            entry.path,
        )
    )
    return entries[:MAX_NAMED]


def topic_entries(scope: Scope, topic: Topic) -> list[Entry]:
    """Return the files in scope that tell most of the topic, by their paths."""
    terms = tuple(dict.fromkeys(asked_tokens(topic.words).split()))
    query = LexicalQuery(terms, body=0.0, symbol=0.0, path=1.0)
    found: dict[int, tuple[float, int, str, Entry]] = {}
    for pool, allow in scope.pools:
        for hit in pool.lexical(query, _LOOKED_AT, allow=allow):
            entry = scope.entry(hit.doc >> DOC_ORDINAL_BITS)
            if entry is not None and entry.entry_id not in found:
                value = topic.answer(entry.path, file_role(entry.path, entry.marks))
                found[entry.entry_id] = (-value, standing(entry.path, marks=entry.marks), entry.path, entry)
    best = sorted((row for row in found.values() if row[0] < 0.0), key=lambda row: row[:3])
    return [entry for *_, entry in best[:MAX_NAMED]]


def _parts(path: str) -> list[str]:
    return [part for part in normalised(path).casefold().split("/") if part not in ("", ".", "..")]


def _shared_count(wanted: list[str], parts: list[str]) -> int:
    return sum(1 for _ in _shared(wanted, parts))


def _shared(wanted: list[str], parts: list[str]) -> Iterator[str]:
    for one, other in zip(reversed(wanted), reversed(parts), strict=False):
        if one != other:
            return
        yield one


def _shared_end(path: str, entry: Entry) -> str:
    """Return the end of the entry's path that the query's path has, too."""
    count = _shared_count(_parts(path), _parts(entry.path))
    return "/".join(normalised(entry.path).split("/")[-count:])
