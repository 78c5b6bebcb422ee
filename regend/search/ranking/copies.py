"""Copies: of all chunks with the same text one stands for the others, so that a page shows each text once.

Pure, but for what the snapshot knows. Which one stands for them depends on where they are and not on the order in
which files were indexed, nor on how deep the legs have looked.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

from regend.chunking.tokens import normalised
from regend.search.legs.fusion import Scores
from regend.search.legs.scope import Scope
from regend.search.query.words import standing
from regend.search.ranking.features import QueryContext
from regend.store.base import Entry, Snapshot
from regend.types import DOC_ORDINAL_BITS, MAX_CHUNKS_PER_BLOB

NO_COPIES: Mapping[int, tuple[int, ...]] = {}


class Grouped(NamedTuple):
    """Candidates without copies.

    Attributes:
        scores: by the documents that stand for themselves and their copies, the best of each group's.
        copies: for each document that has some, the others with its text, in the order of `_place`.
        first: for each document with copies the one that stands for it.
    """

    scores: Scores
    copies: Mapping[int, tuple[int, ...]]
    first: Mapping[int, int]


def grouped(
    snapshot: Snapshot,
    scope: Scope,
    scores: Scores,
    context: QueryContext,
    counting: Callable[[Sequence[int]], Collection[int]],
    whole_files: bool,
) -> Grouped:
    """Leave one document of each text.

    Args:
        counting: returns those of documents that are answers, too, though no leg has found them.
        whole_files: only texts of files that are the same as a whole are copies.
    """
    blended = scores.blended
    same = snapshot.copies(list(blended))
    if not same:
        return Grouped(scores, NO_COPIES, {})
    others = {doc for docs in same.values() for doc in docs} - blended.keys()
    known = blended.keys() | set(counting(sorted(others)))
    copies: dict[int, tuple[int, ...]] = {}
    first: dict[int, int] = {}
    for doc in blended:
        if doc in same and doc not in first:
            kept = [other for other in same[doc] if other in known]
            for group, also in _groups(_in_order(snapshot, scope, kept, context), whole_files):
                copies[group[0]] = tuple(group[1:])
                first.update(dict.fromkeys(group + also, group[0]))
    words, meaning, best = (_best(each, first) for each in (scores.words, scores.meaning, blended))
    return Grouped(Scores(words, meaning, best), copies, first)


def _best(scores: Mapping[int, float], first: Mapping[int, int]) -> dict[int, float]:
    """Return the best score of each group."""
    best: dict[int, float] = {}
    for doc, score in scores.items():
        one = first.get(doc, doc)
        best[one] = max(score, best.get(one, 0.0))
    return best


def _in_order(snapshot: Snapshot, scope: Scope, docs: list[int], context: QueryContext) -> list[tuple[int, Entry]]:
    """Return the documents in scope, best place first."""
    found = [(doc, entry) for doc in docs if (entry := scope.entry(doc >> DOC_ORDINAL_BITS)) is not None]
    found.sort(key=lambda pair: _place(snapshot, scope, pair[0], pair[1], context))
    return found


def _groups(found: list[tuple[int, Entry]], whole_files: bool) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the documents of each group, and those that do not count: a path of which worktrees have other versions."""
    owner: dict[tuple[int, str], Entry] = {}
    groups: dict[bytes, tuple[list[int], list[int]]] = {}
    for doc, entry in found:
        first = owner.setdefault((entry.pool, entry.path), entry)
        group, also = groups.setdefault(first.blob if whole_files else b"", ([], []))
        (group if first.entry_id == entry.entry_id else also).append(doc)
    yield from groups.values()


def _place(
    snapshot: Snapshot, scope: Scope, doc: int, entry: Entry, context: QueryContext
) -> tuple[bool, int, int, str, str, int]:
    """Return what orders copies: the file that was asked for, source before others, the shortest path."""
    path, wanted = normalised(entry.path), context.query.path
    unnamed = not (wanted and (path == wanted or path.endswith("/" + wanted)))
    root = scope.shown_root(snapshot, entry)
    return (
        unnamed,
        standing(path, context.wanted_roles, entry.marks),
        len(path),
        path,
        root,
        doc & (MAX_CHUNKS_PER_BLOB - 1),
    )
