"""The gateway's process. The daemon starts it, and it ends when the daemon closes its standard input."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from pathlib import Path

import uvloop
from aiohttp import web

from regend.errors import RegendError
from regend.gateway.app import application
from regend.gateway.child import READY, parent_is_gone
from regend.gateway.guard import COOKIE, Guard
from regend.gateway.listening import Listening, open_socket
from regend.gateway.settings import Address, parse_address
from regend.gateway.token import ensured_token
from regend.gateway.upstream import Upstream

KEEPALIVE_S = 75.0
SHUTDOWN_S = 2.0
"""How long answers in progress have at the end."""
MAX_URL_BYTES = 65_536
"""Maximum size of a URL: the page's links hold the query, which may be a pasted text."""


def main(daemon_socket: str, state_dir: str, listen: str, editor_link: str) -> int:
    """Serve until the daemon is gone; return the exit status. The first line on standard output is for the daemon."""
    try:
        token = ensured_token(Path(state_dir))
        listener, shown = open_socket(parse_address(listen) or Address(host="127.0.0.1"))
    except RegendError as error:
        print(error, flush=True)
        return 1
    port = listener.getsockname()[1] if listener.family != socket.AF_UNIX else ""
    guard = Guard(token, f"{COOKIE}-{port}" if port else COOKIE)
    listening = Listening()
    made = application(Upstream(Path(daemon_socket)), guard, editor_link, listening.note)
    uvloop.run(_serve(made, listening, listener, shown))
    return 0


async def _serve(made: web.Application, listening: Listening, listener: socket.socket, shown: str) -> None:
    # No request is logged, because it holds a query, and no broken one, because that is the client's mistake.
    silent = logging.getLogger("regend.gateway")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    runner = web.AppRunner(
        made,
        access_log=None,
        logger=silent,
        shutdown_timeout=SHUTDOWN_S,
        keepalive_timeout=KEEPALIVE_S,
        max_line_size=MAX_URL_BYTES,
    )
    await runner.setup()
    assert runner.server is not None
    await listening.start(runner.server, listener)
    print(f"{READY}{shown}", flush=True)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        parent_is_gone()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()
    listening.stop()
    await runner.cleanup()
