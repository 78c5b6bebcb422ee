"""Vectors that a shared store has confirmed, in whatever order, stay on disk, and answers are those of memory."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from regend.core.commands import DeleteFile, PutVectors
from regend.store.base import Hit
from regend.store.snapshot import StoreSnapshot
from regend.store.store import Store, open_store
from regend.types import ChunkedFile, ChunkId, RootId
from tests.store.samples import DIM, MODEL, apply, chunked, clustered, put

FILES = [chunked([f"word{n}x{c} body" for c in range(6)]) for n in range(30)]
CHUNKS = [chunk.chunk_id for file in FILES for chunk in file.chunks]
VECTORS = dict(zip(CHUNKS, clustered(len(CHUNKS), DIM, seed=4), strict=True))
PATH = "/w/one"


class Confirmed:
    """A shared store as `Elsewhere` tells of it."""

    def __init__(self, *paths: str) -> None:
        self.paths = set(paths)
        self.chunks = set[ChunkId]()
        self.count = 0

    def has(self, root_path: str) -> bool:
        return root_path in self.paths

    def changes(self, root_path: str) -> int:
        return self.count

    def held(self, root_path: str, model_id: str, dim: int, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        assert (model_id, dim) == (MODEL.model_id, DIM)
        return self.chunks & set(chunks)

    def confirm(self, *chunks: ChunkId) -> None:
        self.chunks |= set(chunks)
        self.count += 1


def add(store: Store, root: RootId, file: ChunkedFile) -> None:
    pending = apply(store, put(root, f"f{FILES.index(file)}.py", file))
    if pending:
        apply(store, PutVectors(tuple(pending), np.stack([VECTORS[chunk] for chunk in pending])))


def settle(store: Store, left: int) -> None:
    """Carry out background work until so many vectors are in memory."""
    deadline = time.monotonic() + 20
    while True:
        store.maintain(idle=True)
        (pool,) = store.reads.snapshot.pools.values()
        count = pool.slab.count - pool.slab.dead_count
        if pool.slab.on_disk and count == left:
            return
        assert time.monotonic() < deadline, f"{count} vectors are in memory, not {left}"
        time.sleep(0.002)


def answered(snapshot: StoreSnapshot, vector: np.ndarray, shared: set[ChunkId]) -> list[Hit]:
    """Ask with the whole of what the shared store has, in any order."""
    (pool,) = snapshot.pools
    found = sorted(shared, key=lambda chunk: chunk[::-1])
    return snapshot.with_found(vector, {pool: found}).pools[pool].nearest(vector, 40)


@pytest.mark.parametrize("seed", range(6))
def test_what_is_confirmed_leaves_memory_and_is_found(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    elsewhere = Confirmed(PATH)
    with (
        open_store(tmp_path / "disk", MODEL, None, elsewhere) as store,
        open_store(tmp_path / "memory", MODEL) as plain,
    ):
        roots = [one.add_root(PATH, PATH, "1:1").root for one in (store, plain)]
        live = set[int]()
        for _ in range(40):
            match rng.randrange(3):
                case 0:
                    number = rng.randrange(len(FILES))
                    live.add(number)
                    for one, root in zip((store, plain), roots, strict=True):
                        add(one, root, FILES[number])
                case 1 if live:
                    number = rng.choice(sorted(live))
                    live.discard(number)
                    for one, root in zip((store, plain), roots, strict=True):
                        apply(one, DeleteFile(root, f"f{number}.py"))
                case 2 if live:
                    chunks = [chunk.chunk_id for number in live for chunk in FILES[number].chunks]
                    elsewhere.confirm(*rng.sample(chunks, rng.randrange(len(chunks) + 1)))
            store.maintain(idle=bool(rng.randrange(2)))
            asked = VECTORS[rng.choice(CHUNKS)]
            (pool,) = plain.reads.snapshot.pools.values()
            mine, plain_hits = answered(store.reads.snapshot, asked, elsewhere.chunks), pool.nearest(asked, 40)
            assert [hit.doc for hit in mine] == [hit.doc for hit in plain_hits]
            assert np.allclose([hit.score for hit in mine], [hit.score for hit in plain_hits], atol=1e-6)
        held = {chunk.chunk_id for number in live for chunk in FILES[number].chunks}
        elsewhere.confirm()
        settle(store, len(held - elsewhere.chunks))
        elsewhere.confirm(*held)
        settle(store, 0)
    # After a restart the vectors stay where they are, and without the shared store they come back.
    with open_store(tmp_path / "disk", MODEL, None, elsewhere) as store:
        (view,) = store.reads.snapshot.pools.values()
        assert (view.slab.count, view.slab.live_count, view.slab.on_disk) == (0, len(held), False)
        settle(store, 0)
        elsewhere.paths.clear()
        store.maintain(idle=True)
        (view,) = store.reads.snapshot.pools.values()
        assert view.slab.base is None and view.slab.live_count == len(held)


def test_a_pool_with_another_root_stays_in_memory(tmp_path: Path) -> None:
    elsewhere = Confirmed(PATH)
    with open_store(tmp_path, MODEL, None, elsewhere) as store:
        root = store.add_root(PATH, "pool", "1:1").root
        add(store, root, FILES[0])
        elsewhere.confirm(*CHUNKS)
        settle(store, 0)
        other = store.add_root("/w/two", "pool", "1:2").root
        add(store, other, FILES[1])
        store.maintain(idle=True)
        (view,) = store.reads.snapshot.pools.values()
        assert (view.slab.base, view.slab.live_count) == (None, 12)
        store.remove_root(other)
        settle(store, 0)
