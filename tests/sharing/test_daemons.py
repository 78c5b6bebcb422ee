"""Two daemons on clones of one repository: what one embedded, the other one reuses."""

from __future__ import annotations

import asyncio
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from regend.sharing.address import parse_address
from regend.sharing.base import SharedModel
from regend.sharing.registry import open_shared
from tests.e2e.rig import wait_for
from tests.sharing.colleagues import CATCH_UP_LIMIT_S, FILES, POOL, Colleague, config, health_of, source
from tests.sharing.server import Server


def test_a_second_daemon_embeds_nothing(url: str, stack: ExitStack) -> None:
    ada = Colleague(stack, url).start()
    assert ada.embedded == ada.chunks > FILES
    ada.wait_until_sent()
    (pool,) = health_of(url).pools
    assert (pool.name, pool.chunks, pool.trees) == (POOL, ada.chunks, 1)

    bob = Colleague(stack, url, "https://bob:secret@example.org/acme/web").start()
    assert (bob.embedded, bob.shared["reused"]) == (0, ada.chunks)
    query = "compute part 3 of item 7"
    assert bob.daemon.search(query) == ada.daemon.search(query)
    bob.wait_until_sent()
    (pool,) = health_of(url).pools
    assert (pool.chunks, pool.trees) == (ada.chunks, 2)

    # An edit costs its own chunks only, and the other one gets them.
    (ada.root / "new.py").write_text(source(99))
    ada.daemon.flush()
    new = ada.embedded - pool.chunks
    assert new > 0
    ada.wait_until_sent()
    (bob.root / "elsewhere.py").write_text(source(99))
    bob.daemon.flush()
    assert bob.embedded == 0


def test_secrets_and_other_roots_stay_here(tmp_path: Path, stack: ExitStack) -> None:
    url = f"sqlite://{tmp_path}/shared.db"
    ada = Colleague(stack, url)
    token = "ghp_" + "a1B2c3D4e5" * 4
    (ada.root / "deploy.py").write_text(f'def deploy():\n    """{"Deploy the site. " * 40}"""\n    return "{token}"\n')
    private = ada.daemon.home / "private"
    private.mkdir()
    (private / "notes.py").write_text(source(500))
    ada.daemon.start(ada.root, private)
    ada.daemon.flush()
    ada.wait_until_sent()
    (pool,) = health_of(url).pools
    assert (pool.name, pool.chunks) == (POOL, ada.chunks - 1), "all but the secret, and nothing of the other root"
    assert ada.shared["withheld"] >= 1
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"compute_part" not in raw and str(ada.root).encode() not in raw, "neither texts nor paths"


def test_a_daemon_catches_up_with_a_server_that_was_away(postgres: Server, database: str, stack: ExitStack) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    url = postgres.dsn(database)
    health_of(url)
    postgres.stop()
    try:
        ada = Colleague(stack, url).start()
        assert ada.embedded == ada.chunks
        assert ada.daemon.search("compute part 3 of item 7")
        wait_for(lambda: bool(ada.shared["error"]), "the error is shown")
    finally:
        postgres.start()
    ada.wait_until_sent()
    (pool,) = health_of(url).pools
    assert (pool.chunks, pool.trees) == (ada.chunks, 1)
    # Restored from an old backup, the server lacks what it confirmed: the daemon notices and sends it again.
    postgres.sql("DELETE FROM regend.trees; DELETE FROM regend.vectors_1; DELETE FROM regend.chunks", database)
    postgres.stop()
    postgres.start()
    (ada.root / "new.py").write_text(source(99))
    ada.daemon.flush()

    def is_back() -> bool:
        (found,) = health_of(url).pools
        return (found.chunks, found.trees) == (ada.chunks, 1)

    wait_for(is_back, "the daemon sends everything again", CATCH_UP_LIMIT_S)
    assert ada.shared["error"] == ""


def test_without_its_package_the_daemon_says_what_to_install(stack: ExitStack) -> None:
    ada = Colleague(stack, "postgresql://127.0.0.1:1/none")
    blocked = ada.daemon.home / "blocked"
    blocked.mkdir()
    (blocked / "asyncpg.py").write_text("raise ImportError('blocked')\n")
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from regend.__main__ import main; sys.exit(main())"
    ada.daemon.program = (sys.executable, "-c", code, str(blocked))
    ada.daemon.start(ada.root, wait=False)
    assert ada.daemon.process.wait(20) != 0
    assert "pip install 'regend[postgres]'" in ada.daemon.log()


@pytest.mark.slow
def test_a_server_that_hangs_costs_one_deadline(postgres: Server, database: str, stack: ExitStack) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    url = postgres.dsn(database)
    health_of(url)
    ada = Colleague(stack, url)
    (ada.daemon.home / "config.toml").write_text(config(url, ada.root, "timeout_ms = 200"))
    ada.start()
    ada.wait_until_sent()
    with postgres.frozen():
        began_at = time.monotonic()
        (ada.root / "new.py").write_text(source(99))
        ada.daemon.flush()
        assert time.monotonic() - began_at < 5.0
        assert ada.embedded == ada.chunks
        assert any("new.py" in place for place in ada.daemon.search("compute part 3 of item 99"))
        assert "did not answer within 0.2 s" in ada.shared["error"]
    wait_for(lambda: health_of(url).pools[0].chunks == ada.chunks, "the daemon catches up", 90.0)


@pytest.mark.slow
def test_ten_thousand_edits_while_the_server_is_away(postgres: Server, database: str, stack: ExitStack) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    url = postgres.dsn(database)
    health_of(url)
    ada = Colleague(stack, url).start()
    ada.wait_until_sent()
    postgres.stop()
    try:
        for step in range(4):
            for number in range(2_500):
                (ada.root / f"many{number}.py").write_text(
                    f"def many_{number}():\n    return {step * 2_500 + number}\n"
                )
            ada.daemon.flush()
        waiting = ada.shared["roots"][0]["waiting"]
        assert waiting >= 5_000 or ada.shared["roots"][0]["whole"]
    finally:
        postgres.start()

    def is_whole() -> bool:
        named = postgres.sql("SELECT bit_count(bits) FROM regend.trees", database)
        return not ada.shared["roots"][0]["waiting"] and int(named) >= ada.chunks

    wait_for(is_whole, "the daemon catches up", 120.0)
    print(f"10,000 edits, {waiting:,} waiting, {ada.chunks:,} chunks")


@pytest.mark.slow
def test_vectors_that_are_none_are_not_used(tmp_path: Path, stack: ExitStack) -> None:
    """A member may write anything; a vector that has not the length 1 is not believed."""
    good, bad = f"sqlite://{tmp_path}/good.db", f"sqlite://{tmp_path}/bad.db"
    ada = Colleague(stack, good).start()
    ada.wait_until_sent()

    async def spoil() -> None:
        source_store, target = open_shared(parse_address(good)), open_shared(parse_address(bad))
        (pool,) = (await source_store.health()).pools
        (found,) = pool.vectors
        model = SharedModel(found.model_id, found.dim)
        chunks = await source_store.page(POOL, model, b"", 100_000)
        await target.put(POOL, model, chunks, np.zeros((len(chunks), model.dim), np.float16))
        await source_store.close()
        await target.close()

    asyncio.run(spoil())
    bob = Colleague(stack, bad).start()
    assert (bob.embedded, bob.shared["reused"]) == (bob.chunks, 0)
    query = "compute part 3 of item 7"
    assert bob.daemon.search(query) == ada.daemon.search(query)
