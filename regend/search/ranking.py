"""Ranking: from the legs' blended scores to an order, in rounds, so that dear features run for few candidates.

Pure. Round one weighs scores and paths and picks a shortlist; its chunks are hydrated by the caller; round two adds
what their text says and spreads files over the page. Equal inputs give equal order: ties go by root, path and line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from regend.search.features import FEATURES, WORDS_PRESENT, Candidate, Feature, QueryContext, share_present
from regend.search.fusion import file_evidence_sum
from regend.search.results import FeatureShare
from regend.search.words import path_words
from regend.store.base import Entry
from regend.types import DOC_ORDINAL_BITS

_Place = TypeVar("_Place", str, tuple[str, str])

_ROUND_ONE_FACTOR = 2
"""Round one looks at this many times the shortlist's length. NDCG@10 was the same with 2, 3 and 4."""
_ROUND_ONE_SHARE = 2
"""NDCG@10 was the same with 2 and 3; more only cost time."""
_UNITS = 10_000
"""Scores that differ by less than one part of this are equal: sums of floats depend on their order, and that on an
index's history."""
_ORDINALS = (1 << DOC_ORDINAL_BITS) - 1


_Weighed = tuple[tuple[float, Callable[[Candidate, QueryContext], float]], ...]


@dataclass(frozen=True, slots=True)
class RankingTable:
    """The features in use, and weights with functions by scope. Leave rows out to see what each is worth."""

    features: tuple[Feature, ...]
    file: _Weighed
    chunk: _Weighed
    text: _Weighed
    order: _Weighed
    names: frozenset[str]

    @classmethod
    def of(cls, features: tuple[Feature, ...]) -> RankingTable:
        """The table of `features`, which are evaluated and explained in the given order."""
        scopes: dict[str, list[tuple[float, Callable[[Candidate, QueryContext], float]]]] = {
            "file": [], "chunk": [], "text": [], "order": [],
        }  # fmt: skip
        for feature in features:
            scopes[feature.scope].append((feature.weight, feature.value))
        file, chunk, text, order = map(tuple, scopes.values())
        return cls(features, file, chunk, text, order, frozenset(feature.name for feature in features))

    def asked(self, context: QueryContext) -> RankingTable:
        """Without the rows that are 0 for every candidate of this query."""
        return RankingTable.of(tuple(feature for feature in self.features if feature.asked(context)))


RANKING = RankingTable.of(FEATURES)


class Ranked(NamedTuple):
    """A hydrated candidate, its score, and the root under which it is shown."""

    score: float
    root: str
    candidate: Candidate


def shortlist(
    blended: Mapping[int, float],
    entry_of: Callable[[int], Entry | None],
    context: QueryContext,
    count: int,
    table: RankingTable = RANKING,
) -> list[Candidate]:
    """Round one: the `count` most promising candidates, best first, with `Candidate.base` set.

    Args:
        blended: score in 0..1 by doc.
        entry_of: the entry of an id if it is live and in scope.
    """
    by_entry: dict[int, list[tuple[float, int]]] = {}
    for doc, score in blended.items():
        scores = by_entry.get(doc >> DOC_ORDINAL_BITS)
        if scores is None:
            by_entry[doc >> DOC_ORDINAL_BITS] = [(-score, doc)]
        else:
            scores.append((-score, doc))
    entries: dict[int, Entry] = {}
    sums: dict[int, float] = {}
    for entry_id, scores in by_entry.items():
        entry = entry_of(entry_id)
        if entry is not None:
            entries[entry_id] = entry
            if len(scores) > 1:
                scores.sort()
            sums[entry_id] = -file_evidence_sum(scores)
    scale = 1.0 / (max(sums.values(), default=0.0) or 1.0)
    chosen = _promising(by_entry, entries, sums, scale, count * _ROUND_ONE_FACTOR)
    beside = _neighbours({doc >> DOC_ORDINAL_BITS for doc in chosen}, sums, entries)
    file_scores: dict[int, float] = {}
    scored: list[tuple[float, str, int, Candidate]] = []
    for doc in chosen:
        entry_id = doc >> DOC_ORDINAL_BITS
        entry = entries[entry_id]
        evidence = sums[entry_id] * scale
        score = blended[doc]
        share = score / (-by_entry[entry_id][0][0] or 1.0)
        candidate = Candidate(doc, entry, path_words(entry.path), score, evidence, share, beside[entry_id])
        base = file_scores.get(entry_id)
        if base is None:
            base = file_scores[entry_id] = _sum(table.file, candidate, context)
        candidate.base = base + _sum(table.chunk, candidate, context)
        scored.append((candidate.base, entry.path, doc, candidate))
    return [row[-1] for row in _spread(scored, context, table)[:count]]


def _neighbours(entry_ids: set[int], evidence: Mapping[int, float], entries: Mapping[int, Entry]) -> dict[int, float]:
    """For each entry the share of all evidence that lies in other files of its folder."""
    folder_of = {}
    totals: dict[tuple[int, str], float] = {}
    for entry_id in entry_ids:
        entry = entries[entry_id]
        folder = folder_of[entry_id] = (entry.pool, entry.path.rpartition("/")[0])
        totals[folder] = totals.get(folder, 0.0) + evidence[entry_id]
    total = sum(totals.values()) or 1.0
    return {entry_id: (totals[folder] - evidence[entry_id]) / total for entry_id, folder in folder_of.items()}


def _promising(
    by_entry: Mapping[int, list[tuple[float, int]]],
    entries: Mapping[int, Entry],
    sums: Mapping[int, float],
    scale: float,
    wanted: int,
) -> list[int]:
    """Docs for round one, best first: at most `_ROUND_ONE_SHARE` of one file while others wait."""
    first: list[tuple[int, str, int, int]] = []
    spare: list[tuple[int, str, int, int]] = []
    for entry_id, entry in entries.items():
        evidence = sums[entry_id] * scale
        for place, (negative, doc) in enumerate(by_entry[entry_id]):
            # Doc ids tell of an index's history, so they must not break ties: path and position do.
            row = (round((negative - evidence) * _UNITS), entry.path, doc & _ORDINALS, doc)
            (first if place < _ROUND_ONE_SHARE else spare).append(row)
    first.sort()
    if len(first) < wanted and spare:
        spare.sort()
        first += spare
    return [row[-1] for row in first[:wanted]]


def added_candidate(doc: int, entry: Entry, blended: float, context: QueryContext, table: RankingTable) -> Candidate:
    """A candidate that no leg found, such as a definition from the symbol leg."""
    candidate = Candidate(doc, entry, path_words(entry.path), blended, 0.0)
    candidate.base = _sum(table.file, candidate, context) + _sum(table.chunk, candidate, context)
    return candidate


def rank(
    candidates: list[Candidate],
    root_of: Callable[[Entry], str],
    context: QueryContext,
    table: RankingTable = RANKING,
) -> list[Ranked]:
    """Round two: all of `candidates`, whose `view` is set, in their final order."""
    if WORDS_PRESENT in table.names:
        _look_for_words(candidates, context)
    scored = []
    for candidate in candidates:
        view = candidate.view
        assert view is not None, "rank() is for hydrated candidates"
        score = candidate.base + _sum(table.text, candidate, context)
        place = (root_of(candidate.entry), candidate.entry.path)
        scored.append((score, place, view.start_line, candidate))
    return [Ranked(score, place[0], candidate) for score, place, _, candidate in _spread(scored, context, table)]


def _look_for_words(candidates: list[Candidate], context: QueryContext) -> None:
    """Set `Candidate.present`. One look per file: what its candidates say together."""
    by_entry: dict[int, list[Candidate]] = {}
    for candidate in candidates:
        by_entry.setdefault(candidate.entry.entry_id, []).append(candidate)
    for own in by_entry.values():
        texts = [candidate.view.text for candidate in own if candidate.view is not None]
        present = share_present(texts, own[0].words, context)
        for candidate in own:
            candidate.present = present


def explain(candidate: Candidate, context: QueryContext, table: RankingTable = RANKING) -> tuple[FeatureShare, ...]:
    """Every feature's share of a ranked candidate's score."""
    return tuple(
        FeatureShare(name, found := value(candidate, context), weight, weight * found)
        for name, weight, _, value, _ in table.features
    )


def _sum(features: _Weighed, candidate: Candidate, context: QueryContext) -> float:
    total = 0.0
    for weight, value in features:
        total += weight * value(candidate, context)
    return total


def _spread(
    scored: list[tuple[float, _Place, int, Candidate]], context: QueryContext, table: RankingTable
) -> list[tuple[float, _Place, int, Candidate]]:
    """Order by score, then place and line; count repeats of a file in that order, charge for them, order again."""
    order = sorted([(round(score * -_UNITS), place, line, n) for n, (score, place, line, _) in enumerate(scored)])
    seen: dict[int, int] = {}
    again = []
    for unit, place, line, n in order:
        candidate = scored[n][-1]
        entry_id = candidate.entry.entry_id
        candidate.repeat = repeat = seen.get(entry_id, 0)
        seen[entry_id] = repeat + 1
        if repeat:
            score = scored[n][0] + _sum(table.order, candidate, context)
            scored[n] = (score, place, line, candidate)
            unit = round(score * -_UNITS)
        again.append((unit, place, line, n))
    again.sort()
    return [scored[n] for *_, n in again]
