"""The gateway's process. The daemon starts it, and it ends when the daemon closes its standard input."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import threading
from pathlib import Path

import uvloop
from aiohttp import web

from regend.errors import ConfigError, RegendError
from regend.gateway.app import application
from regend.gateway.child import READY, parent_is_gone
from regend.gateway.guard import COOKIE, Guard
from regend.gateway.settings import Address, parse_address
from regend.gateway.token import ensured_token
from regend.gateway.upstream import Upstream

BACKLOG = 128
KEEPALIVE_S = 75.0
SHUTDOWN_S = 2.0
"""How long answers in progress have at the end."""


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
    made = application(Upstream(Path(daemon_socket)), guard, editor_link)
    uvloop.run(_serve(made, listener, shown))
    return 0


async def _serve(made: web.Application, listener: socket.socket, shown: str) -> None:
    # No request is logged, because it holds a query, and no broken one, because that is the client's mistake.
    silent = logging.getLogger("regend.gateway")
    silent.addHandler(logging.NullHandler())
    silent.propagate = False
    runner = web.AppRunner(
        made, access_log=None, logger=silent, shutdown_timeout=SHUTDOWN_S, keepalive_timeout=KEEPALIVE_S
    )
    await runner.setup()
    await web.SockSite(runner, listener, backlog=BACKLOG).start()
    print(f"{READY}{shown}", flush=True)
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wait() -> None:
        parent_is_gone()
        loop.call_soon_threadsafe(ended.set)

    threading.Thread(target=wait, daemon=True).start()
    await ended.wait()
    await runner.cleanup()


def open_socket(address: Address) -> tuple[socket.socket, str]:
    """Return a bound socket, and its address as users see it.

    Raises:
        ConfigError: the address cannot be used.
    """
    shown = str(address.path or f"{address.host}:{address.port}")
    try:
        return _unix_socket(address.path) if address.path else _tcp_socket(address.host, address.port)
    except OSError as error:
        raise ConfigError(f"The gateway cannot listen on {shown}: {error.strerror}; change `http.listen`.") from error


def _tcp_socket(host: str, port: int) -> tuple[socket.socket, str]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1" if host.lower() == "localhost" else host, port))
    except BaseException:
        made.close()
        raise
    name, number = made.getsockname()[:2]
    return made, f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"


def _unix_socket(path: Path) -> tuple[socket.socket, str]:
    """Bind a socket that only its owner can use; one that an earlier gateway has left is replaced."""
    try:
        if stat.S_ISSOCK(path.lstat().st_mode):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(str(path))
                except ConnectionRefusedError:
                    path.unlink()
    except FileNotFoundError:
        pass
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        made.bind(str(path))
    except BaseException:
        made.close()
        raise
    finally:
        os.umask(before)
    return made, f"unix:{path}"
