"""`python -m benchmarks.searched --questions FILE --checkouts DIR`: whether a shared store answers as memory does.

A daemon indexes the directories and lets a PostgreSQL server of this program's own search them (`shared.search_roots`).
It is asked all questions, and once more with all vectors in memory. It prints how many of the first ten results both
have in common, what the answers were worth, and how long they took.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.annotations import Repository, load, overall
from benchmarks.daemons import PrivateDaemon, machine, private_daemon
from benchmarks.metrics import TOP, Found, Worth, worth
from benchmarks.processes import rss_mb
from regend.rpc.client import Client
from regend.sharing.address import parse_address
from regend.sharing.registry import open_shared
from tests.sharing.server import Server, serving

LIMIT_S = 1_800.0
DEADLINE_MS = 5_000
"""Far beyond what is measured: a machine that is busy with other work must not change the answers."""


async def swept(url: str) -> list[str]:
    """Build the graphs of the pools; return what the store holds, as sentences."""
    store = open_shared(parse_address(url))
    for pool in (await store.health()).pools:
        await store.sweep(pool.name)
    found = [f"{pool.name}: {pool.chunks:,} chunks" for pool in (await store.health()).pools]
    await store.close()
    return found


def config(url: str, repositories: list[Repository]) -> str:
    roots = json.dumps([str(repository.directory) for repository in repositories])
    pools = json.dumps([f"{repository.name}={repository.directory}" for repository in repositories])
    return (
        f'[shared]\nurl = "{url}"\nroots = {roots}\nsearch_roots = {roots}\npools = {pools}\n'
        f"search_timeout_ms = {DEADLINE_MS}\n"
    )


def wait_until_on_disk(daemon: PrivateDaemon) -> None:
    deadline = time.monotonic() + LIMIT_S
    while True:
        roots = daemon.call("status")["shared"]["roots"]
        if all((root["search"], root["waiting"], root["whole"]) == ("store", 0, False) for root in roots):
            return
        assert time.monotonic() < deadline, roots
        time.sleep(0.5)


def asked(
    daemon: PrivateDaemon, repositories: list[Repository]
) -> tuple[dict[str, list[Worth]], list[list[Found]], list[float]]:
    """Ask all questions twice; return what the answers are worth, the answers, and the times of the second round."""
    judged: dict[str, list[Worth]] = {}
    answers, times_ms = list[list[Found]](), list[float]()
    with Client(daemon.socket) as client:
        for repository in repositories:
            for question in repository.questions:
                for _ in range(2):
                    began_s = time.perf_counter()
                    answer = client.call("search", query=question.text, k=TOP, root=str(repository.directory))
                    took_ms = (time.perf_counter() - began_s) * 1e3
                assert not any("words only" in note for note in answer["notes"]), answer["notes"]
                times_ms.append(took_ms)
                found = [Found(r["path"], r["start_line"], r["end_line"]) for r in answer["results"]]
                answers.append(found)
                full = [one._replace(path=repository.full_path(one.path)) for one in found]
                judged.setdefault(repository.name, []).append(worth(full, question.targets))
    return judged, answers, times_ms


def measure(server: Server, repositories: list[Repository]) -> None:
    url = server.dsn()
    asyncio.run(set_up(url))
    found = {}
    with private_daemon() as daemon:
        settings = daemon.home / "regend" / "config.toml"
        settings.parent.mkdir()
        settings.write_text(config(url, repositories))
        daemon.start(*(repository.directory for repository in repositories))
        daemon.flush()
        wait_until_on_disk(daemon)
        print("; ".join(asyncio.run(swept(url))), flush=True)
        # Both answer from the same index, so that nothing but the vectors' place differs.
        for where in ("store", "memory"):
            daemon.stop()
            if where == "memory":
                settings.unlink()
            daemon.start()
            daemon.flush()
            if where == "store":
                wait_until_on_disk(daemon)
            found[where] = asked(daemon, repositories)
            judged, _, times_ms = found[where]
            p50_ms, p95_ms = np.percentile(times_ms, (50, 95))
            print(
                f"| {where} | {len(times_ms)} questions | NDCG@10 {overall(judged).ndcg:.4f} | p50 {p50_ms:.1f} ms, "
                f"p95 {p95_ms:.1f} ms | daemon {rss_mb(daemon.pid):.0f} MB |",
                flush=True,
            )
    pairs = list(zip(found["memory"][1], found["store"][1], strict=True))
    shared = [len(set(here) & set(there)) / max(1, len(here)) for here, there in pairs if here]
    print(f"| first {TOP} in common | {np.mean(shared):.4f} | same order {np.mean([a == b for a, b in pairs]):.4f} |")


async def set_up(url: str) -> None:
    store = open_shared(parse_address(url))
    await store.setup()
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.searched", description=__doc__)
    parser.add_argument("--questions", type=Path, required=True, help="annotated questions over repositories, as JSON")
    parser.add_argument("--checkouts", type=Path, required=True, help="folder with each repository, by name")
    parser.add_argument("--only", default="", help="names of repositories, separated by commas (default: all)")
    options = parser.parse_args()
    repositories = load(options.questions, options.checkouts, [name for name in options.only.split(",") if name])
    print(machine(), flush=True)
    with serving("shared_buffers=512MB", "maintenance_work_mem=1GB", "max_connections=60") as server:
        measure(server, repositories)


if __name__ == "__main__":
    main()
