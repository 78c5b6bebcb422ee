"""Hours of ordinary and less ordinary use leave the daemon as it was: memory, descriptors, threads, watches and disk.

Edits, branch flips, queries, flushes, killed workers, and clients that leave in the middle of a request, all at once,
for `REGEND_SOAK_S` seconds (600; an hour is 3600), with `REGEND_SOAK_PACE` times the usual pauses. Edits come from a
finite set of contents, because texts that no tree uses any more are kept on purpose. The last third is compared with
the third before it.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

from regend.errors import RegendError
from regend.rpc.client import Client
from tests.e2e.rig import Daemon, assert_as_fresh, daemon
from tests.e2e.test_freshness import git, module, root
from tests.ledger import record

__all__ = ["root"]  # A fixture.

SECONDS = float(os.environ.get("REGEND_SOAK_S", "600"))
PACE = float(os.environ.get("REGEND_SOAK_PACE", "1"))
SAMPLE_S = 1.0
GROWTH = {
    "rss_mb": (1.10, 15.0),
    "fds": (1.0, 4.0),
    "threads": (1.0, 3.0),
    "watches": (1.0, 8.0),
    "disk_mb": (1.15, 8.0),
}
"""How much more the last third may use than the one before: a factor, and a constant besides."""


def watches(pid: int) -> int:
    """inotify watches that the process holds, by the kernel's own word."""
    count = 0
    for info in Path(f"/proc/{pid}/fdinfo").iterdir():
        try:
            count += info.read_text().count("inotify wd:")
        except OSError:
            pass  # Closed since.
    return count


def sample(subject: Daemon) -> dict[str, float]:
    process = Path(f"/proc/{subject.process.pid}")
    fields = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
    sizes = []
    for path in subject.state_dir.rglob("*"):
        try:
            sizes.append(path.lstat().st_blocks * 512)
        except OSError:
            pass  # Gone since.
    return {
        "rss_mb": int(fields["VmRSS"].split()[0]) / 1e3,
        "fds": len(list((process / "fd").iterdir())),
        "threads": int(fields["Threads"]),
        "watches": watches(subject.process.pid),
        "disk_mb": sum(sizes) / 1e6,
    }


class Load:
    """Threads that use the daemon until they are stopped; each error that is not expected is kept."""

    def __init__(self, subject: Daemon, root: Path) -> None:
        self.subject, self.root = subject, root
        self.latencies_ms: list[float] = []
        self.errors: list[str] = []
        self.not_synced = 0
        self.done: dict[str, int] = {}
        self._stop = threading.Event()
        self._tree = threading.Lock()  # Git and edits take turns, or git refuses.
        jobs = (
            (self.edit, 0.15),
            (self.query, 0.05),
            (self.flush, 2.0),
            (self.flip, 9.0),
            (self.kill, 11.0),
            (self.leave, 0.7),
        )
        self._threads = [threading.Thread(target=self._repeat, args=job) for job in jobs]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _repeat(self, job: Callable[[random.Random], None], every_s: float) -> None:
        rng = random.Random(job.__name__)
        while not self._stop.wait(every_s * PACE * 2 * rng.random()):
            try:
                job(rng)
            except Exception as error:
                self.errors.append(f"{job.__name__}: {type(error).__name__}: {error}")
            self.done[job.__name__] = self.done.get(job.__name__, 0) + 1

    def edit(self, rng: random.Random) -> None:
        n = rng.randrange(60)
        file = self.root / f"pkg{n % 4}" / f"mod{n}.py"
        with self._tree:
            if rng.random() < 0.1:
                file.unlink(missing_ok=True)
            else:
                file.write_text(module(n, f" + {rng.randrange(4)}"))

    def query(self, rng: random.Random) -> None:
        with Client(self.subject.socket, timeout_s=30) as client:
            for _ in range(10):
                started_at = time.perf_counter()
                try:
                    client.call("search", query=f"Thing{rng.randrange(60)} copy the", sync=rng.random() < 0.05)
                except RegendError as error:
                    if error.code != "not_synced":
                        raise
                    self.not_synced += 1  # The wait is bounded, and the answer says so; but it must be rare.
                self.latencies_ms.append((time.perf_counter() - started_at) * 1e3)

    def flush(self, _rng: random.Random) -> None:
        try:
            self.subject.flush()
        except RegendError as error:
            if error.code != "timeout":
                raise

    def flip(self, rng: random.Random) -> None:
        with self._tree:
            git(self.root, "checkout", "-q", "--force", rng.choice(("one", "two")))

    def kill(self, rng: random.Random) -> None:
        pids = self.subject.worker_pids()
        if pids:
            try:
                os.kill(rng.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                pass  # It ended by itself.

    def leave(self, rng: random.Random) -> None:
        """Ask, perhaps not to the end, and go without waiting."""
        request = msgpack.packb([0, 1, "search", [{"query": "merge the buffer", "k": 1000, "sync": True}]])
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(self.subject.socket))
            peer.sendall(request[: rng.randrange(1, len(request) + 1)])


@pytest.mark.slow
def test_soak(root: Path) -> None:
    with daemon("[embedding]\ncache_mb = 20\n") as subject:
        subject.start(root).flush()
        samples = []
        with Load(subject, root) as load:
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                time.sleep(SAMPLE_S)
                samples.append(sample(subject))
        third = len(samples) // 3
        before, after = samples[third : 2 * third], samples[2 * third :]
        figures, grown = [], []
        for name, (factor, more) in GROWTH.items():
            old, new = (statistics.median(one[name] for one in part) for part in (before, after))
            figures.append(f"{name} {old:.0f} -> {new:.0f}")
            if new > old * factor + more:
                grown.append(name)
        p50, p99 = statistics.median(load.latencies_ms), statistics.quantiles(load.latencies_ms, n=100)[98]
        asked = len(load.latencies_ms)
        note = (
            f"{', '.join(figures)}; {asked} queries, p50 {p50:.1f} ms, p99 {p99:.1f} ms, {load.not_synced} not synced"
        )
        record(
            f"soak of {SECONDS:.0f} s", sum(load.done.values()), leaked=len(grown), diverged=len(load.errors), note=note
        )
        print(note, load.done)
        assert load.errors == []
        assert load.not_synced <= 1 + asked // 10_000
        assert grown == [], note
        assert_as_fresh(subject, root, queries=10)
