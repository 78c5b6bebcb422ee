"""Through a pooler of transactions, such as PgBouncer, each transaction may meet another process of the server."""

from __future__ import annotations

import asyncio
import random

import numpy as np
import pytest

from regend.sharing import nearest
from regend.sharing.address import parse_address
from regend.sharing.base import SharedModel, TreeChange
from regend.sharing.registry import open_shared
from tests.sharing.server import Server
from tests.sharing.test_contract import MODEL, chunk_ids, vectors, whole

POOL = "acme/web"
DAEMONS, STEPS, BATCH = 6, 8, 20


async def test_many_daemons_share_a_few_connections(pooler: Server, database: str) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    stored = vectors(BATCH)

    async def work(number: int) -> None:
        rng = random.Random(number)
        store, tree, revision, named = open_shared(parse_address(pooler.dsn(database))), f"t{number}", "", set()
        # Some have another model, so that their statements are others under the same names.
        model = MODEL if number % 2 else SharedModel("tests-2", stored.shape[1])
        for step in range(STEPS):
            chunks = chunk_ids(*(rng.randrange(400) for _ in range(BATCH)))
            await store.put(POOL, model, chunks, stored)
            change = TreeChange(tree, revision, f"{number}.{step}", frozenset(chunks))
            done = await store.commit_tree(POOL, change)
            assert done.done and not done.missing
            revision = change.revision
            named |= set(chunks)
            assert await store.tree_chunks(POOL, tree) == named
            found, _ = await store.fetch(POOL, model, sorted(named))
            assert set(found) == named
            near = await store.nearest(POOL, model, stored[0].astype(np.float32), 1_000, {tree: revision})
            assert {one.chunk for one in near} == named
        await store.close()

    admin = open_shared(parse_address(pooler.dsn(database)))
    await admin.setup()
    await asyncio.gather(*map(work, range(DAEMONS)))
    (health,) = (await admin.health()).pools
    assert health.trees == DAEMONS
    await admin.close()


@pytest.mark.slow
async def test_a_graph_is_built_and_walked(pooler: Server, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    monkeypatch.setattr(nearest, "EXACT_ROWS", 200)
    store = open_shared(parse_address(pooler.dsn(database)))
    await store.setup()
    chunks, stored = chunk_ids(*range(600)), vectors(600)
    for count in (400, 600):  # The second graph takes the place of the first.
        monkeypatch.setattr(nearest, "NEWER_ROWS", 10)
        await store.put(POOL, MODEL, chunks[:count], stored[:count])
        await store.commit_tree(POOL, whole(chunks[:count]))
        await store.sweep(POOL)
        assert pooler.sql("SELECT count(*), max(below) FROM regend.graphs", database) == f"1|{count}"
        (best, *_) = await store.nearest(POOL, MODEL, stored[count - 1].astype(np.float32), 5, {"one": ""})
        assert best.chunk == chunks[count - 1]
    await store.close()
