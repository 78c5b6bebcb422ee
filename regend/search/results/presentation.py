"""Presentation: what of a selected chunk is shown. Reads a snapshot, decides nothing about the order."""

from __future__ import annotations

from dataclasses import dataclass

from regend.search.legs.legs import Definitions
from regend.search.legs.locate import Place
from regend.search.legs.scope import Scope
from regend.search.overlay import is_overlay
from regend.search.ranking.features import QueryContext
from regend.search.ranking.ranking import Ranked, RankingTable, explain
from regend.search.results.outcome import Copy, Passage, SearchResult
from regend.search.results.snippets import SNIPPET_LINES, Snippet, snippet
from regend.store.base import ChunkView, Snapshot, SymbolView
from regend.types import MAX_CHUNKS_PER_BLOB

MAX_COPIES = 10
"""Maximum other places of a text that are named."""


@dataclass(frozen=True, slots=True)
class Show:
    """How results are shown.

    Attributes:
        scope: decides under which root copies are shown.
        terms: words of the query, which choose the lines where no definition does.
        definitions: of the query's names; a snippet begins at one.
        context: lines of the file to show around the usual snippet.
        explained: what the features made of the query, and their table; None leaves them out.
        places: lines that the query names; a result is called after the definition around one.
    """

    snapshot: Snapshot
    scope: Scope
    terms: tuple[str, ...]
    definitions: Definitions
    context: int = 0
    explained: tuple[QueryContext, RankingTable] | None = None
    places: tuple[Place, ...] = ()

    def lines(self, view: ChunkView, max_lines: int = SNIPPET_LINES) -> Snippet:
        """Return the chunk's most relevant lines."""
        named = self._named(view)
        first = named.start_line if named else 0
        line = self._line_in(view)
        if line and not (named and line - first < max_lines // 2):
            first = max(view.start_line, line - max_lines // 3)
        return snippet(self.snapshot, view, self.terms, first, self.context, max_lines)

    def _line_in(self, view: ChunkView) -> int:
        """Return the first line of the chunk that the query names, or 0."""
        entry_id = view.doc // MAX_CHUNKS_PER_BLOB
        lines = (place.line for place in self.places if place.entry_id == entry_id)
        return next((line for line in lines if view.start_line <= line <= view.end_line), 0)

    def _named(self, view: ChunkView) -> SymbolView | None:
        """Return the innermost definition around a line that the query names, or the one of its names in the chunk."""
        entry_id = view.doc // MAX_CHUNKS_PER_BLOB
        line = self._line_in(view)
        entry = self.scope.entry(entry_id) if line else None
        if entry is None:
            return self.definitions.view_within(entry_id, view.start_line, view.end_line)
        around = [one for one in self.snapshot.outline(entry) if one.start_line <= line <= one.end_line]
        return max(around, key=lambda one: (one.start_line, -one.end_line), default=None)

    def copies(self, chosen: Ranked) -> tuple[Copy, ...]:
        """Return the first other places with the chunk's text."""
        docs = chosen.candidate.copies[:MAX_COPIES]
        return tuple(
            Copy(self.scope.shown_root(self.snapshot, entry), entry.path, view.start_line, view.end_line)
            for view in (self.snapshot.chunks(docs) if docs else ())
            if (entry := self.scope.entry(view.doc // MAX_CHUNKS_PER_BLOB)) is not None
        )

    def result(
        self,
        chosen: Ranked,
        shown: Snippet | None = None,
        also: tuple[Passage, ...] = (),
        copies: tuple[Copy, ...] | None = None,
    ) -> SearchResult:
        """Return the result of a ranked chunk, with `shown` and `copies` instead of what is usual.

        A chunk may hold several definitions. The result is called after the one that the query names, if any.
        """
        view, entry = chosen.view, chosen.candidate.entry
        named = self._named(view)
        found = self.lines(view) if shown is None else shown
        return SearchResult(
            root=chosen.root,
            path=entry.path,
            start_line=view.start_line,
            end_line=view.end_line,
            score=chosen.score,
            language=entry.language,
            symbol=named.path if named else view.symbol,
            kind=named.kind if named else view.kind,
            snippet=found.text,
            snippet_line=found.line,
            matches=found.matches,
            also=also,
            unsaved=is_overlay(entry.entry_id),
            copies=self.copies(chosen) if copies is None else copies,
            copy_count=len(chosen.candidate.copies),
            explain=(*explain(chosen.candidate, *self.explained), *chosen.shares) if self.explained else (),
        )
