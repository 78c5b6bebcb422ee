"""The embedder gets usable vectors of a shared pool, in time, and only for roots that share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from regend.embedding.base import ModelInfo
from regend.errors import SharedStoreAwayError, SharedStoreError
from regend.sharing.base import HalfMatrix, SharedModel, SharedStore
from regend.sharing.outbox import Outbox
from regend.sharing.reach import Reach
from regend.sharing.reuse import Reuse, SharedCounters, SharedRoot
from regend.store.reads import Reads
from regend.types import ChunkId, RootId
from tests.sharing.test_contract import DIM, MODEL, chunk_ids, vectors

INFO = ModelInfo(MODEL.model_id, DIM, local=True, note="")
WEB, APP = SharedRoot(RootId(1), "/web", "acme/web", "web"), SharedRoot(RootId(2), "/app", "acme/app", "app")


class Store:
    """Answers as it is told to; the rest of a store is not asked."""

    def __init__(self) -> None:
        self.held: dict[tuple[str, ChunkId], np.ndarray] = {}
        self.error: Exception | None = None
        self.hangs = False
        self.asked: list[tuple[str, tuple[ChunkId, ...]]] = []

    async def fetch(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> tuple[list[ChunkId], HalfMatrix]:
        self.asked.append((pool, tuple(chunks)))
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        found = [chunk for chunk in chunks if (pool, chunk) in self.held]
        rows = [self.held[pool, chunk] for chunk in found]
        return found, np.array(rows, np.float16).reshape(len(found), model.dim)


class Index:
    """Says which root has which chunk."""

    def __init__(self, members: dict[RootId, set[ChunkId]]) -> None:
        self._members = members

    def chunks_in(self, root: RootId, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        return self._members.get(root, set()) & set(chunks)


class Rig:
    def __init__(self, directory: Path, members: dict[RootId, set[ChunkId]], roots: Sequence[SharedRoot]) -> None:
        self.store, self.reach, self.counters = Store(), Reach(), SharedCounters()
        self.outbox = Outbox(directory / "outbox.db")
        for root in roots:
            self.outbox.tree(root.place)

        async def current() -> Sequence[SharedRoot]:
            return roots

        self.reuse = Reuse(
            cast(SharedStore, self.store), self.outbox, cast(Reads, Index(members)), self.reach, self.counters, 0.2,
            lambda path: path == "/web", current, lambda text: "secret" in text, lambda: None,
        )  # fmt: skip

    async def fetch(self, chunks: list[ChunkId], texts: list[str] | None = None) -> dict[int, np.ndarray]:
        return await self.reuse.fetch(INFO, chunks, texts or ["text"] * len(chunks))

    def waiting(self, place: str) -> list[ChunkId]:
        return [chunk for one in self.outbox.take(place, 1_000) for chunk in one.chunks]


async def test_each_pool_is_asked_for_its_own_chunks_only(tmp_path: Path) -> None:
    chunks, stored = chunk_ids(*range(5)), vectors(5)
    rig = Rig(tmp_path, {WEB.root: set(chunks[:3]), APP.root: set(chunks[2:4])}, [WEB, APP])
    rig.store.held = {("acme/web", chunks[0]): stored[0], ("acme/app", chunks[3]): stored[3]}
    # Another pool's vector of a chunk is no answer to this one.
    rig.store.held["acme/app", chunks[1]] = stored[1]
    found = await rig.fetch(chunks)
    assert sorted(found) == [0, 3]
    assert np.allclose(found[3], stored[3].astype(np.float32), atol=1e-3)
    assert np.linalg.norm(found[0]) == pytest.approx(1.0, abs=1e-6)
    assert rig.store.asked == [("acme/web", tuple(chunks[:3])), ("acme/app", tuple(chunks[2:4]))]
    assert (rig.waiting("web"), rig.waiting("app")) == (chunks[:3], chunks[2:4])
    assert rig.counters.reused == 2


async def test_a_secret_is_neither_asked_for_nor_noted(tmp_path: Path) -> None:
    chunks = chunk_ids(1, 2)
    rig = Rig(tmp_path, {WEB.root: set(chunks)}, [WEB])
    assert await rig.fetch(chunks, ["a secret", "harmless"]) == {}
    assert rig.store.asked == [("acme/web", (chunks[1],))]
    assert rig.waiting("web") == [chunks[1]]
    assert rig.counters.withheld == 1


async def test_vectors_of_another_length_are_not_believed(tmp_path: Path) -> None:
    chunks, stored = chunk_ids(1, 2, 3), vectors(3)
    rig = Rig(tmp_path, {WEB.root: set(chunks)}, [WEB])
    for chunk, vector in zip(chunks, (stored[0] * 0, stored[1] * 3, stored[2]), strict=True):
        rig.store.held["acme/web", chunk] = vector
    assert list(await rig.fetch(chunks)) == [2]


@pytest.mark.parametrize("trouble", [SharedStoreAwayError("gone"), SharedStoreError("no member"), None])
async def test_trouble_costs_one_question_and_nothing_is_lost(tmp_path: Path, trouble: Exception | None) -> None:
    chunks = chunk_ids(1, 2)
    rig = Rig(tmp_path, {WEB.root: set(chunks)}, [WEB])
    rig.store.error, rig.store.hangs = trouble, trouble is None
    for _ in range(3):
        async with asyncio.timeout(5.0):
            assert await rig.fetch(chunks) == {}
    assert len(rig.store.asked) == 1
    assert rig.waiting("web") == chunks
    assert rig.reach.error or rig.reach.refusals


async def test_without_roots_or_outbox_nothing_is_asked(tmp_path: Path) -> None:
    chunks = chunk_ids(1)
    assert await Rig(tmp_path, {}, []).fetch(chunks) == {}
    rig = Rig(tmp_path, {WEB.root: set(chunks)}, [WEB])
    rig.outbox.close()
    assert await rig.fetch(chunks) == {}
    assert rig.store.asked == []
    assert (rig.reuse.shares("/web"), rig.reuse.shares("/other")) == (True, False)
