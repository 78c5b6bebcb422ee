"""The command for coding agents: mcp."""

from __future__ import annotations

import os

from regend.cli.call import absolute

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def run_mcp(arguments: argparse.Namespace) -> int:
    from regend.mcp.stdio import Settings, serve

    root = absolute(arguments.root) if arguments.root else ""
    socket = absolute(arguments.socket) if arguments.socket else None
    status = serve(Settings(socket, root, arguments.add, arguments.manage))
    # Calls that hang in threads must not hold up the end.
    os._exit(status)
