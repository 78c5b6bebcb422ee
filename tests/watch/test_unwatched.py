"""A place that cannot be watched is named, polled and tried again within seconds; the rest is watched as before."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from regend.config import WatchConfig
from regend.core.events import PathChanged, RescanNeeded
from regend.watch.instance import Inotify
from regend.watch.mounts import Mounts
from tests.watch.watch_rig import ROOT, check, rig, state, wait_for, watched_directories

POLL = WatchConfig(poll_interval_s=5.0)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "src").mkdir(parents=True)
    (made / "bad").mkdir()
    (made / "src/a.py").write_text("a")
    return made


def refuse(monkeypatch: pytest.MonkeyPatch, place: Path, number: int) -> None:
    original = Inotify.add_callback

    def add_callback(self: Inotify, path: bytes, *arguments: object) -> object:
        if path == os.fsencode(place):
            raise OSError(number, os.strerror(number))
        return original(self, path, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Inotify, "add_callback", add_callback)


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EIO, errno.EINVAL, errno.ESTALE, errno.ETIMEDOUT])
def test_one_directory(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    with rig(tmp_path / "cookies", POLL) as made, monkeypatch.context() as patch:
        refuse(patch, top / "bad", number)
        made.watch(top)
        health = made.watcher.health(ROOT)
        assert health.state == "watching" and health.unwatched == {"bad": os.strerror(number)}
        assert watched_directories(made) == {"", "src"}
        (top / "bad/unseen.py").touch()
        (top / "src/a.py").write_text("new")
        made.barrier()
        assert made.covered("bad/unseen.py") and made.paths() == {"src/a.py"}
        assert set(made.rescans()) == {"bad"}, "nothing else is compared"
        check(made, 100.0)
        made.events.clear()
        check(made, 105.0)
        assert RescanNeeded(ROOT, "bad") in made.events

        patch.undo()
        check(made, 110.0)
        assert made.watcher.health(ROOT).unwatched == {} and "bad" in watched_directories(made)
        made.events.clear()
        (top / "bad/seen.py").touch()
        made.barrier()
        assert made.paths() == {"bad/seen.py"} and not made.rescans()


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO])
@pytest.mark.parametrize("place", ["", "src", "new"])
def test_a_directory_that_cannot_be_listed(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch, number: int, place: str
) -> None:
    """Nothing below it is watched until it can be listed, so it is looked at instead."""
    target, scandir = top / place, os.scandir
    (top / "src/deep").mkdir()

    def failing(path: object = ".") -> object:
        if Path(str(path)) == target:
            raise OSError(number, os.strerror(number))
        return scandir(path)  # type: ignore[call-overload]

    with rig(tmp_path / "cookies", POLL) as made, monkeypatch.context() as patch:
        patch.setattr(os, "scandir", failing)
        made.watch(top)
        if place == "new":
            (top / "src").rename(target)
            made.barrier()
            made.events.clear()
        deep = "src/deep" if place == "" else f"{place}/deep"
        assert made.watcher.health(ROOT).unwatched == {place: os.strerror(number)}
        (top / deep / "unseen.py").touch()
        made.barrier()
        assert made.covered(f"{deep}/unseen.py")
        patch.undo()
        check(made, 100.0)
        check(made, 106.0)
        assert made.watcher.health(ROOT).unwatched == {}
        made.events.clear()
        (top / deep / "seen.py").touch()
        made.barrier()
        assert set(made.events) == {PathChanged(ROOT, f"{deep}/seen.py")}


def test_a_directory_deeper_than_a_path_may_be(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies", POLL) as made:
        made.watch(top)
        here = Path.cwd()
        try:
            os.chdir(top / "src")
            for _ in range(43):
                os.mkdir("d" * 100)
                os.chdir("d" * 100)
        finally:
            os.chdir(here)
        made.barrier()
        wait_for(lambda: made.watcher.health(ROOT).unwatched, "it is named")
        assert state(made) == "watching" and len(made.watcher.health(ROOT).unwatched) == 1
        made.events.clear()
        (top / "src/a.py").write_text("new")
        made.barrier()
        assert "src/a.py" in made.paths()
        shutil.rmtree(top / "src" / ("d" * 100))
        check(made, 100.0)
        check(made, 106.0)
        assert made.watcher.health(ROOT).unwatched == {} and state(made) == "watching"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EIO])
def test_the_root_itself(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    with rig(tmp_path / "cookies", POLL) as made, monkeypatch.context() as patch:
        refuse(patch, top, number)
        made.add(top)
        wait_for(lambda: state(made) == "polling", "it is polled")
        (top / "src/a.py").write_text("new")
        made.barrier()
        assert made.covered("src/a.py")
        patch.undo()
        check(made, 100.0)
        check(made, 106.0)
        assert state(made) == "watching", "within seconds"


def test_a_mount_that_reports_nothing(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mounts, "unreported", lambda self, path: {"bad": "not all changes are reported"})
    with rig(tmp_path / "cookies", POLL) as made:
        made.watch(top)
        assert state(made) == "watching" and made.watcher.health(ROOT).polled == {"bad": "not all changes are reported"}
        (top / "src/a.py").write_text("new")
        made.barrier()
        assert set(made.rescans()) == {"bad"} and made.paths() == {"src/a.py"}
        check(made, 100.0)
        made.events.clear()
        check(made, 104.0)
        assert made.events == []
        check(made, 105.0)
        assert made.events == [RescanNeeded(ROOT, "bad")]


def test_a_root_that_reports_nothing(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mounts, "unreported", lambda self, path: {"": "not all changes are reported"})
    with rig(tmp_path / "cookies", POLL) as made:
        made.add(top)
        wait_for(lambda: state(made) == "polling" and made.events, "started")
        made.barrier()
        made.events.clear()
        (top / "src/a.py").write_text("by this machine")
        wait_for(lambda: made.covered("src/a.py"), "what this machine changes is reported at once")
        made.events.clear()
        made.barrier()
        assert RescanNeeded(ROOT) in made.events
