"""`Notifier` speaks `sd_notify` to a real datagram socket, and is silent and harmless without one."""

from __future__ import annotations

import os
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.daemon.notify import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """A listening manager and its `NOTIFY_SOCKET`."""
    if request.param == "abstract" and sys.platform != "linux":
        pytest.skip("abstract sockets exist on Linux only")
    name = str(tmp_path / "n") if request.param == "path" else f"@regend-test-{uuid.uuid4()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(5)
        sock.bind("\0" + name[1:] if name.startswith("@") else name)
        yield name, sock


def test_messages(manager: tuple[str, socket.socket]) -> None:
    address, sock = manager
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": address})
    rows = [
        (lambda: notifier.ready("serving 2 roots"), b"READY=1\nSTATUS=serving 2 roots"),
        (notifier.ready, b"READY=1"),
        (notifier.watchdog, b"WATCHDOG=1"),
        (notifier.stopping, b"STOPPING=1"),
    ]
    for send, expected in rows:
        assert send() is True
        assert expected == sock.recv(4096)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_watchdog_interval(environ: dict[str, str], expected: float | None) -> None:
    assert expected == Notifier.from_environ({"NOTIFY_SOCKET": "/x", **environ}).watchdog_interval_s


def test_watchdog_needs_a_manager() -> None:
    assert Notifier.from_environ({"WATCHDOG_USEC": "30000000"}).watchdog_interval_s is None


@pytest.mark.parametrize("address", ["", "relative", "vsock:2:1"])
def test_without_manager_nothing_happens(address: str) -> None:
    notifier = Notifier.from_environ({"NOTIFY_SOCKET": address})
    assert not notifier.ready()


def test_a_manager_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    assert Notifier(str(tmp_path / "gone")).ready() is False


def test_a_manager_that_does_not_read_does_not_block(tmp_path: Path) -> None:
    address = str(tmp_path / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(address)
        notifier = Notifier(address)
        before = time.monotonic()
        refused = next(count for count in range(100_000) if not notifier.watchdog())
    assert refused > 0
    assert time.monotonic() - before < 5


def test_children_do_not_inherit_the_socket() -> None:
    environ = {"NOTIFY_SOCKET": "/x", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1", "HOME": "/h"}
    Notifier.from_environ(environ)
    assert environ == {"HOME": "/h"}
