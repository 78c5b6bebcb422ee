"""A real daemon in a process of its own, and the comparison of its index with a fresh one."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from regend.rpc.client import Client
from regend.types import RootId
from tests import canary
from tests.store.root_export import RootExport, export_root

REPOSITORY = Path(__file__).parents[2]
START_LIMIT_S = 20.0
FLUSH_LIMIT_S = 60.0
SETTLE_LIMIT_S = 15.0


def wait_for(condition: Callable[[], bool], what: str, limit_s: float = 20.0) -> None:
    """Poll until the condition holds; fail naming it when it does not in time."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {limit_s:g} s: {what}"
        time.sleep(0.01)


class Daemon:
    """One daemon with its own home, state and socket. `start` and `kill` may alternate."""

    def __init__(self, home: Path, config: str = "") -> None:
        self.home = home
        self.state_dir = home / "state"
        self.socket = home / "run" / "s"
        self._config = home / "config.toml"
        self._config.write_text(config)
        self.environ: dict[str, str] = {}
        self.arguments: list[str] = []
        self.launcher: tuple[str, ...] = ()
        self.program: tuple[str, ...] = (sys.executable, "-m", "regend")
        self.cwd = REPOSITORY
        self.flush_limit_s = FLUSH_LIMIT_S
        self._process: subprocess.Popen[bytes] | None = None
        self._log = (home / "log").open("ab")

    def start(self, *roots: Path, wait: bool = True) -> Daemon:
        arguments = [*self.program, "--config", str(self._config), "--log-format", "json"]
        arguments += ["--state-dir", str(self.state_dir), "--socket", str(self.socket)]
        for root in roots:
            arguments += ["--root", str(root)]
        arguments += self.arguments
        environ = {**os.environ, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home / ".config")}
        environ |= self.environ
        # Installed programs are compiled; to compile at each start would be half of the time to the first answer.
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        self._process = subprocess.Popen(
            [*self.launcher, *arguments], stdout=self._log, stderr=self._log, env=environ, cwd=self.cwd
        )
        if wait:
            wait_for(self.answers, "the daemon answers", START_LIMIT_S)
        return self

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "start() comes first"
        return self._process

    def answers(self) -> bool:
        assert self.process.poll() is None, f"the daemon ended early:\n{self.log()[-3000:]}"
        try:
            self.call("list")
        except Exception:
            return False
        return True

    def call(self, method: str, timeout_s: float = FLUSH_LIMIT_S + 5, **params: Any) -> dict[str, Any]:
        with Client(self.socket, timeout_s=timeout_s) as client:
            return client.call(method, **params)

    def flush(self) -> dict[str, Any]:
        with Client(self.socket, timeout_s=5) as client:
            return client.call("flush", timeout_s=self.flush_limit_s)

    def status(self) -> dict[str, Any]:
        return self.call("status")

    def root(self, path: Path) -> dict[str, Any]:
        return next(root for root in self.status()["roots"] if root["path"] == str(path))

    def search(self, query: str, **params: Any) -> list[str]:
        """Where the results are, best first, as `path:first-last`."""
        found = self.call("search", query=query, **params)["results"]
        return [f"{r['path']}:{r['start_line']}-{r['end_line']}" for r in found]

    def paths(self, query: str, **params: Any) -> list[str]:
        """Paths of the results, best first, each followed by the other places of its text."""
        found = self.call("search", query=query, **params)["results"]
        return [path for r in found for path in (r["path"], *(copy["path"] for copy in r["copies"]))]

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")

    def worker_pids(self) -> list[int]:
        return [worker["pid"] for worker in self.status()["workers"]]

    def kill(self) -> None:
        """`kill -9`, and wait for its end."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self) -> int:
        """In order; returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(20)

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        self._log.close()
        canary.look("a daemon's log", self.log())
        canary.look_into(self.state_dir)

    def export(self, root: Path) -> RootExport:
        """Read a root from the catalog beside the running daemon."""
        connection = sqlite3.connect(f"file:{self.state_dir / 'index.db'}?mode=ro", uri=True)
        try:
            (number,) = connection.execute("SELECT root FROM roots WHERE path = ?", (str(root),)).fetchone()
            (model,) = connection.execute("SELECT max(model) FROM models").fetchone()
            return export_root(connection, RootId(number), model)
        finally:
            connection.close()


@contextmanager
def daemon(config: str = "") -> Iterator[Daemon]:
    """A daemon that is gone at the end. Its home has a short name, because socket paths must be short."""
    home = Path(tempfile.mkdtemp(prefix="rg-"))
    made = Daemon(home, config)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(home, ignore_errors=True)


def words_in(root: Path) -> list[str]:
    """Identifiers that occur in at most a fifth of the root's files, sorted.

    A word that is everywhere ranks hundreds of chunks alike, and which ten of them come first is rounding.
    """
    files: Counter[str] = Counter()
    count = 0
    for path in sorted(root.rglob("*")):
        if path.is_file() and ".git" not in path.parts and path.stat().st_size < 200_000:
            files.update(set(re.findall(r"[A-Za-z_]{4,24}", path.read_text(errors="ignore"))[:400]))
            count += 1
    return sorted(word for word, held in files.items() if held <= max(1, count // 5))


def queries_about(root: Path, count: int, seed: int = 1) -> list[str]:
    """One to three words that occur in the root's files."""
    rng, words = random.Random(seed), words_in(root)
    return [" ".join(rng.sample(words, min(len(words), 1 + n % 3))) for n in range(count)] if words else []


def assert_as_fresh(subject: Daemon, root: Path, queries: int = 16) -> None:
    """After a flush, the daemon's index of the root must equal that of a daemon that has never seen it before."""
    with daemon("[workers]\ncount = 1\n") as fresh:
        fresh.flush_limit_s = subject.flush_limit_s
        fresh.start(root, wait=False)  # It takes its time beside the other's flush.
        done = subject.flush()
        assert done["failed"] == [], done
        assert done["complete"], done
        wait_for(fresh.answers, "the fresh daemon answers", START_LIMIT_S)
        assert fresh.flush()["complete"]
        ours, theirs = subject.export(root), fresh.export(root)
        assert [row[:2] for row in ours.tree] == [row[:2] for row in theirs.tree]
        assert ours == theirs
        asked = queries_about(root, queries)
        wanted = {query: fresh.search(query, k=10, root=str(root)) for query in asked}

        def differing() -> dict[str, list[str]]:
            return {
                query: ours for query in asked if (ours := subject.search(query, k=10, root=str(root))) != wanted[query]
            }

        # Words of deleted files weigh on BM25 until the lexical index is rewritten, a second after the last change.
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while (different := differing()) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not different, f"{different} but fresh { {query: wanted[query] for query in different} }"
