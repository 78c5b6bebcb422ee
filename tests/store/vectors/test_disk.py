"""A slab whose base is on disk answers as one in memory, for whatever the shared store has, and holds its keys only."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from regend.store.base import HalfMatrix, KeyArray
from regend.store.vectors.disk import READ_ROWS, DiskBase
from regend.store.vectors.slab import Slab

DIM = 24


def rows(rng: np.random.Generator, count: int) -> HalfMatrix:
    found = rng.normal(size=(count, DIM))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


class Disk:
    """Every vector that was ever committed, by key."""

    def __init__(self) -> None:
        self.vectors: dict[int, np.ndarray] = {}
        self.reads = 0

    def base(self, keys: KeyArray) -> DiskBase:
        return DiskBase(np.sort(keys), DIM, self.read, settled=True)

    def read(self, keys: KeyArray) -> list[tuple[int, bytes]]:
        self.reads += len(keys)
        return [(key, self.vectors[key].astype("<f2").tobytes()) for key in keys.tolist() if key in self.vectors]


def add(disk: Disk, slabs: tuple[Slab, Slab], keys: KeyArray, vectors: HalfMatrix) -> None:
    disk.vectors.update(zip(keys.tolist(), vectors, strict=True))
    for slab in slabs:
        slab.add(keys, vectors)


@pytest.mark.parametrize("seed", range(20))
def test_it_answers_as_a_slab_in_memory(seed: int) -> None:
    rng = np.random.default_rng(seed)
    disk, memory, on_disk = Disk(), Slab(DIM), Slab(DIM)
    slabs = (on_disk, memory)
    add(disk, slabs, np.arange(50), rows(rng, 50))
    for step in range(30):
        known = np.array(sorted(disk.vectors))
        some = rng.choice(known, rng.integers(1, 12), replace=False).tolist()
        match rng.integers(5):
            case 0:
                add(disk, slabs, np.arange(len(known), len(known) + 9), rows(rng, 9))
            case 1:
                for slab in slabs:
                    slab.kill(some)
            case 2:
                for slab in slabs:
                    # The store reads again what a slab has dropped with its dead rows.
                    gone = np.array([key for key in some if key not in slab], np.int64)
                    slab.add(gone, np.array([disk.vectors[key] for key in gone.tolist()]).reshape(-1, DIM))
                    slab.revive(some)
            case 3:  # The store has some of what is live; the rest comes back into memory.
                live = on_disk.view().live_keys()
                on_disk.install(disk.base(rng.choice(live, rng.integers(0, len(live) + 1), replace=False)))
            case 4:
                on_disk.compact()
        mine, plain = on_disk.view(), memory.view()
        base = mine.base
        if isinstance(base, DiskBase):
            # Keys that left the base came back into memory, so the store has to find no others than those live in it.
            asked = rows(rng, 1)[0].astype(np.float32)
            found = base.keys[~mine.base_dead]
            mine = replace(mine, base=base.answered(found, asked))
            for limit in (1, 7, 200):
                keys, scores = mine.search(asked, limit)
                expected, cosines = plain.search(asked, limit)
                assert (seed, step, keys.tolist()) == (seed, step, expected.tolist())
                assert np.allclose(scores, cosines, atol=1e-6)
        assert mine.live_count == plain.live_count
        every = np.arange(len(disk.vectors) + 3)
        for ours, theirs in zip(mine.gather(every), plain.gather(every), strict=True):
            assert np.array_equal(ours, theirs), (seed, step)
        assert on_disk.holds(np.array(sorted(plain.live_keys()))).all()


def test_what_the_store_did_not_find_is_not_read() -> None:
    rng = np.random.default_rng(1)
    disk, slab = Disk(), Slab(DIM)
    count = READ_ROWS + 100
    add(disk, (slab, Slab(DIM)), np.arange(count), rows(rng, count))
    slab.install(disk.base(np.arange(count)))
    view, asked = slab.view(), rows(rng, 1)[0].astype(np.float32)
    assert view.on_disk and view.count == 0
    assert len(view.search(asked, 10)[0]) == 0
    assert len(view.search_among(asked, np.arange(count), 10)[0]) == 0
    assert disk.reads == 0
    keys, _ = view.search_among(asked, np.arange(60), 10)
    assert len(keys) == 10 and disk.reads == 60


def test_a_base_may_be_read_back() -> None:
    rng = np.random.default_rng(2)
    disk, slab, memory = Disk(), Slab(DIM), Slab(DIM)
    add(disk, (slab, memory), np.arange(40), rows(rng, 40))
    slab.install(disk.base(np.arange(30)))
    slab.kill(range(5))
    memory.kill(range(5))
    slab.install(None)
    asked = rows(rng, 1)[0].astype(np.float32)
    for ours, theirs in zip(slab.view().search(asked, 50), memory.view().search(asked, 50), strict=True):
        assert np.allclose(ours, theirs)
