"""`regenctl store` and `regenctl push`: what they print, and what they leave."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from regend.cli.main import main
from regend.sharing.address import parse_address
from regend.sharing.registry import open_shared
from tests.sharing.colleagues import POOL, Colleague, clone, config, health_of
from tests.sharing.server import Server
from tests.sharing.test_contract import MODEL, chunk_ids, vectors, whole
from tests.sharing.test_naming import git

CHUNKS = 100_000
DEADLINE_S = 300.0


def regenctl(home: Path, *words: str, cwd: Path | None = None, code: int = 0) -> Any:
    """Run a command with `--json`, and return its answer, or what it says on standard error."""
    environ = {**os.environ, "HOME": str(home), "REGEND_CONFIG": str(home / "config.toml"), "CI": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "regend.cli.main", "--json", *words],
        env=environ, cwd=cwd, capture_output=True, text=True, timeout=DEADLINE_S, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


def fill(url: str, count: int) -> None:
    async def put() -> None:
        store = open_shared(parse_address(url))
        await store.setup()
        chunks = chunk_ids(*range(count))
        await store.put("acme/web", MODEL, chunks, vectors(count))
        await store.commit_tree("acme/web", whole(chunks[:-1]))
        await store.close()

    asyncio.run(put())


def everything(url: str) -> dict[bytes, bytes]:
    async def read() -> dict[bytes, bytes]:
        store = open_shared(parse_address(url))
        chunks = await store.page("acme/web", MODEL, b"", 1_000_000)
        found, halves = await store.fetch("acme/web", MODEL, chunks)
        await store.close()
        return {chunk: half.tobytes() for chunk, half in zip(found, halves, strict=True)}

    return asyncio.run(read())


def trees_of(url: str) -> dict[str, tuple[str, set[bytes]]]:
    async def read() -> dict[str, tuple[str, set[bytes]]]:
        store = open_shared(parse_address(url))
        found = {
            known.tree: (known.revision, set(await store.tree_chunks("acme/web", known.tree)))
            for known in await store.trees("acme/web")
        }
        await store.close()
        return found

    return asyncio.run(read())


@pytest.mark.slow
def test_a_pool_goes_there_and_back(postgres: Server, database: str, tmp_path: Path) -> None:
    pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
    first, there, back = (f"sqlite://{tmp_path}/a.db", postgres.dsn(database), f"sqlite://{tmp_path}/b.db")
    fill(first, CHUNKS)
    (tmp_path / "config.toml").write_text(f'[shared]\nurl = "{first}"\n')
    assert regenctl(tmp_path, "store", "setup", "--url", there)["made"]
    moved = regenctl(tmp_path, "store", "migrate", "--to", there)
    (done,), (trees,) = moved["copied"], moved["trees"]
    assert (trees["found"], trees["new"], trees["differing"], trees["asked"], trees["agreed"]) == (1, 1, 0, 50, 50)
    assert (done["found"], done["new"], done["there"], done["differing"]) == (CHUNKS, CHUNKS, CHUNKS, 0)
    assert done["sampled"] >= 1_000
    moved = regenctl(tmp_path, "store", "migrate", "--to", there)
    (again,), (trees,) = moved["copied"], moved["trees"]
    assert (again["new"], again["there"], trees["new"], trees["differing"]) == (0, CHUNKS, 0, 0)
    regenctl(tmp_path, "store", "migrate", "--url", there, "--to", back, "--pool", "acme/web")
    assert everything(back) == everything(first)
    assert trees_of(back) == trees_of(first) != {}
    assert regenctl(tmp_path, "store", "sweep")["pools"] == {"acme/web": {"trees": 0, "chunks": 0}}
    status = regenctl(tmp_path, "store")
    assert status["pools"][0]["name"] == "acme/web" and status["kind"].startswith("SQLite")
    for words, said in (
        (("store", "migrate"), "--to URL"),
        (("store", "sweep", "--pool", "other"), "no pool 'other'"),
        (("store", "--url", "mysql://h/x"), "shared.url"),
    ):
        assert said in regenctl(tmp_path, *words, code=2)["error"]["message"]


@pytest.mark.slow
def test_ci_fills_a_pool(tmp_path: Path) -> None:
    """A job of CI pushes a commit; a daemon on a clone then embeds nothing."""
    url = f"sqlite://{tmp_path}/shared.db"
    ci = tmp_path / "ci"
    ci.mkdir()
    root = clone(ci)
    git(root, "add", ".")
    git(root, "commit", "-qm", "All files")
    (root / "part0.py").write_text("changed = 1\n")
    (root / "untracked.py").write_text("untracked = 1\n")
    (ci / "config.toml").write_text(config(url, root))
    (root / "src").mkdir()
    before = sorted(file for file in root.rglob("*"))
    done = regenctl(ci, "push", "--commit", "HEAD", cwd=root / "src")
    assert done["pool"] == POOL
    assert done["chunks"] == done["embedded"] == done["pushed"] > 12
    assert sorted(file for file in root.rglob("*")) == before
    (pool,) = health_of(url).pools
    assert (pool.chunks, pool.trees) == (done["chunks"], 1)
    again = regenctl(ci, "push", cwd=root)
    assert (again["embedded"], again["reused"]) == (0, done["chunks"])
    with ExitStack() as stack:
        ada = Colleague(stack, url).start()
        assert (ada.embedded, ada.chunks) == (0, done["chunks"])
    for revision in ("nothing", "--all"):
        refused = regenctl(ci, "push", f"--commit={revision}", cwd=root, code=2)
        assert "git refuses" in refused["error"]["message"]


def test_what_a_store_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = f"sqlite://{tmp_path}/shared.db"
    assert main(["store", "setup", "--url", url]) == 0
    assert "The tables are made." in capsys.readouterr().out
    assert main(["store", "--url", url]) == 0
    assert "no pools that this user may see" in capsys.readouterr().out
    fill(url, 3)
    assert main(["store", "--url", url]) == 0
    shown = capsys.readouterr().out
    assert "acme/web" in shown and "3 of tests-1" in shown
    assert main(["store", "sweep", "--url", url, "--pool", "acme/web"]) == 0
    assert "acme/web: 0 trees and 0 chunks removed" in capsys.readouterr().out
    assert main(["store", "migrate", "--url", url]) == 2
    assert "--to URL" in capsys.readouterr().err
