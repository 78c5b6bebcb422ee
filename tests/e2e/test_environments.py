"""The programs run wherever and however they are started: in any place, with any variable of Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from regend.interpreter import child_command, own_modules_first
from tests.e2e.rig import Daemon, daemon

NAME = "ünï😀"
SHADOWS = ("queue", "select", "socket", "random", "argparse", "pathlib", "asyncio", "msgpack", "structlog", "tantivy")
RELATIVE_PATHS: dict[str, tuple[str, ...]] = {
    "add": ("add", "here"), "remove": ("remove", "here"), "reindex": ("reindex", "here"), "why": ("why", "a.py"),
    "list": ("list", "--files", "here"), "outline": ("outline", "a.py"), "related": ("related", "a.py:1"),
    "search": ("search", "pear", "--root", "./here"), "symbols": ("symbols", "pear", "--root", "."),
    "socket": ("--socket", "run/s", "list"),
}  # fmt: skip


def entry(name: str) -> tuple[str, ...]:
    """As the script that pip writes for an entry point."""
    return sys.executable, "-c", f"import sys; from regend.interpreter import {name}; sys.exit({name}())"


@dataclass(frozen=True)
class Environment:
    """How a program is started.

    Attributes:
        prepare: changes the place in which it is started; an empty folder of the test.
        shell: shell text that precedes the command.
        streams: redirections of the daemon's streams; what `regenctl` prints is read.
    """

    variables: dict[str, str] = field(default_factory=dict)
    prepare: Callable[[Path], object] = lambda _place: None
    shell: str = ""
    streams: str = ""

    def command(self, program: str, *arguments: str) -> list[str]:
        streams = self.streams if program == "daemon" else ""
        return ["/bin/sh", "-c", f'{self.shell} exec "$@" {streams}', "sh", *entry(program), *arguments]


def with_shadows(place: Path) -> None:
    for name in SHADOWS:
        (place / f"{name}.py").write_text("raise RuntimeError('a file of others was imported')")


ENVIRONMENTS = {
    "modules of others on PYTHONPATH": Environment({"PYTHONPATH": "."}, with_shadows),
    "modules of others in the working directory": Environment({}, with_shadows),
    # With -c and the working directory on its path, Python 3.13.0 itself cannot import `socket` there; a script can.
    "the working directory is gone": Environment({"PYTHONSAFEPATH": "1"}, shell='rmdir "$PWD";'),
    "ASCII": Environment({"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
    "POSIX locale": Environment({"LC_ALL": "POSIX"}),
    "warnings are errors": Environment({"PYTHONWARNINGS": "error"}),
    "no assertions and no docstrings": Environment({"PYTHONOPTIMIZE": "2"}),
    "developer mode": Environment({"PYTHONDEVMODE": "1", "PYTHONASYNCIODEBUG": "1"}),
    "no temporary directory": Environment({"TMPDIR": "/nowhere", "TEMP": "/nowhere"}),
    "other variables": Environment({"PYTHONNOUSERSITE": "1", "PYTHONSTARTUP": "/nowhere", "PYTHONSAFEPATH": "1"}),
    "umask 777": Environment(shell="umask 777;"),
    "umask 000": Environment(shell="umask 000;"),
    "closed streams": Environment(streams="<&- >&- 2>&-"),
}
QUICK = ("modules of others on PYTHONPATH", "the working directory is gone", "ASCII", "closed streams")


@contextmanager
def started(tmp_path: Path, environment: Environment) -> Iterator[Daemon]:
    root, place = tmp_path.resolve() / NAME, tmp_path / "place"
    root.mkdir()
    place.mkdir()
    (root / f"{NAME}.py").write_text("def pear():\n    return 1\n")
    environment.prepare(place)
    with daemon() as subject:
        subject.program = tuple(environment.command("daemon"))
        subject.cwd, subject.environ = place, environment.variables
        subject.start(root).flush()
        yield subject


def control(subject: Daemon, environment: Environment, *arguments: str) -> subprocess.CompletedProcess[str]:
    subject.cwd.mkdir(exist_ok=True)
    return subprocess.run(
        environment.command("control", "--socket", str(subject.socket), *arguments), cwd=subject.cwd, text=True,
        env={**os.environ, "HOME": str(subject.home), **environment.variables}, capture_output=True, check=False,
        encoding="utf-8", timeout=60,
    )  # fmt: skip


def works(tmp_path: Path, environment: Environment) -> None:
    with started(tmp_path, environment) as subject:
        found = control(subject, environment, "search", "pear", "--all")
        assert found.returncode == 0, found.stderr
        assert f"{NAME}/{NAME}.py:1:" in found.stdout
        assert found.stderr == ""
        assert all(mode & 0o077 == 0 for mode in modes(subject.state_dir))
        for number in range(3):
            assert not Path(os.readlink(f"/proc/{subject.process.pid}/fd/{number}")).is_relative_to(subject.state_dir)
        assert subject.stop() == 0
        assert "Traceback" not in subject.log()


def modes(directory: Path) -> list[int]:
    return [path.stat().st_mode & 0o777 for path in (directory, *directory.rglob("*"))]


@pytest.mark.parametrize("name", QUICK)
def test_the_programs_run_in(name: str, tmp_path: Path) -> None:
    works(tmp_path, ENVIRONMENTS[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ENVIRONMENTS.keys() - set(QUICK)))
def test_the_programs_run_also_in(name: str, tmp_path: Path) -> None:
    works(tmp_path, ENVIRONMENTS[name])


def test_a_relative_path_without_a_working_directory_is_refused(tmp_path: Path) -> None:
    gone = ENVIRONMENTS["the working directory is gone"]
    with started(tmp_path, Environment()) as subject:
        for arguments in RELATIVE_PATHS.values():
            done = control(subject, gone, *arguments)
            assert (done.returncode, done.stdout) == (2, ""), arguments
            assert "the working directory cannot be found" in done.stderr and "Traceback" not in done.stderr, arguments
        for arguments in (("status",), ("list",), ("config",), ("symbols", "pear"), ("service", "status")):
            done = control(subject, gone, *arguments)
            assert "Traceback" not in done.stderr, arguments
        for option in ("--root", "--state-dir", "--socket"):
            (tmp_path / "gone").mkdir()
            done = subprocess.run(
                gone.command("daemon", option, "here"),
                cwd=tmp_path / "gone",
                env={**os.environ, **gone.variables},
                capture_output=True,
                text=True,
                check=False,
                timeout=60,
            )
            assert done.returncode == 1
            assert "the working directory cannot be found" in done.stderr and "Traceback" not in done.stderr, option


@pytest.mark.parametrize("ignored", [False, True])
def test_a_hang_up_ends_the_daemon_in_order_unless_it_is_ignored(tmp_path: Path, ignored: bool) -> None:
    inherited = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # The tests themselves may run under `nohup`.
    with started(tmp_path, Environment(shell="trap '' HUP;" if ignored else "")) as subject:
        signal.signal(signal.SIGHUP, inherited)
        subject.process.send_signal(signal.SIGHUP)
        if ignored:
            assert subject.answers()
            assert subject.stop() == 0
        assert subject.process.wait(20) == 0
        assert not subject.socket.exists()
        assert '"event": "stopping"' in subject.log()


def test_a_reader_that_has_seen_enough_causes_no_error(tmp_path: Path) -> None:
    with started(tmp_path, Environment()) as subject:
        for n in range(800):  # More than a pipe holds.
            (tmp_path / NAME / f"{n:04}{'x' * 100}.txt").write_text(f"word{n}")
        subject.flush()
        command = [
            *entry("control"),
            "--socket",
            str(subject.socket),
            "list",
            "--files",
            str(tmp_path.resolve() / NAME),
        ]
        reader = subprocess.run(
            ["/bin/sh", "-c", '"$@" | head -1', "sh", *command], capture_output=True, text=True, check=True, timeout=60
        )
        assert reader.stdout.startswith("0000") and reader.stderr == ""


@pytest.mark.parametrize("foreign", [[], ["/work"], ["", "/a", "/lib"], ["/lib/python3.11/site-packages"]])
def test_modules_of_others_come_last(foreign: list[str]) -> None:
    version = f"{sys.version_info[0]}{sys.version_info[1]}"
    library = "/lib/python3"
    own = [f"/lib/python{version}.zip", library, f"{library}/lib-dynload", "/venv/site-packages"]
    assert own_modules_first([*foreign, *own], f"{library}/os.py") == [*own, *foreign]
    assert own_modules_first([*foreign, *own[1:]], f"{library}/os.py") == [*own[1:], *foreign]
    assert own_modules_first(foreign, f"{library}/os.py") == foreign


def test_a_child_finds_our_modules_and_ignores_the_environment(tmp_path: Path) -> None:
    with_shadows(tmp_path)
    command = [*child_command("import msgpack, queue, sys, regend; print(sys.argv[1:], sys.flags.utf8_mode)"), "x", "ü"]
    environ = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONHOME": "/nowhere", "PYTHONUTF8": "0"}
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("['x', 'ü'] 1\n", "")
