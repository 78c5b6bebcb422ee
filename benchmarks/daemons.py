"""A private daemon: its own home, state and socket, stopped by its own process id."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.processes import cpu_s, ended_children_cpu_s
from regend.errors import RegendError
from regend.rpc.client import Client

START_LIMIT_S = 30.0
FLUSH_LIMIT_S = 1_800.0


class PrivateDaemon:
    """Started by `start`, ended by `stop`; the state stays until `remove`."""

    def __init__(self, cores: frozenset[int] = frozenset()) -> None:
        """`cores`: those that the daemon and its workers may use; empty for all."""
        self._cores = cores
        self.home = Path(tempfile.mkdtemp(prefix="rg-"))
        self.socket = self.home / "run" / "s"
        self.state_dir = self.home / "state"
        self._process: subprocess.Popen[bytes] | None = None
        self._environ = {**os.environ, "HOME": str(self.home), "REGEND_SOCKET": str(self.socket)}
        self._environ.pop("REGEND_CONFIG", None)
        self._environ["XDG_CONFIG_HOME"] = str(self.home)

    @property
    def pid(self) -> int:
        assert self._process is not None, "start() comes first"
        return self._process.pid

    def configure(self, settings: str) -> None:
        """Write the user's configuration, as TOML, for the next start."""
        config = self.home / "regend" / "config.toml"
        config.parent.mkdir(exist_ok=True)
        config.write_text(settings)

    def start(self, *roots: Path, trace: Path | None = None) -> float:
        """Start the daemon and wait until it answers; returns the seconds that took.

        Args:
            trace: file for its trace.
        """
        began_at = time.perf_counter()
        command = [sys.executable, "-m", "regend", "--state-dir", str(self.state_dir), "--socket", str(self.socket)]
        for root in roots:
            command += ["--root", str(root)]
        if trace is not None:
            command += ["--trace", str(trace)]
        with (self.home / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stderr=log, stdout=log, env=self._environ, preexec_fn=pinned(self._cores)
            )
        while True:
            try:
                self.call("list")
                return time.perf_counter() - began_at
            except RegendError as error:
                if self._process.poll() is not None or time.perf_counter() - began_at > START_LIMIT_S:
                    raise SystemExit(f"the daemon does not start: {error}\n{self.log()}") from error
                time.sleep(0.005)

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        with Client(self.socket, timeout_s=FLUSH_LIMIT_S) as client:
            return client.call(method, **params)

    def flush(self) -> dict[str, Any]:
        return self.call("flush", timeout_s=FLUSH_LIMIT_S)

    def regenctl(self, *arguments: str) -> tuple[str, float]:
        """Run `regenctl` as a person does; returns what it printed and the seconds the process took."""
        began_at = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "regend.cli.main", *arguments], env=self._environ, capture_output=True, text=True
        )
        took_s = time.perf_counter() - began_at
        if done.returncode not in (0, 1):  # 1: nothing was found.
            raise SystemExit(f"regenctl {' '.join(arguments)} failed: {done.stderr or done.stdout}")
        return done.stdout, took_s

    def log(self) -> str:
        return (self.home / "log").read_text(errors="replace")[-4_000:]

    def processes(self) -> list[int]:
        """Return the process ids of the daemon and its workers."""
        return [self.pid, *(worker["pid"] for worker in self.call("status")["workers"])]

    def stop(self) -> int:
        """End the daemon in order; returns its exit status."""
        assert self._process is not None, "start() comes first"
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(30)

    def used_cpu_s(self) -> tuple[float, float]:
        """Return the CPU seconds of the daemon and those of its workers, ended ones included."""
        live = 0.0
        for pid in self.processes()[1:]:
            with suppress(FileNotFoundError, ProcessLookupError):  # It has ended since.
                live += cpu_s(pid)
        return cpu_s(self.pid), ended_children_cpu_s(self.pid) + live

    def state_mb(self) -> float:
        return sum(file.stat().st_size for file in self.state_dir.rglob("*") if file.is_file()) / 1e6

    def remove(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        shutil.rmtree(self.home, ignore_errors=True)


@contextmanager
def private_daemon(cores: frozenset[int] = frozenset()) -> Iterator[PrivateDaemon]:
    daemon = PrivateDaemon(cores)
    try:
        yield daemon
    finally:
        daemon.remove()


def pinned(cores: frozenset[int]) -> Callable[[], None] | None:
    """Return what keeps a child process, and all that it starts, on these cores."""
    return partial(os.sched_setaffinity, 0, cores) if cores else None


def quiet(pid: int, limit_s: float = 180.0) -> float:
    """Wait until the process has done nearly nothing for two seconds (its HNSW graph is built); returns the wait."""
    began_at = time.perf_counter()
    while time.perf_counter() - began_at < limit_s:
        before = cpu_s(pid)
        time.sleep(2.0)
        if cpu_s(pid) - before < 0.1:
            break
    return time.perf_counter() - began_at


def machine() -> str:
    """Name the machine of a measurement, in one line."""
    return f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, commit {commit()}"


def commit() -> str:
    """Return the commit that is checked out, marked where files differ from it."""
    place = Path(__file__).resolve().parent
    git = ["git", "-C", str(place), "describe", "--always", "--dirty", "--exclude", "*"]
    try:
        return subprocess.run(git, capture_output=True, text=True).stdout.strip() or "unknown"
    except FileNotFoundError:
        return "unknown"


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]
