"""What the engine is asked and what it answers: plain values, free of store and wire types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from regend.search.errors import FilterError
from regend.search.filters import Filters
from regend.search.query import QueryKind
from regend.search.snippets import MatchedLine

MAX_K = 1_000
MAX_CONTEXT_LINES = 1_000
MAX_OFFSET = 1_000
MIN_BUDGET = 50
MAX_BUDGET = 200_000


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """A search request.

    Attributes:
        query: what the user typed.
        k: results at most, 1 to `MAX_K`.
        offset: results to leave out before the first, 0 to `MAX_OFFSET`.
        root, path, lang: see `query.Filters`.
        explain: also say what each feature contributed, and what each stage took.
        context: lines of the file to show around the default snippet, 0 to `MAX_CONTEXT_LINES`.
        files: one result per file, ranked as files.
        budget: tokens that all passages together may take; 0 shows the usual snippets.

    Raises:
        FilterError: a number is out of range, or two options do not go together.
    """

    query: str
    k: int = 10
    root: str = ""
    path: str = ""
    lang: str = ""
    explain: bool = False
    context: int = 0
    offset: int = 0
    files: bool = False
    budget: int = 0

    def __post_init__(self) -> None:
        check_page(self.k, self.offset, self.context, self.budget)

    @property
    def filters(self) -> Filters:
        return Filters(self.root, self.path, self.lang)


@dataclass(frozen=True, slots=True)
class RelatedOptions:
    """A request for related code.

    Attributes:
        root, path: the file, see `scope.find_file`.
        line: 1-based; a line between chunks belongs to the one before it. 0 compares the whole file with files.
        filters: limit the results.
        k, offset, context, budget: as in `SearchOptions`.

    Raises:
        FilterError: a number is out of range, or two options do not go together.
    """

    root: str
    path: str
    line: int = 0
    filters: Filters = Filters()  # noqa: RUF009 - immutable
    k: int = 10
    offset: int = 0
    context: int = 0
    budget: int = 0

    def __post_init__(self) -> None:
        check_page(self.k, self.offset, self.context, self.budget)


class FeatureShare(NamedTuple):
    """What one feature added to a score: `contribution` is `weight * value`, and all of them sum to the score."""

    name: str
    value: float
    weight: float
    contribution: float


@dataclass(frozen=True, slots=True)
class Passage:
    """Further lines of a result's file.

    Attributes:
        start_line: of the chunk, 1-based.
        end_line: inclusive.
        symbol: path of the enclosing definition, or empty.
        snippet: lines of it, without final newline.
        snippet_line: 1-based line at which `snippet` begins.
    """

    start_line: int
    end_line: int
    symbol: str
    snippet: str
    snippet_line: int


@dataclass(frozen=True, slots=True)
class SearchResult:
    """One chunk or definition.

    Attributes:
        root: absolute path of the root that shows it.
        path: relative to the root, with ``/``.
        start_line: of the chunk or definition, 1-based.
        end_line: inclusive.
        score: comparable within one answer only.
        symbol: path of the enclosing definition, or empty.
        snippet: the most telling lines, without final newline.
        snippet_line: 1-based line at which `snippet` begins.
        explain: empty unless asked for.
        matches: lines of the chunk beyond the snippet that fit the query best, in order.
        also: further passages of the file, in order; only where a budget was given.
        unsaved: from an overlay, so lines are those of the editor's buffer.
    """

    root: str
    path: str
    start_line: int
    end_line: int
    score: float
    language: str
    symbol: str
    kind: str
    snippet: str
    snippet_line: int
    explain: tuple[FeatureShare, ...] = ()
    matches: tuple[MatchedLine, ...] = ()
    also: tuple[Passage, ...] = ()
    unsaved: bool = False


@dataclass(frozen=True, slots=True)
class SearchOutcome:
    """An answer and how it came about.

    Attributes:
        generation: of the snapshot that was read.
        complete: False while some chunk still waits for its vector.
        kind: how the query was understood.
        notes: sentences a user should read: why there is nothing, what was cut.
        stage_ms: milliseconds by stage; for `--explain` and status.
        cpu_ms: CPU milliseconds of the query's thread by stage; empty unless `explain` was asked for.
        next_offset: where the next page begins, or None where there is none.
        tokens: estimated tokens of all headings and passages; 0 where no budget was given.
    """

    results: tuple[SearchResult, ...]
    generation: int
    complete: bool
    kind: QueryKind | None = None
    notes: tuple[str, ...] = ()
    stage_ms: Mapping[str, float] = field(default_factory=dict)
    cpu_ms: Mapping[str, float] = field(default_factory=dict)
    next_offset: int | None = None
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Definition:
    """One line of an outline; `depth` counts enclosing definitions."""

    name: str
    symbol: str
    kind: str
    start_line: int
    end_line: int
    depth: int


@dataclass(frozen=True, slots=True)
class Outline:
    """A file's definitions in order of lines."""

    root: str
    path: str
    language: str
    definitions: tuple[Definition, ...]
    generation: int


def check_k(k: int) -> None:
    """Raise FilterError unless `k` is from 1 to `MAX_K`."""
    if not 1 <= k <= MAX_K:
        raise FilterError(f"`k` is {k}; give a number of results from 1 to {MAX_K}.")


def check_page(k: int, offset: int, context: int, budget: int) -> None:
    """Raise FilterError unless each is in range, and all go together."""
    check_k(k)
    if not 0 <= context <= MAX_CONTEXT_LINES:
        raise FilterError(f"`context` is {context}; give a number of lines from 0 to {MAX_CONTEXT_LINES}.")
    if not 0 <= offset <= MAX_OFFSET:
        raise FilterError(f"`offset` is {offset}; give a number of results from 0 to {MAX_OFFSET}.")
    if budget and not MIN_BUDGET <= budget <= MAX_BUDGET:
        raise FilterError(f"`budget` is {budget}; give a number of tokens from {MIN_BUDGET} to {MAX_BUDGET}.")
    if budget and (context or offset):
        other = "context" if context else "offset"
        raise FilterError(f"`budget` and `{other}` do not go together; the budget decides what is shown.")
