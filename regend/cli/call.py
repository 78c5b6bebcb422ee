"""How commands reach the daemon: the client, and the arguments in the form that the daemon expects."""

from __future__ import annotations

import os

from regend import paths
from regend.errors import DaemonNotRunningError, PathError
from regend.rpc.client import Client

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any


AUTOSTARTED = frozenset(("search", "symbols", "related", "outline", "fzf", "add", "why", "flush", "sync", "tune"))
"""Commands that start the daemon where no daemon listens. Not `list` and `status`, by which scripts wait for a daemon
that they have started themselves: a second one, without its roots, would take its place."""


def client(arguments: argparse.Namespace) -> Client:
    """Return an unconnected client for the socket that the command line names."""
    return Client(absolute(arguments.socket) if arguments.socket else None, name="regenctl")


def connected(arguments: argparse.Namespace) -> Client:
    """Return a client that is connected; for a command that needs one, start the daemon where the user allows it.

    A socket that the command line names belongs to a daemon of its own, which is never started so.

    Raises:
        DaemonNotRunningError: no daemon listens, and none may be started.
        RegendError: the daemon cannot be used, or does not start.
    """
    daemon = client(arguments)
    try:
        daemon.connect()
    except DaemonNotRunningError:
        from regend.config import may_autostart

        if arguments.command.name not in AUTOSTARTED or arguments.socket or not may_autostart():
            raise
        from regend.cli.background import start_for_command

        start_for_command()
        daemon.connect()
    return daemon


def call(arguments: argparse.Namespace, method: str, **params: Any) -> dict[str, Any]:
    """Call a method on a connection of its own."""
    with connected(arguments) as daemon:
        return daemon.call(method, **params)


def absolute(path: str) -> str:
    """Make a path absolute, because the daemon has another working directory.

    Raises:
        PathError: the path is empty, as an unset shell variable is; it must not mean the working directory. Or it holds
            a NUL, or it is relative and the working directory is gone.
    """
    if not path:
        raise PathError("The path is empty; name a file or directory, such as `.`.")
    if "\0" in path:
        raise PathError("The path holds a NUL character, which no file name has; correct it.")
    return os.path.normpath(paths.from_root(os.path.expanduser(path)))  # noqa: PTH111 - pathlib is slower to import.


def given(**params: Any) -> dict[str, Any]:
    """Return the parameters that are not None; the daemon sets the others to their defaults."""
    return {name: value for name, value in params.items() if value is not None}
