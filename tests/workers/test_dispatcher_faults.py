"""The warm workers when they die, hang, grow too large or do not start. Real processes, real signals."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from regend.embedding.static import built_in
from regend.errors import ProviderRejectedError, WorkerError
from regend.types import Lane
from regend.workers import process
from tests.watch.watch_rig import wait_for
from tests.workers.dispatcher_rig import (
    chunk,
    is_alive,
    pids_of,
    processes_of,
    running,
    until,
    write_files,
    write_long_file,
)


async def test_killed_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """The file in hand fails; another worker does those sent behind it, and their callers notice nothing."""
    paths = write_files(tmp_path, 3)
    long = write_long_file(tmp_path)
    async with running(window=4) as workers:
        (pid,) = pids_of(workers)
        head = chunk(workers, tmp_path, long)
        others = [chunk(workers, tmp_path, path) for path in paths]
        await until(lambda: len(workers._workers[0].jobs) == 4, "the window is full")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerError, match=r"^crashed$"):
            await head
        assert all(result.chunks for result in await asyncio.gather(*others))
        assert workers.restarts == 1 and pid not in pids_of(workers) and not is_alive(pid)
        assert len((await chunk(workers, tmp_path, long, alone=True)).chunks) > 1_000


async def test_killed_again_and_again(tmp_path: Path) -> None:
    """Every item ends, and each with its own result or with an honest error."""
    paths = write_files(tmp_path, 600)
    async with running(count=2) as workers:
        work = [chunk(workers, tmp_path, path) for path in paths]
        for kills in range(6):
            await until(lambda kills=kills: sum(t.done() for t in work) > kills * 80, "some are done")
            busy = [report.pid for report in workers.status() if report.state == "busy"]
            if busy:
                os.kill(busy[-1], signal.SIGKILL)
        results = await asyncio.gather(*work, return_exceptions=True)
        failed = [result for result in results if isinstance(result, BaseException)]
        assert all(isinstance(error, WorkerError) and str(error) == "crashed" for error in failed)
        assert len(failed) <= 6 and workers.pending == 0 and 1 <= workers.restarts <= 6
        for path, result in zip(paths, results, strict=True):
            if not isinstance(result, BaseException):
                assert result.symbols[0].name == path.replace("file_", "function_").removesuffix(".py")


async def test_killed_while_idle(tmp_path: Path) -> None:
    paths = write_files(tmp_path, 1)
    async with running() as workers:
        (pid,) = pids_of(workers)
        os.kill(pid, signal.SIGKILL)
        await until(lambda: pids_of(workers) - {pid}, "another worker")
        assert (await chunk(workers, tmp_path, paths[0])).chunks and workers.restarts == 1


async def test_killed_while_embedding() -> None:
    texts = [f"def function_{n}(a, b): return a + b * {n}\n" * 2_000 for n in range(40)]
    async with running() as workers:
        (pid,) = pids_of(workers)
        embedding = asyncio.create_task(workers.embed(texts))
        await until(lambda: workers.status()[0].state == "busy", "the worker is busy")
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProviderRejectedError, match="crashed"):
            await embedding
        np.testing.assert_array_equal(await workers.embed(["x y"]), built_in().encode(["x y"], "document"))


async def test_a_worker_that_stands_still(tmp_path: Path) -> None:
    """Past the deadline it is killed; only the item at the head is to blame."""
    paths = write_files(tmp_path, 4)
    async with running(deadline_s=0.5) as workers:
        (pid,) = pids_of(workers)
        os.kill(pid, signal.SIGSTOP)
        tasks = [chunk(workers, tmp_path, path) for path in paths]
        with pytest.raises(WorkerError, match=r"^deadline$"):
            await tasks[0]
        assert all(result.chunks for result in await asyncio.gather(*tasks[1:]))
        await until(lambda: not is_alive(pid), "the stopped process has ended")
        assert workers.restarts == 1


async def test_a_file_that_takes_too_long(tmp_path: Path) -> None:
    long = write_long_file(tmp_path, definitions=60_000)
    async with running(deadline_s=0.3) as workers:
        for alone in (False, True):
            with pytest.raises(WorkerError, match=r"^deadline$"):
                await chunk(workers, tmp_path, long, alone=alone)
        assert (await chunk(workers, tmp_path, write_files(tmp_path, 1)[0])).chunks


async def test_a_daemon_that_stood_still_blames_nobody(tmp_path: Path) -> None:
    """Stopped by a debugger or a full disk of swap, it wakes up late: the workers had no chance to answer in time."""
    long = write_long_file(tmp_path, definitions=10_000)
    async with running(deadline_s=10.0) as workers:
        work = chunk(workers, tmp_path, long)
        await until(lambda: workers.status()[0].state == "busy", "the worker is busy")
        workers._workers[0].head_since -= 100.0
        workers._due_at -= 100.0
        assert (await work).chunks and workers.restarts == 0


async def test_recycled_when_too_large(tmp_path: Path) -> None:
    """Even under a cap that is too low for anything, all work is done, by one worker after the other."""
    paths = write_files(tmp_path, 12)
    async with running(rss_cap_mb=1, window=4) as workers:
        seen = pids_of(workers)
        work = [chunk(workers, tmp_path, path) for path in paths]
        while not all(task.done() for task in work):
            seen |= pids_of(workers)
            await asyncio.sleep(0.002)
        assert all(result.chunks for result in await asyncio.gather(*work))
        assert len(seen) >= 3 and workers.restarts >= 3
        await until(lambda: not [pid for pid in seen - pids_of(workers) if is_alive(pid)], "the old ones have ended")


async def test_not_recycled_below_the_cap(tmp_path: Path) -> None:
    async with running(rss_cap_mb=512) as workers:
        before = pids_of(workers)
        await asyncio.gather(*(chunk(workers, tmp_path, path) for path in write_files(tmp_path, 50)))
        assert pids_of(workers) == before and workers.restarts == 0


async def test_a_start_that_fails_for_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Say, while an upgrade replaces the files: tried again with pauses, visible, and work waits meanwhile."""
    (path,) = write_files(tmp_path, 1)
    async with running() as workers:
        right = process._WORKER
        monkeypatch.setattr(process, "_WORKER", "regend.no_such_module")
        for pid in pids_of(workers):
            os.kill(pid, signal.SIGKILL)
        work = chunk(workers, tmp_path, path)
        await until(lambda: workers._spawner.failed_starts > 1, "the trouble is seen")
        before = workers.restarts
        await until(lambda: workers.restarts > before, "another try after a pause")
        assert workers.restarts <= 8, "tries must be spaced out"
        monkeypatch.setattr(process, "_WORKER", right)
        try:
            assert (await work).chunks
        except WorkerError:  # The item was sent before the kill was noticed.
            assert (await chunk(workers, tmp_path, path)).chunks
        assert workers._spawner.failed_starts == 0


async def test_signals_for_the_daemon_do_not_end_workers(tmp_path: Path) -> None:
    (path,) = write_files(tmp_path, 1)
    async with running() as workers:
        (pid,) = pids_of(workers)
        assert os.getpgid(pid) != os.getpgid(0)
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(pid, number)
        assert (await chunk(workers, tmp_path, path)).chunks and pids_of(workers) == {pid} and workers.restarts == 0


@pytest.mark.parametrize("stopped", [False, True], ids=["busy", "stopped"])
def test_no_orphans(tmp_path: Path, stopped: bool) -> None:
    """`kill -9` of the daemon takes its workers along, in the middle of a file and even while they are stopped."""
    write_long_file(tmp_path, definitions=200_000)
    script = textwrap.dedent(
        f"""
        import asyncio
        from tests.workers.dispatcher_rig import WorkerConfig, Dispatcher, chunk, pids_of, until
        from pathlib import Path

        async def main():
            workers = Dispatcher(WorkerConfig(count=2, deadline_s=60.0))
            await workers.start()
            work = [chunk(workers, Path({str(tmp_path)!r}), "long.py") for _ in range(12)]
            await until(lambda: [r.state for r in workers.status()] == ["busy", "busy"], "both are busy")
            print("workers", *pids_of(workers), flush=True)
            await asyncio.gather(*work)

        asyncio.run(main())
        """
    )
    daemon = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert daemon.stdout is not None
    try:
        line = next(line for line in daemon.stdout if line.startswith("workers "))
        pids = [int(word) for word in line.split()[1:]]
        assert len(pids) == 2 and set(pids) == processes_of(daemon.pid)
        if stopped:
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
    finally:
        daemon.kill()
        daemon.wait()
        daemon.stdout.close()
    started_at = time.monotonic()
    wait_for(lambda: not [pid for pid in pids if is_alive(pid)], "no worker is left")
    assert time.monotonic() - started_at < 2.0


async def test_lane_and_order_survive_a_crash(tmp_path: Path) -> None:
    """Files that are sent again keep their place before those that were waiting."""
    paths = write_files(tmp_path, 8)
    long = write_long_file(tmp_path)
    done: list[str] = []
    async with running(window=3) as workers:
        (pid,) = pids_of(workers)
        head = chunk(workers, tmp_path, long, Lane.EDIT)
        tasks = [chunk(workers, tmp_path, path, Lane.EDIT) for path in paths]
        for task in tasks:
            task.add_done_callback(lambda task: done.append(task.get_name()))
        await until(lambda: workers.pending == 9, "all are on their way")
        os.kill(pid, signal.SIGKILL)
        await asyncio.gather(head, *tasks, return_exceptions=True)
    assert done == paths
