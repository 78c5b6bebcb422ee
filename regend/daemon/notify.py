"""Tell the service manager how we are: the `sd_notify` protocol (`sd_notify(3)`, `sd_watchdog_enabled(3)`).

One datagram a message, to the socket named in `NOTIFY_SOCKET`. Nothing here may ever stop the daemon: without a manager
every call does nothing, and a message that cannot be sent is dropped.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Self

_USEC_PER_S = 1_000_000


class Notifier:
    """The way to the service manager; owned by the main thread.

    Attributes:
        watchdog_interval_s: send `watchdog` this often: half of what the manager waits; None when it does not wait.
    """

    def __init__(self, address: str, watchdog_interval_s: float | None = None) -> None:
        """Args:
        address: `NOTIFY_SOCKET`: an absolute path, an abstract name that begins with ``@``, or empty for no manager.
        """
        self.watchdog_interval_s = watchdog_interval_s
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str] | None = None) -> Self:
        """Read what the manager told us, and remove it, so that no child speaks in our name."""
        environ = os.environ if environ is None else environ
        address = environ.get("NOTIFY_SOCKET", "")
        if address[:1] not in ("/", "@"):
            address = ""  # vsock and whatever comes later are not for user services.
        interval_s = _watchdog_interval_s(environ) if address else None
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            environ.pop(name, None)
        return cls(address, interval_s)

    def ready(self, status: str = "") -> bool:
        """Say that start-up is over; `status` is one line for `systemctl status`. Returns whether it was sent."""
        return self._send(f"READY=1\nSTATUS={status}" if status else "READY=1")

    def watchdog(self) -> bool:
        """Say that the event loop still turns; call it from there."""
        return self._send("WATCHDOG=1")

    def stopping(self) -> bool:
        """Say that shutdown has begun."""
        return self._send("STOPPING=1")

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)  # The event loop calls this; a manager that does not read must not stop it.
                sock.sendto(message.encode(), self._address)
        except OSError:
            # The manager is gone or busy. If it is alive it will notice the silence; we can do nothing about it.
            return False
        return True


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    usec = environ.get("WATCHDOG_USEC", "")
    if not usec.isascii() or not usec.isdigit() or int(usec) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(usec) / _USEC_PER_S / 2
