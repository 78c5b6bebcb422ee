"""Where the gateway listens, and the bounds on connections that have not asked anything yet."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from functools import partial
from pathlib import Path

from aiohttp import web

from regend.errors import ConfigError
from regend.gateway.settings import Address

BACKLOG = 128
MAX_CONNECTIONS = 512
"""Further connections are closed at once."""
FIRST_REQUEST_S = 15.0
"""How long a client has from its connection to the end of the header of its first request."""


class Listening:
    """Accepts connections; owns which of them have asked nothing yet."""

    def __init__(self) -> None:
        self._silent: set[asyncio.BaseProtocol] = set()
        self._accepting: asyncio.AbstractServer | None = None

    def note(self, request: web.BaseRequest) -> None:
        """Note that a connection has asked something."""
        self._silent.discard(request.protocol)

    async def start(self, server: web.Server, listener: socket.socket) -> None:
        """Accept connections on a bound socket, and let the server answer them."""
        loop, accept = asyncio.get_running_loop(), partial(self._connection, server)
        # Not the call for Unix sockets: from Python 3.13 on, that one removes the file of a socket that is not its own.
        self._accepting = await loop.create_server(accept, sock=listener, backlog=BACKLOG)

    def stop(self) -> None:
        """Accept no further connection."""
        if self._accepting is not None:
            self._accepting.close()

    def _connection(self, server: web.Server) -> asyncio.BaseProtocol:
        if len(server.connections) >= MAX_CONNECTIONS:
            return _Refused()
        made = server()
        self._silent.add(made)
        asyncio.get_running_loop().call_later(FIRST_REQUEST_S, self._end_silent, made)
        return made

    def _end_silent(self, connection: web.RequestHandler) -> None:
        if connection in self._silent:
            self._silent.discard(connection)
            connection.force_close()
            if connection.transport is not None:
                connection.transport.abort()


class _Refused(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.close()


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
