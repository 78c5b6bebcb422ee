"""Small trees are read by the places of their rows, and answers stay exact when rows move, go or come."""

from __future__ import annotations

import random

import numpy as np
import pytest

from regend.sharing.address import parse_address
from regend.sharing.base import SharedModel
from regend.sharing.nearest import Places
from regend.sharing.registry import open_shared
from tests.sharing.server import Server
from tests.sharing.test_contract import MODEL, chunk_ids, vectors, whole

POOL = "acme/web"
COUNT, TREES, LIMIT = 900, 3, 12
OTHER = SharedModel("tests-2", MODEL.dim)


async def test_answers_are_exact_wherever_the_rows_are(
    postgres: Server, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    answers = {"by place": 0, "by number": 0}
    by_place = Places.nearest

    async def counted(places: Places, *arguments: object) -> object:
        found = await by_place(places, *arguments)  # type: ignore[arg-type]
        answers["by number" if found is None else "by place"] += 1
        return found

    monkeypatch.setattr(Places, "nearest", counted)
    store, rng = open_shared(parse_address(postgres.dsn(database))), random.Random(3)
    await store.setup()
    chunks, stored = chunk_ids(*range(COUNT)), vectors(COUNT)
    trees = {f"t{number}": set(rng.sample(range(COUNT), 150)) for number in range(TREES)}
    await store.put(POOL, MODEL, chunks, stored)
    await store.put(POOL, OTHER, chunks[::2], stored[::2])

    async def check() -> None:
        names = rng.sample(sorted(trees), rng.randint(1, 2))
        members = sorted(set().union(*(trees[name] for name in names)))
        asked = vectors(1, rng.randrange(1_000))[0].astype(np.float32)
        for model, rows in 3 * ((MODEL, members), (OTHER, [row for row in members if row % 2 == 0])):
            scores = stored[rows].astype(np.float32) @ asked
            best = {rows[at] for at in np.argsort(-scores)[:LIMIT]}
            found = await store.nearest(POOL, model, asked, LIMIT, dict.fromkeys(names, ""))
            assert {chunks.index(near.chunk) for near in found} == best

    for step in range(8):
        for name, members in trees.items():
            if step == 0 or rng.random() < 0.3:
                members.symmetric_difference_update(rng.sample(range(COUNT), 20))
                await store.commit_tree(POOL, whole([chunks[row] for row in sorted(members)], name))
        for _ in range(2):
            await check()
        if step == 2:
            # The rows move.
            postgres.sql("VACUUM FULL regend.vectors_1", database)
        elif step in (4, 6):
            # Rows that no tree names go, and others take their places.
            await store.sweep(POOL, 0.0)
            postgres.sql("VACUUM regend.vectors_1", database)
            await store.put(POOL, MODEL, chunks, stored)
            await store.put(POOL, OTHER, chunks[::2], stored[::2])
            for name, members in trees.items():
                members.update(rng.sample(range(COUNT), 60))
                await store.commit_tree(POOL, whole([chunks[row] for row in sorted(members)], name))
    assert min(answers.values()) > 10, answers
    # A place that another row of the tree took is noticed, too.
    only = next(iter(trees))
    for _ in range(3):
        near = await store.nearest(POOL, MODEL, stored[0].astype(np.float32), COUNT, {only: ""})
        assert {chunks.index(one.chunk) for one in near} == trees[only]
    postgres.sql(
        "CREATE TABLE moved AS SELECT * FROM regend.vectors_1 ORDER BY seq DESC; DELETE FROM regend.vectors_1; "
        "INSERT INTO regend.vectors_1 SELECT * FROM moved",
        database,
    )
    near = await store.nearest(POOL, MODEL, stored[0].astype(np.float32), COUNT, {only: ""})
    assert {chunks.index(one.chunk) for one in near} == trees[only]
    await store.close()
