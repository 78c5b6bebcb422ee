"""The modes on an embedding server that takes 100 ms a request: the time of each, and how stages overlap.

A first run, on a server that answers at once, tells how long this machine takes to chunk the tree. Batches are then of
a size at which the server takes about as long as that: the case in which overlap can gain most.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.daemons import private_daemon
from benchmarks.embedding_server import DIM, embedding_server
from benchmarks.figures import Rounds, Section
from benchmarks.indexing import wait_for_worker, wait_until_complete
from benchmarks.setup import Setup
from benchmarks.trees import same_files

MODES = ("sequential", "parallel", "pipeline")
LATENCY_S = 0.1
CONCURRENCY = 4
_BATCHES = (4, 256)
"""Smallest and largest batch."""
TRACES = Path(__file__).resolve().parent.parent / "build" / "traces"
"""The trace of each mode's last run, for Perfetto."""
Span = tuple[float, float]
"""Begin and end, in seconds."""


@dataclass(frozen=True, slots=True)
class _Run:
    """One tree that was indexed in one mode."""

    took_s: float
    cpu_s: float
    chunks: int
    chunking: list[Span]
    embedding: list[Span]


def run(setup: Setup) -> Section:
    """Index the code of the tree in each mode, one after the other, and compare the times of one round."""
    rounds = Rounds()
    with tempfile.TemporaryDirectory(prefix="rg-") as place:
        code = Path(place) / "code"
        code.mkdir()
        files = len(same_files(setup.tree, code))
        for _ in range(2):  # The first one finds a cold machine.
            first = _indexed(setup, code, "parallel", 0.0, _BATCHES[1])
        chunk_s = _length(first.chunking)
        batch = round(first.chunks * LATENCY_S / CONCURRENCY / chunk_s)
        batch = min(max(batch, _BATCHES[0]), _BATCHES[1])
        for _ in range(setup.rounds):
            took_s, least_s = {}, 0.0
            for mode in MODES:
                done = _indexed(setup, code, mode, LATENCY_S, batch)
                took_s[mode] = done.took_s
                if mode == "parallel":
                    least_s = max(_length(done.chunking), _length(done.embedding))
                both_s = _length(done.chunking) + _length(done.embedding) - _length(done.chunking + done.embedding)
                rounds.add(f"{mode}: to complete", "s", done.took_s)
                rounds.add(f"{mode}: CPU", "s", done.cpu_s)
                rounds.add(f"{mode}: files in workers", "s", _length(done.chunking))
                rounds.add(f"{mode}: requests in flight", "s", _length(done.embedding))
                rounds.add(f"{mode}: both at once", "s", round(both_s, 6))
            rounds.add("parallel: times as fast as sequential", "×", took_s["sequential"] / took_s["parallel"])
            rounds.add("pipeline: times as fast as parallel", "×", took_s["parallel"] / took_s["pipeline"])
            rounds.add("pipeline: the same if stages overlapped wholly", "×", took_s["parallel"] / least_s)
    about = {
        "tree": setup.tree.name, "files": files, "chunks": first.chunks, "ms a request": LATENCY_S * 1e3,
        "requests at once": CONCURRENCY, "chunks a request": batch,
    }  # fmt: skip
    return Section("modes", about, rounds.figures(), [f"Traces for Perfetto: {TRACES.parent.name}/{TRACES.name}."])


def _indexed(setup: Setup, tree: Path, mode: str, latency_s: float, batch: int) -> _Run:
    with embedding_server(latency_s) as server, private_daemon(setup.cores) as daemon:
        daemon.configure(
            f'[workers]\nmode = "{mode}"\n[embedding]\nprovider = "http"\nrole = "only"\nmodel = "m"\n'
            f'urls = ["{server.url}"]\ndim = {DIM}\nbatch_items = {batch}\nconcurrency = {CONCURRENCY}\n'
        )
        TRACES.mkdir(parents=True, exist_ok=True)
        trace = TRACES / f"{mode}.json"
        daemon.start(trace=trace)
        wait_for_worker(daemon)
        start_s, began_at = sum(daemon.used_cpu_s()), time.perf_counter()
        daemon.call("add", path=str(tree))
        wait_until_complete(daemon)
        took_s = time.perf_counter() - began_at
        cpu_s, chunks = sum(daemon.used_cpu_s()) - start_s, daemon.call("status")["roots"][0]["chunks"]
        daemon.stop()
        spans = spans_of(trace)
    return _Run(took_s, cpu_s, chunks, spans["chunk"], spans["embed"])


def spans_of(trace: Path) -> dict[str, list[Span]]:
    """Return when each stage ran, from the file that `regend --trace` wrote."""
    spans: dict[str, list[Span]] = {}
    for event in json.loads(trace.read_text())["traceEvents"]:
        if event["ph"] == "X":
            spans.setdefault(event["name"], []).append((event["ts"] / 1e6, (event["ts"] + event["dur"]) / 1e6))
    return spans


def _length(spans: Iterable[Span]) -> float:
    """Return how long at least one of the spans ran, in seconds."""
    length_s, end = 0.0, float("-inf")
    for began_at, ended_at in sorted(spans):
        length_s += max(0.0, ended_at - max(began_at, end))
        end = max(end, ended_at)
    return length_s
