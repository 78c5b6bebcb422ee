"""Ranking: from the legs' blended scores to an order, in rounds, so that expensive features run for few candidates.

Pure. Round one weighs scores and paths and picks a shortlist; its chunks are hydrated by the caller; round two adds
what their text says and spreads files over the page. Equal inputs give equal order: ties go by root, path and line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from regend.search.legs.fusion import Scores
from regend.search.query.languages import is_code
from regend.search.query.words import PathWords, identifier_stems, path_words
from regend.search.ranking.coverage import coverage_of
from regend.search.ranking.features import (
    FEATURES,
    Candidate,
    Feature,
    FeatureScope,
    FeatureShare,
    FileFacts,
    QueryContext,
    add_pairs,
    names_in,
    symbol_fit,
)
from regend.store.base import ChunkView, Entry
from regend.types import DOC_ORDINAL_BITS, PoolId

Floats = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]
_Place = TypeVar("_Place", str, tuple[str, str])

_SPARE = 32
"""Candidates of round one beyond the places of the shortlist."""
_ROUND_ONE_SHARE = 2
"""Chunks of one file in round one while others wait. NDCG@10 was the same with 2 and 3; more only cost time."""
_REPEATS = 2.0
"""More than what `same_file_again` charges: with as much, NDCG@10 of headings was 0.006 less on *choose*."""
_UNITS = 10_000
"""Scores that differ by less than one part of this are equal: sums of floats depend on their order, and
that on the order in which files were indexed."""
EVIDENCE_CHUNKS = 5
"""Maximum chunks that count for a file, so that long files are not favoured. NDCG@10 on nine repositories of the
development split, with chunks cut at definitions, was 0.835, 0.836, 0.841 and 0.842 with 2, 3, 5 and 8."""
_ORDINALS = (1 << DOC_ORDINAL_BITS) - 1
_NO_CODE = ("prose", "data")


_Weighed = tuple[tuple[float, Callable[[Candidate, QueryContext], float]], ...]


class RankingTable:
    """The features in use, evaluated and explained in the given order. Leave rows out to see what each is worth.

    Attributes:
        file, chunk, read, text, order: the weights with functions of each scope.
    """

    def __init__(self, features: Iterable[Feature]) -> None:
        self.features = tuple(features)
        self.names = frozenset(feature.name for feature in self.features)
        self.file, self.chunk, self.read, self.text, self.order = map(self._in_scope, get_args(FeatureScope))

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
    scores: Scores,
    entry_of: Callable[[int], Entry | None],
    context: QueryContext,
    count: int,
    table: RankingTable = RANKING,
    words_of: Callable[[Entry], PathWords] = lambda entry: path_words(entry.path, entry.marks),
) -> tuple[list[Candidate], FoundFiles]:
    """Return the `count` most promising candidates (round one), best first, and what was found of all files.

    Args:
        entry_of: the entry of an id if it is live and in scope.
        words_of: what its path, and what the index knows of it, say of an entry.
    """
    found = FoundFiles(scores, entry_of, words_of)
    chosen = [
        (found.facts_of(found.entries[place]), found.best_scores[place], score, doc)
        for place, score, doc in _promising(found, count + _SPARE)
    ]
    files = dict.fromkeys(file for file, _, _, _ in chosen)
    _set_neighbours(files)
    _set_language_shares(files)
    scored: list[tuple[float, str, int, Candidate]] = []
    bases: dict[FileFacts, float] = {}
    for file, best, score, doc in chosen:
        candidate = Candidate(doc, file, score / (best or 1.0), scores.meaning.get(doc, 0.0) / (file.meaning or 1.0))
        base = bases.get(file)
        if base is None:
            base = bases[file] = _sum(table.file, candidate, context)
        candidate.base = base + _sum(table.chunk, candidate, context)
        scored.append((candidate.base, file.entry.path, doc, candidate))
    return [row[-1] for row in _spread(scored, _repeats)[:count]], found


class FoundFiles:
    """Candidates of the legs by file. Facts of a file are made when they are asked for: most files are not.

    Arrays of chunks are in the order of their files, best chunk first; those of files have a place for each file.

    Attributes:
        docs, scores: int64 and float64 [chunks], the blended scores.
        file_of, rank: int64 [chunks], the place of each chunk's file, and how many of the file's chunks are better.
        entries: of the files, in the order of their ids.
        best_scores, evidence: float64 [files], see `FileFacts`.
    """

    def __init__(
        self, given: Scores, entry_of: Callable[[int], Entry | None], words_of: Callable[[Entry], PathWords]
    ) -> None:
        self._words_of = words_of
        self._facts: dict[int, FileFacts] = {}
        docs = np.fromiter(given.blended, np.int64, len(given.blended))
        ids, file_of = np.unique(docs >> DOC_ORDINAL_BITS, return_inverse=True)
        entries = [entry_of(entry_id) for entry_id in ids.tolist()]
        self.entries = [entry for entry in entries if entry is not None]
        if len(self.entries) < len(entries):
            live = np.array([entry is not None for entry in entries], np.bool_)
            kept = live[file_of]
            docs, file_of = docs[kept], (np.cumsum(live) - 1)[file_of[kept]]
        asked = docs.tolist()
        blended, words, meaning = (
            np.array([each.get(doc, 0.0) for doc in asked], np.float64)
            for each in (given.blended, given.words, given.meaning)
        )
        order = np.lexsort((docs, -blended, file_of))
        self.docs, self.scores, self.file_of = docs[order], blended[order], file_of[order]
        first = np.flatnonzero(np.diff(self.file_of, prepend=-1))
        self.rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
        self.best_scores = self.scores[first].tolist()
        self._place = {entry.entry_id: place for place, entry in enumerate(self.entries)}
        self.evidence = _evidence(blended, file_of, len(first))
        self._all_words = _evidence(words, file_of, len(first))
        self._words, self._meaning = _best(words, file_of, len(first)), _best(meaning, file_of, len(first))

    def facts_of(self, entry: Entry) -> FileFacts:
        """Return the facts of a file, which may be one that the legs did not find."""
        file = self._facts.get(entry.entry_id)
        if file is None:
            file = self._facts[entry.entry_id] = FileFacts(entry, self._words_of(entry))
            place = self._place.get(entry.entry_id)
            if place is not None:
                file.words, file.meaning = float(self._words[place]), float(self._meaning[place])
                file.all_words, file.evidence = float(self._all_words[place]), float(self.evidence[place])
        return file


def _best(values: Floats, file_of: Numbers, count: int) -> Floats:
    """Return the highest value of each file."""
    best = np.zeros(count)
    np.maximum.at(best, file_of, values)
    return best


def _evidence(values: Floats, file_of: Numbers, count: int) -> Floats:
    """Add the highest `EVIDENCE_CHUNKS` of each file's values, as a share of the most that a file has."""
    order = np.lexsort((-values, file_of))
    of_file = file_of[order]
    kept = np.ones(len(order), np.bool_)
    kept[EVIDENCE_CHUNKS:] = of_file[EVIDENCE_CHUNKS:] != of_file[:-EVIDENCE_CHUNKS]
    sums = np.bincount(of_file[kept], values[order][kept], count)
    return sums / (sums.max(initial=0.0) or 1.0)


def _is_code(file: FileFacts) -> bool:
    return is_code(file.entry.language) and file.path.role not in _NO_CODE


def _promising(found: FoundFiles, wanted: int) -> list[tuple[int, float, int]]:
    """Return the place of the file, score and doc of the chunks for round one, best first.

    While other files wait, at most `_ROUND_ONE_SHARE` chunks of a file are among them.
    """
    units = np.rint((found.scores + found.evidence[found.file_of]) * -_UNITS).astype(np.int64)
    chosen = _first_of(found, units, np.flatnonzero(found.rank < _ROUND_ONE_SHARE), wanted)
    if len(chosen) < wanted:
        chosen += _first_of(found, units, np.flatnonzero(found.rank >= _ROUND_ONE_SHARE), wanted - len(chosen))
    places, scores, docs = (each[chosen].tolist() for each in (found.file_of, found.scores, found.docs))
    return list(zip(places, scores, docs, strict=True))


def _first_of(found: FoundFiles, units: Numbers, rows: Numbers, wanted: int) -> list[int]:
    """Return the first `wanted` of `rows` by unit, path and position."""
    if len(rows) > wanted:
        rows = rows[units[rows] <= np.partition(units[rows], wanted - 1)[wanted - 1]]
    # Doc ids follow the order in which files were indexed, so they must not break ties: path and position do.
    named = [
        (unit, found.entries[place].path, doc & _ORDINALS, place, row)
        for unit, place, doc, row in zip(
            units[rows].tolist(), found.file_of[rows].tolist(), found.docs[rows].tolist(), rows.tolist(), strict=True
        )
    ]
    named.sort()
    return [row for *_, row in named[:wanted]]


def _set_language_shares(files: Collection[FileFacts]) -> None:
    """Set for each file of code the share of those in its language."""
    code = [file for file in files if _is_code(file)]
    languages = Counter(file.entry.language for file in code)
    for file in code:
        file.language_share = languages[file.entry.language] / len(code)


def _set_neighbours(files: Collection[FileFacts]) -> None:
    """Set each file's share of all evidence that lies in other files of its folder."""
    folder_of: list[tuple[PoolId, str]] = []
    totals: dict[tuple[PoolId, str], float] = {}
    for file in files:
        folder = (file.entry.pool, file.path.folder)
        folder_of.append(folder)
        totals[folder] = totals.get(folder, 0.0) + file.evidence
    total = sum(totals.values()) or 1.0
    for file, folder in zip(files, folder_of, strict=True):
        file.neighbours = (totals[folder] - file.evidence) / total


def added_candidate(doc: int, file: FileFacts, context: QueryContext, table: RankingTable = RANKING) -> Candidate:
    """Make a candidate that is not on the shortlist, such as a definition from the symbol leg."""
    candidate = Candidate(doc, file)
    candidate.base = _sum(table.file, candidate, context) + _sum(table.chunk, candidate, context)
    return candidate


def rank(
    candidates: list[Candidate],
    root_of: Callable[[Entry], str],
    context: QueryContext,
    table: RankingTable = RANKING,
) -> list[Ranked]:
    """Return all of `candidates`, whose `view` is set, in their final order (round two)."""
    by_file: dict[FileFacts, list[Candidate]] = {}
    for candidate in candidates:
        by_file.setdefault(candidate.file, []).append(candidate)
    for file, own in by_file.items():
        _read(file, own, context)
    if "pairs" in table.names:
        add_pairs({file: own[0] for file, own in by_file.items()}, context)
    bases = {file: _sum(table.read, own[0], context) for file, own in by_file.items()}
    scored = []
    for candidate in candidates:
        view = candidate.view
        assert view is not None, "rank() is for hydrated candidates"
        score = candidate.base + bases[candidate.file] + _sum(table.text, candidate, context)
        place = (root_of(candidate.entry), candidate.entry.path)
        scored.append((score, place, view.start_line, candidate))
    spread = _spread(scored, lambda candidate: _sum(table.order, candidate, context))
    return [Ranked(score, place[0], candidate) for score, place, _, candidate in spread]


def _read(file: FileFacts, candidates: list[Candidate], context: QueryContext) -> None:
    """Set what the candidates' texts say of them and of their file."""
    weights = context.weights
    name = weights.held(file.path.name)
    held = name | weights.held(file.path.folders)
    for candidate in candidates:
        view = candidate.view
        assert view is not None, "rank() is for hydrated candidates"
        found = coverage_of(view.text, weights)
        held |= found.held
        candidate.covered = weights.share_of(found.held | name | weights.held(identifier_stems(view.symbol)))
        candidate.symbol, candidate.apart = symbol_fit(view.symbol, context), -found.together
        file.covered = max(file.covered, candidate.covered)
        file.together = max(file.together, found.together)
        file.symbol = max(file.symbol, candidate.symbol)
        file.tokens = max(file.tokens, view.token_count)
        if context.names:
            file.names = max(file.names, names_in(view.text, context))
    file.present = weights.share_of(held)
    for candidate in candidates:
        candidate.covered /= file.covered or 1.0
        candidate.apart += file.together


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


def _repeats(candidate: Candidate) -> float:
    """Charge for a repeat on the shortlist, which is to hold many files."""
    return _REPEATS * (0.5**candidate.repeat - 1.0)


def _spread(
    scored: list[tuple[float, _Place, int, Candidate]], charge: Callable[[Candidate], float]
) -> list[tuple[float, _Place, int, Candidate]]:
    """Order by score, then place and line; see in that order what repeats a file, charge for it, order again."""
    order = sorted([(round(score * -_UNITS), place, line, n) for n, (score, place, line, _) in enumerate(scored)])
    seen: dict[int, int] = {}
    best: dict[int, float] = {}
    again = []
    for unit, place, line, n in order:
        score, _, _, candidate = scored[n]
        entry_id = candidate.entry.entry_id
        candidate.repeat = repeat = seen.get(entry_id, 0)
        seen[entry_id] = repeat + 1
        candidate.behind = best.setdefault(entry_id, score) - score
        if repeat:
            score += charge(candidate)
            scored[n] = (score, place, line, candidate)
            unit = round(score * -_UNITS)
        again.append((unit, place, line, n))
    again.sort()
    return [scored[n] for *_, n in again]
