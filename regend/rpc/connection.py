"""One client's connection: turns bytes into requests and answers into bytes, within bounds that protect other clients.

No queue here is unbounded. At `max_in_flight` requests, or while the client does not read its answers, the connection
decodes no further request and the transport stops reading, so the client's own socket fills up. A client that still
does not read is cut off, and so is one whose message does not arrive in time. Notifications for a slow reader are
dropped and counted, never kept.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import structlog

from regend.errors import ProtocolError, RegendError, RpcError
from regend.rpc.codec import (
    SERVER_LIMITS,
    Decoder,
    Limits,
    Request,
    encode_notification,
    encode_response,
    error_to_wire,
)
from regend.rpc.listen import peer_credentials

_log = structlog.get_logger()

STOPPING = "The daemon is shutting down; start it again with `regend`."
_LINGER_S = 1.0
"""How long a refused client may continue to send before its connection is cut."""


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The bounds on clients.

    Attributes:
        max_connections: further clients are told ``too_many_connections`` and closed.
        max_in_flight: requests of one connection that may be in progress at the same time.
        high_water_bytes: unsent bytes at which the connection accepts no more requests.
        max_unsent_bytes: a connection with more unsent bytes is cut off.
        partial_timeout_s: how long a message may take to arrive after its first byte.
        write_timeout_s: how long a client may leave its answers unread.
        decode: sizes and depths of messages.
    """

    max_connections: int = 1_200
    max_in_flight: int = 64
    high_water_bytes: int = 1 << 18
    max_unsent_bytes: int = 32 << 20
    partial_timeout_s: float = 10.0
    write_timeout_s: float = 30.0
    decode: Limits = SERVER_LIMITS


class Host(Protocol):
    """The part of the server that a connection uses."""

    limits: ServerLimits
    stopping: bool

    def opened(self, connection: Connection) -> str:
        """Register the connection; return a reason to refuse it, or empty."""
        ...

    def closed(self, connection: Connection) -> None:
        """Unregister a connection that is lost, also a refused one."""
        ...

    async def answer(self, connection: Connection, request: Request) -> bytes:
        """Return the encoded response of a request; a `RegendError` becomes an error response."""
        ...

    def count_request(self, failed: bool) -> None: ...


PeerCredentials = Callable[[Any], tuple[int, int]]


class Connection(asyncio.Protocol):
    """A client's connection; owns its transport, its decoder and the tasks that answer its requests.

    Attributes:
        client: the name it gave in `hello`.
        peer_pid: its process id, 0 if unknown.
        subscriptions: the topics it gets notifications of.
        dropped_notifications: how many it missed because it did not read.
        text_errors: errors are sent as strings, not maps.
    """

    def __init__(self, host: Host, credentials: PeerCredentials = peer_credentials) -> None:
        self.client = ""
        self.peer_pid = 0
        self.subscriptions: set[str] = set()
        self.dropped_notifications = 0
        self.text_errors = False
        self._host = host
        self._limits = host.limits
        self._credentials = credentials
        self._decoder = Decoder(self._limits.decode)
        self._tasks: dict[asyncio.Task[None], int] = {}
        self._transport: asyncio.Transport  # From `connection_made` on, which comes before everything else.
        self._loop = asyncio.get_running_loop()
        self._registered = False
        self._refused = False
        self._paused_reading = False
        self._paused_writing = False
        self._partial_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._linger_timer: asyncio.TimerHandle | None = None

    @property
    def in_flight(self) -> int:
        """Requests in progress."""
        return len(self._tasks)

    def send_notification(self, data: bytes) -> bool:
        """Send an encoded notification, or count it as dropped while the client does not read."""
        if not self._open:
            return False
        if self._paused_writing:
            self.dropped_notifications += 1
            return False
        self._transport.write(data)
        return True

    def refuse(self, code: str, message: str) -> None:
        """Send the reason in an ``error`` notification, and answer nothing more.

        The connection closes when the client closes it, or soon after: a client that still sends would otherwise see a
        broken pipe instead of the reason.
        """
        if self._open:
            self._transport.write(encode_notification("error", {"code": code, "message": message, "data": None}))
            self._refused = True
            self._watch_partial(False)
            self._resume_reading()
            self._transport.write_eof()
            self._linger_timer = self._loop.call_later(_LINGER_S, self.abort)

    def close(self) -> None:
        """Close after everything written is sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close now."""
        self._transport.abort()

    def cancel_requests(self) -> set[asyncio.Task[None]]:
        """Cancel the requests in progress, which are answered with ``stopping``; return their tasks."""
        tasks = set(self._tasks)
        for task in tasks:
            task.cancel()
        return tasks

    @property
    def _open(self) -> bool:
        """Whether the connection may still write to the client."""
        return not self._transport.is_closing() and not self._refused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)  # uvloop's does not derive from it.
        self._transport = transport
        transport.set_write_buffer_limits(high=self._limits.high_water_bytes)
        try:
            uid, self.peer_pid = self._credentials(transport.get_extra_info("socket"))
        except OSError as error:
            _log.warning("rpc_peer_unknown", error=str(error))
            transport.abort()
            return
        if uid not in (os.geteuid(), 0):  # root could read the daemon's memory anyway.
            _log.warning("rpc_peer_refused", peer_uid=uid, peer_pid=self.peer_pid)
            transport.abort()
            return
        self._registered = True
        reason = self._host.opened(self)
        if reason:
            self.refuse("too_many_connections", reason)

    def data_received(self, data: bytes) -> None:
        if not self._registered or self._refused:
            return
        try:
            self._decoder.feed(data)
        except ProtocolError as error:
            self._violated(error)
            return
        self._take_requests()

    def pause_writing(self) -> None:
        self._paused_writing = True
        self._pause_reading()
        self._write_timer = self._loop.call_later(self._limits.write_timeout_s, self._cut_off, "does not read")

    def resume_writing(self) -> None:
        self._paused_writing = False
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        self._take_requests()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._partial_timer, self._write_timer, self._linger_timer):
            if timer is not None:
                timer.cancel()
        self.cancel_requests()
        self.subscriptions.clear()
        if self._registered:
            self._registered = False
            self._host.closed(self)

    def _take_requests(self) -> None:
        """Decode and start requests while there is room, then set the transport and the timer accordingly."""
        while self._open:
            if self._paused_writing or len(self._tasks) >= self._limits.max_in_flight:
                # EOF is noticed only when there is room again; answers to a client that left are then discarded.
                self._pause_reading()
                break
            try:
                message = self._decoder.next()
            except ProtocolError as error:
                self._violated(error)
                return
            if message is None:
                self._resume_reading()
                break
            self._watch_partial(False)  # Each message has its own timer.
            if isinstance(message, Request):
                task = self._loop.create_task(self._answer(message))
                self._tasks[task] = message.id
                task.add_done_callback(self._answered)
            # Notifications and responses have no meaning here; Neovim sends some unasked.
        self._watch_partial(self._decoder.partial and self._open)

    async def _answer(self, request: Request) -> None:
        started_at = time.monotonic()
        failed = ""
        try:
            if self._host.stopping:
                raise RpcError(STOPPING, code="stopping")
            data = await self._host.answer(self, request)
        except RegendError as error:
            failed = error.code
            data = self._encode_error(request.id, error)
        except Exception:
            failed = "internal_error"
            _log.exception("rpc_handler_failed", method=request.method[:64])
            data = self._encode_error(request.id, _bug(request.method))
        self._host.count_request(bool(failed))
        self._write(data)
        took_ms = round((time.monotonic() - started_at) * 1000, 3)
        _log.debug("rpc_request", method=request.method[:64], took_ms=took_ms, failed=failed, peer_pid=self.peer_pid)

    def _answered(self, task: asyncio.Task[None]) -> None:
        request_id = self._tasks.pop(task)
        if not self._open:
            return
        if task.cancelled():
            # Only a shutdown cancels a handler whose client is still connected.
            self._write(self._encode_error(request_id, RpcError(STOPPING, code="stopping")))
        elif (error := task.exception()) is not None:
            _log.error("rpc_answer_failed", exc_info=error)
            self.abort()
            return
        if self._paused_reading and not self._paused_writing:
            self._take_requests()

    def _encode_error(self, request_id: int, error: RegendError) -> bytes:
        wire: object = f"{error.code}: {error}" if self.text_errors else error_to_wire(error)
        try:
            return encode_response(request_id, wire, None)
        except (TypeError, ValueError, OverflowError):  # MessagePack cannot encode `data`.
            return encode_response(request_id, {"code": error.code, "message": str(error), "data": None}, None)

    def _write(self, data: bytes) -> None:
        if not self._open:
            return
        if self._transport.get_write_buffer_size() > self._limits.max_unsent_bytes:
            self._cut_off("has too many unread bytes")
            return
        self._transport.write(data)

    def _violated(self, error: ProtocolError) -> None:
        _log.warning("rpc_protocol_error", peer_pid=self.peer_pid, error=str(error))
        self.cancel_requests()
        self.refuse(error.code, str(error))

    def _cut_off(self, why: str) -> None:
        _log.warning("rpc_client_cut_off", peer_pid=self.peer_pid, client=self.client, why=why)
        self.abort()

    def _too_slow(self) -> None:
        self._violated(
            ProtocolError(
                f"The rest of the message did not come within {self._limits.partial_timeout_s:g} s; send it whole."
            )
        )

    def _watch_partial(self, partial: bool) -> None:
        """Run the timer while a message is incomplete, from its first byte."""
        if not partial and self._partial_timer is not None:
            self._partial_timer.cancel()
            self._partial_timer = None
        elif partial and self._partial_timer is None:
            self._partial_timer = self._loop.call_later(self._limits.partial_timeout_s, self._too_slow)

    def _pause_reading(self) -> None:
        if not self._paused_reading and not self._transport.is_closing():
            self._paused_reading = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._paused_reading and not self._transport.is_closing():
            self._paused_reading = False
            self._transport.resume_reading()


def _bug(method: str) -> RpcError:
    return RpcError(f"The daemon failed to answer `{method[:64]}`; its log has the details.", code="internal_error")


Handler = Callable[[Connection, Any], Awaitable[Any]]
"""Takes the connection and the request's dataclass, gives the response's dataclass."""
