"""The warm workers while nothing goes wrong: results, order, windows, growing and shrinking, and their end."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import uvloop

from regend.chunking.grammars import CHUNKER_VERSION
from regend.config import WorkerConfig
from regend.errors import ChunkError, ProviderUnavailableError, WorkerError
from regend.types import Lane, blob_id
from regend.workers.dispatcher import GROW_AT_ITEMS, MAX_WORKERS, Dispatcher
from regend.workers.process import Job, Worker
from tests.workers.dispatcher_rig import LIMITS, chunk, is_alive, pids_of, running, until, write_files, write_long_file


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_thousand_files(tmp_path: Path, new_loop: Callable[[], asyncio.AbstractEventLoop]) -> None:
    """Each answer belongs to its file, whichever worker gave it and in whatever order."""
    paths = write_files(tmp_path, 1_000)

    async def scenario() -> None:
        async with running(count=2) as workers:
            random.Random(1).shuffle(paths)
            results = await asyncio.gather(*(chunk(workers, tmp_path, path) for path in paths))
            for path, result in zip(paths, results, strict=True):
                content = (tmp_path / path).read_bytes()
                assert result.blob == blob_id(content, "python", CHUNKER_VERSION)
                assert [c.text for c in result.chunks] == [content.decode().rstrip("\n")]
                assert result.symbols[0].name == path.replace("file_", "function_").removesuffix(".py")
            assert workers.pending == 0 and workers.restarts == 0
            assert sum(report.items for report in workers.status()) == 1_000

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(scenario())


async def test_what_is_not_there_or_not_to_be_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file_0.py")
    write_files(tmp_path, 1)
    async with running() as workers:
        for path in ("missing", "no/such/dir", "link", "../file_0.py", "file_0.py/x"):
            with pytest.raises(FileNotFoundError):
                await chunk(workers, tmp_path, path)
        assert (await chunk(workers, tmp_path, "file_0.py")).chunks


@pytest.mark.parametrize("path", ["a\0b", "\udcff.py"])
async def test_a_path_that_cannot_be(tmp_path: Path, path: str) -> None:
    async with running() as workers:
        with pytest.raises(ChunkError):
            await chunk(workers, tmp_path, path)
        assert workers.pending == 0 and workers.restarts == 0


async def test_few_items_wake_no_worker(tmp_path: Path) -> None:
    paths = write_files(tmp_path, GROW_AT_ITEMS - 1)
    async with running(count=2) as workers:
        (first,) = pids_of(workers)
        await asyncio.gather(*(chunk(workers, tmp_path, path) for path in paths))
        assert pids_of(workers) == {first}


async def test_grows_under_load_and_shrinks_when_idle(tmp_path: Path) -> None:
    paths = write_files(tmp_path, 200)
    async with running(count=2, idle_shrink_s=0.3) as workers:
        (first,) = pids_of(workers)
        work = [chunk(workers, tmp_path, path) for path in paths]
        await until(lambda: len(workers.status()) == 2, "a second worker")
        assert workers.status()[0].pid == first
        await asyncio.gather(*work)
        (second,) = pids_of(workers) - {first}
        await until(lambda: pids_of(workers) == {first}, "only the first is left")
        await until(lambda: not is_alive(second), "the other has ended")
        assert workers.restarts == 0
        assert (await chunk(workers, tmp_path, paths[0])).chunks


async def test_one_worker_is_never_too_few(tmp_path: Path) -> None:
    paths = write_files(tmp_path, 50)
    async with running(count=1) as workers:
        before = pids_of(workers)
        await asyncio.gather(*(chunk(workers, tmp_path, path) for path in paths))
        assert pids_of(workers) == before


@pytest.mark.parametrize(
    ("count", "window", "slots"),
    [(1, 1, GROW_AT_ITEMS), (2, 4, GROW_AT_ITEMS), (8, 4, 32), (99, 4, 4 * MAX_WORKERS)],
)
def test_slots_fill_all_windows_and_show_that_more_workers_are_needed(count: int, window: int, slots: int) -> None:
    assert Dispatcher(WorkerConfig(count=count, window=window)).slots == slots


def test_by_default_there_is_a_worker_for_each_core() -> None:
    assert GROW_AT_ITEMS <= Dispatcher(WorkerConfig(window=GROW_AT_ITEMS)).slots <= MAX_WORKERS * GROW_AT_ITEMS


async def test_edits_before_bulk(tmp_path: Path) -> None:
    """With the worker busy, what waits is taken up by lane and in order of arrival."""
    paths = write_files(tmp_path, 6)
    long = write_long_file(tmp_path, definitions=5_000)
    done: list[str] = []
    async with running(window=1) as workers:
        busy = chunk(workers, tmp_path, long)
        await until(lambda: workers.status()[0].state == "busy", "the worker is busy")
        tasks = [chunk(workers, tmp_path, path, Lane.BULK) for path in paths[:4]]
        tasks += [chunk(workers, tmp_path, path, Lane.EDIT) for path in paths[4:]]
        for task in tasks:
            task.add_done_callback(lambda task: done.append(task.get_name()))
        await asyncio.gather(busy, *tasks)
    assert done == [*paths[4:], *paths[:4]]


async def test_alone_means_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent behind or before an item that must be alone, and it is not starved by others."""
    paths = write_files(tmp_path, 300)
    seen: list[tuple[bool, int]] = []
    send = Worker.send

    def spy(worker: Worker, job: Job) -> None:
        assert not any(other.alone for other in worker.jobs), "something was sent behind an item that must be alone"
        seen.append((job.alone, len(worker.jobs)))
        send(worker, job)

    monkeypatch.setattr(Worker, "send", spy)
    async with running(count=2) as workers:
        tasks = [chunk(workers, tmp_path, path, Lane(n % 2), alone=n % 10 == 0) for n, path in enumerate(paths)]
        await asyncio.gather(*tasks)
    assert len(seen) == 300 and max(behind for alone, behind in seen if not alone) == 3
    assert {behind for alone, behind in seen if alone} == {0} and sum(alone for alone, _ in seen) == 30


async def test_alone_is_not_starved(tmp_path: Path) -> None:
    paths = write_files(tmp_path, 20)
    async with running(count=1) as workers:

        async def keep_busy() -> None:
            while not lonely.done():
                await asyncio.gather(*(chunk(workers, tmp_path, path, Lane.EDIT) for path in paths[:3]))

        lonely: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        streams = [asyncio.create_task(keep_busy()) for _ in range(4)]
        await until(lambda: workers.pending > 4, "the queues are full")
        async with asyncio.timeout(10.0):
            lonely.set_result(await chunk(workers, tmp_path, paths[9], Lane.BULK, alone=True))
        await asyncio.gather(*streams)


async def test_cancelled_items(tmp_path: Path) -> None:
    paths = write_files(tmp_path, 12)
    long = write_long_file(tmp_path, definitions=5_000)
    async with running() as workers:
        busy = chunk(workers, tmp_path, long)
        await until(lambda: workers.status()[0].state == "busy", "the worker is busy")
        tasks = [chunk(workers, tmp_path, path) for path in paths]
        lonely = chunk(workers, tmp_path, paths[0], alone=True)
        await until(lambda: workers.pending == 14, "all wait")
        for task in (*tasks[::2], lonely, busy):
            task.cancel()
        results = await asyncio.gather(*tasks, lonely, return_exceptions=True)
        assert [isinstance(r, asyncio.CancelledError) for r in results] == [True, False] * 6 + [True]
        await until(lambda: workers.pending == 0, "nothing is left over")
        assert workers.restarts == 0 and (await chunk(workers, tmp_path, paths[0])).chunks


async def test_embeds(tmp_path: Path) -> None:
    async with running() as workers:
        vectors = await workers.embed(["def f(): pass", "class C: pass"])
        assert vectors.shape == (2, 256) and (await workers.embed([])).shape == (0, 256)


async def test_close_ends_what_is_under_way(tmp_path: Path) -> None:
    long = write_long_file(tmp_path)
    workers = Dispatcher(WorkerConfig(count=1))
    await workers.start()
    tasks = [chunk(workers, tmp_path, long) for _ in range(8)] + [chunk(workers, tmp_path, long, alone=True)]
    embedding = asyncio.create_task(workers.embed(["x"]))
    (pid,) = pids_of(workers)
    await until(lambda: workers.pending == 10, "all are on their way")
    started_at = time.monotonic()
    await workers.close()
    assert time.monotonic() - started_at < 2.0 and not is_alive(pid)
    assert [str(error) for error in await asyncio.gather(*tasks, return_exceptions=True)] == ["stopping"] * 9
    with pytest.raises(ProviderUnavailableError, match="stopping"):
        await embedding
    with pytest.raises(WorkerError, match="stopping"):
        await workers.chunk(str(tmp_path), long, LIMITS, Lane.EDIT, False)
    await workers.close()


async def test_close_before_and_during_start() -> None:
    await Dispatcher(WorkerConfig(count=1)).close()
    workers = Dispatcher(WorkerConfig(count=1))
    starting = asyncio.create_task(workers.start())
    await until(lambda: workers.status(), "a process")
    (pid,) = pids_of(workers)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await workers.close()
    assert not is_alive(pid)


async def test_an_idle_pool_has_no_timer(tmp_path: Path) -> None:
    """An idle dispatcher wakes no task, and its worker waits in the kernel."""
    async with running() as workers:
        await chunk(workers, tmp_path, write_files(tmp_path, 1)[0])
        await until(lambda: workers._timer is None, "no timer")
        (pid,) = pids_of(workers)
        await until(lambda: psutil.Process(pid).status() == psutil.STATUS_SLEEPING, "the worker sleeps")
        assert (await chunk(workers, tmp_path, "file_0.py")).chunks


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_warm_worker_is_small_and_starts_fast() -> None:
    started_at = time.monotonic()
    async with running() as workers:
        took_s = time.monotonic() - started_at
        (report,) = workers.status()
        assert report.rss_bytes < 40_000_000
        assert took_s < 5.0, "0.07 s on a quiet core; this only shows that nothing waits for a deadline"
        process = psutil.Process(report.pid)
        loaded = " ".join(mapped.path for mapped in process.memory_maps())
        assert "tree_sitter" in loaded
        assert not [name for name in ("numpy", "hnswlib", "tantivy", "aiohttp") if name in loaded]
        assert process.name() == "regend-worker" and process.nice() > 0
        score = await asyncio.to_thread(Path(f"/proc/{report.pid}/oom_score_adj").read_text)
        assert score == "500\n", "it ends before the daemon does when memory runs out"
