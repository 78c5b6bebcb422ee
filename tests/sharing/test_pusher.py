"""A shared store learns nothing of chunks that look like secrets, and each chunk is searched for them once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from regend.sharing.address import parse_address
from regend.sharing.base import LEASE_S, HalfMatrix, SharedModel, TreeChange, TreeCommitted
from regend.sharing.outbox import Outbox
from regend.sharing.pusher import Pusher
from regend.sharing.reach import Reach
from regend.sharing.reuse import SharedCounters, SharedRoot
from regend.sharing.sqlite import SqliteStore
from regend.store.store import open_store
from regend.types import ChunkId
from tests.store.samples import DIM, MODEL, apply, chunked, put, put_vectors


class Recording(SqliteStore):
    """A store that remembers which chunks it heard of."""

    heard: set[ChunkId]

    async def known(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        self.heard |= set(chunks)
        return await super().known(pool, model, chunks)

    async def put(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId], vectors: HalfMatrix) -> int:
        self.heard |= set(chunks)
        return await super().put(pool, model, chunks, vectors)

    async def commit_tree(self, pool: str, change: TreeChange, lease_s: float = LEASE_S) -> TreeCommitted:
        self.heard |= change.added | change.removed
        return await super().commit_tree(pool, change, lease_s)


async def test_a_store_hears_of_no_secret(tmp_path: Path) -> None:
    asked: list[str] = []

    def is_secret(text: str) -> bool:
        asked.append(text)
        return "password" in text

    with open_store(tmp_path / "state", MODEL) as index:
        root = index.add_root("/r", "/r", "").root
        files = [chunked(["alpha one", "password hunter2"]), chunked(["password only"]), chunked(["beta two"])]
        for number, file in enumerate(files[:2]):
            apply(index, put_vectors(apply(index, put(root, f"{number}.py", file))))
        shared, outbox = Recording(parse_address(f"sqlite://{tmp_path}/shared.db")), Outbox(tmp_path / "outbox.db")
        shared.heard = set()
        await shared.setup()
        model, here = SharedModel(MODEL.model_id, DIM), SharedRoot(root, "/r", "pool", "place")

        async def roots() -> list[SharedRoot]:
            return [here]

        pusher = Pusher(shared, outbox, index.reads, Reach(), SharedCounters(), roots, lambda: [model], is_secret)
        while await pusher._look_after(here):
            pass
        assert shared.heard == {files[0].chunks[0].chunk_id}
        assert outbox.sent("place") == shared.heard
        apply(index, put_vectors(apply(index, put(root, "2.py", files[2]))))
        outbox.mark_whole("place")
        asked.clear()
        while await pusher._look_after(here):
            pass
        assert shared.heard == {files[0].chunks[0].chunk_id, files[2].chunks[0].chunk_id}
        assert not any("alpha" in text for text in asked), "it is in the store"
        await shared.close()
        outbox.close()
