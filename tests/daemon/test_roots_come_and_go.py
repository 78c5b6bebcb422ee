"""A root that is added, removed, lost or found at a bad moment is served afterwards if it is there, and else is not.

A real daemon runs in this process; what is rare is made to happen at the moment that matters.
"""

from __future__ import annotations

import asyncio
import shutil
import socket
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regend.config import Config, WatchConfig
from regend.core import events as ev
from regend.core.commands import Observe
from regend.daemon import driver
from regend.daemon.app import App, Places
from regend.daemon.driver import Driver
from regend.daemon.indexer import Indexer
from regend.disk.repository import RootIdentity
from regend.errors import StoreError
from regend.rpc.client import Client
from regend.rpc.codec import encode_request
from regend.store.store import Store
from tests.daemon.test_threads import Manager
from tests.rpc.scripted import short_directory

DEADLINE_S = 30.0


@dataclass(frozen=True)
class Rig:
    """A daemon's socket, and where its roots are."""

    socket: Path
    top: Path

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        with Client(self.socket, timeout_s=DEADLINE_S) as client:
            return client.call(method, **params)

    def flush(self) -> dict[str, Any]:
        return self.call("flush", timeout_s=DEADLINE_S)

    def roots(self) -> dict[str, str]:
        """The state of each root by its name."""
        return {Path(root["path"]).name: root["state"] for root in self.call("list")["roots"]}

    def finds(self, name: str) -> bool:
        """Tell whether the file of this name is searchable."""
        results = self.call("search", query=name, k=100)["results"]
        return f"{name}.py" in {result["path"] for result in results}

    def make(self, name: str) -> Path:
        """Make a directory with one file, which has one word of its own."""
        (self.top / name).mkdir()
        (self.top / name / f"{name}.py").write_text(f"def {name}():\n    return 1\n")
        return self.top / name

    def add(self, name: str) -> Path:
        root = self.make(name)
        self.call("add", path=str(root))
        self.flush()
        return root


@asynccontextmanager
async def served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, watch: WatchConfig | None = None
) -> AsyncIterator[Rig]:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with short_directory() as directory:
        rig, manager = Rig(directory / "run" / "s", tmp_path), Manager()
        app = App(Config(watch=watch or WatchConfig()), Places(tmp_path / "state", rig.socket), ())
        running = asyncio.create_task(app.run(manager))
        try:
            async with asyncio.timeout(DEADLINE_S):
                await manager.is_ready.wait()
            yield rig
        finally:
            app.stop()
            await running


def wait_for(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.01)


async def test_a_request_goes_on_when_its_client_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the index thread is busy, the request waits for it."""
    busy, idle, asked = threading.Event(), threading.Event(), threading.Event()
    apply, call = Store.apply, Indexer.call

    def slow_apply(self: Store, *given: Any) -> Any:
        busy.set()
        assert idle.wait(DEADLINE_S)
        return apply(self, *given)

    def noted_call(self: Indexer, function: Any) -> Any:
        asked.set()
        return call(self, function)

    def leave(rig: Rig, kept: Path, number: int, method: str, **params: Any) -> None:
        """Ask, and be gone before the answer."""
        with monkeypatch.context() as patch:
            patch.setattr(Store, "apply", slow_apply)
            patch.setattr(Indexer, "call", noted_call)
            for event in (busy, idle, asked):
                event.clear()
            (kept / "late.py").write_text(f"def late{number}():\n    return 1\n")
            assert busy.wait(DEADLINE_S)
            connections = rig.call("status")["counters"]["connections"]
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(rig.socket))
                client.sendall(encode_request(1, method, params))
                assert asked.wait(DEADLINE_S)
            wait_for(lambda: rig.call("status")["counters"]["connections"] <= connections, "the client is gone")
            idle.set()

    def live(rig: Rig) -> None:
        kept, gone, new = rig.add("kept"), rig.add("gone"), rig.make("new")
        leave(rig, kept, 1, "remove", path=str(gone), forget=True)
        wait_for(lambda: "gone" not in rig.roots() and not rig.finds("gone"), "it is removed")
        leave(rig, kept, 2, "add", path=str(new))
        wait_for(lambda: rig.roots().keys() == {"kept", "new"}, "it is added")
        assert rig.flush()["complete"] and rig.finds("new")
        assert rig.call("add", path=str(gone))["root"] == str(gone) and rig.flush()["complete"]
        assert rig.finds("gone")

    async with served(tmp_path, monkeypatch) as rig:
        await asyncio.to_thread(live, rig)


async def test_a_root_lost_and_found_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The event loop was busy meanwhile, so both come together."""
    held, found = list[ev.Event](), list[ev.Event]()
    post = Driver.post

    def late_post(self: Driver, event: ev.Event) -> None:
        if isinstance(event, ev.RootLost):
            held.append(event)
        elif isinstance(event, ev.RootFound):
            found.append(event)
            self._loop.call_soon_threadsafe(self._handle, [*held, event])
        else:
            post(self, event)

    def live(rig: Rig) -> None:
        root, other = rig.add("apple"), rig.make("pear")
        root.rename(rig.top / "away")
        other.rename(root)
        wait_for(lambda: rig.flush()["complete"] and not rig.finds("apple"), "the other directory is served")
        assert rig.finds("pear") and len(held) == len(found) == 1
        wait_for(lambda: rig.roots() == {"apple": "ready"}, "it has looked at the other directory again")

    monkeypatch.setattr(Driver, "post", late_post)
    async with served(tmp_path, monkeypatch) as rig:
        await asyncio.to_thread(live, rig)


async def test_a_root_that_only_a_scan_found_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was away for a moment, or could not be looked at once; the watcher has not noticed."""
    scan, away = driver.scan, list[str]()

    def scan_meanwhile(command: Observe, root: RootIdentity, *given: Any) -> None:
        if away:
            with monkeypatch.context() as patch:
                patch.setattr("regend.disk.scanner.marker_of", lambda path: away.clear())
                scan(command, root, *given)
        else:
            scan(command, root, *given)

    def live(rig: Rig) -> None:
        root = rig.add("apple")
        away.append("now")
        (root / "pear.py").write_text("def pear():\n    return 1\n")
        wait_for(lambda: not away and rig.flush()["complete"], "it is served again")
        assert rig.finds("pear") and rig.roots() == {"apple": "ready"}

    monkeypatch.setattr(driver, "scan", scan_meanwhile)
    async with served(tmp_path, monkeypatch) as rig:
        await asyncio.to_thread(live, rig)


async def test_a_scan_that_hangs_in_a_removed_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scan, hanging, end = driver.scan, threading.Event(), threading.Event()

    def hung_scan(command: Observe, root: RootIdentity, *given: Any) -> None:
        if root.path.name == "hung":
            hanging.set()
            end.wait(DEADLINE_S)
        scan(command, root, *given)

    def live(rig: Rig) -> None:
        rig.call("add", path=str(rig.make("hung")))
        assert hanging.wait(DEADLINE_S)
        rig.call("remove", path=str(rig.top / "hung"))
        rig.add("apple")
        assert rig.finds("apple") and not end.is_set()

    monkeypatch.setattr(driver, "scan", hung_scan)
    async with served(tmp_path, monkeypatch) as rig:
        try:
            await asyncio.to_thread(live, rig)
        finally:
            end.set()


async def test_limits_that_no_event_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another directory is in the root's place, or too many files changed to tell of each."""

    def lay(directory: Path, limit_bytes: int) -> None:
        (directory / "big.py").write_text("def big():\n    return 1\n" + "# dots\n" * 500)
        (directory / ".regend.toml").write_text(f"[limits]\nmax_file_bytes = {limit_bytes}\n")

    def state(rig: Rig, root: Path) -> str:
        return str(rig.call("why", file=str(root / "big.py"))["state"])

    def live(rig: Rig) -> None:
        root, other = rig.add("apple"), rig.make("pear")
        lay(root, 5_000)
        lay(other, 2_000)
        rig.flush()
        assert state(rig, root) == "indexed"
        root.rename(rig.top / "away")
        other.rename(root)
        wait_for(lambda: rig.flush()["complete"] and rig.finds("pear"), "the other directory is served")
        assert state(rig, root) == "skipped"
        for limit_bytes, wanted in ((5_000, "indexed"), (2_000, "skipped")):
            (rig.top / "new").mkdir()
            (rig.top / "new/.regend.toml").write_text(f"[limits]\nmax_file_bytes = {limit_bytes}\n")
            with monkeypatch.context() as patch:
                patch.setattr(driver, "REPOSITORY_CONFIG_NAME", "")  # The event that names it is lost.
                (rig.top / "new/.regend.toml").rename(root / ".regend.toml")
                for number in range(4):
                    (root / f"f{number}{limit_bytes}.py").touch()
                rig.flush()
            assert state(rig, root) == wanted
            (rig.top / "new").rmdir()

    async with served(tmp_path, monkeypatch, WatchConfig(storm_paths=2)) as rig:
        await asyncio.to_thread(live, rig)


@pytest.mark.parametrize("place", ["root", "parent", "another root", "secrets", "home"])
async def test_a_root_moves_to_where_links_lead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """A start follows a link that came into a root's path, unless it leads to what may not be added."""
    targets = {"another root": "other", "secrets": "place/.ssh", "home": "home"}
    (tmp_path / "place").mkdir()
    (tmp_path / "home").mkdir()
    old, new = tmp_path / "place" / "moved", tmp_path / targets.get(place, "new")

    def reason_of(rig: Rig, path: Path) -> str:
        return next(str(root["reason"]) for root in rig.call("status")["roots"] if root["path"] == str(path))

    def before(rig: Rig) -> None:
        rig.add("other")
        rig.make("moved").rename(old)
        rig.call("add", path=str(old))
        assert rig.flush()["complete"] and rig.finds("moved")
        if place == "parent":
            (tmp_path / "place").rename(new)
            (tmp_path / "place").symlink_to(new)
            return
        if place == "root":
            old.rename(new)
        else:
            old.rename(tmp_path / "away")
            new.mkdir(exist_ok=True)
            (new / "hidden.py").write_text("def hidden():\n    return 1\n")
        old.symlink_to(new)
        wait_for(lambda: "it is a symbolic link now" in reason_of(rig, old), "the root is said to be a link")

    def after(rig: Rig) -> None:
        rig.flush()
        paths = {root["path"] for root in rig.call("list")["roots"]}
        moved_to = {"root": new, "parent": new / "moved", "another root": new}.get(place, old)
        assert paths == {str(tmp_path / "other"), str(moved_to)}
        assert not rig.finds("hidden") or place == "another root"
        assert rig.finds("moved") == (place != "another root")
        for path in paths:
            rig.call("remove", path=path)
        assert not rig.call("search", query="moved", k=100)["results"], "no root is left that is not listed"

    for live in (before, after):
        async with served(tmp_path, monkeypatch) as rig:
            await asyncio.to_thread(live, rig)


async def test_a_root_says_that_the_index_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    def live(rig: Rig) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(Store, "apply", refuse)
            rig.call("add", path=str(rig.make("new")))
            said = "pending. The index cannot be written: database or disk is full"
            wait_for(lambda: said in rig.call("status")["roots"][0]["reason"], "the root says so")
        assert rig.flush()["complete"] and rig.finds("new")
        assert rig.roots() == {"new": "ready"}

    async with served(tmp_path, monkeypatch) as rig:
        await asyncio.to_thread(live, rig)


async def test_a_daemon_outlives_the_directory_of_its_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that is connected stays so, and others find the daemon again."""

    def live(rig: Rig) -> None:
        rig.add("kept")
        with Client(rig.socket, timeout_s=DEADLINE_S) as earlier:
            shutil.rmtree(rig.socket.parent)
            wait_for(rig.socket.exists, "the daemon listens again")
            assert rig.finds("kept")
            assert earlier.call("list")["roots"]

    async with served(tmp_path, monkeypatch) as rig:
        await asyncio.to_thread(live, rig)
    assert not rig.socket.exists()


def copied(state: Path) -> None:
    """Put another directory there, as a backup that was restored."""
    moved = state.rename(state.with_name("moved"))
    shutil.copytree(moved, state)


@pytest.mark.parametrize(("change", "said"), [(shutil.rmtree, "removed"), (copied, "replaced")])
async def test_a_daemon_ends_when_its_state_is_removed_or_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[[Path], None], said: str
) -> None:
    """It could answer nothing any more, or from files out of sight, and would keep a new daemon away."""
    with pytest.raises(StoreError, match=f"was {said} while the daemon used it"):
        async with served(tmp_path, monkeypatch) as rig:
            await asyncio.to_thread(rig.add, "kept")
            await asyncio.to_thread(change, tmp_path / "state")
            await asyncio.to_thread(wait_for, lambda: not rig.socket.exists(), "the daemon ends")
