"""How long a tree takes to index from nothing and what that costs; other programs index the same files."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks import beside
from benchmarks.daemons import FLUSH_LIMIT_S, PrivateDaemon, private_daemon, quiet
from benchmarks.figures import OURS, Rounds, Section
from benchmarks.processes import cpu_s, peak_rss_mb, rss_mb
from benchmarks.setup import Setup
from benchmarks.trees import same_files, words_of

POLL_S = 0.05


def run(setup: Setup) -> Section:
    """Index the whole tree, and the code files of it beside the other programs; one round of each after the other."""
    rounds, remarks = Rounds(), dict[str, None]()
    about: dict[str, Any] = {"tree": setup.tree.name}
    with tempfile.TemporaryDirectory(prefix="rg-") as place:
        code = Path(place) / "code"
        code.mkdir()
        about["code files"] = len(same_files(setup.tree, code))
        asked = setup.asked or tuple(words_of(setup.tree))
        for number in range(setup.rounds):
            _read_all(setup.tree)
            about |= index_once(setup, setup.tree, rounds, "whole tree: ")
            if setup.beside and about["code files"]:
                # Whoever runs second finds a warmer machine, so the order alternates.
                if number % 2:
                    index_once(setup, code, rounds, "")
                remarks |= dict.fromkeys(beside.measure(code, asked, setup.cores, rounds, setup.beside))
                if not number % 2:
                    index_once(setup, code, rounds, "")
    return Section("index", about, rounds.figures(), list(remarks))


def index_once(setup: Setup, tree: Path, rounds: Rounds, label: str) -> dict[str, Any]:
    """Index `tree` with a new daemon; add the figures and return what the tree turned out to be."""
    with private_daemon(setup.cores) as daemon:
        daemon.start()
        wait_for_worker(daemon)
        # Others are imported and have their model when their clocks start, too; `restart` measures a start.
        start_s, began_at = daemon.used_cpu_s(), time.perf_counter()
        daemon.call("add", path=str(tree))
        words_s = wait_for_words(daemon, began_at)
        wait_until_complete(daemon)
        took_s = time.perf_counter() - began_at
        status = daemon.call("status")
        served = status["roots"][0]
        own_s, workers_s = (now_s - before_s for now_s, before_s in zip(daemon.used_cpu_s(), start_s, strict=True))
        chunks = max(1, served["chunks"])
        workers_mb = [peak_rss_mb(worker["pid"]) for worker in status["workers"]]
        add = lambda what, unit, value: rounds.add(label + what, unit, value, OURS)  # noqa: E731 - many short lines.
        add("to words", "s", words_s)
        add("to complete", "s", took_s)
        add("CPU to complete", "s", own_s + workers_s)
        add("CPU of the daemon", "s", own_s)
        add("CPU of the daemon a chunk", "ms", own_s / chunks * 1e3)
        add("chunks", "chunks", served["chunks"])
        add("files", "files", served["files_indexed"])
        add("peak memory", "MB", peak_rss_mb(daemon.pid))
        add("peak memory of a worker", "MB", max(workers_mb, default=0.0))
        quiet_s = quiet(daemon.pid)
        add("background work afterwards", "s", quiet_s)
        add("CPU of it", "s", cpu_s(daemon.pid) - start_s[0] - own_s)
        add("memory after it", "MB", rss_mb(daemon.pid))
        add("peak memory with it", "MB", peak_rss_mb(daemon.pid))
        add("on disk", "MB", daemon.state_mb())
        daemon.stop()
    return {"files": served["files_indexed"], "chunks": served["chunks"], "skipped": served["files_skipped"]}


def wait_for_worker(daemon: PrivateDaemon) -> None:
    """Wait until the first worker can take a file."""
    while not any(worker["state"] == "idle" for worker in daemon.call("status")["workers"]):
        time.sleep(POLL_S)


def wait_for_words(daemon: PrivateDaemon, began_at: float) -> float:
    """Wait until every file is searchable by its words; return the seconds since `began_at`.

    It asks once: a benchmark that asks for the status all the time measures that, too.
    """
    daemon.call("sync", timeout_s=FLUSH_LIMIT_S)
    return time.perf_counter() - began_at


def wait_until_complete(daemon: PrivateDaemon) -> None:
    """Wait until every file is searchable by words and vectors."""
    daemon.flush()
    while not daemon.call("status")["roots"][0]["complete"]:
        time.sleep(POLL_S)


def _read_all(tree: Path) -> None:
    """Read every file once, so that the first round finds the same page cache as the others."""
    for file in tree.rglob("*"):
        if file.is_file() and not file.is_symlink():
            with file.open("rb") as stream:
                while stream.read(1 << 20):
                    pass
