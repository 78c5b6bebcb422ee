"""The way to the daemon: connections that are kept and used by several threads, and the daemon's start if none runs."""

from __future__ import annotations

import subprocess
import threading
from pathlib import Path
from typing import Any

from regend.errors import ConnectionLostError, DaemonNotRunningError
from regend.interpreter import child_command
from regend.rpc.client import Client

_KEPT = 4
"""Maximum idle connections that are kept."""
START_LIMIT_S = 60.0
_START = """
from regend.config import may_autostart
from regend.errors import RegendError
from regend.rpc.launch import start_daemon
try:
    if not may_autostart():
        sys.exit("No daemon runs, and `client.autostart` or the variable CI forbids its start; run `regenctl start`.")
    start_daemon(sys.argv[1] or None)
except RegendError as error:
    sys.exit(str(error))
"""


class Link:
    """Calls the daemon; owns the idle connections.

    Args:
        socket: the daemon's socket; None for the usual places.
        starts: start a daemon if none runs.
    """

    def __init__(self, socket: str | Path | None, starts: bool = True, name: str = "mcp") -> None:
        self._socket = socket
        self._starts = starts
        self._name = name
        self._idle: list[Client] = []
        self._lock = threading.Lock()
        self._starting = threading.Lock()

    def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Call a method of the daemon; other threads may do so at the same time.

        Raises:
            RegendError: as `rpc.client.Client.call`.
        """
        with self._lock:
            client = self._idle.pop() if self._idle else None
        if client is not None:
            try:
                return self._asked(client, method, params)
            except ConnectionLostError:
                self.close()  # The daemon was restarted; the other connections are lost, too.
        return self._asked(self._connected(), method, params)

    def close(self) -> None:
        """Close the idle connections."""
        with self._lock:
            idle, self._idle = self._idle, []
        for client in idle:
            client.close()

    def _asked(self, client: Client, method: str, params: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = client.call(method, **params)
        except ConnectionLostError:
            client.close()
            raise
        except BaseException:
            self._keep(client)
            raise
        self._keep(client)
        return answer

    def _keep(self, client: Client) -> None:
        with self._lock:
            if client.is_open and len(self._idle) < _KEPT:
                self._idle.append(client)
                return
        client.close()

    def _connected(self) -> Client:
        client = Client(self._socket, name=self._name)
        try:
            client.connect()
        except DaemonNotRunningError:
            if not self._starts:
                raise
            with self._starting:
                _start(self._socket)
            client.connect()
        return client


def _start(socket: str | Path | None) -> None:
    """Start the daemon by a process that ends, so that it is not our child: clients end a server with its children.

    Raises:
        DaemonNotRunningError: it did not start; the message says why.
    """
    command = [*child_command(_START), str(socket or "")]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            timeout=START_LIMIT_S + 10, check=False, start_new_session=True,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DaemonNotRunningError(f"The daemon cannot be started: {error}; run `regenctl start`.") from error
    if done.returncode:
        raise DaemonNotRunningError(done.stderr.strip().rpartition("\n")[2] or "The daemon could not be started.")
