"""A chunk is found by line in few reads, wherever it lies in a file of any length."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.search.legs.locate import Place, chunks_at, surrounding
from regend.store.base import ChunkView, Snapshot
from regend.types import ChunkId, doc_id
from tests.search.memory import MemoryStore


@dataclass
class Counted(MemoryStore):
    """One entry with chunks at given lines, and how many chunks were read."""

    starts: list[int] = field(default_factory=list)
    reads: int = 0

    def chunks(self, docs: Sequence[int]) -> list[ChunkView]:
        known = [doc for doc in docs if doc >> 16 == 1 and doc & 0xFFFF < len(self.starts)]
        return [self._view(doc) for doc in known]

    def _view(self, doc: int) -> ChunkView:
        self.reads += 1
        ordinal = doc & 0xFFFF
        start = self.starts[ordinal]
        following = self.starts[ordinal + 1] if ordinal + 1 < len(self.starts) else start + 9
        end = min(start + 1, following - 1)
        return ChunkView(doc, ChunkId(b"c" * 16), start, end, "", "block", 5, "one\ntwo")


@given(st.lists(st.integers(1, 2_000), min_size=1, max_size=400, unique=True), st.integers(1, 2_100))
def test_finds_the_last_chunk_at_or_before_the_line(starts: list[int], line: int) -> None:
    starts.sort()
    before = [start for start in starts if start <= line]
    expected = before[-1] if before else starts[0]
    assert chunks_at(Counted(starts=starts), [Place(1, line)])[Place(1, line)].start_line == expected


@pytest.mark.parametrize("count", [1, 9, 200, 60_000])
def test_few_reads_where_chunks_are_even(count: int) -> None:
    places = [Place(1, 3 * i + 1) for i in range(0, count, max(1, count // 20))]
    for place in places:
        store = Counted(starts=list(range(1, 3 * count, 3)))
        assert chunks_at(store, [place])[place].start_line == place.line
        assert store.reads <= 6


@pytest.mark.parametrize("seed", range(5))
def test_bounded_reads_where_they_are_not(seed: int) -> None:
    starts, line = [], 1
    for step in range(2_000):
        starts.append(line)
        line += 2 if step % 97 else 5_000 * (seed + 1)
    for wanted in starts[:: 83 + seed]:
        store = Counted(starts=starts)
        assert chunks_at(store, [Place(1, wanted)])[Place(1, wanted)].start_line == wanted
        assert store.reads <= 24


def test_many_places_at_once() -> None:
    store = Counted(starts=list(range(1, 3_000, 3)))
    places = [Place(1, line) for line in range(1, 3_000, 7)]
    found = chunks_at(store, places)
    assert all(0 <= place.line - found[place].start_line < 3 for place in places)
    assert len(found) == len(places)


def test_an_entry_without_chunks_is_left_out() -> None:
    assert chunks_at(Counted(starts=[]), [Place(1, 5)]) == {}
    assert chunks_at(Counted(starts=[1]), []) == {}


def test_surrounding_reads_no_further_than_needed() -> None:
    store: Snapshot = Counted(starts=list(range(1, 3_000, 3)))
    middle = store.chunks([doc_id(1, 500)])[0]
    found = surrounding(store, middle, middle.start_line - 10, middle.end_line + 4)
    assert found[0].start_line <= middle.start_line - 10 < middle.start_line + 4 <= found[-1].end_line
    assert len(found) < 20
    assert [view.doc for view in found] == list(range(found[0].doc, found[-1].doc + 1))
