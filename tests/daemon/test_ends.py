"""A daemon that has lost an event or its index thread ends with the true cause: what it would say later were not true.

A file or a batch for which memory is short is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from regend.config import Config
from regend.core import commands as cmd
from regend.core import events as ev
from regend.core.pipeline import Pipeline
from regend.daemon import driver
from regend.daemon.app import App, Places
from regend.daemon.driver import Driver
from regend.daemon.embedder import Embedder
from regend.daemon.notify import Notifier
from regend.errors import StoreError
from regend.rpc.client import Client
from regend.store.store import Store
from regend.types import Lane, RootId
from regend.workers.dispatcher import Dispatcher
from tests.daemon.test_threads import Manager
from tests.rpc.scripted import short_directory

DEADLINE_S = 30.0


class MistakeError(Exception):
    """No error that the product expects."""


class PanicError(BaseException):
    """An extension written in Rust raises its like when it panics."""


@pytest.fixture
def socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with short_directory() as directory:
        yield directory / "run" / "s"


def root_with_a_file(tmp_path: Path) -> Path:
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (root / "a.py").write_text("def apple():\n    return 1\n")
    return root


async def run(app: App) -> None:
    async with asyncio.timeout(DEADLINE_S):
        await app.run(Notifier(""))


def failing(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: BaseException, on: object = None) -> None:
    """Let a method raise, or only when it is given an object of the class `on`."""
    right = getattr(owner, name)

    def call(self: Any, first: Any, *rest: Any) -> Any:
        if on is None or isinstance(first, on):  # type: ignore[arg-type]
            raise error
        return right(self, first, *rest)

    monkeypatch.setattr(owner, name, call)


@pytest.mark.parametrize(
    ("owner", "name", "on"),
    [
        (Pipeline, "handle", kind)
        for kind in (ev.RootAdded, ev.RescanNeeded, ev.Observed, ev.Chunked, ev.Committed, ev.Embedded, ev.Tick)
    ]
    + [(Driver, "_carry_out", None), (Driver, "_notice", ev.Committed)],
)
async def test_a_lost_event_ends_the_daemon(
    tmp_path: Path, socket: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, on: type | None
) -> None:
    """Whoever posted it: a thread, a request, a timer or a task."""
    monkeypatch.setattr("regend.daemon.embedder.Embedder.is_quick", False)
    failing(monkeypatch, owner, name, MistakeError("the pipeline"), on)
    with pytest.raises(MistakeError, match="the pipeline"):
        await run(App(Config(), Places(tmp_path / "state", socket), [root_with_a_file(tmp_path)]))
    assert not await asyncio.to_thread(socket.exists)


@pytest.mark.parametrize(
    "command",
    [cmd.ChunkFile(RootId(1), "a.py", 1, Lane.EDIT), cmd.Embed(1, (), 0, Lane.EDIT)],
    ids=lambda one: type(one).__name__,
)
async def test_work_of_a_group_that_ends_is_dropped(command: cmd.Command) -> None:
    with warnings.catch_warnings(record=True) as warned, pytest.raises(ExceptionGroup):
        warnings.simplefilter("always")
        async with asyncio.TaskGroup() as tasks:
            subject = Driver(cast("Any", None), tasks, cast("Any", None), cast("Any", None))
            tasks.create_task(driver._end(MistakeError()))
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(DEADLINE_S)
            with pytest.raises(RuntimeError):
                subject._carry_out(command)
        gc.collect()
    assert not warned


async def test_an_index_thread_that_ends_ends_the_daemon(
    tmp_path: Path, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(monkeypatch, Store, "apply", PanicError("in an extension"))
    with pytest.raises(StoreError, match=r"index thread failed.*PanicError"):
        await run(App(Config(), Places(tmp_path / "state", socket), [root_with_a_file(tmp_path)]))
    assert not await asyncio.to_thread(socket.exists)


def once(monkeypatch: pytest.MonkeyPatch, owner: type, name: str) -> list[int]:
    """Let the first calls of a method lack memory; returns a list that counts the calls."""
    right: Callable[..., Any] = getattr(owner, name)
    calls: list[int] = []

    def call(*given: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) <= 2:
            raise MemoryError
        return right(*given, **named)

    monkeypatch.setattr(owner, name, call)
    return calls


@pytest.mark.parametrize(
    ("owner", "name"), [(Dispatcher, "chunk"), (Dispatcher, "embed"), (Embedder, "_embedded"), (Store, "apply")]
)
async def test_memory_that_is_short_for_a_while(
    tmp_path: Path, socket: Path, monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    monkeypatch.setattr("regend.daemon.embedder.Embedder.is_quick", False)
    monkeypatch.setattr(driver, "_MEMORY_PAUSE_S", 0.01)
    monkeypatch.setattr("regend.core.commits.COMMIT_PAUSE_S", 0.01)
    monkeypatch.setattr("regend.daemon.embedder.REFUSED_PAUSE_S", 0.01)
    calls = once(monkeypatch, owner, name)
    app = App(Config(), Places(tmp_path / "state", socket), [root_with_a_file(tmp_path)])
    manager = Manager()
    running = asyncio.create_task(app.run(manager))

    def ask() -> dict[str, Any]:
        with Client(socket, timeout_s=DEADLINE_S) as client:
            while not (done := client.call("flush", timeout_s=DEADLINE_S))["complete"]:
                pass
            return done

    try:
        async with asyncio.timeout(DEADLINE_S):
            await manager.is_ready.wait()
            assert (await asyncio.to_thread(ask))["failed"] == [] and len(calls) > 2
    finally:
        app.stop()
        await running
