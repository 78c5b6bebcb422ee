"""The daemon's process parses nothing, and it ends with the error that ended it.

It never loads tree-sitter: grammars take memory, and a hostile file may end the process that parses it.
"""

from __future__ import annotations

import asyncio
import inspect
import pkgutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest

from regend.config import Config, ResourceConfig
from regend.daemon.app import App, Places
from regend.daemon.logs import shown
from regend.daemon.notify import Notifier
from tests.e2e.rig import daemon
from tests.rpc.scripted import short_directory


def test_to_import_the_daemon_loads_no_parser() -> None:
    code = "import sys, regend.daemon.app; print(*(name for name in sys.modules if 'tree_sitter' in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


@pytest.mark.skipif(sys.platform != "linux", reason="what another process has loaded is read from /proc")
def test_a_daemon_at_work_loads_no_parser(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    (root / "a.py").write_text("def apple():\n    return 1\n")
    text = "def pear():\n    return 2\n"
    with daemon() as subject:
        subject.start(root).flush()
        assert subject.paths("apple lang:python") == ["a.py"]
        assert subject.paths("pear", overlays=[{"path": str(root / "a.py"), "text": text}]) == ["a.py"]
        assert subject.call("outline", file=str(root / "a.py"))["symbols"]
        (worker, *_) = subject.worker_pids()
        assert "tree_sitter" in Path(f"/proc/{worker}/maps").read_text(), "a worker has parsed"
        assert "tree_sitter" not in Path(f"/proc/{subject.process.pid}/maps").read_text()


FAILING = (
    "regend.daemon.app.language_names",
    "regend.daemon.driver.Driver._chunk",
    "regend.daemon.driver.Driver._embed",
    "regend.daemon.governor.Governor.run",
    "regend.daemon.purger.Purger.check",
    "regend.watch.watcher.Watcher.check",
    "regend.workers.dispatcher.Dispatcher.start",
)


@pytest.mark.parametrize("task", FAILING)
def test_the_error_of_any_task_ends_the_daemon_with_its_own_name(
    task: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error keeps its type and is logged once: the group in which it came does not hold itself as a cause."""

    def fail(*_: object) -> NoReturn:
        error = ZeroDivisionError("planted")
        raise error  # A traceback quotes this line.

    async def fail_later(*_: object) -> NoReturn:
        fail()

    monkeypatch.setattr("regend.daemon.embedder.Embedder.is_quick", False)  # Chunks are embedded by themselves.
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (root / "a.py").write_text("def apple():\n    return 1\n")
    monkeypatch.setattr(task, fail_later if inspect.iscoroutinefunction(pkgutil.resolve_name(task)) else fail)
    config = replace(Config(), resources=ResourceConfig(max_state_mb=1))
    with short_directory() as directory:
        places = Places(tmp_path / "state", directory / "s")

        async def serve() -> None:
            async with asyncio.timeout(60):
                await App(config, places, [root]).run(Notifier(""))

        with pytest.raises(ZeroDivisionError, match=r"^planted$") as caught:
            asyncio.run(serve())
    told = shown(caught.value)
    assert told.count("ZeroDivisionError") == 1 and "ExceptionGroup" not in told


def test_errors_that_lead_to_each_other_are_each_told_once() -> None:
    first, second = ValueError("a"), KeyError("b")
    group = ExceptionGroup("c", [first, ExceptionGroup("d", [second])])
    first.__cause__ = second.__context__ = group
    told = shown(first)
    assert sorted(told.count(name) for name in ("ValueError", "KeyError", "ExceptionGroup")) == [1, 1, 2]
