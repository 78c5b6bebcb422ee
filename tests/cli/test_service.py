"""`regenctl service` writes units that systemd and launchd accept, removes what it wrote, and leaves the rest alone."""

from __future__ import annotations

import json
import os
import plistlib
import re
import shutil
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from regend.__main__ import parser
from regend.cli import service_files as files_module
from regend.cli.service import service_command
from regend.cli.service_files import PINNED_VARIABLES, installed_program, service_files
from regend.errors import ConfigError, PathError, RegendError

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A home without any service manager."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").mkdir(mode=0o700)
    return {
        "HOME": str(tmp_path / "home"),
        "PATH": str(tmp_path / "empty"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"),
    }


def units(environ: dict[str, str]) -> Path:
    return Path(environ["HOME"]) / ".config/systemd/user"


def call(
    capsys: pytest.CaptureFixture[str], environ: dict[str, str], *argv: str, platform: str = "linux"
) -> tuple[int, dict[str, Any]]:
    status = service_command(list(argv), True, platform=platform, environ=environ)
    return status, json.loads(capsys.readouterr().out)


def fake_manager(environ: dict[str, str], tmp_path: Path, name: str = "systemctl", script: str = "exit 0") -> Path:
    """A service manager that writes down what it was asked. Fakes nothing else: the units are not started."""
    log = tmp_path / "commands"
    log.touch()
    directory = tmp_path / "bin"
    directory.mkdir(exist_ok=True)
    program = directory / name
    program.write_text(f'#!/bin/sh\necho "$*" >> "{log}"\n{script}\n')
    program.chmod(0o755)
    environ["PATH"] = str(directory)
    return log


# --- the files --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["regend", "regend with space", "100%u", "$HOME", "ünïcode"])
@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_the_units(environ: dict[str, str], tmp_path: Path, name: str) -> None:
    program = tmp_path / name / "regend"
    program.parent.mkdir()
    shutil.copy(shutil.which("true") or "/bin/true", program)
    environ["REGEND_STATE_DIR"] = '/srv/my "index" 100%'
    for file in service_files("linux", environ, program):
        file.write()
    done = verify(environ)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_refuses_a_broken_unit(environ: dict[str, str], tmp_path: Path) -> None:
    """The test above can fail: a directive that does not exist, and a program that is not there."""
    for file in service_files("linux", environ, tmp_path / "nowhere"):
        file.write()
    service = units(environ) / "regend.service"
    service.write_text(service.read_text().replace("LockPersonality=", "LockPersonalty="))
    done = verify(environ)
    assert done.returncode != 0
    assert "LockPersonalty" in done.stderr
    assert "nowhere" in done.stderr


def verify(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", "verify", "--user", units(environ) / "regend.service", units(environ) / "regend.socket"],
        env={**os.environ, **environ, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_unit_starts_this_program_with_the_paths_of_this_shell(environ: dict[str, str]) -> None:
    environ |= {"REGEND_STATE_DIR": "/srv/a b", "XDG_CONFIG_HOME": "/srv/c%", "REGEND_SOCKET": "/srv/s.sock"}
    socket_unit, service_unit = service_files("linux", environ, Path("/opt/x y/regend"))
    assert service_unit.path == Path("/srv/c%/systemd/user/regend.service")
    lines = service_unit.content.splitlines()
    assert 'ExecStart="/opt/x y/regend" --log-format json' in lines
    assert 'Environment="REGEND_STATE_DIR=/srv/a b"' in lines
    assert 'Environment="XDG_CONFIG_HOME=/srv/c%%"' in lines
    assert "ListenStream=/srv/s.sock" in socket_unit.content.splitlines()
    assert "ListenStream=%t" not in socket_unit.content


@pytest.mark.parametrize("path", ['/opt/a"b/regend', "/opt/a'b/regend", "/opt/a\\b/regend", "/opt/a\nb/regend"])
def test_a_path_that_systemd_cannot_start_is_refused(environ: dict[str, str], path: str) -> None:
    with pytest.raises(ConfigError, match="another directory"):
        service_files("linux", environ, Path(path))


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_a_value_that_a_service_file_cannot_hold_is_refused(environ: dict[str, str], platform: str) -> None:
    """A control character could add a directive; bytes that are not UTF-8 cannot be written."""
    for name in (*PINNED_VARIABLES, "REGEND_SOCKET"):
        for path in ("/srv\nExecStartPre=/bin/evil", "/srv\x01", "/srv/\udcff"):
            with pytest.raises(ConfigError, match=name):
                service_files(platform, {**environ, name: path}, Path("/opt/regend"))
    with pytest.raises(ConfigError, match="UTF-8"):
        service_files(platform, environ, Path("/opt/\udcff/regend"))
    with pytest.raises(ConfigError, match="XDG_CONFIG_HOME" if platform == "linux" else "HOME"):
        service_files(platform, {**environ, "HOME": "/\udcff", "XDG_CONFIG_HOME": "/\udcff"}, Path("/opt/regend"))


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_relative_paths_are_those_of_this_directory(
    environ: dict[str, str], tmp_path: Path, platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service manager starts the daemon elsewhere, where a relative path would name another file."""
    monkeypatch.chdir(tmp_path)
    environ |= dict.fromkeys((*PINNED_VARIABLES, "REGEND_SOCKET"), "own/place")
    text = "".join(file.content for file in service_files(platform, environ, Path("/opt/regend")))
    assert text.count(f"{tmp_path}/own/place") == 3
    # The daemon and `regenctl` ignore relative XDG variables (XDG base directory specification).
    assert not re.search(rf"XDG_\w+\W+(<string>)?{tmp_path}", text)


def test_the_agent_is_a_valid_plist(environ: dict[str, str]) -> None:
    environ |= {"REGEND_STATE_DIR": "/srv/a & b", "REGEND_SOCKET": "/srv/s.sock"}
    (agent,) = service_files("darwin", environ, Path("/opt/<x> & y/regend"))
    assert agent.path == Path(environ["HOME"]) / "Library/LaunchAgents/dev.regend.daemon.plist"
    parsed = plistlib.loads(agent.content.encode())
    assert parsed["Label"] == agent.path.stem
    logs = environ["HOME"] + "/Library/Logs"
    options = ["--log-format", "json", "--log-file", f"{logs}/regend.log"]
    assert parsed["ProgramArguments"] == ["/opt/<x> & y/regend", *options]
    parser().parse_args(options)
    assert parsed["EnvironmentVariables"]["REGEND_STATE_DIR"] == "/srv/a & b"
    assert parsed["EnvironmentVariables"]["REGEND_SOCKET"] == "/srv/s.sock"
    assert "/usr/bin" in parsed["EnvironmentVariables"]["PATH"]
    assert parsed["StandardErrorPath"] == f"{logs}/regend.err"
    assert parsed["KeepAlive"] == {"SuccessfulExit": False}
    assert parsed["Umask"] == 0o077
    (agent,) = service_files("darwin", environ, Path("/tmp/regend.venv/bin/regend"))
    assert plistlib.loads(agent.content.encode())["ProgramArguments"] == ["/tmp/regend.venv/bin/regend", *options]


def test_other_platforms_are_told_what_to_do(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="no service support for win32"):
        service_files("win32", environ, Path("/regend"))


def test_an_installed_wheel_reads_its_own_copies(
    environ: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "regend"
    (package / "cli").mkdir(parents=True)
    monkeypatch.setattr(files_module, "__file__", str(package / "cli" / "service_files.py"))
    with pytest.raises(PathError, match="reinstall"):
        service_files("linux", environ, Path("/opt/regend"))
    shutil.copytree(REPOSITORY / "systemd", package / "service_units")
    assert len(service_files("linux", environ, Path("/opt/regend"))) == 2


def test_the_program_is_found_beside_this_python_or_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def program(name: str) -> Path:
        path = tmp_path / name / "regend"
        path.parent.mkdir()
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
        return path

    monkeypatch.setattr("sys.executable", str(tmp_path / "venv" / "python"))
    monkeypatch.setattr("sys.argv", [str(tmp_path / "links" / "regenctl")])
    with pytest.raises(PathError, match="not on PATH"):
        installed_program({"PATH": str(tmp_path)})
    on_path = program("elsewhere")
    assert installed_program({"PATH": str(on_path.parent)}) == on_path
    linked = program("links")
    assert installed_program({"PATH": str(on_path.parent)}) == linked
    beside = program("venv")
    assert installed_program({"PATH": str(on_path.parent)}) == beside


# --- install, uninstall, status ---------------------------------------------------------------------------------------


def test_install_without_a_manager_says_what_to_run(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, report = call(capsys, environ, "install")
    assert status == 1, "nothing runs"
    assert [(s["action"], s["result"]) for s in report["steps"]] == [("write", "done"), ("write", "done")]
    assert "systemctl --user enable --now regend.socket regend.service" in report["notes"][0]
    assert "regenctl start" in report["notes"][1]
    assert sorted(p.name for p in units(environ).iterdir()) == ["regend.service", "regend.socket"]


def test_install_twice_changes_nothing(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, environ, "install")
    before = {path: path.stat().st_mtime_ns for path in units(environ).iterdir()}
    status, report = call(capsys, environ, "install")
    assert (status, {s["result"] for s in report["steps"]}) == (1, {"unchanged"})
    assert before == {path: path.stat().st_mtime_ns for path in units(environ).iterdir()}


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_uninstall_removes_exactly_what_install_wrote(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str], platform: str
) -> None:
    home = Path(environ["HOME"])
    for kept in (units(environ) / "other.service", home / "Library/LaunchAgents/other.plist"):
        kept.parent.mkdir(parents=True)
        kept.write_text("other")
    before = {path for path in home.rglob("*") if path.is_file()}
    call(capsys, environ, "install", platform=platform)
    installed = {path for path in home.rglob("*") if path.is_file()}
    assert len(installed) > len(before)
    status, _ = call(capsys, environ, "uninstall", platform=platform)
    assert status == 0
    assert before == {path for path in home.rglob("*") if path.is_file()}
    status, report = call(capsys, environ, "uninstall", platform=platform)
    assert (status, {s["result"] for s in report["steps"]}) == (0, {"skipped"})


def test_uninstall_removes_links_that_no_manager_is_there_to_remove(
    environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    call(capsys, environ, "install")
    wants = units(environ) / "sockets.target.wants"
    wants.mkdir()
    (wants / "regend.socket").symlink_to(units(environ) / "regend.socket")
    call(capsys, environ, "uninstall")
    assert list(wants.iterdir()) == []


@pytest.mark.parametrize("action", ["install", "uninstall"])
def test_dry_run_touches_nothing(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str], action: str
) -> None:
    if action == "uninstall":
        call(capsys, environ, "install")
    log = fake_manager(environ, tmp_path, script="exit 3")
    before = sorted(Path(environ["HOME"]).rglob("*"))
    status, report = call(capsys, environ, action, "--dry-run")
    assert status == 0
    assert {s["result"] for s in report["steps"]} == {"planned"}
    assert any(s["target"].startswith("systemctl --user daemon-reload") for s in report["steps"])
    assert sorted(Path(environ["HOME"]).rglob("*")) == before
    assert all("is-active" in line for line in log.read_text().splitlines())


def test_a_file_of_someone_else_is_left_alone(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    units(environ).mkdir(parents=True)
    mine = units(environ) / "regend.service"
    mine.write_text("[Service]\nExecStart=/mine\n")
    with pytest.raises(PathError, match="someone else"):
        call(capsys, environ, "install")
    assert not (units(environ) / "regend.socket").exists()
    status, report = call(capsys, environ, "uninstall")
    assert status == 1
    assert mine.read_text() == "[Service]\nExecStart=/mine\n"
    assert "foreign" in json.dumps(report)


def test_an_edited_file_is_left_alone(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, environ, "install")
    service = units(environ) / "regend.service"
    service.write_text(service.read_text().replace("WatchdogSec=30", "WatchdogSec=99"))
    with pytest.raises(RegendError, match="changed by someone else"):
        call(capsys, environ, "install")
    assert call(capsys, environ, "uninstall")[0] == 1
    assert service.exists()
    assert not (units(environ) / "regend.socket").exists()


def test_an_older_install_is_renewed(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    call(capsys, environ, "install")
    environ["REGEND_STATE_DIR"] = "/srv/elsewhere"
    _, report = call(capsys, environ, "status")
    assert report["status"]["regend.service"] == "outdated"
    _, report = call(capsys, environ, "install")
    assert [s["action"] for s in report["steps"]] == ["keep", "write"]
    assert "REGEND_STATE_DIR" in (units(environ) / "regend.service").read_text()


def test_install_starts_the_units(environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = fake_manager(environ, tmp_path, script='case "$2" in is-active) exit 3;; esac')
    status, report = call(capsys, environ, "install")
    assert status == 0
    assert "linger" in report["notes"][0]
    assert log.read_text().splitlines() == [
        "--user daemon-reload",
        "--user is-active regend.socket",
        "--user enable --now regend.socket regend.service",
    ]


def test_a_running_service_is_restarted_only_when_its_files_change(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = fake_manager(environ, tmp_path)
    call(capsys, environ, "install")
    assert "--user stop regend.socket regend.service" in log.read_text().splitlines()
    log.write_text("")
    call(capsys, environ, "install")
    assert "stop" not in log.read_text()


def test_a_failing_start_is_reported(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_manager(
        environ, tmp_path, script='case "$2" in is-active) exit 3;; enable) echo "Job failed." >&2; exit 1;; esac'
    )
    status, report = call(capsys, environ, "install")
    assert status == 1
    assert {"action": "run", "result": "failed", "detail": "Job failed."}.items() <= report["steps"][-1].items()


def test_without_a_user_manager_the_commands_are_named(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_manager(environ, tmp_path, script="echo 'Failed to connect to bus' >&2; exit 1")
    status, report = call(capsys, environ, "install")
    assert status == 1
    assert "Failed to connect to bus" in report["steps"][-1]["detail"]
    assert "systemctl --user enable --now" in report["notes"][0]
    assert "regenctl start" in report["notes"][1]


def test_a_daemon_started_by_hand_keeps_its_socket(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = fake_manager(environ, tmp_path, script='case "$2" in is-active) exit 3;; esac')
    environ["REGEND_SOCKET"] = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as daemon:
        daemon.bind(environ["REGEND_SOCKET"])
        daemon.listen()
        status, report = call(capsys, environ, "install")
    assert status == 0
    assert "regenctl stop" in report["notes"][0]
    assert "--now" not in log.read_text()


def test_status(environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, report = call(capsys, environ, "status")
    assert (status, report["status"]["regend.service"], report["status"]["active"]) == (1, "absent", "unknown")
    call(capsys, environ, "install")
    status, report = call(capsys, environ, "status")
    assert (status, report["status"]["regend.service"]) == (0, "current")
    fake_manager(environ, tmp_path, script='case "$2" in is-enabled) echo enabled;; *) echo active;; esac')
    status, report = call(capsys, environ, "status")
    assert (status, report["status"]["enabled"], report["status"]["active"]) == (0, "enabled", "active")
    fake_manager(environ, tmp_path, script='case "$2" in is-enabled) echo enabled;; *) echo failed; exit 3;; esac')
    assert call(capsys, environ, "status")[0] == 1


def test_the_agent_is_loaded_and_unloaded(
    environ: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    domain = f"gui/{os.getuid()}"
    log = fake_manager(environ, tmp_path, "launchctl", 'case "$1" in print) exit 113;; esac')
    assert call(capsys, environ, "install", platform="darwin")[0] == 0
    plist = Path(environ["HOME"]) / "Library/LaunchAgents/dev.regend.daemon.plist"
    assert log.read_text().splitlines()[-1] == f"bootstrap {domain} {plist}"
    fake_manager(environ, tmp_path, "launchctl")
    assert call(capsys, environ, "status", platform="darwin")[1]["status"]["active"] == "active"
    assert call(capsys, environ, "uninstall", platform="darwin")[0] == 0
    assert log.read_text().splitlines()[-1] == f"bootout {domain}/dev.regend.daemon"


def test_text_and_usage(environ: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert service_command(["install", "--dry-run"], False, platform="linux", environ=environ) == 0
    out = capsys.readouterr().out
    assert "planned    write   " in out
    assert "regend.service" in out
    with pytest.raises(SystemExit) as error:
        service_command(["explode"], False, platform="linux", environ=environ)
    assert error.value.code == 2
