"""How long queries take: over the socket, in the daemon, and as a whole `regenctl` process; how soon edits show."""

from __future__ import annotations

import random
import re
import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.daemons import PrivateDaemon, percentile, private_daemon, quiet
from regend.rpc.client import Client

RANKING_STAGES = ("shortlist", "likeness", "rank")


def words_of(root: Path, seed: int = 1) -> list[str]:
    """Make queries of one to four words that occur in the tree."""
    rng = random.Random(seed)
    files = [f for f in sorted(root.rglob("*")) if f.is_file() and f.suffix in (".py", ".js", ".md", ".txt", ".go")]
    words: set[str] = set()
    for file in rng.sample(files, min(len(files), 300)):
        words.update(re.findall(r"[A-Za-z_]{4,20}", file.read_text(errors="ignore"))[:200])
    ordered = sorted(words)
    return [" ".join(rng.sample(ordered, rng.randint(1, 4))) for _ in range(400)]


def measure(daemon: PrivateDaemon, asked: list[str]) -> dict[str, float]:
    """Measure the latencies of the queries over one warm connection, in milliseconds."""
    round_trip, inside = [], []
    with Client(daemon.socket) as client:
        for query in asked[:50]:
            client.call("search", query=query, k=10)
        for query in asked:
            began_at = time.perf_counter()
            answer = client.call("search", query=query, k=10)
            round_trip.append((time.perf_counter() - began_at) * 1e3)
            inside.append(answer["took_ms"])
    return {
        "socket_p50_ms": round(statistics.median(round_trip), 2),
        "socket_p99_ms": round(percentile(round_trip, 0.99), 2),
        "daemon_p50_ms": round(statistics.median(inside), 2),
        "daemon_p99_ms": round(percentile(inside, 0.99), 2),
    }


def stages(daemon: PrivateDaemon, asked: list[str]) -> dict[str, float]:
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
    return {name: round(statistics.median(values), 3) for name, values in spent.items()}


def run(root: Path, runs: int = 15, asked: list[str] | None = None) -> dict[str, Any]:
    """Index `root`, then ask: `asked`, or words that occur in the tree."""
    asked = asked or words_of(root)
    with private_daemon() as daemon:
        daemon.start(root)
        began_at = time.perf_counter()
        during = measure(daemon, asked)
        during["seconds"] = round(time.perf_counter() - began_at, 1)
        daemon.flush()
        quiet(daemon.pid)
        figures: dict[str, Any] = {"chunks": daemon.call("status")["roots"][0]["chunks"], "while_indexing": during}
        figures["warm"] = measure(daemon, asked)
        figures["stages_cpu_ms"] = stages(daemon, asked)
        wall = [daemon.regenctl("search", query, "-k", "10", "--all")[1] * 1e3 for query in asked[:runs]]
        figures["regenctl_wall_ms"] = {
            "median": round(statistics.median(wall), 1), "min": round(min(wall), 1), "max": round(max(wall), 1),
        }  # fmt: skip
        figures["freshness"] = freshness(daemon)
        daemon.stop()
    return figures


def freshness(daemon: PrivateDaemon, saves: int = 30) -> dict[str, float]:
    """Measure milliseconds from the end of a save until a query finds it, with plain queries and with `sync` ones."""
    scratch = daemon.home / "scratch"
    scratch.mkdir()
    daemon.call("add", path=str(scratch))
    daemon.flush()
    plain, sync = [], []
    with Client(daemon.socket) as client:
        for n in range(saves):
            (scratch / "file.py").write_text(f"def plain_marker_{n}():\n    return {n}\n")
            saved_at = time.perf_counter()
            while True:
                found = client.call("search", query=f"plain_marker_{n}", k=1, root=str(scratch))["results"]
                if found and f"plain_marker_{n}(" in found[0]["snippet"]:
                    break
                time.sleep(0.001)
            plain.append((time.perf_counter() - saved_at) * 1e3)
            time.sleep(0.2)
            (scratch / "file.py").write_text(f"def sync_marker_{n}():\n    return {n}\n")
            saved_at = time.perf_counter()
            found = client.call("search", query=f"sync_marker_{n}", k=1, root=str(scratch), sync=True)["results"]
            assert found and f"sync_marker_{n}(" in found[0]["snippet"], "a sync query missed a write"
            sync.append((time.perf_counter() - saved_at) * 1e3)
            time.sleep(0.2)
    return {
        "save_to_plain_p50_ms": round(statistics.median(plain), 1),
        "save_to_plain_p95_ms": round(percentile(plain, 0.95), 1),
        "save_to_sync_p50_ms": round(statistics.median(sync), 1),
        "save_to_sync_p95_ms": round(percentile(sync, 0.95), 1),
    }
