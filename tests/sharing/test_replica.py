"""A read replica answers queries and fetches as far as it has followed; the server answers the rest."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator

import numpy as np
import pytest

from regend.sharing.address import parse_address
from regend.sharing.base import SharedStore, TreeChange
from regend.sharing.registry import open_shared
from tests.sharing.server import Server
from tests.sharing.test_contract import DIM, MODEL, chunk_ids, vectors

POOL = "acme/web"
LIMIT_S = 20.0


@pytest.fixture
def replica(postgres: Server, database: str) -> Iterator[Server]:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    with postgres.replica() as other:
        yield other


@pytest.fixture
async def store(postgres: Server, replica: Server, database: str) -> AsyncIterator[SharedStore]:
    opened = open_shared(parse_address(postgres.dsn(database)), parse_address(replica.dsn(database)))
    await opened.setup()
    yield opened
    await opened.close()


def wait_until_followed(postgres: Server, replica: Server) -> None:
    position = postgres.sql("SELECT pg_current_wal_lsn()")
    deadline = time.monotonic() + LIMIT_S
    while replica.sql(f"SELECT pg_last_wal_replay_lsn() >= '{position}'") != "t":
        assert time.monotonic() < deadline, "the replica does not follow"
        time.sleep(0.02)


@pytest.mark.slow
async def test_a_replica_is_asked_for_what_it_has(
    postgres: Server, replica: Server, store: SharedStore, database: str
) -> None:
    chunks, stored = chunk_ids(*range(40)), vectors(40)
    query = np.ones(DIM, np.float32)

    async def named(revision: str) -> set[bytes]:
        return {near.chunk for near in await store.nearest(POOL, MODEL, query, 50, {"one": revision})}

    await store.put(POOL, MODEL, chunks[:20], stored[:20])
    assert (await store.commit_tree(POOL, TreeChange("one", "", "r1", frozenset(chunks[:20])))).done
    wait_until_followed(postgres, replica)
    before = reads(postgres, database)
    assert await named("r1") == set(chunks[:20])
    assert len((await store.fetch(POOL, MODEL, chunks[:20]))[0]) == 20
    assert reads(postgres, database) == before, "the replica answered"
    # The replica stands still: what it lacks comes from the server.
    replica.sql("SELECT pg_wal_replay_pause()")
    await store.put(POOL, MODEL, chunks[20:], stored[20:])
    assert (await store.commit_tree(POOL, TreeChange("one", "r1", "r2", frozenset(chunks[20:])))).done
    assert await named("r2") == set(chunks)
    assert set((await store.fetch(POOL, MODEL, chunks))[0]) == set(chunks)
    replica.sql("SELECT pg_wal_replay_resume()")
    wait_until_followed(postgres, replica)
    before = reads(postgres, database)
    assert await named("r2") == set(chunks)
    assert reads(postgres, database) == before, "the replica answers again"
    # Without a replica the server answers.
    replica.kill()
    assert await named("r2") == set(chunks)
    assert len((await store.fetch(POOL, MODEL, chunks))[0]) == 40


def reads(server: Server, database: str) -> str:
    """How often the server read the table of vectors."""
    server.sql("SELECT pg_stat_force_next_flush()", database)
    table = "'regend.vectors_1'::regclass"
    return server.sql(f"SELECT sum(idx_scan + seq_scan) FROM pg_stat_all_tables WHERE relid = {table}", database)
