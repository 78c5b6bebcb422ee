"""A daemon that has nothing to do: its memory by owner, a restart, and a while without a change."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from benchmarks.daemons import PrivateDaemon, private_daemon, quiet
from benchmarks.figures import Rounds, Section
from benchmarks.indexing import wait_until_complete
from benchmarks.processes import owners_mb, peak_rss_mb, rss_mb, running_ns, wakeups
from benchmarks.setup import Setup
from benchmarks.trees import many_directories, words_of
from regend.rpc.client import Client

_ASKED = 100
_REST_S = 5.0
_SHRINK_S = 90.0
"""How long to wait for workers that are not needed to end (`workers.idle_shrink_s`)."""


def memory(setup: Setup) -> Section:
    """Measure memory at the peak, at rest with its owners, after queries, and after a restart."""
    rounds, about = Rounds(), {"tree": setup.tree.name}
    asked = (setup.asked or tuple(words_of(setup.tree)))[:_ASKED]
    for _ in range(setup.rounds):
        with private_daemon(setup.cores) as daemon:
            daemon.start(setup.tree)
            wait_until_complete(daemon)
            quiet(daemon.pid)
            time.sleep(_REST_S)
            about["chunks"] = daemon.call("status")["roots"][0]["chunks"]
            rest_mb, peak_mb = rss_mb(daemon.pid), peak_rss_mb(daemon.pid)
            rounds.add("at rest", "MB", rest_mb)
            rounds.add("peak", "MB", peak_mb)
            rounds.add("peak by rest", "×", peak_mb / rest_mb)
            rounds.add("at rest, 1,000 chunks", "MB", rest_mb / max(1, about["chunks"]) * 1e3)
            for name, held_mb in owners_mb(daemon.pid, daemon.state_dir).items():
                rounds.add(f"at rest: {name}", "MB", held_mb)
            workers = daemon.processes()[1:]
            rounds.add("largest worker, peak", "MB", max(map(peak_rss_mb, workers), default=0.0))
            _ask(daemon, asked)
            rounds.add(f"after {len(asked)} queries", "MB", rss_mb(daemon.pid))
            daemon.stop()
            daemon.start()
            wait_until_complete(daemon)
            quiet(daemon.pid)
            rounds.add("after a restart", "MB", rss_mb(daemon.pid))
            rounds.add("peak of the restart", "MB", peak_rss_mb(daemon.pid))
            rounds.add("on disk", "MB", daemon.state_mb())
            daemon.stop()
    return Section("memory", about, rounds.figures())


def restart(setup: Setup) -> Section:
    """Start a daemon again over its index: to the first answer, and until the tree is compared with the disk."""
    rounds = Rounds()
    asked = (setup.asked or tuple(words_of(setup.tree)))[0]
    with private_daemon(setup.cores) as daemon:
        daemon.start(setup.tree)
        wait_until_complete(daemon)
        quiet(daemon.pid)
        about = {"tree": setup.tree.name, "chunks": daemon.call("status")["roots"][0]["chunks"]}
        for _ in range(setup.rounds):
            daemon.stop()
            began_at = time.perf_counter()
            daemon.start()
            daemon.call("search", query=asked, k=10)
            rounds.add("to the first answer", "s", time.perf_counter() - began_at)
            daemon.flush()
            rounds.add("to compared with the disk", "s", time.perf_counter() - began_at)
            wait_until_complete(daemon)
            rounds.add("CPU until then", "s", sum(daemon.used_cpu_s()))
            rounds.add("chunks embedded", "chunks", daemon.call("status")["counters"]["embedded_chunks"])
        daemon.stop()
    return Section("restart", about, rounds.figures())


def idle(setup: Setup) -> Section:
    """Watch the daemon and its workers for a while, on a tree of many directories in which nothing happens."""
    rounds = Rounds()
    with tempfile.TemporaryDirectory(prefix="rg-") as place, private_daemon(setup.cores) as daemon:
        many_directories(Path(place), setup.directories)
        daemon.start(Path(place))
        wait_until_complete(daemon)
        quiet(daemon.pid)
        about = {"directories": setup.directories, "seconds": round(setup.seconds)}
        ends_at = time.monotonic() + _SHRINK_S
        while len(daemon.processes()) > 2 and time.monotonic() < ends_at:
            time.sleep(1.0)
        for _ in range(setup.rounds):
            pids = daemon.processes()
            ran_ns, woken, began_at = running_ns(pids), wakeups(pids), time.perf_counter()
            time.sleep(setup.seconds)
            took_s, now = time.perf_counter() - began_at, daemon.processes()
            if set(now) == set(pids):  # Else a worker has ended, and what it had used is not known.
                rounds.add("CPU of one core", "%", (running_ns(pids) - ran_ns) / took_s / 1e9 * 100)
                rounds.add("times a thread woke, a second", "1/s", (wakeups(pids) - woken) / took_s)
            rounds.add("workers", "processes", len(now) - 1)
            rounds.add("memory of the daemon", "MB", rss_mb(daemon.pid))
            rounds.add("memory of its workers", "MB", sum(map(rss_mb, now[1:])))
        daemon.stop()
    return Section("idle", about, rounds.figures())


def _ask(daemon: PrivateDaemon, asked: tuple[str, ...]) -> None:
    with Client(daemon.socket) as client:
        for query in asked:
            client.call("search", query=query, k=10)
