"""Many clients at once, and growth: the same figures at several sizes of tree."""

from __future__ import annotations

import multiprocessing
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.beside import chunks_of
from benchmarks.daemons import percentile, private_daemon, quiet
from benchmarks.figures import Rounds, Section
from benchmarks.indexing import wait_until_complete
from benchmarks.processes import peak_rss_mb, rss_mb
from benchmarks.queries import ask
from benchmarks.setup import Setup
from benchmarks.trees import grown, words_of
from regend.rpc.client import Client

CLIENTS = (1, 8, 32)
_LOAD_S = 10.0
_STARTS_S = 3.0
"""How long a client's process may take to start."""
_GRAPH_LIMIT_S = 1_800.0


def load(setup: Setup) -> Section:
    """Ask with several clients at once, each in a process of its own, as fast as answers come."""
    rounds = Rounds()
    asked = list(setup.asked or words_of(setup.tree))
    seconds = min(setup.seconds, _LOAD_S)
    with private_daemon(setup.cores) as daemon:
        daemon.start(setup.tree)
        wait_until_complete(daemon)
        quiet(daemon.pid)
        about = {"tree": setup.tree.name, "chunks": daemon.call("status")["roots"][0]["chunks"], "seconds": seconds}
        for _ in range(setup.rounds):
            for clients in CLIENTS:
                before_s = sum(daemon.used_cpu_s())
                took_ms = _together(daemon.socket, asked, clients, seconds)
                label = f"{clients} clients: " if clients > 1 else "1 client: "
                rounds.add(label + "answers", "1/s", len(took_ms) / seconds)
                rounds.add(label + "p50", "ms", statistics.median(took_ms))
                rounds.add(label + "p99", "ms", percentile(took_ms, 0.99))
                rounds.add(label + "CPU a query", "ms", (sum(daemon.used_cpu_s()) - before_s) / len(took_ms) * 1e3)
        daemon.stop()
    return Section("load", about, rounds.figures())


def scale(setup: Setup) -> Section:
    """Index trees that are grown from this one to several sizes; CPU a chunk and queries should hardly grow."""
    rounds, about = Rounds(), {"tree": f"{setup.tree.name}, copies with other words"}
    with tempfile.TemporaryDirectory(prefix="rg-") as place:
        once = Path(place) / "once"
        grown(setup.tree, once, 1)
        per_copy = max(1, sum(1 for _ in chunks_of(once)))
    for _ in range(setup.rounds):
        for wanted in setup.chunks:
            with tempfile.TemporaryDirectory(prefix="rg-") as place, private_daemon(setup.cores) as daemon:
                tree = Path(place) / "grown"
                grown(setup.tree, tree, max(1, round(wanted / per_copy)))
                began_at = time.perf_counter()
                daemon.start(tree)
                wait_until_complete(daemon)
                took_s, (own_s, workers_s) = time.perf_counter() - began_at, daemon.used_cpu_s()
                chunks = max(1, daemon.call("status")["roots"][0]["chunks"])
                quiet(daemon.pid, _GRAPH_LIMIT_S)
                label = f"{wanted:,}: "
                rounds.add(label + "chunks", "chunks", chunks)
                rounds.add(label + "to complete", "s", took_s)
                rounds.add(label + "CPU of the daemon a chunk", "ms", own_s / chunks * 1e3)
                rounds.add(label + "CPU of the workers a chunk", "ms", workers_s / chunks * 1e3)
                rounds.add(label + "at rest, 1,000 chunks", "MB", rss_mb(daemon.pid) / chunks * 1e3)
                rounds.add(label + "peak, 1,000 chunks", "MB", peak_rss_mb(daemon.pid) / chunks * 1e3)
                rounds.add(label + "on disk, 1,000 chunks", "MB", daemon.state_mb() / chunks * 1e3)
                asking = Rounds()
                ask(daemon, words_of(tree / "copy0"), asking, label)
                for figure in asking.figures():
                    rounds.add(figure.what, figure.unit, figure.median)
                daemon.stop()
    return Section("scale", about, rounds.figures())


def _together(socket: Path, asked: list[str], clients: int, seconds: float) -> list[float]:
    """Run the clients; return the milliseconds of every answer."""
    start_at = time.monotonic() + _STARTS_S + 0.1 * clients
    with multiprocessing.get_context("spawn").Pool(clients) as pool:
        jobs = [(socket, asked[number:] + asked[:number], start_at, seconds, number) for number in range(clients)]
        return [took_ms for answers in pool.starmap(_client, jobs, 1) for took_ms in answers]


def _client(socket: Path, asked: list[str], start_at: float, seconds: float, number: int) -> list[float]:
    """Ask from `start_at` (monotonic) on, each query in a form that the daemon does not remember."""
    took_ms = []
    with Client(socket) as client:
        time.sleep(max(0.0, start_at - time.monotonic()))
        while time.monotonic() < start_at + seconds:
            began_at = time.perf_counter()
            turn, place = divmod(len(took_ms), len(asked))
            client.call("search", query=asked[place], k=10 - (number + turn) % 6, lines=4 + number % 8)
            took_ms.append((time.perf_counter() - began_at) * 1e3)
    return took_ms
