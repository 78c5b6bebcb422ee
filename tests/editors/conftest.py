"""One daemon with one repository for the tests of every editor. They may save files, each with words of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.rig import Daemon, daemon, wait_for
from tests.search.conftest import QUEUE, README, RETRY, TEST_QUEUE


@dataclass(frozen=True)
class Served:
    daemon: Daemon
    root: Path

    @property
    def socket(self) -> Path:
        return self.daemon.socket

    def settle(self) -> None:
        """Wait until all is read that tests before this one have saved."""
        wait_for(lambda: self.daemon.root(self.root)["state"] == "ready", "what other tests saved is read")


def fill(root: Path) -> None:
    """Write the repository that the tests ask."""
    files = {"src/jobs/queue.py": QUEUE, "src/net/retry.py": RETRY, "README.md": README, "tests/queue.py": TEST_QUEUE}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    root = tmp_path_factory.mktemp("editors").resolve() / "app"
    fill(root)
    with daemon() as running:
        running.start(root)
        running.flush()
        yield Served(running, root)
