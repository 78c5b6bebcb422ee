"""Bulk work steps back under pressure and on a full disk, says why, and comes back; far too large roots are refused."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from regend.config import Config, ResourceConfig
from regend.daemon import governor
from regend.daemon.governor import CHECK_INTERVAL_S, Governor, Pace, size_bytes, stalled_percent
from regend.daemon.roots import Roots
from regend.disk.calls import RootCalls
from regend.errors import RootError
from tests.e2e.rig import daemon, wait_for

PSI = "some avg10={some:.2f} avg60=0.00 avg300=0.00 total=1\nfull avg10={full:.2f} avg60=0.00 avg300=0.00 total=1\n"


def press(directory: Path, some: float, full: float) -> None:
    directory.mkdir(exist_ok=True)
    for name in ("memory", "io"):
        (directory / name).write_text(PSI.format(some=some, full=full))


class Rig:
    def __init__(self, tmp_path: Path, **config: float | str) -> None:
        self.told: list[int] = []
        self.state, self.pressure = tmp_path / "state", tmp_path / "pressure"
        self.state.mkdir()
        resources = ResourceConfig(**{"min_free_mb": 0, **config})  # type: ignore[arg-type]
        self.power = tmp_path / "power"
        self.governor = Governor(resources, self.state, 8, self.told.append, self.pressure, self.power)
        self.now = 100.0

    def check(self) -> tuple[str, ...]:
        self.now += CHECK_INTERVAL_S
        self.governor.decide(self.governor.measure(self.now))
        return self.governor.held_back


def test_nothing_holds_back_where_the_kernel_says_nothing(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    assert rig.check() == ()
    assert rig.told == []


def test_pressure_holds_back_until_it_is_well_over(tmp_path: Path) -> None:
    rig = Rig(tmp_path, pressure_percent=40)
    steps = [(10, 0, 8), (50, 0, 1), (30, 0, 1), (10, 0, 8), (0, 45, 1), (0, 0, 8)]
    for some, full, slots in steps:
        press(rig.pressure, some, full)
        assert bool(rig.check()) == (slots == 1)
        assert (rig.told or [8])[-1] == slots
    press(rig.pressure, 50, 0)
    assert "short of memory" in rig.check()[0]


def test_pressure_may_be_ignored(tmp_path: Path) -> None:
    rig = Rig(tmp_path, pressure_percent=0)
    press(rig.pressure, 99, 99)
    assert rig.check() == ()


def test_a_quota_stops_and_removal_resumes(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_state_mb=1)
    (rig.state / "big").write_bytes(bytes(1_500_000))
    assert "raise `resources.max_state_mb`" in rig.check()[0]
    assert rig.told == [0]
    (rig.state / "big").unlink()
    for _ in range(6):
        rig.check()
    assert rig.told == [0, 8]


def supply(directory: Path, name: str, **words: str) -> None:
    (directory / name).mkdir(parents=True, exist_ok=True)
    for word, value in words.items():
        (directory / name / word).write_text(f"{value}\n")


def test_on_battery_files_come_one_at_a_time(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    supply(rig.power, "mouse", type="Battery", scope="Device", status="Discharging")
    supply(rig.power, "AC", type="Mains", online="1")
    supply(rig.power, "BAT0", type="Battery", status="Charging")
    assert rig.check() == ()
    supply(rig.power, "BAT0", status="Discharging")
    assert rig.check() == (), "both at once is a weak charger"
    supply(rig.power, "AC", online="0")
    assert "on battery" in rig.check()[0]
    assert rig.told == [1]
    supply(rig.power, "AC", online="1")
    assert rig.check() == ()
    assert rig.told == [1, 8]


def test_battery_may_be_ignored(tmp_path: Path) -> None:
    rig = Rig(tmp_path, battery="usual")
    supply(rig.power, "BAT0", type="Battery", status="Discharging")
    assert rig.check() == ()


def test_too_much_memory_stops(tmp_path: Path) -> None:
    rig = Rig(tmp_path, max_rss_mb=1)
    assert "raise `resources.max_rss_mb`" in rig.check()[0]
    assert rig.told == [0]


def test_a_full_disk_stops(tmp_path: Path) -> None:
    rig = Rig(tmp_path, min_free_mb=10**9)
    assert "MB are free" in rig.check()[0]
    assert rig.told == [0]


def test_odd_pressure_files(tmp_path: Path) -> None:
    for text in ("", "some", "some avg10", "some avg10=x", "full avg10=3.00"):
        (tmp_path / "f").write_text(text)
        assert stalled_percent(tmp_path / "f", "some") == 0.0
    assert stalled_percent(tmp_path / "f", "full") == 3.0


def test_sizes_count_each_file_once(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "f").write_bytes(bytes(700))
    (tmp_path / "link").symlink_to("a")
    assert 700 <= size_bytes(tmp_path) < 800


@pytest.mark.parametrize("place", ["/", "home", "above home"])
def test_far_too_large_roots_are_refused_without_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    home = tmp_path / "above" / "home"
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    path = {"/": Path("/"), "home": home, "above home": home.parent}[place]
    roots = Roots(Config(), tmp_path / "state", RootCalls())
    with pytest.raises(RootError, match="not a source tree" if place == "/" else "--force"):
        roots.prepare(path, force=False)
    if place != "/":
        assert roots.prepare(path, force=True).identity.path == path


def test_a_daemon_over_its_quota_says_so_and_indexes_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def apple():\n    return 1\n")
    with daemon("[resources]\nmin_free_mb = 1000000000\n") as subject:
        subject.start()
        wait_for(lambda: bool(subject.status()["held_back"]), "the governor looked")
        subject.call("add", path=str(tmp_path))
        wait_for(lambda: subject.root(tmp_path)["pending"] == 1, "the file was found")
        assert subject.root(tmp_path)["files_indexed"] == 0


@pytest.mark.skipif(sys.platform != "linux", reason="niceness of another process is read from /proc")
def test_workers_are_polite(tmp_path: Path) -> None:
    with daemon() as subject:
        subject.start()
        wait_for(lambda: [worker["state"] for worker in subject.status()["workers"]] == ["idle"], "a worker is ready")
        for pid in subject.worker_pids():
            assert os.getpriority(os.PRIO_PROCESS, pid) > os.getpriority(os.PRIO_PROCESS, subject.process.pid)


async def test_checks_are_rare_while_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace()
    monkeypatch.setattr(governor, "CALM_INTERVAL_S", 0.05)
    assert await pace.pause(0.001) == 0.001
    monkeypatch.setattr(governor, "CALM_AFTER_S", 0.0)
    assert pace.is_calm
    assert await pace.pause(0.001) == 0.05
    assert await pace.pause(0.001, longest_s=0.02) == 0.02, "the service manager waits no longer"
    monkeypatch.setattr(governor, "CALM_INTERVAL_S", 3_600.0)
    for end in (pace.stir, pace.wake):
        asyncio.get_running_loop().call_soon(end)
        async with asyncio.timeout(5.0):
            await pace.pause(0.001)
