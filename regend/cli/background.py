"""Starts the daemon in the background: by systemd if the user installed the service, else as a process of its own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from regend.cli.service_files import SERVICE_UNIT, SOCKET_UNIT
from regend.paths import absolute, xdg_directory
from regend.rpc.launch import start_daemon

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from regend.rpc.launch import Launched


def start(socket: str | None, environ: Mapping[str, str]) -> tuple[Launched, bool]:
    """Start the daemon unless one answers.

    Args:
        socket: of the command line; such a daemon is never the service.

    Returns:
        The daemon, and whether systemd has started it.

    Raises:
        RegendError: it does not start.
    """
    by_service = not socket and _has_unit(environ) and systemctl("start", SOCKET_UNIT, SERVICE_UNIT)
    return start_daemon(absolute(Path(socket).expanduser()) if socket else None, environ), by_service


def start_for_command() -> None:
    """Start the daemon for a command that needs one, and say so on standard error.

    Raises:
        RegendError: it does not start.
    """
    launched, _ = start(None, os.environ)
    if launched.started:
        print(
            f"regenctl: started regend in the background (pid {launched.pid}); `regenctl stop` ends it, and "
            "`regenctl config set client.autostart false` leaves the start to you.",
            file=sys.stderr,
        )


def systemctl(*words: str) -> bool:
    """Run a command of the user's systemd, and return whether it succeeded."""
    import shutil
    import subprocess

    program = shutil.which("systemctl")
    if program is None:
        return False
    command = [program, "--user", *words]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return done.returncode == 0


def is_active(environ: Mapping[str, str]) -> bool:
    """Say whether systemd runs the daemon."""
    return _has_unit(environ) and systemctl("is-active", "--quiet", SERVICE_UNIT)


def _has_unit(environ: Mapping[str, str]) -> bool:
    return (xdg_directory(environ, "XDG_CONFIG_HOME", ".config") / "systemd" / "user" / SERVICE_UNIT).exists()
