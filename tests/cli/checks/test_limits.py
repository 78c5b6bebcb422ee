"""`regenctl doctor` names the limit that is reached and the line that raises it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regend.cli.checks.limits import check_files_of, check_inotify, sysctl_remedy
from regend.config import Config, WatchConfig


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    for place, watches, instances in (("fs/inotify/max_user_", 8_192, 128), ("user/max_inotify_", 9_000, 64)):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / f"{place}watches").write_text(f"{watches}\n")
        (tmp_path / f"{place}instances").write_text(f"{instances}\n")
    return tmp_path


@pytest.fixture
def processes(tmp_path: Path) -> Path:
    """One process of this user with two instances and 1,000 watches, and one file that is not of inotify."""
    directory = tmp_path / "proc"
    for name in ("fd", "fdinfo"):
        (directory / "41" / name).mkdir(parents=True)
    for number, target in (("3", "anon_inode:inotify"), ("4", "anon_inode:inotify"), ("5", "/etc/hosts")):
        (directory / "41/fd" / number).symlink_to(target)
        (directory / "41/fdinfo" / number).write_text("pos: 0\n" + "inotify wd:1\n" * 500)
    return directory


CONFIG = Config(watch=WatchConfig(max_watches=8_192))


def test_limits_with_room_are_fine_and_show_their_use(settings: Path, processes: Path) -> None:
    watches, instances = check_inotify(CONFIG, {}, settings, processes)
    assert (watches.result, watches.detail) == ("ok", "8,192, of which your programs use 1,000")
    assert (instances.result, instances.detail) == ("ok", "64, of which your programs use 2"), "the lower one counts"


def test_a_limit_below_the_configuration_is_a_warning(settings: Path, processes: Path) -> None:
    watches, _ = check_inotify(Config(watch=WatchConfig(max_watches=8_193)), {}, settings, processes)
    assert watches.result == "warn"
    assert "sysctl fs.inotify.max_user_watches=8193" in watches.remedy


@pytest.mark.parametrize("what", ["watches", "instances"])
def test_the_limit_that_a_root_has_met_is_the_one_that_is_raised(settings: Path, processes: Path, what: str) -> None:
    reason = f"Changes are found by polling: inotify limit reached (fs.inotify.max_user_{what})"
    checks = {
        check.name: check for check in check_inotify(CONFIG, {"roots": [{"reason": reason}]}, settings, processes)
    }
    met = checks.pop(f"inotify {what}")
    (other,) = checks.values()
    assert (met.result, other.result) == ("warn", "ok")
    assert "the limit is reached" in met.detail
    assert f"inotify_{what}=128" in met.remedy or f"user_{what}=16384" in met.remedy
    assert f"fs.inotify.max_user_{what}=" in sysctl_remedy(reason)


def test_a_limit_that_other_programs_use_up_is_reached(settings: Path, processes: Path) -> None:
    (settings / "user/max_inotify_instances").write_text("2\n")
    _, instances = check_inotify(CONFIG, {}, settings, processes)
    assert instances.result == "warn"
    assert "your programs use 2 of 2 (user.max_inotify_instances)" in instances.detail


def test_limits_that_cannot_be_read_are_a_warning(tmp_path: Path) -> None:
    assert [check.result for check in check_inotify(CONFIG, {}, tmp_path, tmp_path)] == ["warn", "warn"]


def test_the_files_of_the_running_daemon_are_counted(tmp_path: Path) -> None:
    (tmp_path / "7/fd").mkdir(parents=True)
    (tmp_path / "7/limits").write_text("Limit  Soft\nMax open files            2   4096   files\n")
    (tmp_path / "7/fd/0").write_text("")
    assert list(check_files_of({"pid": 7}, tmp_path)) == []
    (tmp_path / "7/fd/1").write_text("")
    (check,) = check_files_of({"pid": 7}, tmp_path)
    assert check.result == "warn" and "2 open, of 2" in check.detail
    assert list(check_files_of({}, tmp_path)) == list(check_files_of({"pid": os.getpid() + 10**7}, tmp_path)) == []
