"""Workers that cannot be started: the cause is known, no item is to blame, tries have pauses, and everything heals."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from regend.config import WorkerConfig
from regend.errors import NoWorkerError, ProviderUnavailableError
from regend.types import Lane
from regend.workers import process
from regend.workers.dispatcher import Dispatcher
from regend.workers.process import FIRST_PAUSE_S, Spawner
from tests.workers.dispatcher_rig import DEADLINE_S, LIMITS, chunk, pids_of, running, until, write_files

REFUSALS = (errno.ENOENT, errno.EACCES, errno.EAGAIN, errno.ENOMEM, errno.ETXTBSY)
SHORTAGES = (errno.EMFILE, errno.ENOBUFS)

Patch = Callable[[pytest.MonkeyPatch], str]
"""Makes every start fail, and returns what the cause must say."""


def refusing(module: Any, name: str, error: BaseException) -> Patch:
    def patch(monkeypatch: pytest.MonkeyPatch) -> str:
        def refuse(*_: Any, **__: Any) -> Any:
            raise error

        monkeypatch.setattr(module, name, refuse)
        return getattr(error, "strerror", "") or type(error).__name__

    return patch


def dying(code: str, said: str) -> Patch:
    """A worker that is another program."""

    def patch(monkeypatch: pytest.MonkeyPatch) -> str:
        start = subprocess.Popen

        def popen(command: list[str], **options: Any) -> Any:
            return start([command[0], "-c", textwrap.dedent(code)], **options)

        monkeypatch.setattr(process.subprocess, "Popen", popen)
        return said

    return patch


def os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))


FAULTS: dict[str, Patch] = {
    **{f"start-{errno.errorcode[n]}": refusing(process.subprocess, "Popen", os_error(n)) for n in REFUSALS},
    **{f"socket-{errno.errorcode[n]}": refusing(process.socket, "socketpair", os_error(n)) for n in SHORTAGES},
    **{f"dup-{errno.errorcode[n]}": refusing(process.os, "dup", os_error(n)) for n in (errno.EMFILE,)},
    "no memory": refusing(process.subprocess, "Popen", MemoryError()),
    "no end of fork": refusing(process.subprocess, "Popen", subprocess.SubprocessError()),
    "import": dying("import no_such_module_at_all", "No module named 'no_such_module_at_all'"),
    "warns and dies": dying("import sys; sys.stderr.write('one\\n' * 3000 + 'two\\n\\n'); sys.exit(1)", "two"),
    "exit": dying("raise SystemExit(3)", "exit status 3"),
    "killed": dying("import os; os.kill(os.getpid(), 9)", "signal 9"),
    "closes": dying("import os, sys; os.closerange(0, 5_000); import time; time.sleep(60)", "signal 9"),
    "speaks": dying("import os; os.write(2, b'\\0\\0\\0\\2hi')", "unreadable answer"),
    "too long": dying("import os; os.write(2, b'\\0' + b'\\xff' * 40)", "exit status 0"),
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "FIRST_PAUSE_S", 0.02)
    monkeypatch.setattr(process, "LONGEST_PAUSE_S", 0.1)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("fault", FAULTS)
async def test_no_worker_can_be_started(tmp_path: Path, fault: str) -> None:
    """From the daemon's start on: files wait, whoever cannot wait is told so, and the next start heals everything."""
    (path,) = write_files(tmp_path, 1)
    told: list[str] = []
    with pytest.MonkeyPatch.context() as monkeypatch:
        said = FAULTS[fault](monkeypatch)
        async with running(count=2) as workers:
            workers.on_trouble = lambda: told.append(workers.trouble)
            works = [chunk(workers, tmp_path, path, Lane(n % 2), alone=n == 0) for n in range(20)]
            await until(lambda: said in workers.trouble, f"the cause is said: {workers.trouble!r}, not {said!r}")
            await until(lambda: said in "".join(told), "it is told")
            assert not workers.is_available and "\n" not in workers.trouble
            with pytest.raises(ProviderUnavailableError, match="No worker process can be started") as refused:
                await workers.embed(["text"])
            assert refused.value.retry_after_s
            with pytest.raises(NoWorkerError):
                await workers.chunk(str(tmp_path), path, LIMITS, Lane.EDIT, alone=False, content=b"x = 1\n")
            assert not [work for work in works if work.done()] and workers.pending == 20
            monkeypatch.undo()
            results = await asyncio.wait_for(asyncio.gather(*works), DEADLINE_S)
            assert all(result.chunks for result in results)
            assert workers.trouble == "" and workers.is_available and told[-1] == ""
            assert (await workers.embed(["text"])).shape == (1, 256)


async def test_whoever_cannot_wait_is_told_while_in_the_queue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The only worker is busy when they ask, and it is the last that could be started."""
    async with running(window=1) as workers:
        (pid,) = pids_of(workers)
        os.kill(pid, signal.SIGSTOP)
        first = chunk(workers, tmp_path, write_files(tmp_path, 1)[0])
        embedding = asyncio.create_task(workers.embed(["text"]))
        await until(lambda: workers.pending == 2, "both are on their way")
        refusing(process.subprocess, "Popen", os_error(errno.EAGAIN))(monkeypatch)
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(ProviderUnavailableError, match=os.strerror(errno.EAGAIN)):
            await embedding
        monkeypatch.undo()
        await asyncio.gather(first, return_exceptions=True)
        await until(lambda: workers.is_available and not workers.trouble, "it heals")


async def test_pauses_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(process.time, "monotonic", lambda: now)
    refusing(process.subprocess, "Popen", os_error(errno.EAGAIN))(monkeypatch)
    spawner = Spawner(1, lambda *_: None, lambda _: None)
    pauses = []
    for _ in range(40):
        assert spawner.start() is None
        pauses.append(spawner.pause_s)
        now += spawner.pause_s
    assert pauses[:9] == [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] and set(pauses[9:]) == {30.0}
    assert pauses[1] == FIRST_PAUSE_S


async def test_one_worker_works_on_while_no_other_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries are spaced out although the one that runs answers all the time."""
    paths = write_files(tmp_path, 300)
    tries: list[float] = []
    async with running(count=2) as workers:
        await chunk(workers, tmp_path, paths[0])

        def refuse(*_: Any, **__: Any) -> Any:
            tries.append(time.monotonic())
            raise os_error(errno.EAGAIN)

        monkeypatch.setattr(process.subprocess, "Popen", refuse)
        troubles = set()
        works = [chunk(workers, tmp_path, path) for path in paths]
        for work in works:
            await work
            troubles.add(workers.trouble.rpartition(": ")[2])
        assert workers.is_available and workers.restarts == 0
        assert os.strerror(errno.EAGAIN) in troubles and workers.trouble == "", "it is said as long as work waits"
        assert len(tries) <= 2 + (tries[-1] - tries[0]) / FIRST_PAUSE_S


async def test_waiting_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (path,) = write_files(tmp_path, 1)
    refusing(process.subprocess, "Popen", os_error(errno.ENOENT))(monkeypatch)
    wakes = 0
    check = Dispatcher._check

    def counted(workers: Dispatcher) -> None:
        nonlocal wakes
        wakes += 1
        check(workers)

    monkeypatch.setattr(Dispatcher, "_check", counted)
    async with running() as workers:
        works = [chunk(workers, tmp_path, path) for _ in range(10)]
        await until(lambda: workers._spawner.failed_starts >= 3, "some tries")
        wakes = 0
        await until(lambda: workers._spawner.failed_starts >= 4, "another try")
        assert wakes <= 2, "nothing but the tries wakes the loop"
    await asyncio.gather(*works, return_exceptions=True)


@pytest.mark.parametrize("fault", ["ImportError('gone')", *(f"OSError({n}, 'short')" for n in SHORTAGES if n != 105)])
async def test_workers_that_can_read_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str) -> None:
    """A package is away, or the system is short of something: files wait, their content is not to blame."""
    (path,) = write_files(tmp_path, 1)
    broken = tmp_path / "broken"
    broken.touch()
    start = subprocess.Popen
    code = textwrap.dedent(
        f"""
        import sys, pathlib
        import regend.workers.worker as worker
        right = worker.read_file
        def read_file(*given):
            if pathlib.Path({str(broken)!r}).exists():
                raise {fault}
            return right(*given)
        worker.read_file = read_file
        worker.main(sys.argv)
        """
    )
    monkeypatch.setattr(
        process.subprocess,
        "Popen",
        lambda command, **options: start([sys.executable, "-c", code, *command[-3:]], **options),
    )
    async with running() as workers:
        work = chunk(workers, tmp_path, path)
        await until(lambda: workers.trouble, "the cause is said")
        assert (
            ("gone" if "Import" in fault else "short") in workers.trouble and workers.is_available and not work.done()
        )
        broken.unlink()
        assert (await work).chunks
        assert workers.trouble == "" and workers.restarts == 0


async def test_workers_that_cannot_load_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts are not to blame: the batch is tried again later."""
    code = """if True:
        import sys
        import regend.workers.worker as worker
        def encoder(spec):
            raise ImportError("numpy is away")
        worker._encoder = encoder
        worker.main(sys.argv)
        """
    start = subprocess.Popen

    def popen(command: list[str], **options: Any) -> Any:
        return start([command[0], "-c", code, *command[-3:]], **options)

    monkeypatch.setattr(process.subprocess, "Popen", popen)
    async with running() as workers:
        with pytest.raises(ProviderUnavailableError, match="numpy is away") as refused:
            await workers.embed(["text"])
        assert refused.value.retry_after_s and workers.restarts == 0


async def test_the_end_of_the_daemon_is_no_failed_start() -> None:
    workers = Dispatcher(WorkerConfig(count=2))
    for _ in range(3):
        workers._grow()
    await workers.close()
    assert workers._spawner.failed_starts == 0
