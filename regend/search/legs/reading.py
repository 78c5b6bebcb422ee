"""Reading: definitions that are known by what their text says, and not by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from regend.search.legs.legs import Definitions, main_definitions
from regend.search.legs.scope import Scope
from regend.store.base import ChunkConditions, ChunkView, Entry, LexicalQuery, Snapshot, SymbolView
from regend.types import DOC_ORDINAL_BITS

_MAX_READ = 400
"""Chunks read, about: the best ones by the words that such definitions have beside."""


def read_definitions(
    snapshot: Snapshot,
    scope: Scope,
    words: Sequence[str],
    beside: Sequence[str],
    conditions: ChunkConditions,
    lines_of: Callable[[str, str], Sequence[int]],
) -> Definitions:
    """Return the definitions in scope that lie around certain lines.

    Args:
        words: tokens that a chunk must hold.
        beside: tokens of chunks that are read first.
        conditions: that each chunk must meet.
        lines_of: gives the lines of a text in a language, from 0.
    """
    asked = LexicalQuery((*words, *beside), conditions=replace(conditions, words=(*conditions.words, *words)))
    docs = [hit.doc for pool, allow in scope.pools for hit in pool.lexical(asked, _MAX_READ, allow=allow)]
    found: list[tuple[float, SymbolView]] = []
    for view in snapshot.chunks(docs):
        entry = scope.entry(view.doc >> DOC_ORDINAL_BITS)
        if entry is not None and (lines := lines_of(view.text, entry.language)):
            found += [(1.0, own) for own in _around(snapshot, entry, view, lines)]
    return main_definitions(scope, found)


def _around(snapshot: Snapshot, entry: Entry, view: ChunkView, lines: Sequence[int]) -> Iterator[SymbolView]:
    """Yield the innermost definition around each line, or the chunk where none begins in it."""
    outline = snapshot.outline(entry)
    for line in (view.start_line + line for line in lines):
        around = [one for one in outline if view.start_line <= one.start_line <= line <= one.end_line]
        if around:
            yield max(around, key=lambda one: (one.start_line, -one.end_line))
        else:
            symbol = view.symbol or entry.path
            yield SymbolView(entry.entry_id, symbol, symbol, view.kind, line, view.end_line)
