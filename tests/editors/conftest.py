"""One daemon with one repository for the tests of every editor. They may save files, each with words of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.rig import REPOSITORY, Daemon, daemon, wait_for
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
        self.daemon.flush()
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


def control(served: Daemon, folder: Path) -> Path:
    """A program that stops and starts the daemon with the commands that a user has: `control stop`, `control start`."""
    program = folder / "control"
    ask = f'"{sys.executable}" -m regend.cli.main --socket "{served.socket}"'
    start = f'"{sys.executable}" -m regend --state-dir "{served.state_dir}" --socket "{served.socket}"'
    program.write_text(
        f'#!/bin/sh\ncd "{REPOSITORY}"\nif [ "$1" = stop ]; then exec {ask} stop; fi\n'
        f'{start} >>"{folder}/log" 2>&1 </dev/null &\n'
    )
    program.chmod(0o755)
    return program


@contextmanager
def controlled(folder: Path) -> Iterator[tuple[Served, Path]]:
    """A daemon of its own that a test in another program stops and starts; it is gone at the end."""
    root = folder.resolve() / "app"
    fill(root)
    with daemon() as running:
        running.start(root)
        running.flush()
        program = control(running, folder)
        try:
            yield Served(running, root), program
        finally:
            subprocess.run([program, "stop"], timeout=30, check=False, capture_output=True)
