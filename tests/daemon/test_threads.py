"""The system starts no further thread: requests are answered, changes are found, and the daemon neither ends nor waits.

The places where the product starts threads are found in its source. Pools take calls from many places and are all of
one class; each other place is struck while a daemon lives.
"""

from __future__ import annotations

import ast
import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import regend
from regend.config import Config
from regend.daemon.app import App, Places
from regend.daemon.notify import Notifier
from regend.daemon.threads import Threads
from regend.errors import RegendError
from tests.daemon.test_loop_calls import DEADLINE_S, Rig
from tests.disk import test_calls
from tests.mcp import test_stdio
from tests.store import test_upkeep
from tests.store.lexical import test_rebuild

PRODUCT = Path(regend.__file__).parent
LEFT_OUT = ("cli", "gateway", "watch")
"""`regenctl` and the gateway are processes beside the daemon; `tests/watch` strikes the threads of watches."""
OURS = ("regend-thread", "regend-stop", "regend-query", "regend-files", "regend-slab", "regend-lexical")
SHORT = "can't start new thread"

Refused = Callable[[threading.Thread], bool]


def places(*names: str) -> set[str]:
    """Where a call or a base class has one of these names, as `file:scope`, without the packages of `LEFT_OUT`."""
    found = set()
    for file in sorted(PRODUCT.rglob("*.py")):
        where, source = file.relative_to(PRODUCT), file.read_text()
        if where.parts[0] in LEFT_OUT or not any(name in source for name in names):
            continue
        for scope in ast.walk(ast.parse(source)):
            if isinstance(scope, ast.ClassDef):
                used = scope.bases
            elif isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [node for node in ast.walk(scope) if isinstance(node, ast.Call)]
                used = [node for call in calls for node in (call.func, *call.args)]  # A function may be handed on.
            else:
                continue
            if any(getattr(node, "attr", getattr(node, "id", "")) in names for node in used):
                found.add(f"{where}:{scope.name}")
    return found


THREADS = sorted(places("Thread", "start_new_thread", "Timer"))


def test_every_pool_is_of_the_class_that_lacks_no_thread() -> None:
    assert places("ThreadPoolExecutor", "ProcessPoolExecutor") == {"daemon/threads.py:Threads"}
    assert {"daemon/app.py:_serve"} <= places("Threads") and len(places("to_thread", "run_in_executor")) > 10


def refuse(monkeypatch: pytest.MonkeyPatch, refused: Refused) -> list[str]:
    """Refuse threads as the system does; returns the names of those that were refused."""
    names: list[str] = []
    start = threading.Thread.start

    def start_or_not(thread: threading.Thread) -> None:
        if refused(thread):
            names.append(thread.name)
            raise RuntimeError(SHORT)
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", start_or_not)
    return names


class Manager(Notifier):
    """Tells when the daemon serves."""

    def __init__(self) -> None:
        super().__init__("")
        self.is_ready = asyncio.Event()

    def ready(self, status: str = "") -> bool:
        self.is_ready.set()
        return True


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short_run: Path) -> Rig:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root, link = tmp_path.resolve() / "root", tmp_path / "link"
    root.mkdir()
    (root / "a.py").write_text("def apple():\n    return 1\n")
    link.symlink_to(root)
    return Rig(short_run / "run" / "s", root, link)


@pytest.fixture
def short_run() -> Iterator[Path]:
    from tests.rpc.scripted import short_directory

    with short_directory() as directory:
        yield directory


async def live(tmp_path: Path, rig: Rig, strike: Callable[[], Any]) -> None:
    """A daemon's life, struck once it serves: clients use every method, files change, and it ends in order."""
    manager = Manager()
    app = App(Config(), Places(tmp_path / "state", rig.socket), ())
    # The clients' own thread must be there before.
    with Threads("clients", 1) as clients:
        in_thread = asyncio.get_running_loop().run_in_executor
        running = asyncio.create_task(app.run(manager))
        try:
            async with asyncio.timeout(DEADLINE_S):
                await manager.is_ready.wait()
            await in_thread(clients, lambda: rig.call("add", path=str(rig.root)))
            strike()
            # More calls at once than the pool has threads.
            assert await asyncio.gather(*(asyncio.to_thread(time.sleep, 0.01) for _ in range(5))) == [None] * 5
            await in_thread(clients, rig.use)
            await in_thread(clients, rig.change)
        finally:
            app.stop()
            await running


async def test_no_thread_can_be_started_any_more(tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    names: list[str] = []

    def strike() -> None:
        nonlocal names
        names = refuse(monkeypatch, lambda thread: thread.name.partition("_")[0] in OURS)

    await live(tmp_path, rig, strike)
    monkeypatch.undo()
    assert {name.partition("_")[0] for name in names} >= {"regend-thread"}, "the strike hit something"


@pytest.mark.parametrize("name", ["regend-thread", "regend-stop", "regend-query", "regend-index"])
async def test_no_thread_can_be_started_at_the_start(
    tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The daemon says what it lacks, and leaves nothing behind."""
    refuse(monkeypatch, lambda thread: thread.name.startswith(name))
    app = App(Config(), Places(tmp_path / "state", rig.socket), ())
    with pytest.raises(RegendError, match=rf"{name}.*{SHORT}.*ulimit"):
        await app.run(Manager())
    assert not rig.socket.exists()


def test_a_pool_with_too_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls wait for the threads that there are, each runs once, and more threads come when they may."""
    with Threads("pool", 8) as pool:
        refused = refuse(monkeypatch, lambda _: True)
        assert [pool.submit(lambda n=n: n).result(DEADLINE_S) for n in range(50)] == list(range(50))
        futures = [pool.submit(threading.Event().wait, 0.01) for _ in range(20)]
        assert not any(future.result(DEADLINE_S) for future in futures) and refused
        assert len(pool._threads) == 1
        monkeypatch.undo()
        barrier = threading.Barrier(8, timeout=DEADLINE_S)
        assert sorted(f.result(DEADLINE_S) for f in [pool.submit(barrier.wait) for _ in range(8)]) == list(range(8))


def test_every_other_thread_is_struck_by_a_test() -> None:
    """Whoever starts a thread at another place adds the test that strikes it."""
    struck = {
        "daemon/indexer.py:__init__": test_no_thread_can_be_started_at_the_start,
        "disk/calls.py:_staff": test_calls.test_the_last_thread_stays,
        "mcp/stdio.py:start": test_stdio.test_a_call_without_a_thread_is_answered_with_an_error,
        "store/lexical/rebuild.py:start": test_rebuild.test_a_rewrite_waits_for_its_thread,
        "store/vectors/merge.py:_start": test_upkeep.test_a_base_waits_for_its_thread,
    }
    assert sorted(struck) == THREADS
