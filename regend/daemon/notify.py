"""Reports the daemon's state to the service manager by the protocol of `sd_notify(3)` and `sd_watchdog_enabled(3)`.

Each message is one datagram to the socket named in `NOTIFY_SOCKET`. Nothing here may ever stop the daemon: without a
manager every call does nothing, and a message that cannot be sent is dropped.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, MutableMapping
from typing import Self

_USEC_PER_S = 1_000_000


class Notifier:
    """The connection to the service manager; owned by the main thread.

    Args:
        address: `NOTIFY_SOCKET`: an absolute path, an abstract name that begins with ``@``, or empty for no manager.

    Attributes:
        watchdog_interval_s: send `watchdog` this often: half of the manager's timeout; None if it sets no timeout.
    """

    def __init__(self, address: str, watchdog_interval_s: float | None = None) -> None:
        self.watchdog_interval_s = watchdog_interval_s
        self._address = "\0" + address[1:] if address.startswith("@") else address

    @classmethod
    def from_environ(cls, environ: MutableMapping[str, str] = os.environ) -> Self:
        """Read the manager's variables, and remove them, so that no child process reports in the daemon's name."""
        address = environ.get("NOTIFY_SOCKET", "")
        if address[:1] not in ("/", "@"):
            address = ""  # vsock and later kinds are not for user services.
        interval_s = _watchdog_interval_s(environ) if address else None
        for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"):
            environ.pop(name, None)
        return cls(address, interval_s)

    def ready(self, status: str = "") -> bool:
        """Report that the daemon serves; `status` is one line for `systemctl status`. Returns whether it was sent."""
        return self._send(f"READY=1\nSTATUS={status}" if status else "READY=1")

    def watchdog(self) -> bool:
        """Report that the event loop still runs; call it from there."""
        return self._send("WATCHDOG=1")

    def stopping(self) -> bool:
        """Report that shutdown has begun."""
        return self._send("STOPPING=1")

    def _send(self, message: str) -> bool:
        if not self._address:
            return False
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)  # A manager that does not read must not stop the event loop.
                sock.sendto(message.encode(), self._address)
        except OSError:
            # The manager is gone or busy. If it is alive it notices the silence; the daemon can do nothing about it.
            return False
        return True


def _watchdog_interval_s(environ: Mapping[str, str]) -> float | None:
    usec = environ.get("WATCHDOG_USEC", "")
    if not usec.isascii() or not usec.isdigit() or int(usec) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    return int(usec) / _USEC_PER_S / 2
