"""The RPC server: finds the handler of a request, checks its parameters, encodes and counts its answer.

It knows the schema and nothing about the handlers. It answers `hello`, `subscribe` and `unsubscribe` itself, because
they concern only the connection.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from regend.errors import RpcError
from regend.rpc import operation_messages as ops
from regend.rpc.codec import PROTOCOL_VERSION, Request, encode
from regend.rpc.connection import STOPPING, Connection, Handler, PeerCredentials, ServerLimits
from regend.rpc.listen import BACKLOG, peer_credentials
from regend.rpc.parameters import invalid, request_of
from regend.rpc.schema import METHODS, Method

__all__ = ["Connection", "Handler", "RpcServer", "ServerLimits"]

_RESERVED_FILES = 256
"""Descriptors that are kept from clients, for the index, the watchers, the workers and open files: a daemon of one root
has 30, and each further root takes a few."""
_MAX_PARTING = 64
"""Maximum refused clients that are being told the reason; further ones are cut off."""
_CANCEL_S = 0.5
"""How long cancelled handlers have to end when the server closes."""
_encoder = msgspec.msgpack.Encoder()


def limits_of_process(open_files: int) -> ServerLimits:
    """Return the usual bounds, with fewer clients where descriptors would not suffice.

    Args:
        open_files: maximum descriptors of the process; `resource.RLIM_INFINITY` for no limit.
    """
    usual = ServerLimits()
    if open_files == resource.RLIM_INFINITY:
        return usual
    return replace(
        usual, max_connections=min(usual.max_connections, max(open_files - _RESERVED_FILES, open_files // 4))
    )


class RpcServer:
    """Answers clients on a listening socket; owns the connections and is their `Host`.

    Args:
        handlers: method name to handler; each name must be in `rpc.schema.METHODS`.
        version: of the daemon, for `hello`.
        limits: the bounds on clients; None for `limits_of_process`.
        pid: of the daemon, for `hello`; None for this process.
        credentials: returns ``(uid, pid)`` of a connected socket.

    Raises:
        ValueError: a handler's method is not in the schema.
    """

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        *,
        version: str,
        limits: ServerLimits | None = None,
        pid: int | None = None,
        credentials: PeerCredentials = peer_credentials,
    ) -> None:
        own: dict[str, Handler] = {"hello": self._hello, "subscribe": self._subscribe, "unsubscribe": self._unsubscribe}
        unknown = handlers.keys() - METHODS.keys()
        if unknown:
            raise ValueError(f"handlers without a method in rpc/schema.py: {sorted(unknown)}")
        self.limits = limits or limits_of_process(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        self.stopping = False
        self._version = version
        self._pid = os.getpid() if pid is None else pid
        self._credentials = credentials
        self._handlers: dict[str, tuple[Method, Handler]] = {
            name: (METHODS[name], handler) for name, handler in {**own, **handlers}.items()
        }
        self._connections: set[Connection] = set()
        self._parting: set[Connection] = set()
        self._all_closed = asyncio.Event()
        self._server: asyncio.AbstractServer | None = None
        self._requests = 0
        self._errors = 0
        self._refused = 0
        self._dropped_before = 0

    async def start(self, sock: socket.socket) -> None:
        """Accept clients on a listening socket, such as that of `listen.open_listener`, and on no earlier one."""
        loop = asyncio.get_running_loop()
        if self._server is not None:
            self._server.close()
        # Not the call for Unix sockets: from Python 3.13 on, that one removes the socket's file, even systemd's.
        self._server = await loop.create_server(lambda: Connection(self, self._credentials), sock=sock, backlog=BACKLOG)

    def publish(self, topic: str, payload: object) -> int:
        """Notify the subscribers of a topic, except those that do not read; return how many were notified."""
        readers = [connection for connection in self._connections if topic in connection.subscriptions]
        if not readers:
            return 0
        data = _encoded((2, topic, (payload,)))
        return sum(connection.send_notification(data) for connection in readers)

    async def close(self, timeout_s: float = 5.0) -> None:
        """Accept no client, wait for requests in progress, cancel them after the timeout, and close all connections.

        New requests on open connections are answered with the error ``stopping``.
        """
        self.stopping = True
        if self._server is not None:
            self._server.close()
            self._server = None
        deadline = asyncio.get_running_loop().time() + timeout_s
        while any(connection.in_flight for connection in self._connections):
            if asyncio.get_running_loop().time() >= deadline:
                break
            await asyncio.sleep(0.01)
        cancelled = [task for connection in self._connections for task in connection.cancel_requests()]
        if cancelled:
            # Each task is answered before this wait ends; a handler that does not end is abandoned.
            await asyncio.wait(cancelled, timeout=_CANCEL_S)
        for connection in list(self._connections):
            connection.close()
        self._note_closed()
        try:
            async with asyncio.timeout(max(deadline - asyncio.get_running_loop().time(), 0.25)):
                await self._all_closed.wait()
        except TimeoutError:
            for connection in list(self._connections):
                connection.abort()

    def counters(self) -> dict[str, int]:
        """Return totals since the start for `status`, and how many connections are open now."""
        missed = sum(connection.dropped_notifications for connection in self._connections)
        return {
            "requests": self._requests,
            "request_errors": self._errors,
            "connections": len(self._connections),
            "refused_connections": self._refused,
            "dropped_notifications": self._dropped_before + missed,
        }

    def opened(self, connection: Connection) -> str:
        if self.stopping:
            return STOPPING
        if len(self._connections) >= self.limits.max_connections:
            self._refused += 1
            self._parting.add(connection)
            if len(self._parting) > _MAX_PARTING:
                connection.abort()  # Each that is told the reason holds a descriptor.
            return f"{self.limits.max_connections} clients are connected, which is the limit; close some."
        self._connections.add(connection)
        return ""

    def closed(self, connection: Connection) -> None:
        self._connections.discard(connection)
        self._parting.discard(connection)
        self._dropped_before += connection.dropped_notifications
        self._note_closed()

    def count_request(self, failed: bool) -> None:
        self._requests += 1
        self._errors += failed

    async def answer(self, connection: Connection, request: Request) -> bytes:
        found = self._handlers.get(request.method)
        if found is None:
            raise RpcError(
                f"There is no method `{request.method[:64]}`; `hello` lists the methods.", code="method_not_found"
            )
        method, handler = found
        response = await handler(connection, _convert(method, request.params))
        return _encoded((1, request.id, None, response))

    def _note_closed(self) -> None:
        if self.stopping and not self._connections:
            self._all_closed.set()

    async def _hello(self, connection: Connection, request: ops.HelloRequest) -> ops.HelloResponse:
        if request.protocol != PROTOCOL_VERSION:
            raise RpcError(
                f"The client speaks protocol {request.protocol}, this daemon {PROTOCOL_VERSION}; "
                "bring both to the same release.",
                code="unsupported_protocol",
                data={"protocol": PROTOCOL_VERSION},
            )
        connection.client = request.client[:64]
        connection.text_errors = request.errors == "text"
        return ops.HelloResponse("regend", self._version, PROTOCOL_VERSION, self._pid, tuple(sorted(self._handlers)))

    async def _subscribe(self, connection: Connection, request: ops.SubscribeRequest) -> ops.SubscribedResponse:
        connection.subscriptions.update(request.topics)
        return ops.SubscribedResponse(tuple(sorted(connection.subscriptions)))

    async def _unsubscribe(self, connection: Connection, request: ops.UnsubscribeRequest) -> ops.SubscribedResponse:
        connection.subscriptions.difference_update(request.topics or tuple(connection.subscriptions))
        return ops.SubscribedResponse(tuple(sorted(connection.subscriptions)))


def _convert(method: Method, params: list[Any]) -> Any:
    """Return the request's dataclass. No parameters, nil and an empty array (Lua's empty table) mean the empty map."""
    if len(params) > 1:
        raise invalid(method, f"takes one map of parameters, not {len(params)} values")
    raw = params[0] if params else None
    raw = {} if raw is None or raw == [] else raw
    if not isinstance(raw, dict):
        raise invalid(method, "takes one map of parameters")
    values = {_text(key): _text(value) for key, value in raw.items()}
    return request_of(method, values)


def _text(value: Any) -> Any:
    """Decode bytes, alone or in lists and maps: some peers send strings so, and the schema has no binary values."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if isinstance(value, list):
        return [_text(item) for item in value]
    if isinstance(value, dict):
        return {_text(key): _text(item) for key, item in value.items()}
    return value


def _encoded(message: tuple[object, ...]) -> bytes:
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError:  # A file name or a snippet that is not UTF-8: the slower encoder keeps its bytes.
        return encode(msgspec.to_builtins(message))
