"""What the engine is asked for: plain values that check themselves, free of store and wire types."""

from __future__ import annotations

from dataclasses import dataclass

from regend.limits import MAX_BUDGET_TOKENS, MAX_CONTEXT_LINES, MAX_OFFSET, MAX_RESULTS, MIN_BUDGET_TOKENS
from regend.search.errors import FilterError
from regend.search.query.filters import Filters
from regend.search.query.parse import Query


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """How much of an answer is wanted, and how much of each result.

    Attributes:
        k: results at most, 1 to `MAX_RESULTS`.
        offset: results to leave out before the first, 0 to `MAX_OFFSET`.
        context: lines of the file to show around the usual snippet, 0 to `MAX_CONTEXT_LINES`.
        budget: tokens that all passages together may take; 0 shows the usual snippets.

    Raises:
        FilterError: a number is out of range, or two options do not go together.
    """

    k: int = 10
    offset: int = 0
    context: int = 0
    budget: int = 0

    def __post_init__(self) -> None:
        check_k(self.k)
        _check("context", self.context, 0, MAX_CONTEXT_LINES, "lines")
        _check("offset", self.offset, 0, MAX_OFFSET, "results")
        if not self.budget:
            return
        _check("budget", self.budget, MIN_BUDGET_TOKENS, MAX_BUDGET_TOKENS, "tokens")
        if self.context or self.offset:
            other = "context" if self.context else "offset"
            raise FilterError(f"`budget` and `{other}` do not go together; the budget decides what is shown.")


@dataclass(frozen=True, slots=True)
class SearchOptions(Page):
    """A search request.

    Attributes:
        root, path, lang: see `Filters`.
        explain: also say what each feature contributed, and what each stage took.
        files: one result per file, ranked as files.
    """

    query: Query
    root: str = ""
    path: str = ""
    lang: str = ""
    explain: bool = False
    files: bool = False

    @property
    def filters(self) -> Filters:
        """The request's filters together with those of its query."""
        return Filters(self.root, self.path, self.lang, self.query.inline)


@dataclass(frozen=True, slots=True)
class RelatedOptions(Page):
    """A request for related code.

    Attributes:
        root, path: the file, see `scope.find_file`.
        line: 1-based; a line between chunks belongs to the one before it. 0 compares the whole file with files.
        filters: limit the results.
    """

    root: str
    path: str
    line: int = 0
    filters: Filters = Filters()  # noqa: RUF009 - immutable


def check_k(k: int) -> None:
    """Raise FilterError unless `k` is from 1 to `MAX_RESULTS`."""
    _check("k", k, 1, MAX_RESULTS, "results")


def _check(name: str, value: int, low: int, high: int, counted: str) -> None:
    if not low <= value <= high:
        raise FilterError(f"`{name}` is {value}; give a number of {counted} from {low} to {high}.")
