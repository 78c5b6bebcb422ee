"""A shared store among strange conditions: odd names, other clocks, a full disk, cut connections, sparse numbers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from regend.errors import SharedStoreAwayError, SharedStoreError
from regend.sharing.address import parse_address
from regend.sharing.base import SharedStore
from regend.sharing.connect import Connections
from regend.sharing.registry import open_shared
from tests.sharing.server import Server
from tests.sharing.test_contract import DIM, MODEL, chunk_ids, vectors, whole

POOL = "acme/web"
QUERY = np.ones(DIM, np.float32)


@pytest.fixture
async def store(postgres: Server, database: str) -> AsyncIterator[SharedStore]:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    opened = open_shared(parse_address(postgres.dsn(database)))
    await opened.setup()
    yield opened
    await opened.close()


async def test_names_are_only_names(store: SharedStore) -> None:
    names = [
        "a'b\"; DROP SCHEMA regend; --",
        "日本/ウェブ",
        "%s {0} $1",
        " ",
        "..",
        "\\",
        "a\nb",
        "A",
        "a",
        "x" * 2_000,
    ]
    for number, name in enumerate(names):
        await store.put(name, MODEL, chunk_ids(number), vectors(1))
        assert (await store.commit_tree(name, whole(chunk_ids(number), name))).done
        assert [near.chunk for near in await store.nearest(name, MODEL, QUERY, 9, {name: ""})] == chunk_ids(number)
    assert sorted(pool.name for pool in (await store.health()).pools) == sorted(names)
    for name in ("nul\0", secrets.token_hex(50_000)):
        with pytest.raises(SharedStoreError):
            await store.known(name, MODEL, chunk_ids(1))


async def test_a_clock_that_is_an_hour_off_ends_no_lease(store: SharedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    chunks, clock = chunk_ids(1, 2), time.time
    await store.put(POOL, MODEL, chunks, vectors(2))
    for offset_s in (-3_600.0, 3_600.0):
        monkeypatch.setattr(time, "time", lambda offset_s=offset_s: clock() + offset_s)
        await store.commit_tree(POOL, whole(chunks), lease_s=600.0)
        (known,) = await store.trees(POOL)
        assert 500.0 < known.lease_s <= 600.0
        swept = await store.sweep(POOL, grace_s=0.0)
        assert (swept.trees, swept.chunks) == (0, 0)


async def test_a_full_disk_is_a_reason_to_try_later(store: SharedStore, postgres: Server, database: str) -> None:
    await store.put(POOL, MODEL, chunk_ids(1), vectors(1))
    postgres.sql(
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE disk_full USING MESSAGE = 'No space left on device'; END $$; "
        "CREATE TRIGGER full_disk BEFORE INSERT ON regend.vectors_1 EXECUTE FUNCTION full_disk()",
        database,
    )
    with pytest.raises(SharedStoreAwayError, match="No space left"):
        await store.put(POOL, MODEL, chunk_ids(1, 2), vectors(2))
    assert await store.known(POOL, MODEL, chunk_ids(1, 2)) == set(chunk_ids(1)), "reading goes on"
    postgres.sql("DROP TRIGGER full_disk ON regend.vectors_1", database)
    assert await store.put(POOL, MODEL, chunk_ids(1, 2), vectors(2)) == 1


async def test_connections_that_are_cut_in_the_middle(store: SharedStore, postgres: Server, database: str) -> None:
    chunks = chunk_ids(*range(400))
    await store.put(POOL, MODEL, chunks, vectors(400))
    await store.commit_tree(POOL, whole(chunks))
    cut = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{database}' AND pid <> "
    cuts = 0

    async def ask() -> None:
        nonlocal cuts
        while cuts < 4:
            try:
                assert len(await store.nearest(POOL, MODEL, QUERY, 400, {"one": ""})) == 400
            except SharedStoreAwayError:
                cuts += 1

    asked = asyncio.gather(ask(), ask())
    while not asked.done():
        await asyncio.to_thread(postgres.sql, f"{cut} pg_backend_pid()", database)
    await asked
    assert len((await store.fetch(POOL, MODEL, chunks))[0]) == 400


async def test_a_connection_that_stopped_in_an_answer_is_not_lent_again(postgres: Server, database: str) -> None:
    """Such a connection would fail whoever took it next."""
    asyncpg = pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    connections = Connections(parse_address(postgres.dsn(database)))
    await connections.setup()
    with pytest.raises(SharedStoreAwayError):
        async with connections.take() as sql:
            process = await sql.fetchval("SELECT pg_backend_pid()")
            raise asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress")
    async with connections.take() as sql:
        assert await sql.fetchval("SELECT pg_backend_pid()") != process
    with pytest.raises(SharedStoreError):
        async with connections.take() as sql:
            process = await sql.fetchval("SELECT pg_backend_pid()")
            await sql.execute("SELECT no_such_column")
    async with connections.take() as sql:
        assert await sql.fetchval("SELECT pg_backend_pid()") == process
    await connections.close()


@pytest.mark.parametrize("step", ["_pool", "_model", "_table", "_bits"])
async def test_what_is_forgotten_beside_a_call_does_not_end_it(
    store: SharedStore, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that is cut makes the store forget all numbers, whatever step the other calls have just done."""
    chunks = chunk_ids(*range(30))
    await store.put(POOL, MODEL, chunks, vectors(30))
    await store.commit_tree(POOL, whole(chunks))
    original, forgotten = getattr(store, step), 0

    async def then_forget(*arguments: Any) -> Any:
        nonlocal forgotten
        found = await original(*arguments)
        for table in ("_pools", "_models", "_trees", "_places"):
            getattr(store, table).clear()
        forgotten += 1
        return found

    monkeypatch.setattr(store, step, then_forget)
    for _ in range(2):
        assert len(await store.nearest(POOL, MODEL, QUERY, 30, {"one": ""})) == 30
        assert len((await store.fetch(POOL, MODEL, chunks))[0]) == 30
        assert await store.known(POOL, MODEL, chunks) == set(chunks)
        assert await store.put(POOL, MODEL, chunks, vectors(30)) == 0
        await store.commit_tree(POOL, whole(chunks))
    assert forgotten > 1


async def test_a_pool_of_many_numbers_and_few_rows(store: SharedStore, postgres: Server, database: str) -> None:
    await store.put(POOL, MODEL, chunk_ids(1), vectors(1))
    postgres.sql("UPDATE regend.pools SET next_seq = 2000000", database)
    chunks, stored = chunk_ids(*range(2, 60)), vectors(58)
    await store.put(POOL, MODEL, chunks, stored)
    await store.commit_tree(POOL, whole(chunks))
    for _ in range(3):
        (best, *_) = await store.nearest(POOL, MODEL, stored[7].astype(np.float32), 5, {"one": ""})
        assert best.chunk == chunks[7]
    assert (await store.sweep(POOL, grace_s=0.0)).chunks == 1
    assert await store.tree_chunks(POOL, "one") == set(chunks)


@pytest.mark.parametrize("part", ["/nowhere", "?sslmode=require"])
async def test_errors_show_no_password(postgres: Server, part: str) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    url = f"postgresql://postgres:S3cret@127.0.0.1:{postgres.port}{part}"
    wrong = open_shared(parse_address(url))
    with pytest.raises(SharedStoreError) as refused:
        await wrong.health()
    assert "S3cret" not in str(refused.value)
    await wrong.close()
