"""A barrier passes once everything before it is reported, in time, and whatever fails."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from regend.core.events import RescanNeeded
from regend.watch.barrier import Barriers
from regend.watch.place import WatchOutlets, WatchPlace
from tests.watch.watch_rig import ROOT, check, rig, state, wait_for


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    made.mkdir()
    return made


class SilentWatch:
    """A watch that never reports anything, as a thread that hangs would."""

    ordered = True
    alive = True
    watch_count = 1
    unwatched: Mapping[str, str] = MappingProxyType({})

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def resync(self, directory: str) -> None:
        pass

    def check_busy(self) -> None:
        pass


class SilentSystem:
    def watch(self, place: WatchPlace, outlets: WatchOutlets) -> SilentWatch:
        return SilentWatch()

    def watch_cookies(self) -> None:
        pass

    def close(self) -> None:
        pass


def test_late_barrier_falls_back_to_a_rescan(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.watch.watcher.BARRIER_LIMIT_S", 0.3)
    with rig(tmp_path / "cookies", factory=lambda *_: SilentSystem()) as made:
        made.add(top)
        wait_for(lambda: state(made) == "watching" and made.events, "started")
        made.events.clear()
        begun = time.monotonic()
        made.barrier()
        assert time.monotonic() - begun >= 0.3
        assert made.events == [RescanNeeded(ROOT)]


def test_barrier_without_roots_and_without_cookie_directory(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        made.barrier()
        made.watch(top)
        shutil.rmtree(tmp_path / "cookies")
        made.barrier()
        assert made.events == [RescanNeeded(ROOT)]
        check(made, 1.0)
        made.events.clear()
        (top / "f").touch()
        made.barrier()
        assert made.paths() == {"f"} and not made.rescans()
        assert list((tmp_path / "cookies").iterdir()) == []


def test_stale_cookies_are_cleared(tmp_path: Path) -> None:
    (tmp_path / "cookie-1-1").touch()
    Barriers(tmp_path)
    assert list(tmp_path.iterdir()) == []
