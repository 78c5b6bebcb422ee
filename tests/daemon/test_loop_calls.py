"""The event loop asks nothing of a disk: a file system that hangs must not keep other clients from their answers.

A real daemon runs in this process while clients use it, and each call into the file system that is made on its loop's
thread is recorded. There are no exceptions to the rule. Calls of C libraries (SQLite, tantivy, hnswlib) stay unseen.
"""

from __future__ import annotations

import asyncio
import builtins
import io
import os
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from regend.config import Config, ResourceConfig
from regend.daemon.app import App, Places
from regend.daemon.notify import Notifier
from regend.rpc.client import Client
from tests.rpc.scripted import short_directory

DEADLINE_S = 30.0
CALLS = (
    "access", "chmod", "listdir", "lstat", "mkdir", "open", "readlink", "remove", "rename", "replace", "rmdir",
    "scandir", "stat", "statvfs", "symlink", "truncate", "unlink", "utime",
)  # fmt: skip


@dataclass
class Record:
    """Calls made on one thread while it is watched: who made each, and with what the first time."""

    thread: int = 0
    calls: dict[str, str] = field(default_factory=dict)

    def watched(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() == self.thread:
                self.calls.setdefault(f"{name} by {_callers()}", str(args[:1]))
            return function(*args, **kwargs)

        return call


def _callers() -> str:
    """The functions that led to the call, innermost first, without a look at their source."""
    frames = [frame.f_code for frame, _ in traceback.walk_stack(None)][2:7]
    return " < ".join(f"{Path(code.co_filename).name}:{code.co_name}" for code in frames)


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    made = Record()
    for name in CALLS:
        monkeypatch.setattr(os, name, made.watched(f"os.{name}", getattr(os, name)))
    opener = made.watched("open", io.open)
    monkeypatch.setattr(io, "open", opener)
    monkeypatch.setattr(builtins, "open", opener)
    yield made
    made.thread = 0


class Manager(Notifier):
    """A service manager in whose eyes the daemon is watched from when it is ready until it stops."""

    def __init__(self, record: Record) -> None:
        super().__init__("")
        self.is_ready = asyncio.Event()
        self._record = record

    def ready(self, status: str = "") -> bool:
        self._record.thread = threading.get_ident()
        self.is_ready.set()
        return True

    def stopping(self) -> bool:
        self._record.thread = 0
        return True


@dataclass(frozen=True)
class Rig:
    """A tree that is reached by a link, and the socket of the daemon that serves it."""

    socket: Path
    root: Path
    link: Path

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        with Client(self.socket, timeout_s=DEADLINE_S) as client:
            return client.call(method, **params)

    def use(self) -> None:
        """Every method, with paths that are real and paths through links."""
        file, linked = str(self.root / "a.py"), str(self.link / "a.py")
        assert self.call("add", path=str(self.link), force=True)["root"] == str(self.root)
        assert self.call("flush", timeout_s=DEADLINE_S)["failed"] == []
        for name in (file, linked):
            assert self.call("why", file=name)["state"] == "indexed"
            assert self.call("outline", file=name)["symbols"]
            self.call("related", file=name, line=1)
            text = f"def pear():\n    return {len(name)}\n"
            assert self.call("search", query="pear", overlays=[{"path": name, "text": text}])["results"]
        for root in (self.root, self.link):
            assert self.call("search", query="apple lang:python path:*.py", root=str(root), sync=True)["results"]
            assert self.call("symbols", name="apple", root=str(root))["symbols"]
            assert self.call("files", root=str(root))["files"]
            self.call("reindex", path=str(root))
        assert self.call("search", query="apple", overlays=[{"path": "/elsewhere/b.py", "text": "b"}])["results"]
        assert self.call("verify", timeout_s=DEADLINE_S)["differing"] == []
        for method in ("status", "list", "config", "pause", "resume"):
            self.call(method)

    def change(self) -> None:
        """Files and rules come, change and go; so does the root."""
        (self.root / "b.py").write_text("def banana():\n    return 2\n")
        (self.root / ".gitignore").write_text("*.log\n")
        (self.root / ".regend.toml").write_text("[limits]\nmax_file_bytes = 5000\n")
        assert self.call("sync", timeout_s=DEADLINE_S)["generation"]
        (self.root / ".regend.toml").write_text("[limits\n")
        (self.root / "b.py").unlink()
        assert self.call("flush", timeout_s=DEADLINE_S)["failed"] == []
        aside = self.root.rename(self.root.with_name("aside"))
        self.call("flush", timeout_s=DEADLINE_S)
        aside.rename(self.root)
        assert self.call("flush", timeout_s=DEADLINE_S)["failed"] == []
        assert self.call("remove", path=str(self.link), forget=True)["root"] == str(self.root)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root, link = tmp_path.resolve() / "root", tmp_path / "link"
    root.mkdir()
    (root / "a.py").write_text("def apple():\n    return 1\n")
    link.symlink_to(root)
    with short_directory() as directory:
        yield Rig(directory / "run" / "s", root, link)


async def test_the_event_loop_asks_nothing_of_a_disk(tmp_path: Path, rig: Rig, record: Record) -> None:
    config = Config(resources=ResourceConfig(max_state_mb=1000, min_free_mb=1, max_rss_mb=100_000))
    manager = Manager(record)
    app = App(config, Places(tmp_path / "state", rig.socket), ())
    running = asyncio.create_task(app.run(manager))
    try:
        async with asyncio.timeout(DEADLINE_S):
            await manager.is_ready.wait()
        await asyncio.to_thread(rig.use)
        await asyncio.to_thread(rig.change)
    finally:
        app.stop()
        await running
    assert not record.calls, "\n".join(f"{call}: {args}" for call, args in record.calls.items())


def test_the_record_sees_what_pathlib_does(tmp_path: Path, record: Record) -> None:
    """Else the test above could not fail."""
    (tmp_path / "link").symlink_to(tmp_path)
    record.thread = threading.get_ident()
    (tmp_path / "link").resolve()
    (tmp_path / "f").write_text("x")
    list(tmp_path.iterdir())  # `os.listdir`, and from Python 3.13 on `os.scandir`, as the next one.
    list(os.walk(tmp_path))
    os.listdir(tmp_path)
    record.thread = 0
    seen = {call.partition(" ")[0] for call in record.calls}
    assert seen >= {"os.lstat", "os.readlink", "open", "os.listdir", "os.scandir"}
