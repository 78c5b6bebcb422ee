"""What the engine is asked for: plain values that check themselves, free of store and wire types."""

from __future__ import annotations

from dataclasses import dataclass

from regend.limits import MAX_BUDGET_TOKENS, MAX_CONTEXT_LINES, MAX_OFFSET, MAX_RESULTS, MIN_BUDGET_TOKENS
from regend.search.errors import FilterError
from regend.search.query.filters import Filters


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """A search request.

    Attributes:
        query: what the user typed.
        k: results at most, 1 to `MAX_RESULTS`.
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


def check_k(k: int) -> None:
    """Raise FilterError unless `k` is from 1 to `MAX_RESULTS`."""
    if not 1 <= k <= MAX_RESULTS:
        raise FilterError(f"`k` is {k}; give a number of results from 1 to {MAX_RESULTS}.")


def check_page(k: int, offset: int, context: int, budget: int) -> None:
    """Raise FilterError unless each is in range, and all go together."""
    check_k(k)
    if not 0 <= context <= MAX_CONTEXT_LINES:
        raise FilterError(f"`context` is {context}; give a number of lines from 0 to {MAX_CONTEXT_LINES}.")
    if not 0 <= offset <= MAX_OFFSET:
        raise FilterError(f"`offset` is {offset}; give a number of results from 0 to {MAX_OFFSET}.")
    if budget and not MIN_BUDGET_TOKENS <= budget <= MAX_BUDGET_TOKENS:
        raise FilterError(
            f"`budget` is {budget}; give a number of tokens from {MIN_BUDGET_TOKENS} to {MAX_BUDGET_TOKENS}."
        )
    if budget and (context or offset):
        other = "context" if context else "offset"
        raise FilterError(f"`budget` and `{other}` do not go together; the budget decides what is shown.")
