"""Workers in real processes, and files that take as long as a test needs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil

from regend.chunking.packing import unpack
from regend.config import LimitConfig, WorkerConfig
from regend.types import ChunkedFile, Lane
from regend.workers.dispatcher import Dispatcher

DEADLINE_S = 20.0
LIMITS = LimitConfig(max_file_bytes=100_000_000, parse_timeout_s=60.0)


@asynccontextmanager
async def running(**changes: Any) -> AsyncIterator[Dispatcher]:
    """Started workers, and afterwards proof that they left no process."""
    workers = Dispatcher(WorkerConfig(**{"count": 1} | changes))
    pids: set[int] = set()
    try:
        await workers.start()
        yield workers
        pids = pids_of(workers)
    finally:
        await workers.close()
    assert not [pid for pid in pids if is_alive(pid)]


def chunk(
    workers: Dispatcher, root: Path, path: str, lane: Lane = Lane.BULK, alone: bool = False
) -> asyncio.Task[ChunkedFile]:
    """Begin to chunk one file."""

    async def unpacked() -> ChunkedFile:
        return unpack(await workers.chunk(str(root), path, LIMITS, lane, alone))

    return asyncio.create_task(unpacked(), name=path)


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds, at most `DEADLINE_S`."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        await asyncio.sleep(0.002)


def pids_of(workers: Dispatcher) -> set[int]:
    return {report.pid for report in workers.status()}


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def write_files(root: Path, count: int) -> list[str]:
    """Small files with something of their own in each."""
    paths = [f"file_{n}.py" for n in range(count)]
    for n, path in enumerate(paths):
        (root / path).write_text(f"def function_{n}(argument):\n    return argument + {n}\n")
    return paths


def write_long_file(root: Path, name: str = "long.py", definitions: int = 40_000) -> str:
    """A real file that keeps a worker busy for a second or more."""
    lines = [f"def function_{n}(a, b):\n    return a + b * {n}\n" for n in range(definitions)]
    (root / name).write_text("\n".join(lines))
    return name


def processes_of(parent: int | None = None) -> set[int]:
    """Children of a process (default: this one) that run."""
    children = psutil.Process(parent or os.getpid()).children()
    return {child.pid for child in children if is_alive(child.pid)}
