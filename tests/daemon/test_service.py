"""The daemon under a service manager: it serves on the socket it was given, and says how it is."""

from __future__ import annotations

import os
import queue
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from regend.rpc.client import Client
from tests.rpc.scripted import short_directory

DEADLINE_S = 30.0
# LISTEN_PID must be the daemon's own and the socket descriptor 3, so a program prepares both and becomes the daemon.
LAUNCH = """
import os, sys
os.dup2(int(os.environ["PASSED_FD"]), 3)
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.executable, [sys.executable, "-m", "regend", *sys.argv[1:]])
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


class Manager:
    """A service manager. It reads all the time, as a real one does: the kernel keeps ten messages and drops others."""

    def __init__(self, address: Path) -> None:
        self._messages: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while message := self._socket.recv(4096):
            self._messages.put(message)

    def received(self, wanted: bytes) -> bytes:
        """Take messages until one begins with `wanted`."""
        while not (message := self._messages.get(timeout=DEADLINE_S)).startswith(wanted):
            pass
        return message

    def close(self) -> None:
        """End the thread, which gets an empty message."""
        self._socket.shutdown(socket.SHUT_RD)
        self._socket.close()


def test_socket_activation_and_notifications(directory: Path) -> None:
    (directory / "src").mkdir()
    (directory / "src" / "a.py").write_text("def greeting():\n    return 'hello'\n")
    place = directory / "run" / "regend.sock"
    place.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as listening, closing(Manager(directory / "notify")) as manager:
        listening.bind(str(place))
        listening.listen()
        environ = {
            **os.environ,
            "HOME": str(directory),
            "XDG_CONFIG_HOME": str(directory / "config"),
            "REGEND_STATE_DIR": str(directory / "state"),
            "REGEND_SOCKET": str(directory / "elsewhere" / "regend.sock"),
            "LISTEN_FDS": "1",
            "PASSED_FD": str(listening.fileno()),
            "NOTIFY_SOCKET": str(directory / "notify"),
            "WATCHDOG_USEC": "2000000",
        }
        environ.pop("REGEND_CONFIG", None)
        daemon = subprocess.Popen(
            [sys.executable, "-c", LAUNCH, "--root", str(directory / "src")],
            env=environ,
            pass_fds=(listening.fileno(),),
            stderr=subprocess.PIPE,
            text=True,
        )
        listening.close()  # The daemon has the only one now: should it die, connecting fails at once.
        try:
            # Connect at once: whoever comes before the daemon is ready waits in the socket and is served.
            with Client(place, timeout_s=DEADLINE_S) as client:
                assert client.server["pid"] == daemon.pid
                assert b"READY=1\nSTATUS=" in manager.received(b"READY=1")
                assert manager.received(b"WATCHDOG=1") == b"WATCHDOG=1"
                assert client.call("flush", timeout_s=DEADLINE_S)["failed"] == []
                assert client.call("status")["roots"][0]["files_indexed"] == 1
                assert client.call("stop") == {"stopping": True}
            assert manager.received(b"STOPPING=1")
            _, log = daemon.communicate(timeout=DEADLINE_S)
        finally:
            daemon.kill()
            daemon.wait()
        assert (daemon.returncode, "Traceback" in log) == (0, False)
        # The socket is the manager's: the daemon leaves it where it is, and does not make another one.
        assert place.is_socket()
        assert not (directory / "elsewhere").exists()
