"""Ranking: from the legs' blended scores to an order, in rounds, so that expensive features run for few candidates.

Pure. Round one weighs scores and paths and picks a shortlist; its chunks are hydrated by the caller; round two adds
what their text says and spreads files over the page. Equal inputs give equal order: ties go by root, path and line.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from typing import NamedTuple, TypeVar, get_args

from regend.search.legs.fusion import Scores, file_evidence_sum
from regend.search.query.languages import is_code
from regend.search.query.words import identifier_stems, path_words
from regend.search.ranking.coverage import coverage_of
from regend.search.ranking.features import (
    FEATURES,
    Candidate,
    Feature,
    FeatureScope,
    FeatureShare,
    FileFacts,
    QueryContext,
    names_in,
    symbol_fit,
)
from regend.store.base import ChunkView, Entry
from regend.types import DOC_ORDINAL_BITS, PoolId

_Place = TypeVar("_Place", str, tuple[str, str])

_SPARE = 32
"""Candidates of round one beyond the places of the shortlist."""
_ROUND_ONE_SHARE = 2
"""Chunks of one file in round one while others wait. NDCG@10 was the same with 2 and 3; more only cost time."""
_UNITS = 10_000
"""Scores that differ by less than one part of this are equal: sums of floats depend on their order, and
that on the order in which files were indexed."""
_ORDINALS = (1 << DOC_ORDINAL_BITS) - 1
_NO_CODE = ("prose", "data")


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
    scores: Scores,
    entry_of: Callable[[int], Entry | None],
    context: QueryContext,
    count: int,
    table: RankingTable = RANKING,
) -> tuple[list[Candidate], dict[int, FileFacts]]:
    """Return the `count` most promising candidates (round one), best first, and the facts of all files by entry id.

    Args:
        entry_of: the entry of an id if it is live and in scope.
    """
    files = _files(scores, entry_of)
    chosen = _promising(files, count + _SPARE)
    _set_neighbours(dict.fromkeys(found.file for found, _, _ in chosen))
    scored: list[tuple[float, str, int, Candidate]] = []
    bases: dict[FileFacts, float] = {}
    for found, negative, doc in chosen:
        meaning = scores.meaning.get(doc, 0.0) / (found.file.meaning or 1.0)
        candidate = Candidate(doc, found.file, negative / (found.scores[0][0] or 1.0), meaning)
        base = bases.get(found.file)
        if base is None:
            base = bases[found.file] = _sum(table.file, candidate, context)
        candidate.base = base + _sum(table.chunk, candidate, context)
        scored.append((candidate.base, found.file.entry.path, doc, candidate))
    facts = {found.file.entry.entry_id: found.file for found in files}
    return [row[-1] for row in _spread(scored, context, table)[:count]], facts


class _Found(NamedTuple):
    """A file, and its chunks' negative blended scores with their docs, best first."""

    file: FileFacts
    scores: list[tuple[float, int]]


def _files(given: Scores, entry_of: Callable[[int], Entry | None]) -> list[_Found]:
    """Group the candidates by file, each file's best first."""
    by_entry: dict[int, list[tuple[float, int]]] = {}
    for doc, score in given.blended.items():
        by_entry.setdefault(doc >> DOC_ORDINAL_BITS, []).append((-score, doc))
    found = []
    for entry_id, scores in by_entry.items():
        entry = entry_of(entry_id)
        if entry is None:
            continue
        scores.sort()
        words = [given.words.get(doc, 0.0) for _, doc in scores]
        meaning = [given.meaning.get(doc, 0.0) for _, doc in scores]
        file = FileFacts(
            entry, path_words(entry.path), max(words), max(meaning), file_evidence_sum(words),
            file_evidence_sum(meaning), file_evidence_sum(-score for score, _ in scores),
        )  # fmt: skip
        found.append(_Found(file, scores))
    files = [each.file for each in found]
    words_scale, meaning_scale, scale = (
        1.0 / (max(values, default=0.0) or 1.0)
        for values in ([f.all_words for f in files], [f.all_meaning for f in files], [f.evidence for f in files])
    )
    languages = Counter(file.entry.language for file in files if _is_code(file.entry))
    code = languages.total() or 1
    for file in files:
        file.all_words *= words_scale
        file.all_meaning *= meaning_scale
        file.evidence *= scale
        if _is_code(file.entry):
            file.language_share = languages[file.entry.language] / code
    return found


def _is_code(entry: Entry) -> bool:
    return is_code(entry.language) and path_words(entry.path).role not in _NO_CODE


def _promising(files: list[_Found], wanted: int) -> list[tuple[_Found, float, int]]:
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


def _rows(files: list[_Found], start: int, end: int | None) -> list[tuple[int, str, int, int, float, int]]:
    # Doc ids follow the order in which files were indexed, so they must not break ties: path and position do.
    return [
        (round((negative - file.evidence) * _UNITS), file.entry.path, doc & _ORDINALS, n, negative, doc)
        for n, (file, scores) in enumerate(files)
        for negative, doc in scores[start:end]
    ]


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
    scored = []
    for candidate in candidates:
        view = candidate.view
        assert view is not None, "rank() is for hydrated candidates"
        score = candidate.base + _sum(table.text, candidate, context)
        place = (root_of(candidate.entry), candidate.entry.path)
        scored.append((score, place, view.start_line, candidate))
    return [Ranked(score, place[0], candidate) for score, place, _, candidate in _spread(scored, context, table)]


def _read(file: FileFacts, candidates: list[Candidate], context: QueryContext) -> None:
    """Set what the candidates' texts say of them and of their file."""
    weights = context.weights
    held = set(file.path.name | file.path.folders)
    for candidate in candidates:
        view = candidate.view
        assert view is not None, "rank() is for hydrated candidates"
        found = coverage_of(view.text, weights)
        held |= found.stems
        candidate.covered = weights.share_of(found.stems | identifier_stems(view.symbol) | file.path.name)
        file.covered = max(file.covered, candidate.covered)
        file.together = max(file.together, found.together)
        file.names = max(file.names, names_in(view.text, context))
        candidate.symbol = symbol_fit(view.symbol, context)
        file.symbol = max(file.symbol, candidate.symbol)
        file.tokens = max(file.tokens, view.token_count)
    file.present = weights.share_of(held)
    for candidate in candidates:
        candidate.covered /= file.covered or 1.0


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
