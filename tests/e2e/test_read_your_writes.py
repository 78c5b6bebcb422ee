"""A `sync` query sees every write that finished before it, however the file was written and whatever else is going on.

The cost is the answer's time beyond that of the same query without `sync`; the end of the run shows it.
"""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from regend.errors import RegendError
from regend.rpc.client import Client
from tests.e2e.rig import Daemon, daemon
from tests.e2e.test_freshness import module
from tests.ledger import record

ROUNDS = 60
SLOW_ROUNDS = 10_000


def in_place(path: Path, text: str) -> None:
    path.write_text(text)


def by_rename(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.swp")
    beside.write_text(text)
    beside.replace(path)


def anew(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(text)


def with_its_old_time(path: Path, text: str) -> None:
    """The size is the same and so is the time of the last change: only the inode's own time tells."""
    before = path.stat() if path.exists() else None
    path.write_text(text)
    if before is not None:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def in_pieces(path: Path, text: str) -> None:
    with path.open("w") as file:
        for start in range(0, len(text), 7):
            file.write(text[start : start + 7])
            file.flush()


WAYS: tuple[Callable[[Path, str], None], ...] = (in_place, by_rename, anew, with_its_old_time, in_pieces)


@contextmanager
def noise(root: Path) -> Iterator[None]:
    """Write other files all the time, as another program does."""
    stop = threading.Event()

    def write() -> None:
        rng, count = random.Random(9), 0
        while not stop.wait(rng.random() * 0.2):
            count += 1
            file = root / f"noise{rng.randrange(20)}.py"
            if rng.random() < 0.1:
                file.unlink(missing_ok=True)
            else:
                file.write_text(module(rng.randrange(50), f" + {count}"))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def ask(client: Client, query: str, *, sync: bool) -> tuple[dict[str, Any], float]:
    started_at = time.perf_counter()
    found = client.call("search", query=query, sync=sync, k=1)
    return found, (time.perf_counter() - started_at) * 1e3


def race(subject: Daemon, root: Path, rounds: int, seed: int) -> tuple[list[float], list[int]]:
    """Milliseconds that `sync` added in each round, and the rounds in which the write was not seen."""
    rng, added, missed = random.Random(seed), [], []
    with Client(subject.socket, timeout_s=30) as client, noise(root):
        for number in range(rounds):
            path, way = root / f"written{rng.randrange(5)}.py", rng.choice(WAYS)
            word = f"marker{seed:02}{number:06}"
            way(path, f"def {word}():\n    return {number:06}\n")
            found, took_ms = ask(client, word, sync=True)
            if [result["path"] for result in found["results"]] != [path.name] or word not in str(found["results"]):
                missed.append(number)
            added.append(took_ms - ask(client, word, sync=False)[1])
    return added, missed


def run(directory: Path, rounds: int, seed: int) -> None:
    root = directory.resolve() / "repo"
    root.mkdir()
    for n in range(100):
        (root / f"mod{n}.py").write_text(module(n))
    with daemon() as subject:
        subject.start(root).flush()
        added, missed = race(subject, root, rounds, seed)
    p50, p99 = statistics.median(added), statistics.quantiles(added, n=100)[98]
    record("sync query after a write", rounds, lost=len(missed), note=f"added wait p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    assert missed == [], f"{len(missed)} of {rounds} rounds, seed {seed}"


def test_a_sync_query_sees_the_write_before_it(tmp_path: Path) -> None:
    run(tmp_path, ROUNDS, seed=1)


@pytest.mark.slow
def test_ten_thousand_sync_queries(tmp_path: Path) -> None:
    run(tmp_path, SLOW_ROUNDS, seed=2)


def test_a_wait_that_is_too_short_is_a_clear_error(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "repo"
    root.mkdir()
    with daemon() as subject:
        subject.start(root).flush()
        for n in range(300):
            (root / f"mod{n}.py").write_text(module(n))
        with pytest.raises(RegendError, match="searchable within 0 s") as caught:
            _sync(subject, 0.0)
        assert caught.value.code == "not_synced"
        assert subject.paths("Thing7", sync=True)


def _sync(subject: Daemon, limit_s: float) -> None:
    with Client(subject.socket, timeout_s=10) as client:
        client.call("sync", timeout_s=limit_s)
