"""A daemon in the background: one for all who start it at once, found again by clients with another environment."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from regend.errors import DaemonNotRunningError, PathError, RpcError
from regend.paths import STATE_FORMAT
from regend.rpc.client import Client
from regend.rpc.launch import start_daemon
from regend.store.lock import StateLock
from regend.store.store import open_store
from tests.e2e.rig import wait_for
from tests.rpc.scripted import short_directory
from tests.store.samples import MODEL

REPOSITORY = Path(__file__).parents[2]
STARTED = """
import os, sys
from pathlib import Path
from regend.rpc.launch import start_daemon
done = start_daemon()
print(done.pid, done.started, os.getsid(done.pid) == done.pid)
"""


@pytest.fixture
def home() -> Iterator[Path]:
    with short_directory() as directory:
        yield directory


def environ_of(home: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", **more}


def end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)

    def is_gone() -> bool:
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        return stat.rpartition(")")[2].split()[0] == "Z"

    wait_for(is_gone, f"process {pid} ends")


def test_six_callers_at_once_start_one_daemon_that_outlives_them(home: Path) -> None:
    def start(_: int) -> list[str]:
        command = [sys.executable, "-c", STARTED]
        done = subprocess.run(
            command, env=environ_of(home), cwd=REPOSITORY, capture_output=True, text=True, timeout=60
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.split()

    with ThreadPoolExecutor(6) as callers:
        answers = list(callers.map(start, range(6)))
    pid = int(answers[0][0])
    try:
        assert {int(answer[0]) for answer in answers} == {pid}
        assert sorted(answer[1] for answer in answers) == ["False"] * 5 + ["True"]
        assert {answer[2] for answer in answers} == {"True"}, "it has a session of its own, away from the terminal"
        log = home / ".local/state/regend/regend.log"
        assert "serving" in log.read_text()
        assert log.stat().st_mode & 0o077 == 0
    finally:
        end(pid)


def test_a_client_finds_the_daemon_that_was_started_without_its_environment(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = start_daemon(environ=environ_of(home))
    try:
        for name in ("REGEND_SOCKET", "REGEND_STATE_DIR", "XDG_STATE_HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("XDG_RUNTIME_DIR", str(home))
        with Client() as client:
            assert client.server["pid"] == launched.pid
            assert client.path == str(home / ".local/state/regend/run/regend.sock")
        assert start_daemon() == launched._replace(started=False)
    finally:
        end(launched.pid)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become another user")
@pytest.mark.parametrize("mode", [0o755, 0o750])
def test_a_state_directory_that_sudo_made_is_named_with_its_owner(home: Path, mode: int) -> None:
    state = home / "its state"
    state.mkdir(mode=mode)
    home.chmod(0o755)
    os.setresuid(65_534, 65_534, 0)
    try:
        with pytest.raises(PathError, match=rf"user 0, not to you \(65534\); .* 65534 '{state}'`"):
            start_daemon(environ=environ_of(home, REGEND_STATE_DIR=str(state), REGEND_SOCKET=str(home / "s")))
    finally:
        os.setresuid(0, 0, 0)


def test_a_daemon_that_ends_at_its_start_is_quoted(home: Path) -> None:
    config = home / "config.toml"
    config.write_text("[watch]\nquiet = 3\n")
    with pytest.raises(DaemonNotRunningError, match=r"ended at its start: .*unknown key `watch.quiet`"):
        start_daemon(environ=environ_of(home, REGEND_CONFIG=str(config)))


@pytest.mark.parametrize("trouble", ["newer format", "held", "shared directory", "no lock"])
def test_a_daemon_that_ends_after_it_listens_is_quoted_too(home: Path, trouble: str) -> None:
    """Its clients wait in the backlog meanwhile, and see their connection closed."""
    state_dir = home / ".local/state/regend"
    state_dir.mkdir(mode=0o700, parents=True)
    with ExitStack() as stack:
        match trouble:
            case "newer format":
                with open_store(state_dir, MODEL):
                    pass
                with closing(sqlite3.connect(state_dir / "index.db")) as connection:
                    connection.execute(f"PRAGMA user_version = {STATE_FORMAT + 1}")
                (state_dir / "index.db.sums").unlink()
                said = "use the newer regend"
            case "held":
                stack.callback(StateLock(state_dir).release)
                said = f"held by process {os.getpid()}"
            case "shared directory":
                state_dir.chmod(0o1777)
                said = "shared with other users"
            case _:
                (state_dir / "lock").mkdir()
                said = "cannot be used"
        with pytest.raises(DaemonNotRunningError, match=f"ended at its start: .*{said}"):
            start_daemon(environ=environ_of(home))


def test_a_daemon_has_the_whole_time_for_its_first_answer(home: Path) -> None:
    """It listens before it has read its index."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home / "s"))
        listener.listen()
        with pytest.raises(RpcError, match=r"did not answer `hello` within 0\.[23]"):
            start_daemon(home / "s", environ_of(home), limit_s=0.3)
