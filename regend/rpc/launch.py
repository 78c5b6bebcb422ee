"""Starts the daemon in the background: detached from the terminal, once for all callers, with a log file.

Callers that start it at the same time wait for one lock, and all but the first find the daemon running. Nothing heavy
is imported, because `regenctl` and the programs of agents start with this module.
"""

from __future__ import annotations

import os
import sys
from collections import namedtuple
from pathlib import Path
from time import monotonic, sleep

from regend.errors import ConnectionLostError, DaemonNotRunningError, PathError, RpcError
from regend.paths import absolute, default_socket_path, default_state_dir, log_file, socket_places
from regend.rpc.client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from subprocess import Popen
    from typing import Any, NamedTuple

    class Launched(NamedTuple):
        pid: int
        started: bool
        log: Path
else:
    Launched = namedtuple("Launched", "pid started log")

START_LIMIT_S = 60.0
"""Maximum time until the daemon answers; an index that must be checked first takes the longest."""
END_LIMIT_S = 60.0
"""Maximum time that a daemon that was told to stop may take to finish its commit and close the index."""
_POLL_S = 0.02
_MAX_QUOTED_BYTES = 4_000


def start_daemon(
    socket: str | Path | None = None, environ: Mapping[str, str] = os.environ, limit_s: float = START_LIMIT_S
) -> Launched:
    """Start a daemon unless one answers, and return when it answers.

    Args:
        socket: where it listens; None for the default place, where a daemon in any usual place counts as started.
        environ: environment of the daemon, which says where its state and configuration are.
        limit_s: how long to wait for its first answer.

    Returns:
        The daemon's process id, whether this call started it, and the log file of a daemon that was started so.

    Raises:
        DaemonNotRunningError: it ended at once, or did not answer in time; the message quotes its last words.
        RpcError: the socket cannot be used.
        PathError: the state directory cannot be written.
    """
    log = log_file(environ)
    deadline = monotonic() + limit_s
    if pid := _answering(socket, environ, deadline):
        return Launched(pid, False, log)
    state_dir = _private_directory(default_state_dir(environ))
    lock = _lock(state_dir / "start.lock", deadline)
    try:
        if pid := _answering(socket, environ, deadline):
            return Launched(pid, False, log)
        where = absolute(Path(socket)) if socket is not None else default_socket_path(environ)
        size = log.stat().st_size if log.exists() else 0
        daemon = _spawn(where, state_dir, log, environ)
        while True:
            if pid := _answering(where, environ, deadline):
                return Launched(pid, pid == daemon.pid, log)
            if daemon.poll() is not None:
                # A daemon that was started by hand at the same time holds the socket or the state directory.
                if pid := _answering(socket, environ, deadline):
                    return Launched(pid, False, log)
                raise DaemonNotRunningError(f"The daemon ended at its start: {_last_words(log, size)}")
            if monotonic() >= deadline:
                raise DaemonNotRunningError(f"The daemon did not answer within {limit_s:g} s; see its log {log}.")
            sleep(_POLL_S)
    finally:
        os.close(lock)


def wait_for_end(status: Mapping[str, Any]) -> None:
    """Wait until a daemon that was told to stop has released the locks of its state directory and its socket.

    Args:
        status: its answer to `status`.

    Raises:
        RpcError: it takes longer than `END_LIMIT_S`.
    """
    deadline = monotonic() + END_LIMIT_S
    for lock in (f"{status['state_dir']}/lock", f"{status['socket']}.lock"):
        while _is_locked(lock):
            if monotonic() >= deadline:
                raise RpcError(
                    f"The daemon (pid {status['pid']}) did not end within {END_LIMIT_S:g} s; see `regenctl logs`."
                )
            sleep(_POLL_S)


def _is_locked(path: str) -> bool:
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _answering(socket: str | Path | None, environ: Mapping[str, str], deadline: float) -> int:
    """Return the process id of the daemon that answers, or 0.

    A daemon listens before it reads its index, so the answer may take as long as a start.
    """
    for place in socket_places(environ) if socket is None else [socket]:
        try:
            with Client(place, max(deadline - monotonic(), _POLL_S), name="start") as client:
                return int(client.server["pid"])
        except (DaemonNotRunningError, ConnectionLostError):  # It ends; why is in its log.
            continue
    return 0


def _private_directory(state_dir: Path) -> Path:
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise PathError(
            f"State directory {state_dir} cannot be made: {error.strerror}; name another one with REGEND_STATE_DIR."
        ) from error
    owner, own = state_dir.stat().st_uid, os.geteuid()
    if owner != own and not os.access(state_dir, os.W_OK | os.X_OK):
        from shlex import quote

        raise PathError(
            f"State directory {state_dir} belongs to user {owner}, not to you ({own}); take it back with "
            f"`sudo chown -R {own} {quote(str(state_dir))}`, or name another one with REGEND_STATE_DIR."
        )
    return state_dir


def _lock(path: Path, deadline: float) -> int:
    """Return the descriptor of the locked file. Closing it releases the lock, and so does the end of the process."""
    import fcntl

    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PathError(f"The lock file {path} cannot be opened: {error.strerror}; remove it.") from error
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            if monotonic() >= deadline:
                os.close(descriptor)
                raise RpcError(f"Another program holds {path} and does not finish its start; try again.") from None
            sleep(_POLL_S)


def _spawn(socket: Path, state_dir: Path, log: Path, environ: Mapping[str, str]) -> Popen[bytes]:
    import subprocess

    # `-P`: modules in the working directory are not ours.
    command = [sys.executable, "-P", "-m", "regend", "--socket", str(socket), "--state-dir", str(state_dir)]
    command += ["--log-file", str(log)]
    try:
        with open(log, "ab", opener=lambda name, flags: os.open(name, flags, 0o600)) as output:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=dict(environ),
                start_new_session=True,
            )  # fmt: skip
    except OSError as error:
        raise PathError(f"The daemon cannot be started with the log {log}: {error.strerror}.") from error


def _last_words(log: Path, start: int) -> str:
    """Return what the daemon has said about its end, else where its log is."""
    try:
        with log.open("rb") as file:
            file.seek(start)
            lines = file.read()[-_MAX_QUOTED_BYTES:].decode("utf-8", "replace").splitlines()
    except OSError:
        lines = []
    said = next((line.removeprefix("regend: ") for line in reversed(lines) if line.startswith("regend: ")), "")
    if not said and not os.statvfs(log.parent).f_bavail:
        return f"the disk of {log.parent} is full; free some space on it."
    return said or f"see its log {log}."
