"""Locating chunks by line: the store names a chunk by its position in the blob, people name it by line.

Positions are in order of lines, so a search that probes several positions at once finds the chunk in two or three
calls, for any number of wanted lines together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from regend.store.base import ChunkView, Snapshot
from regend.types import MAX_CHUNKS_PER_BLOB, doc_id

_FIRST_PROBES = (0, 1, 2, 3, 5, 8, 12, 16, 24, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)
_FAN_OUT = 8


class Place(NamedTuple):
    """A line of an entry."""

    entry_id: int
    line: int


def chunks_at(snapshot: Snapshot, places: Iterable[Place]) -> dict[Place, ChunkView]:
    """For each place the last chunk that begins at or before its line, else the entry's first chunk.

    A place whose entry has no chunks is left out.
    """
    wanted = list(dict.fromkeys(places))
    best: dict[Place, ChunkView] = {}
    # The chunk sought lies at or after `low`, before `high`.
    bounds = dict.fromkeys(wanted, (0, MAX_CHUNKS_PER_BLOB))
    probes: dict[Place, tuple[int, ...]] = dict.fromkeys(wanted, _FIRST_PROBES)
    while probes:
        docs = {doc_id(place.entry_id, ordinal) for place, ordinals in probes.items() for ordinal in ordinals}
        views = {view.doc: view for view in snapshot.chunks(sorted(docs))}
        following: dict[Place, tuple[int, ...]] = {}
        for place, ordinals in probes.items():
            low, high = bounds[place]
            for ordinal in ordinals:
                view = views.get(doc_id(place.entry_id, ordinal))
                if view is None or (view.start_line > place.line and ordinal > 0):
                    high = min(high, ordinal)
                else:
                    low = max(low, ordinal)
                    best[place] = view
            bounds[place] = (low, high)
            if place in best and high - low > 1:
                following[place] = _between(low, high)
        probes = following
    return best


def _between(low: int, high: int) -> tuple[int, ...]:
    """At most `_FAN_OUT` positions that cut the open interval into even parts."""
    step = -(-(high - low) // (_FAN_OUT + 1))
    return tuple(range(low + step, high, step))


def surrounding(snapshot: Snapshot, view: ChunkView, first_line: int, last_line: int) -> Sequence[ChunkView]:
    """Chunks of the same file, `view` included, that together cover as much as there is of the lines asked for."""
    entry_base, ordinal = view.doc & ~(MAX_CHUNKS_PER_BLOB - 1), view.doc & (MAX_CHUNKS_PER_BLOB - 1)
    found = [view]
    for direction in (-1, 1):
        position, batch, edge = ordinal + direction, 2, view
        while 0 <= position < MAX_CHUNKS_PER_BLOB and not _reaches(edge, direction, first_line, last_line):
            positions = [p for p in (position + direction * i for i in range(batch)) if 0 <= p < MAX_CHUNKS_PER_BLOB]
            views = {v.doc: v for v in snapshot.chunks([entry_base | p for p in positions])}
            found += views.values()
            if len(views) < len(positions):
                break
            edge = views[entry_base | positions[-1]]
            position += direction * batch
            batch *= 2
    return sorted(found, key=lambda v: v.doc)


def _reaches(edge: ChunkView, direction: int, first_line: int, last_line: int) -> bool:
    return edge.start_line <= first_line if direction < 0 else edge.end_line >= last_line
