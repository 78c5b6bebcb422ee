"""Legs: candidates from words, from meaning and from symbol tables, each bounded, together as blended scores."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from regend.search.legs.fusion import Scores, blend
from regend.search.legs.scope import Scope
from regend.search.query.words import file_role, standing
from regend.store.base import (
    NO_CONDITIONS,
    ChunkConditions,
    FloatVector,
    Hit,
    LexicalQuery,
    PoolSnapshot,
    Snapshot,
    SymbolView,
)
from regend.types import DOC_ORDINAL_BITS

Vector = FloatVector

BODY_BOOST = 1.0
SYMBOL_BOOST = 0.7
PATH_BOOST = 0.4
"""Chunks cut at definitions are short, and words of the path soon outweigh what they say; the ranking's features look
at names and paths more closely. NDCG@10 over repositories left out was 0.900 with 1 and 0.6, 0.889 with 1 and 2.5,
0.889 with 2 and 0.6, and between 0.899 and 0.907 with 0.25 to 1 and 0.3 to 0.6, without a clear best."""

_LEXICAL_HITS = 200
_VECTOR_HITS = 100
_FILLED_IN = 200
"""Best lexical candidates that get their exact cosine where the vector leg did not find them."""
_MOST_FILLED_IN = 512
"""Maximum candidates that get it because they tie with the last of these. Where more tie, none of them gets it: a
choice among equals would depend on the order in which files were indexed."""
_MAX_DEFINITIONS = 64
_MOST_DEFINITIONS = 1_000
"""Maximum definitions of a name among which the main one is looked for."""
_NOT_MAIN = 0.9
"""Factor of the grade of a definition behind the main one of its name. A guess."""
_ENDINGS = ("?", "!", "=", ":")
"""Endings of names in Ruby, Elixir and Objective-C that a user may leave out."""
_BODY_LINES = 2
"""A definition of fewer further lines has no body worth the name, if another one has."""
_DATA_KINDS = frozenset({"key", "element"})
_HEADING = "section"
_KEY = 99
_TIED = 1e-5
"""Scores within this share of each other are equal: BM25 is summed in single precision."""
_MANY_HITS = 2_000
"""Hits of a deep look, which ties and quoted text need."""
_LOOKED_AT = 8
"""Factor by which the vector leg looks deeper under conditions; beyond that only shared words find a chunk."""


@dataclass(frozen=True, slots=True)
class Definitions:
    """Definitions of the query's names.

    Attributes:
        grades: by (entry id, first line): 1 for the exact name, less for a looser match.
        views: the same definitions, best first.
    """

    grades: dict[tuple[int, int], float]
    views: tuple[SymbolView, ...]

    def joined(self, others: Definitions) -> Definitions:
        """Return these definitions, and behind them the others, which count a little less."""
        grades = {**{key: 0.9 * grade for key, grade in others.grades.items()}, **self.grades}
        known = self.grades.keys()
        rest = tuple(view for view in others.views if (view.entry_id, view.start_line) not in known)
        return Definitions(grades, self.views + rest)

    def among(self, counts: Callable[[SymbolView], bool]) -> Definitions:
        """Return those definitions that count."""
        return _definitions([(self.grades[v.entry_id, v.start_line], v) for v in self.views if counts(v)])

    def grade_within(self, entry_id: int, start_line: int, end_line: int) -> float:
        """Return the best grade of a definition that begins within the lines, or 0."""
        return max((grade for _, grade in self._within(entry_id, start_line, end_line)), default=0.0)

    def view_within(self, entry_id: int, start_line: int, end_line: int) -> SymbolView | None:
        """Return the first of the best definitions that begin within the lines."""
        within = self._within(entry_id, start_line, end_line)
        if not within:
            return None
        line, _ = min(within, key=lambda found: (-found[1], found[0]))
        return next(view for view in self.views if (view.entry_id, view.start_line) == (entry_id, line))

    def _within(self, entry_id: int, start_line: int, end_line: int) -> list[tuple[int, float]]:
        return [
            (line, grade)
            for (entry, line), grade in self.grades.items()
            if entry == entry_id and start_line <= line <= end_line
        ]


NO_DEFINITIONS = Definitions({}, ())


def blended_candidates(
    scope: Scope,
    terms: tuple[str, ...],
    vector: Vector | None,
    weight: float,
    k: int,
    conditions: ChunkConditions = NO_CONDITIONS,
) -> Scores:
    """Return the scores of both legs over all pools in scope.

    Args:
        vector: of the query, float32 [dim], L2-normalised; None leaves the vector leg out.
        weight: of the vector leg beside the lexical leg's 1.
        conditions: what a chunk must and must not be.
    """
    lexical_limit, vector_limit = max(_LEXICAL_HITS, 2 * k), max(_VECTOR_HITS, k)
    if conditions.sifted:
        lexical_limit = max(lexical_limit, _MANY_HITS)
    query = LexicalQuery(terms, body=BODY_BOOST, symbol=SYMBOL_BOOST, path=PATH_BOOST, conditions=conditions)
    bm25: dict[int, float] = {}
    cosine: dict[int, float] = {}
    for pool, allow in scope.pools:
        if allow is not None and not allow:
            continue
        hits = _whole_ties(partial(pool.lexical, query, allow=allow), lexical_limit, k + 1) if terms else []
        hits = _counting(scope, pool, hits)
        bm25.update(hits)
        if vector is None or weight <= 0.0:
            continue
        # Where words fill the page, meaning need not, and a deep look for vectors is expensive.
        least = 1 if len(hits) > k else k + 1
        near = dict(_counting(scope, pool, _nearest(pool, vector, vector_limit, allow, conditions, least)))
        missing = [hit.doc for hit in _best(hits, _FILLED_IN) if hit.doc not in near]
        if near and missing:
            exact = pool.similarity(vector, missing)
            near.update((doc, score) for doc, score in zip(missing, exact, strict=True) if score is not None)
        cosine.update(near)
    return blend(bm25, cosine, weight)


def _counting(scope: Scope, pool: PoolSnapshot, hits: list[Hit]) -> list[Hit]:
    """Return the hits without those that an inner root has, too; that one's own leg finds them."""
    if not scope.inner:
        return hits
    return [hit for hit in hits if scope.roots_of(pool.entries[hit.doc >> DOC_ORDINAL_BITS])]


def _nearest(
    pool: PoolSnapshot,
    vector: Vector,
    limit: int,
    allow: frozenset[int] | None,
    conditions: ChunkConditions,
    least: int,
) -> list[Hit]:
    """Find about `limit` nearest chunks that meet the conditions, of which vectors know nothing: it looks deeper."""
    find = partial(pool.nearest, vector, allow=allow)
    if not conditions:
        return _whole_ties(find, limit, least)
    hits = _whole_ties(find, _LOOKED_AT * limit, least)
    kept = pool.passing([hit.doc for hit in hits], conditions)
    found = [hit for hit in hits if hit.doc in kept]
    return found if len(found) <= limit else _above_the_cut(found[: limit + 1], limit + 1) or found


def _best(hits: list[Hit], count: int) -> list[Hit]:
    """Return the first `count` hits and those that tie with the last of them, up to `_MOST_FILLED_IN`."""
    if len(hits) <= count:
        return hits
    least = hits[count - 1].score * (1.0 - _TIED)
    tied = [hit for hit in hits[: _MOST_FILLED_IN + 1] if hit.score >= least]
    return tied if len(tied) <= _MOST_FILLED_IN else _above_the_cut(tied, len(tied))


def _whole_ties(find: Callable[[int], list[Hit]], limit: int, least: int) -> list[Hit]:
    """Return hits without those that tie with the last one where the leg was cut off.

    Which of the tied hits came depends on the order in which files were indexed, and equal files must give equal
    answers. Where fewer than `least` hits are left, the leg looks deeper: a word that two hundred equal files and four
    better ones hold must not find these four only.
    """
    hits = find(limit)
    kept = _above_the_cut(hits, limit)
    if len(kept) >= least or len(hits) < limit:
        return kept
    limit = max(limit, _MANY_HITS)
    hits = find(limit)
    return _above_the_cut(hits, limit) or hits


def _above_the_cut(hits: list[Hit], limit: int) -> list[Hit]:
    if len(hits) < limit:
        return hits
    above = hits[-1].score + abs(hits[-1].score) * _TIED
    kept = len(hits)
    while kept and hits[kept - 1].score <= above:
        kept -= 1
    return hits[:kept]


def find_definitions(
    snapshot: Snapshot, scope: Scope, names: tuple[str, ...], conditions: ChunkConditions = NO_CONDITIONS
) -> Definitions:
    """Find the definitions in scope of each name, or of the last part of a qualified name that is unknown.

    Grades: 1 exact, 0.8 equal but for case, 0.5 last part only. A prefix does not count. See `_main_first` for equals.

    Args:
        conditions: of these the kinds, which must be those of the definitions themselves.
    """
    grades: dict[tuple[int, int], float] = {}
    views: dict[tuple[int, int], SymbolView] = {}
    for name in names:
        found = _matching(snapshot, scope, name, 1.0, conditions)
        last = name.rpartition(".")[2]
        if not found and last != name:
            found = _matching(snapshot, scope, last, 0.5, conditions)
        for grade, view in found:
            key = (view.entry_id, view.start_line)
            if grade > grades.get(key, 0.0):
                grades[key] = grade
                views[key] = view
    return main_definitions(scope, [(grades[key], view) for key, view in views.items()])


def exact_definitions(snapshot: Snapshot, scope: Scope, name: str, conditions: ChunkConditions) -> Definitions:
    """Find definitions in scope whose name or qualified path is `name`, to the letter, or a heading in any case."""
    found = [
        (1.0, view)
        for _, view in _matching(snapshot, scope, name, 1.0, conditions)
        if name in (view.name, view.path) or view.path.endswith("." + name) or view.kind == _HEADING
    ]
    return main_definitions(scope, found)


def main_definitions(scope: Scope, found: list[tuple[float, SymbolView]]) -> Definitions:
    """Return definitions with their grades, the main one of each name first; see `_main_first`."""
    return _definitions(_main_first(scope, found))


def _definitions(graded: list[tuple[float, SymbolView]]) -> Definitions:
    grades = {(view.entry_id, view.start_line): grade for grade, view in graded}
    return Definitions(grades, tuple(view for _, view in graded))


def are_named_in_code(definitions: Definitions) -> bool:
    """Return whether one of the definitions is neither a heading nor a key of a data file."""
    return any(view.kind != _HEADING and view.kind not in _DATA_KINDS for view in definitions.views)


def _matching(
    snapshot: Snapshot, scope: Scope, name: str, grade: float, conditions: ChunkConditions
) -> list[tuple[float, SymbolView]]:
    find = partial(snapshot.symbols, limit=_MOST_DEFINITIONS, within=scope.holds if scope.limited else None)
    views = find(name, prefix=False)
    if not views and name[-1:].isalnum():
        views = [view for ending in _ENDINGS for view in find(name + ending, prefix=ending == ":")]
    found = []
    for view in views:
        match = name_grade(view, name)
        wanted = not conditions.kinds or view.kind in conditions.kinds
        if match >= 0.8 and wanted and view.kind not in conditions.without_kinds and scope.holds(view.entry_id):
            found.append((grade * match, view))
    return found


def _main_first(scope: Scope, found: list[tuple[float, SymbolView]]) -> list[tuple[float, SymbolView]]:
    """Return the best `_MAX_DEFINITIONS` with the main one first; the others of its name get a lower grade.

    Keys of data files count only where no code defines the name. Source comes before tests, copies and the like, and
    one with a body before a declaration or an overload without one.
    """
    rows: list[tuple[float, int, bool, str, SymbolView]] = []
    for grade, view in found:
        entry = scope.entry(view.entry_id)
        path, marks = ("", "") if entry is None else (entry.path, entry.marks)
        is_key = view.kind in _DATA_KINDS or file_role(path, marks) == "data"
        behind = _KEY if is_key else standing(path, marks=marks)
        rows.append((-grade, behind, view.end_line - view.start_line < _BODY_LINES, path, view))
    if any(row[1] != _KEY for row in rows):
        rows = [row for row in rows if row[1] != _KEY]
    rows.sort(key=lambda row: (*row[:4], row[4].start_line))
    best: dict[str, tuple[int, bool]] = {}
    graded = []
    for negative, behind, bodiless, _, view in rows[:_MAX_DEFINITIONS]:
        main = best.setdefault(view.name.casefold(), (behind, bodiless))
        graded.append((-negative if (behind, bodiless) == main else -negative * _NOT_MAIN, view))
    return graded


def name_grade(view: SymbolView, name: str) -> float:
    """Return how well a definition's name matches: 1 exact, 0.8 equal but for case, 0.5 otherwise (a prefix).

    The final ``?``, ``!`` or ``=`` of Ruby and Elixir names need not be typed, nor the arguments of a selector.
    """
    path = view.path or view.name
    ending = len(view.name) - len(view.name.partition(":")[0] if view.name.endswith(":") else view.name.rstrip("?!="))
    for full in {path, path[: len(path) - ending]} if ending < len(view.name) else {path}:
        if full == name or full.endswith("." + name):
            return 1.0
    lowered, folded = name.casefold(), path.casefold()
    if view.name.casefold() == lowered or folded == lowered or folded.endswith("." + lowered):
        return 0.8
    return 0.5
