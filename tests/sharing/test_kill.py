"""Kill the server and the daemons at any instant: what was confirmed is there, whole and once."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from regend.errors import SharedStoreAwayError
from regend.sharing.address import parse_address
from regend.sharing.base import SharedStore, TreeChange
from regend.sharing.pusher import FORGET_AFTER_S
from regend.sharing.registry import open_shared
from regend.types import ChunkId
from tests.e2e.rig import wait_for
from tests.sharing.colleagues import CATCH_UP_LIMIT_S, Colleague, health_of, source
from tests.sharing.server import Server, serving
from tests.sharing.test_contract import MODEL, chunk_ids, vectors

POOL = "acme/web"
ROUNDS = 20
BATCH = 40
BACK_LIMIT_S = 30.0


class Writer:
    """Writes batches and trees without end, and remembers what was confirmed."""

    def __init__(self, url: str, name: str, seed: int) -> None:
        self.store: SharedStore = open_shared(parse_address(url))
        self.name = name
        self._random = random.Random(seed)
        self._vectors = vectors(BATCH, seed)
        self.put: set[ChunkId] = set()
        self.named = frozenset[ChunkId]()
        self.tried = frozenset[ChunkId]()
        self.revision = ""
        self.confirmed = 0

    async def write(self) -> None:
        """Write until the server is gone."""
        try:
            while True:
                # Both writers draw from the same chunks, in no order, so that they meet.
                numbers = self._random.sample(range(20_000), BATCH)
                chunks = chunk_ids(*numbers)
                await self.store.put(POOL, MODEL, chunks, self._vectors)
                self.put |= set(chunks)
                await self._commit(self.named | set(chunks))
        except SharedStoreAwayError:
            return

    async def _commit(self, wanted: frozenset[ChunkId]) -> None:
        self.tried = wanted
        revision = f"{self.name}-{self._random.random()}"
        done = await self.store.commit_tree(POOL, TreeChange(self.name, "", revision, wanted))
        assert done.done and not done.missing
        self.named, self.revision = wanted, revision
        self.confirmed += 1

    async def check(self) -> None:
        """Compare the store with what was confirmed; the last unconfirmed write is there as a whole, or not at all."""
        deadline = time.monotonic() + BACK_LIMIT_S
        while True:
            try:
                revision = await self.store.renew(POOL, self.name)
                break
            except SharedStoreAwayError:
                assert time.monotonic() < deadline, "the server is not back"
                await asyncio.sleep(0.05)
        assert await self.store.known(POOL, MODEL, sorted(self.put)) == self.put
        near = await self.store.nearest(POOL, MODEL, self._vectors[0].astype("f4"), 100_000, {self.name: ""})
        held = frozenset(one.chunk for one in near)
        if revision == self.revision:
            assert held == self.named
        else:
            assert held == self.tried, "the last change was applied, and its answer was lost"
            self.named = self.tried


@pytest.fixture(scope="module")
def durable() -> Iterator[Server]:
    """A server that writes to disk as it does for its users."""
    with serving("max_connections=40") as server:
        yield server


@pytest.mark.slow
async def test_killing_the_server_loses_nothing_that_was_confirmed(durable: Server) -> None:
    url = durable.dsn()
    writers = [Writer(url, f"w{number}", number) for number in range(2)]
    await writers[0].store.setup()
    rng = random.Random(7)
    for _ in range(ROUNDS):
        tasks = [asyncio.create_task(writer.write()) for writer in writers]
        await asyncio.sleep(0.3 + rng.random() * 0.7)
        await asyncio.to_thread(durable.kill)
        await asyncio.gather(*tasks)
        await asyncio.to_thread(durable.start)
        for writer in writers:
            await writer.check()
    doubled = durable.sql(
        "SELECT count(*) FROM (SELECT pool, chunk FROM regend.chunks GROUP BY 1, 2 HAVING count(*) > 1) d"
    )
    orphans = durable.sql(
        "SELECT count(*) FROM regend.vectors_1 v WHERE NOT EXISTS "
        "(SELECT FROM regend.chunks c WHERE c.pool = v.pool AND c.seq = v.seq)"
    )
    bare = durable.sql(
        "SELECT count(*) FROM regend.chunks c WHERE NOT EXISTS "
        "(SELECT FROM regend.vectors_1 v WHERE c.pool = v.pool AND c.seq = v.seq)"
    )
    assert (doubled, orphans, bare) == ("0", "0", "0")
    assert min(writer.confirmed for writer in writers) > ROUNDS
    print(f"{ROUNDS} rounds, {sum(writer.confirmed for writer in writers)} confirmed commits, 0 lost, half or double")
    for writer in writers:
        await writer.store.close()


@pytest.mark.slow
def test_killing_the_server_under_two_daemons(durable: Server) -> None:
    """Two daemons edit on while the server is killed again and again; both trees are whole in the end."""
    durable.sql("CREATE DATABASE daemons")
    url = durable.dsn("daemons")
    health_of(url)
    rng = random.Random(13)
    with ExitStack() as stack:
        daemons = [Colleague(stack, url) for _ in range(2)]
        for one in daemons:
            one.start()
        for number in range(ROUNDS):
            for one in daemons:
                for file in range(3):
                    (one.root / f"new{rng.randrange(30)}_{file}.py").write_text(source(1_000 + 3 * number + file))
            time.sleep(rng.random() * 0.8)  # Any instant will do.
            durable.kill()
            durable.start()
        for one in daemons:
            one.daemon.flush()
            one.wait_until_sent(BACK_LIMIT_S * 4)

        def whole() -> bool:
            named = durable.sql("SELECT bit_count(bits) FROM regend.trees ORDER BY 1", "daemons").split()
            live = sorted(one.daemon.root(one.root)["chunks"] for one in daemons)
            # A tree still names what was edited away, until it is compared with the index again.
            return len(named) == 2 and all(int(held) >= chunks for held, chunks in zip(named, live, strict=True))

        wait_for(whole, "both trees are whole", BACK_LIMIT_S)
        (pool,) = health_of(url).pools
        for table, other in (("chunks", "vectors_1"), ("vectors_1", "chunks")):
            alone = durable.sql(
                f"SELECT count(*) FROM regend.{table} t WHERE NOT EXISTS (SELECT FROM regend.{other} o "
                f"WHERE o.pool = t.pool AND o.seq = t.seq)",
                "daemons",
            )
            assert alone == "0"
        assert pool.chunks == pool.vectors[0].vectors
        print(f"{ROUNDS} kills under two daemons: {pool.chunks:,} chunks, 2 trees, 0 half")


async def test_writers_of_one_pool_never_end_in_a_deadlock(postgres: Server, database: str) -> None:
    """Four writers put the same chunks, each in an order of its own, and change trees between."""
    stores = [open_shared(parse_address(postgres.dsn(database))) for _ in range(4)]
    await stores[0].setup()

    async def write(store: SharedStore, seed: int) -> None:
        rng = random.Random(seed)
        for step in range(12):
            chunks = chunk_ids(*rng.sample(range(600), 200))
            await store.put(POOL, MODEL, chunks, vectors(200, seed))
            await store.commit_tree(POOL, TreeChange(f"t{seed}", "", f"{seed}.{step}", frozenset(chunks)))

    await asyncio.gather(*(write(store, seed) for seed, store in enumerate(stores)))
    assert postgres.sql(f"SELECT deadlocks FROM pg_stat_database WHERE datname = '{database}'") == "0"
    (pool,) = (await stores[0].health()).pools
    assert (pool.chunks, pool.trees) == (600, 4)
    for store in stores:
        await store.close()


@pytest.mark.slow
def test_killing_a_daemon_in_the_middle_of_a_push(postgres: Server, database: str) -> None:
    url = postgres.dsn(database)
    health_of(url)
    rng = random.Random(11)
    with ExitStack() as stack:
        ada = Colleague(stack, url)
        ada.daemon.start(ada.root)
        for number in range(ROUNDS):
            for file in range(4):
                Path(ada.root / f"new{rng.randrange(40)}_{file}.py").write_text(source(100 + 4 * number + file))
            time.sleep(rng.random() * 1.2)  # Any instant will do.
            ada.daemon.kill()
            (pool,) = health_of(url).pools or (None,)
            assert pool is None or pool.trees <= 1, number
            ada.daemon.start(ada.root)
        ada.daemon.flush()
        # A chunk that was noted before a kill, and whose file was written again, gets no vector and is forgotten.
        ada.wait_until_sent(FORGET_AFTER_S + CATCH_UP_LIMIT_S)
        chunks = int(postgres.sql("SELECT bit_count(bits) FROM regend.trees", database))
        live = ada.daemon.root(ada.root)["chunks"]
        (pool,) = health_of(url).pools
        assert pool.trees == 1
        assert pool.chunks >= chunks >= live
        # The next daemon finds all of it.
        bob = Colleague(stack, url)
        for file in bob.root.iterdir():
            if file.is_file():
                file.unlink()
        for file in ada.root.glob("*.py"):
            (bob.root / file.name).write_text(file.read_text())
        bob.start()
        assert bob.embedded == 0
