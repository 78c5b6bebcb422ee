"""Daemons of colleagues: each has its own home and its own clone of one repository."""

from __future__ import annotations

import asyncio
import subprocess
from contextlib import ExitStack
from pathlib import Path

from regend.sharing.address import parse_address
from regend.sharing.base import Health
from regend.sharing.reach import LONGEST_PAUSE_S
from regend.sharing.registry import open_shared
from tests.e2e.rig import Daemon, daemon, wait_for

POOL = "example.org/acme/web"
FILES = 12
CATCH_UP_LIMIT_S = LONGEST_PAUSE_S + 40.0
"""A store that was away for long is left alone for up to `LONGEST_PAUSE_S`."""
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

    def wait_until_sent(self, limit_s: float = CATCH_UP_LIMIT_S) -> None:
        def sent() -> bool:
            (root,) = self.shared["roots"]
            return not (root["waiting"] or root["whole"])

        wait_for(sent, "everything is sent", limit_s)


def health_of(url: str) -> Health:
    async def ask() -> Health:
        store = open_shared(parse_address(url))
        try:
            await store.setup()
            return await store.health()
        finally:
            await store.close()

    return asyncio.run(ask())
