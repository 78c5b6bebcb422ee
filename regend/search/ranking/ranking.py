"""Ranking: from the legs' blended scores to an order, in rounds, so that expensive features run for few candidates.

Pure. Round one weighs scores and paths and picks a shortlist; its chunks are hydrated by the caller; round two adds
what their text says and spreads files over the page. Equal inputs give equal order: ties go by root, path and line.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar, get_args

from regend.search.legs.fusion import file_evidence_sum
from regend.search.query.words import PathWords, path_words
from regend.search.ranking.features import (
    FEATURES,
    WORDS_PRESENT,
    Candidate,
    Feature,
    FeatureScope,
    FeatureShare,
    QueryContext,
    share_present,
)
from regend.store.base import ChunkView, Entry
from regend.types import DOC_ORDINAL_BITS, PoolId

_Place = TypeVar("_Place", str, tuple[str, str])

_ROUND_ONE_FACTOR = 2
"""Candidates of round one for each place of the shortlist. NDCG@10 was the same with 2, 3 and 4."""
_ROUND_ONE_SHARE = 2
"""Chunks of one file in round one while others wait. NDCG@10 was the same with 2 and 3; more only cost time."""
_UNITS = 10_000
"""Scores that differ by less than one part of this are equal: sums of floats depend on their order, and
that on the order in which files were indexed."""
_ORDINALS = (1 << DOC_ORDINAL_BITS) - 1


_Weighed = tuple[tuple[float, Callable[[Candidate, QueryContext], float]], ...]


class RankingTable:
    """The features in use, evaluated and explained in the given order. Leave rows out to see what each is worth.

    Attributes:
        file, chunk, text, order: the weights with functions of each scope.
    """

    def __init__(self, features: Iterable[Feature]) -> None:
        self.features = tuple(features)
        self.names = frozenset(feature.name for feature in self.features)
        self.file, self.chunk, self.text, self.order = map(self._in_scope, get_args(FeatureScope))

    def _in_scope(self, scope: FeatureScope) -> _Weighed:
        return tuple((feature.weight, feature.value) for feature in self.features if feature.scope == scope)

    def asked(self, context: QueryContext) -> RankingTable:
        """Return the table without the rows that are 0 for every candidate of this query."""
        return RankingTable(feature for feature in self.features if feature.asked(context))


RANKING = RankingTable(FEATURES)


class Ranked(NamedTuple):
    """A hydrated candidate in its final order.

    Attributes:
        root: path of the root under which it is shown.
        shares: what was added to the sum of its features.
    """

    score: float
    root: str
    candidate: Candidate
    shares: tuple[FeatureShare, ...] = ()

    @property
    def place(self) -> tuple[str, str]:
        """The root and the path of its file."""
        return self.root, self.candidate.entry.path

    @property
    def view(self) -> ChunkView:
        assert self.candidate.view is not None, "only hydrated candidates are ranked"
        return self.candidate.view


def shortlist(
    blended: Mapping[int, float],
    entry_of: Callable[[int], Entry | None],
    context: QueryContext,
    count: int,
    table: RankingTable = RANKING,
    words_of: Callable[[Entry], PathWords] = lambda entry: path_words(entry.path),
) -> list[Candidate]:
    """Return the `count` most promising candidates (round one), best first, with `Candidate.base` set.

    Args:
        blended: score in 0..1 by doc.
        entry_of: the entry of an id if it is live and in scope.
        words_of: what its path, and what the index knows of it, say of an entry.
    """
    files = _files(blended, entry_of)
    chosen = _promising(files, count * _ROUND_ONE_FACTOR)
    _set_neighbours(dict.fromkeys(file for file, _, _ in chosen))
    scored: list[tuple[float, str, int, Candidate]] = []
    for file, negative, doc in chosen:
        entry = file.entry
        share = negative / (file.scores[0][0] or 1.0)
        candidate = Candidate(doc, entry, words_of(entry), -negative, file.evidence, share, file.neighbours)
        if file.base is None:
            file.base = _sum(table.file, candidate, context)
        base = candidate.base = file.base + _sum(table.chunk, candidate, context)
        scored.append((base, entry.path, doc, candidate))
    return [row[-1] for row in _spread(scored, context, table)[:count]]


@dataclass(slots=True, eq=False)
class _File:
    """A file as round one knows it; owned by one query.

    Attributes:
        scores: its chunks' negative scores with their docs, best first.
        evidence: see `Candidate.evidence`; so is `neighbours`.
        base: sum of its ``file`` features, once known.
    """

    entry: Entry
    scores: list[tuple[float, int]]
    evidence: float
    neighbours: float = 0.0
    base: float | None = None


def _files(blended: Mapping[int, float], entry_of: Callable[[int], Entry | None]) -> list[_File]:
    """Group the candidates by file, each file's best first."""
    by_entry: dict[int, list[tuple[float, int]]] = {}
    for doc, score in blended.items():
        scores = by_entry.get(doc >> DOC_ORDINAL_BITS)
        if scores is None:
            by_entry[doc >> DOC_ORDINAL_BITS] = [(-score, doc)]
        else:
            scores.append((-score, doc))
    files = []
    top = 0.0
    for entry_id, scores in by_entry.items():
        entry = entry_of(entry_id)
        if entry is None:
            continue
        if len(scores) > 1:
            scores.sort()
            evidence = -file_evidence_sum(scores)
        else:
            evidence = -scores[0][0]
        if evidence > top:
            top = evidence
        files.append(_File(entry, scores, evidence))
    scale = 1.0 / (top or 1.0)
    for file in files:
        file.evidence *= scale
    return files


def _promising(files: list[_File], wanted: int) -> list[tuple[_File, float, int]]:
    """Return file, negative score and doc of the chunks for round one, best first.

    While other files wait, at most `_ROUND_ONE_SHARE` chunks of a file are among them.
    """
    first = _rows(files, 0, _ROUND_ONE_SHARE)
    first.sort()
    if len(first) < wanted:
        spare = _rows(files, _ROUND_ONE_SHARE, None)
        spare.sort()
        first += spare
    return [(files[n], score, doc) for _, _, _, n, score, doc in first[:wanted]]


def _rows(files: list[_File], start: int, end: int | None) -> list[tuple[int, str, int, int, float, int]]:
    # Doc ids follow the order in which files were indexed, so they must not break ties: path and position do.
    return [
        (round((negative - file.evidence) * _UNITS), file.entry.path, doc & _ORDINALS, n, negative, doc)
        for n, file in enumerate(files)
        for negative, doc in file.scores[start:end]
    ]


def _set_neighbours(files: Collection[_File]) -> None:
    """Set each file's share of all evidence that lies in other files of its folder."""
    folder_of: list[tuple[PoolId, str]] = []
    totals: dict[tuple[PoolId, str], float] = {}
    for file in files:
        folder = (file.entry.pool, path_words(file.entry.path).folder)
        folder_of.append(folder)
        totals[folder] = totals.get(folder, 0.0) + file.evidence
    total = sum(totals.values()) or 1.0
    for file, folder in zip(files, folder_of, strict=True):
        file.neighbours = (totals[folder] - file.evidence) / total


def added_candidate(
    doc: int,
    entry: Entry,
    blended: float,
    context: QueryContext,
    table: RankingTable,
    words_of: Callable[[Entry], PathWords] = lambda entry: path_words(entry.path),
) -> Candidate:
    """Make a candidate that no leg found, such as a definition from the symbol leg."""
    candidate = Candidate(doc, entry, words_of(entry), blended, 0.0)
    candidate.base = _sum(table.file, candidate, context) + _sum(table.chunk, candidate, context)
    return candidate


def rank(
    candidates: list[Candidate],
    root_of: Callable[[Entry], str],
    context: QueryContext,
    table: RankingTable = RANKING,
) -> list[Ranked]:
    """Return all of `candidates`, whose `view` is set, in their final order (round two)."""
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
    """Return every feature's share of a ranked candidate's score."""
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
