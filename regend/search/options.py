"""Requests to the engine: plain values, free of store and wire types.

The wire checks numbers (`rpc/query_messages.py`), so only what depends on several options is checked here.
"""

from __future__ import annotations

from dataclasses import dataclass

from regend.limits import MAX_BUDGET_TOKENS, MIN_BUDGET_TOKENS
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
        lines: lines of each snippet at most, without `context`; 0 for the usual number.
        budget: tokens that all passages together may take; 0 shows the usual snippets.

    Raises:
        FilterError: the budget is too small, or two options do not go together.
    """

    k: int = 10
    offset: int = 0
    context: int = 0
    budget: int = 0
    lines: int = 0

    def __post_init__(self) -> None:
        if 0 < self.budget < MIN_BUDGET_TOKENS:
            raise FilterError(
                f"`budget` is {self.budget}; give a number of tokens from {MIN_BUDGET_TOKENS} to {MAX_BUDGET_TOKENS}."
            )
        others = [name for name in ("context", "lines", "offset") if getattr(self, name)]
        if self.budget and others:
            other = others[0]
            raise FilterError(f"`budget` and `{other}` do not go together; the budget decides what is shown.")


@dataclass(frozen=True, slots=True)
class SearchOptions(Page):
    """A search request.

    Attributes:
        root, path, lang, under, globs: see `Filters`.
        explain: also say what each feature contributed, and what each stage took.
        files: one result per file, ranked as files.
    """

    query: Query
    root: str = ""
    path: str = ""
    lang: str = ""
    explain: bool = False
    files: bool = False
    under: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()

    @property
    def filters(self) -> Filters:
        """The request's filters together with those of its query."""
        return Filters(self.root, self.path, self.lang, self.query.inline, self.under, self.globs)


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
