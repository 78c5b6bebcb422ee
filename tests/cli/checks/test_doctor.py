"""`regenctl doctor` finds what is wrong with a machine, says how to mend it, and fails only where nothing works."""

from __future__ import annotations

import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regend.cli.checks.doctor import (
    FULL_DISK_BYTES,
    LOW_DISK_BYTES,
    PACKAGES,
    _disk_check,
    check_config,
    check_daemon,
    check_directory,
    check_disk,
    check_git,
    check_index,
    check_packages,
    check_python,
    check_roots,
    check_shared,
    doctor_command,
)
from regend.cli.checks.finding import Check
from regend.config import Config
from tests.rpc.scripted import Script, ServerThread, short_directory


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with short_directory() as directory:
        yield directory / "regend.sock"


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "XDG_STATE_HOME": str(tmp_path / "state")}


def test_python() -> None:
    assert check_python((3, 11, 0)).result == "ok"
    assert check_python((3, 10, 9)).result == "fail"


def test_every_package_can_be_imported() -> None:
    assert check_packages(PACKAGES) == Check("packages", "ok", f"{len(PACKAGES)} can be imported")


def test_a_missing_package_is_named() -> None:
    check = check_packages(("json", "no_such_package", "csv"))
    assert check.result == "fail"
    assert "no_such_package: ModuleNotFoundError" in check.detail
    assert "json" not in check.detail
    assert "csv" not in check.detail


@pytest.mark.parametrize(("name", "remedy"), [("hnswlib", "HNSWLIB_NO_NATIVE=1"), ("tantivy", "force-reinstall")])
def test_a_package_that_kills_its_process_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, remedy: str
) -> None:
    (tmp_path / f"{name}.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGILL)\n")
    monkeypatch.syspath_prepend(tmp_path)
    check = check_packages(("json", name, "csv"))
    assert check.result == "fail"
    assert f"{name} ended the process (signal 4)" in check.detail
    assert remedy in check.remedy


def test_git(tmp_path: Path) -> None:
    assert check_git({"PATH": str(tmp_path)}).result == "warn"
    (tmp_path / "git").write_text("#!/bin/sh\n")
    (tmp_path / "git").chmod(0o755)
    assert check_git({"PATH": str(tmp_path)}).result == "ok"


def test_configuration(tmp_path: Path, environ: dict[str, str]) -> None:
    file = tmp_path / "config.toml"
    environ["REGEND_CONFIG"] = str(file)
    assert check_config(environ)[1].result == "fail"
    file.write_text("[watch]\nquiet_ms = 'soon'\n")
    config, check = check_config(environ)
    assert (config, check.result) == (Config(), "fail")
    assert "watch.quiet_ms" in check.detail
    file.write_text("[watch]\nquiet_ms = 7\n")
    config, check = check_config(environ)
    assert (config.watch.quiet_ms, check.result) == (7, "ok")
    file.write_text("[embedding]\napi_key_env = 'SOME_KEY'\n")
    assert check_config(environ)[1].result == "warn"
    assert check_config({**environ, "SOME_KEY": "x"})[1].result == "ok"


@pytest.mark.parametrize(
    ("name", "mode", "expected"),
    [
        ("state directory", 0o700, "ok"),
        ("state directory", 0o750, "warn"),
        ("socket directory", 0o700, "ok"),
        ("socket directory", 0o701, "fail"),
    ],
)
def test_directory_mode(tmp_path: Path, name: str, mode: int, expected: str) -> None:
    directory = tmp_path / "d"
    directory.mkdir()
    directory.chmod(mode)
    check = check_directory(name, directory)
    assert check.result == expected
    assert ("chmod 700" in check.remedy) == (expected != "ok")
    assert stat.S_IMODE(directory.stat().st_mode) == mode


def test_directory_that_is_something_else(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "real").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert check_directory("state directory", tmp_path / "file").result == "fail"
    assert check_directory("state directory", tmp_path / "file" / "below").result == "fail"
    assert check_directory("state directory", tmp_path / "link").result == "ok"
    assert check_directory("socket directory", tmp_path / "link").result == "fail"


def test_directory_that_does_not_exist_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_directory("state directory", tmp_path / "a" / "b").result == "ok"
    monkeypatch.setattr("os.access", lambda path, mode: path != tmp_path)  # Root may write anywhere.
    assert check_directory("state directory", tmp_path / "a" / "b").result == "fail"
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["state directory", "socket directory"])
def test_the_mode_of_a_directory_that_others_use_stays_as_it_is(tmp_path: Path, name: str) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    check = check_directory(name, shared)
    assert check.result == "fail"
    assert "shared with other users" in check.detail
    assert "chmod" not in check.remedy and "directory of your own" in check.remedy
    shared.chmod(0o755)
    (shared / "notes.txt").write_text("not a socket")
    assert "chmod" not in check_directory("socket directory", shared).remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_directory_of_another_user(tmp_path: Path) -> None:
    os.chown(tmp_path, 12345, -1)
    check = check_directory("state directory", tmp_path)
    assert check.result == "fail"
    assert "12345" in check.detail


@pytest.mark.parametrize(
    ("free_bytes", "expected"),
    [(LOW_DISK_BYTES, "ok"), (LOW_DISK_BYTES - 1, "warn"), (FULL_DISK_BYTES, "warn"), (FULL_DISK_BYTES - 1, "fail")],
)
def test_disk(tmp_path: Path, free_bytes: int, expected: str) -> None:
    assert _disk_check(free_bytes, tmp_path).result == expected
    assert str(tmp_path) in check_disk(tmp_path / "not" / "there").detail


def test_no_daemon_and_a_stale_socket(socket_path: Path) -> None:
    status, check = check_daemon(socket_path)
    assert (status, check.result) == ({}, "warn")
    assert "stale" not in check.detail
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(socket_path))
    status, check = check_daemon(socket_path)
    assert (status, check.result) == ({}, "warn")
    assert "stale" in check.detail


def test_something_else_on_the_socket(socket_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(socket_path))
        other.listen()
        other.settimeout(5)

        def answer() -> None:
            peer, _ = other.accept()
            with peer:
                peer.sendall(b"SSH-2.0-hello\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        _, check = check_daemon(socket_path)
        thread.join(5)
    assert check.result == "fail"


def test_a_daemon_that_answers(socket_path: Path) -> None:
    script = Script()
    with ServerThread(socket_path, script):
        status, check = check_daemon(socket_path)
        assert check.result == "ok"
        assert status["roots"]
        script.paused = True
        check = check_daemon(socket_path)[1]
    assert (check.result, check.remedy) == ("warn", "regenctl resume")


def root(**changes: Any) -> dict[str, Any]:
    return {
        "path": "/src/app", "state": "ready", "files_indexed": 9, "pending": 0, "skipped_by_reason": {"binary": 3},
        "watching": "events", "reason": "", **changes,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "result", "words"),
    [
        ({}, "ok", "9 files"),
        ({"state": "gone"}, "warn", "regenctl remove /src/app"),
        ({"state": "degraded", "reason": "no watches left"}, "warn", "no watches left"),
        ({"watching": "polled every 5 s"}, "warn", "max_watches"),
        ({"skipped_by_reason": {"quarantined: crash": 2, "binary": 1}}, "warn", "2 files quarantined"),
    ],
)
def test_roots(changes: dict[str, Any], result: str, words: str) -> None:
    (check,) = check_roots({"roots": [root(**changes)]})
    assert check.result == result
    assert words in f"{check.detail} {check.remedy}"


def test_the_command(
    socket_path: Path, environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert doctor_command(str(socket_path), True, environ) == 0
    checks = json.loads(capsys.readouterr().out)
    assert all(set(check) == {"name", "result", "detail", "remedy"} for check in checks)
    assert {"python", "packages", "git", "configuration", "state directory", "disk", "socket directory", "daemon"} <= {
        check["name"] for check in checks
    }
    assert all(check["remedy"] for check in checks if check["result"] != "ok")
    (tmp_path / "config.toml").write_text("nonsense = 1\n")
    assert doctor_command(str(socket_path), False, {**environ, "REGEND_CONFIG": str(tmp_path / "config.toml")}) == 1
    out = capsys.readouterr().out
    assert "fail  configuration: " in out
    assert "\x1b" not in out
    assert not (tmp_path / "state").exists()


def test_the_index_is_verified_by_the_daemon(socket_path: Path) -> None:
    script = Script()
    with ServerThread(socket_path, script):
        assert [check.result for check in check_index(socket_path)] == ["ok", "ok"]
        script.differing, script.damage = 12, "row 3 missing"
        pages, index = check_index(socket_path)
    assert (pages.result, pages.detail) == ("fail", "row 3 missing")
    assert index.result == "warn"
    assert index.detail.startswith("12 of 20 files differed: ")
    assert index.detail.endswith("; and 2 more")


def test_nothing_is_verified_without_a_daemon(socket_path: Path) -> None:
    (check,) = check_index(socket_path)
    assert check.result == "fail"
    assert "regenctl start" in check.remedy


def test_a_shared_store() -> None:
    assert list(check_shared({})) == list(check_shared({"shared": {}})) == []
    own = {"path": "/src/web", "waiting": 1_200, "error": "", "lag_s": 3.0, "lease_s": 13.4 * 86_400}
    shared = {"store": "postgresql://db/r", "error": "", "search_error": "", "reused": 5, "pushed": 7, "roots": [own]}
    (check,) = check_shared({"shared": shared})
    told = "postgresql://db/r: 5 reused, 7 given, 1,200 waiting, leases run for 13 days"
    assert (check.result, check.detail) == ("ok", told)
    (check,) = check_shared({"shared": {**shared, "roots": [{**own, "lag_s": 1_260.0, "lease_s": None}]}})
    assert (check.result, check.detail.rpartition("; ")[2]) == ("warn", "Chunks wait for 21 minutes.")
    (check,) = check_shared({"shared": {**shared, "search_error": "It is slow."}})
    assert check.result == "warn" and check.detail.endswith("It is slow.")
    away = {**shared, "error": "It does not answer.", "roots": [{**own, "error": "role ada is no member"}]}
    (check,) = check_shared({"shared": away})
    assert check.result == "warn"
    assert check.detail.endswith("It does not answer. /src/web: role ada is no member")
