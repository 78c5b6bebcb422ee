"""Locating chunks by line: the store names a chunk by its position in the blob, people name it by line.

Positions are in order of lines, and lines are spread over chunks so evenly that guessing by proportion finds a chunk in
about three reads; halving takes over where they are not. Reading a chunk costs some 13 µs (row and decompression),
so reads count, not calls.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from regend.store.base import ChunkView, Entry, Snapshot
from regend.types import MAX_CHUNKS_PER_BLOB, doc_id

_GUESSES = 5


class Place(NamedTuple):
    """A line of an entry."""

    entry_id: int
    line: int


def chunks_at(snapshot: Snapshot, places: Iterable[Place]) -> dict[Place, ChunkView]:
    """Return for each place the chunk that holds its line, else the last one before it, else the entry's first.

    A place whose entry has no chunks is left out.
    """
    searches = {place: _Search(place) for place in places}
    active = list(searches.values())
    while active:
        views = {view.doc: view for view in snapshot.chunks(sorted({search.next_doc() for search in active}))}
        for search in active:
            search.take(views.get(search.next_doc()))
        active = [search for search in active if not search.done]
    return {place: search.best for place, search in searches.items() if search.best is not None}


def beyond_end(entry: Entry, line: int, view: ChunkView) -> list[str]:
    """Return a note where nothing stands at the line or behind it; `view` is the chunk that was found for it."""
    is_last = view.doc & (MAX_CHUNKS_PER_BLOB - 1) == entry.chunk_count - 1
    if not is_last or line <= view.end_line:
        return []
    return [f"{entry.path} has nothing at line {line}; its last line with text is {view.end_line}."]


class _Search:
    """Search for one place; `best` is the last chunk known to begin at or before the line."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._low = -1
        self._high = MAX_CHUNKS_PER_BLOB
        self._high_line: int | None = None
        self._guess = 0
        self._rounds = 0
        self.best: ChunkView | None = None
        self.done = False

    def next_doc(self) -> int:
        return doc_id(self._place.entry_id, self._guess)

    def take(self, view: ChunkView | None) -> None:
        """Narrow the bounds by what was found at the guess, and guess again."""
        line, ordinal = self._place.line, self._guess
        if view is None:
            self._high, self._high_line = ordinal, None
        elif view.start_line > line and ordinal > 0:
            self._high, self._high_line = ordinal, view.start_line
        else:
            self._low, self.best = ordinal, view
        best = self.best
        if best is None or self._high - self._low <= 1 or best.start_line <= line <= best.end_line:
            self.done = True
            return
        self._rounds += 1
        guess = (self._low + self._high) // 2
        if self._high_line is not None and self._rounds <= _GUESSES:
            share = (line - best.start_line) / (self._high_line - best.start_line)
            guess = self._low + round(share * (self._high - self._low))
        elif self._high == MAX_CHUNKS_PER_BLOB and self._rounds <= _GUESSES:
            lines_per_chunk = max(1.0, best.start_line / self._low if self._low else best.end_line)
            guess = self._low + int((line - best.start_line) / lines_per_chunk)
        self._guess = min(max(guess, self._low + 1), self._high - 1)


def surrounding(snapshot: Snapshot, view: ChunkView, first_line: int, last_line: int) -> Sequence[ChunkView]:
    """Return chunks of the same file, `view` included, that together cover the given lines as far as the file goes."""
    entry_base, ordinal = view.doc & ~(MAX_CHUNKS_PER_BLOB - 1), view.doc & (MAX_CHUNKS_PER_BLOB - 1)
    found = [view]
    for direction in (-1, 1):
        position, batch, edge = ordinal + direction, 2, view
        while 0 <= position < MAX_CHUNKS_PER_BLOB:
            if edge.start_line <= first_line if direction < 0 else edge.end_line >= last_line:
                break
            positions = [p for p in (position + direction * i for i in range(batch)) if 0 <= p < MAX_CHUNKS_PER_BLOB]
            views = {v.doc: v for v in snapshot.chunks([entry_base | p for p in positions])}
            found += views.values()
            if len(views) < len(positions):
                break
            edge = views[entry_base | positions[-1]]
            position += direction * batch
            batch *= 2
    return sorted(found, key=lambda v: v.doc)
