"""Presentation: what of a selected chunk is shown. Reads a snapshot, decides nothing about the order."""

from __future__ import annotations

from dataclasses import dataclass

from regend.limits import SNIPPET_LINES
from regend.search.legs.legs import Definitions
from regend.search.legs.locate import Place
from regend.search.legs.scope import Scope
from regend.search.overlay import is_overlay
from regend.search.query.words import forms
from regend.search.ranking.features import QueryContext
from regend.search.ranking.ranking import Ranked, RankingTable, explain
from regend.search.results.outcome import Copy, Passage, SearchResult
from regend.search.results.snippets import MATCHED_LINES, Snippet, line_of, members, snippet
from regend.store.base import ChunkView, Snapshot, SymbolView
from regend.types import MAX_CHUNKS_PER_BLOB

_MARKED_TERMS = 16
"""Maximum terms that are named with their forms."""
MAX_COPIES = 10
"""Maximum other places of a text that are named."""


@dataclass(frozen=True, slots=True)
class Show:
    """How results are shown.

    Attributes:
        scope: decides under which root copies are shown.
        terms: words of the query, which choose the lines where no definition does.
        definitions: of the query's names; a snippet begins at one.
        snippet_lines: lines of each snippet at most, without `context`; 0 for the usual number.
        context: lines of the file to show around the usual snippet.
        explained: what the features made of the query, and their table; None leaves them out.
        places: lines that the query names; a result is called after the definition around one.
        phrases: quoted texts; the line at which one begins is the best line.
    """

    snapshot: Snapshot
    scope: Scope
    terms: tuple[str, ...]
    definitions: Definitions
    context: int = 0
    snippet_lines: int = 0
    explained: tuple[QueryContext, RankingTable] | None = None
    places: tuple[Place, ...] = ()
    phrases: tuple[str, ...] = ()

    def lines(self, view: ChunkView, max_lines: int = 0) -> Snippet:
        """Return the chunk's most relevant lines, `max_lines` at most if that is not 0."""
        named = self._named(view)
        most = max_lines or self.snippet_lines or SNIPPET_LINES
        anchor = named.start_line if named else 0
        line = self._line_in(view) or next((line for each in self.phrases if (line := line_of(each, view))), 0)
        if line and not (named and 0 <= line - anchor < most // 2):
            anchor = max(view.start_line, line - most // 3)
        at_best = bool(self.snippet_lines)
        found = snippet(self.snapshot, view, self.terms, anchor, self.context, most, at_best=at_best)
        return found._replace(best=line) if line else found

    @property
    def words(self) -> tuple[str, ...]:
        """Return the first terms and their usual forms."""
        return tuple(dict.fromkeys(form for term in self.terms[:_MARKED_TERMS] for form in forms(term)))

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
        if shown is None and view.outline:
            beyond = members(self.snapshot.outline(entry, view.symbol), view, self.terms)
            found = found._replace(matches=(*found.matches, *beyond)[:MATCHED_LINES])
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
            line=found.best,
            explain=(*explain(chosen.candidate, *self.explained), *chosen.shares) if self.explained else (),
        )
