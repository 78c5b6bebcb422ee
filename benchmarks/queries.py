"""How long queries take: on the socket, in the daemon, as a whole `regenctl` process; and how soon edits are found."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import cycle
from pathlib import Path

from benchmarks import beside
from benchmarks.daemons import PrivateDaemon, percentile, private_daemon, quiet
from benchmarks.figures import Rounds, Section
from benchmarks.indexing import wait_until_complete
from benchmarks.setup import Setup
from benchmarks.trees import same_files, words_of
from regend.rpc.client import Client

RANKING_STAGES = ("shortlist", "rank")
_PROCESSES = 15
_RESULTS = cycle((10, 9, 8, 7, 6, 5))
"""How many results are asked for: another number each round, so that no answer is one that the daemon remembers. More
than ten make the daemon look deeper, which is another question."""
_SAVES = 30
_SAVED_FILES = 10
"""Files that are saved in turns: the daemon pauses between its looks at a file that changes without end."""


def run(setup: Setup) -> Section:
    """Ask a warm daemon, and one that indexes meanwhile; other programs answer the same queries over the code files."""
    rounds, remarks = Rounds(), dict[str, None]()
    asked = list(setup.asked or words_of(setup.tree))
    about = {"tree": setup.tree.name, "queries": len(asked)}
    with tempfile.TemporaryDirectory(prefix="rg-") as place, private_daemon(setup.cores) as daemon:
        daemon.start(setup.tree)
        ask(daemon, asked, rounds, "while indexing: ")
        wait_until_complete(daemon)
        quiet(daemon.pid)
        about["chunks"] = daemon.call("status")["roots"][0]["chunks"]
        for _ in range(setup.rounds):
            ask(daemon, asked, rounds, "")
            rounds.add("an empty call (`list`), p50", "ms", echo_ms(daemon))
            for name, cpu_ms in stages(daemon, asked).items():
                rounds.add(f"CPU: {name}", "ms", cpu_ms)
            wall = [daemon.regenctl("search", query, "-k", "10", "--all")[1] * 1e3 for query in asked[:_PROCESSES]]
            rounds.add("`regenctl search`, whole process, p50", "ms", statistics.median(wall))
        daemon.stop()
        if setup.beside:
            code = Path(place) / "code"
            code.mkdir()
            same_files(setup.tree, code)
            theirs = Rounds()
            remarks |= dict.fromkeys(beside.measure(code, asked, setup.cores, theirs, setup.beside))
            for figure in theirs.figures():
                if figure.what == "a query, p50":
                    rounds.add(figure.what, figure.unit, figure.median, figure.program)
    return Section("query", about, rounds.figures(), list(remarks))


def ask(daemon: PrivateDaemon, asked: Sequence[str], rounds: Rounds, label: str) -> None:
    """Ask every query on one warm connection, and then once more, which the daemon remembers."""
    round_trip, inside, again = [], [], []
    with Client(daemon.socket) as client:
        k = next(_RESULTS)
        for query in asked[:50]:
            client.call("search", query=query, k=k)
        k = next(_RESULTS)
        for query in asked:
            began_at = time.perf_counter()
            answer = client.call("search", query=query, k=k)
            round_trip.append((time.perf_counter() - began_at) * 1e3)
            inside.append(answer["took_ms"])
            began_at = time.perf_counter()
            client.call("search", query=query, k=k)
            again.append((time.perf_counter() - began_at) * 1e3)
    rounds.add(f"{label}the same query again, p50", "ms", statistics.median(again))
    rounds.add(f"{label}a query, p50", "ms", statistics.median(round_trip))
    rounds.add(f"{label}a query, p99", "ms", percentile(round_trip, 0.99))
    rounds.add(f"{label}of it in the daemon, p50", "ms", statistics.median(inside))


def echo_ms(daemon: PrivateDaemon, calls: int = 500) -> float:
    """Measure the floor of every call: the round trip of one that does nothing."""
    took_ms = []
    with Client(daemon.socket) as client:
        for _ in range(calls):
            began_at = time.perf_counter()
            client.call("list")
            took_ms.append((time.perf_counter() - began_at) * 1e3)
    return statistics.median(took_ms)


def stages(daemon: PrivateDaemon, asked: Sequence[str]) -> dict[str, float]:
    """Measure the daemon's CPU per query by stage, median milliseconds; `ranking` is all that weighs candidates."""
    spent: dict[str, list[float]] = {}
    with Client(daemon.socket) as client:
        for query in [*asked[:20], *asked]:  # The first are asked twice: caches are warm then.
            answer = client.call("search", query=query, k=10, explain=True)
            stages_ms = {name: stage["cpu_ms"] for name, stage in answer["stages"].items()}
            whole = sum(stages_ms.values())
            stages_ms |= {"ranking": sum(stages_ms.get(name, 0.0) for name in RANKING_STAGES), "all": whole}
            for name, cpu_ms in stages_ms.items():
                spent.setdefault(name, []).append(cpu_ms)
    return {name: statistics.median(values) for name, values in spent.items()}


def freshness(setup: Setup) -> Section:
    """Save files in a copy of the tree; measure from the end of each write to the answer that has it."""
    rounds = Rounds()
    with private_daemon(setup.cores) as daemon:
        tree = daemon.home / "tree"
        shutil.copytree(setup.tree, tree, symlinks=True)
        daemon.start(tree)
        wait_until_complete(daemon)
        quiet(daemon.pid)
        about = {"tree": setup.tree.name, "chunks": daemon.call("status")["roots"][0]["chunks"], "saves": _SAVES}
        for number in range(setup.rounds):
            plain, sync = saves(daemon, tree, number)
            for name, took_ms in (("a plain query", plain), ("a `sync` query", sync)):
                rounds.add(f"save to {name}, p50", "ms", statistics.median(took_ms))
                rounds.add(f"save to {name}, p95", "ms", percentile(took_ms, 0.95))
        daemon.stop()
    return Section("freshness", about, rounds.figures())


def saves(daemon: PrivateDaemon, tree: Path, number: int) -> tuple[list[float], list[float]]:
    """Save files many times; return the milliseconds until plain queries find each save, and until `sync` ones do."""
    files = cycle(tree / f"saved_by_the_benchmark_{each}.py" for each in range(_SAVED_FILES))
    plain, sync = [], []

    def timed(name: str, found: Callable[[], bool]) -> float:
        file = next(files)
        file.write_text(f"def {name}():\n    return 1\n")
        saved_at = time.perf_counter()
        while not found():
            if time.perf_counter() - saved_at > 60.0:
                raise SystemExit(f"{file} was saved a minute ago and is not found")
            time.sleep(0.001)
        took_ms = (time.perf_counter() - saved_at) * 1e3
        time.sleep(0.2)
        return took_ms

    with Client(daemon.socket) as client:

        def finds(name: str, synced: bool) -> bool:
            found = client.call("search", query=name, k=1, sync=synced)["results"]
            return bool(found) and f"{name}(" in found[0]["snippet"]

        for save in range(_SAVES):
            name = f"marker_{number}_{save}"
            plain.append(timed(f"plain_{name}", lambda: finds(f"plain_{name}", False)))  # noqa: B023 - called at once.
            sync.append(timed(f"sync_{name}", lambda: finds(f"sync_{name}", True)))  # noqa: B023
    return plain, sync
