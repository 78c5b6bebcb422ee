"""Two daemons on clones of one repository: what one embedded, the other one reuses."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from regend.sharing.address import parse_address
from regend.sharing.base import Health
from regend.sharing.registry import open_shared
from tests.e2e.rig import Daemon, daemon, wait_for

POOL = "example.org/acme/web"
FILES = 12
FUNCTION = '''def {name}(value):
    """{words}"""
    return value * {number}
'''


def source(number: int) -> str:
    """A file of a few chunks."""
    names = [f"compute_part_{number}_{part}" for part in range(6)]
    return "\n\n".join(
        FUNCTION.format(name=name, words=f"Compute part {part} of item {number}. " * 30, number=part + number)
        for part, name in enumerate(names)
    )


def clone(home: Path, url: str = "git@Example.org:acme/web.git") -> Path:
    root = home / "web"
    root.mkdir()
    for number in range(FILES):
        (root / f"part{number}.py").write_text(source(number))
    for arguments in (["init", "-q"], ["remote", "add", "origin", url]):
        subprocess.run(["git", *arguments], cwd=root, check=True, timeout=20)
    return root


def config(url: str, root: Path, *lines: str) -> str:
    return "\n".join(["[shared]", f'url = "{url}"', f'roots = ["{root}"]', *lines, ""])


class Colleague:
    """A daemon with its own home and its own clone."""

    def __init__(self, stack: ExitStack, url: str, remote: str = "git@Example.org:acme/web.git") -> None:
        self.daemon: Daemon = stack.enter_context(daemon())
        self.root = clone(self.daemon.home, remote)
        (self.daemon.home / "config.toml").write_text(config(url, self.root))

    def start(self) -> Colleague:
        self.daemon.start(self.root)
        self.daemon.flush()
        return self

    @property
    def shared(self) -> dict:
        return self.daemon.status()["shared"]

    @property
    def embedded(self) -> int:
        return self.daemon.status()["counters"]["embedded_chunks"]

    @property
    def chunks(self) -> int:
        return self.daemon.root(self.root)["chunks"]

    def wait_until_sent(self) -> None:
        def sent() -> bool:
            (root,) = self.shared["roots"]
            return not (root["waiting"] or root["whole"])

        wait_for(sent, "everything is sent")


def health_of(url: str) -> Health:
    async def ask() -> Health:
        store = open_shared(parse_address(url))
        try:
            await store.setup()
            return await store.health()
        finally:
            await store.close()

    return asyncio.run(ask())


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        found = f"sqlite://{tmp_path}/shared.db"
    else:
        pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
        found = request.getfixturevalue("postgres").dsn(request.getfixturevalue("database"))
    health_of(found)
    return found


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


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
