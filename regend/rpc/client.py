"""The synchronous client: one socket, one request at a time, a deadline on everything.

Only the standard library and msgpack are imported, because `regenctl` starts with this module.
"""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections import deque
from collections.abc import Iterator
from time import monotonic

from regend.errors import ConnectionLostError, DaemonNotRunningError, ProtocolError, RpcError
from regend.paths import default_socket_path
from regend.rpc.codec import (
    CLIENT_LIMITS,
    PROTOCOL_VERSION,
    Decoder,
    Notification,
    Response,
    encode_request,
    error_from_wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Any, Self

    from regend.rpc.codec import Message

DEFAULT_TIMEOUT_S = 30.0
MAX_KEPT_NOTIFICATIONS = 1_000
"""Notifications kept while nobody reads them; the oldest are dropped."""
_RECEIVE_BYTES = 1 << 18
_PARTING_WORDS_S = 0.2


def connect_error(error: OSError, path: str) -> RpcError:
    """Say why the socket at `path` could not be connected to, and what to do."""
    match error.errno:
        case errno.ENOENT | errno.ECONNREFUSED | errno.ENOTDIR:
            return DaemonNotRunningError(
                f"No regend daemon listens on {path}; start one with `regend`, or `regenctl service install` for good."
            )
        case errno.EACCES | errno.EPERM:
            return RpcError(
                f"The socket {path} belongs to another user; start your own `regend` or name its socket with --socket."
            )
        case errno.EAGAIN:
            return RpcError(f"The daemon on {path} accepts no connection at present; try again.")
        case _:
            return RpcError(f"The socket {path} cannot be used: {error.strerror or error}; name another with --socket.")


def check_listener(uid: int | None, path: str) -> None:
    """Refuse to ask a stranger, who would read our queries and unsaved files, and answer what they like.

    Args:
        uid: of whoever listens on the socket, see `listener_uid`.

    Raises:
        RpcError: it is neither ours nor root's (code ``foreign_socket``); root may ask anybody.
    """
    own = os.geteuid()
    if uid is not None and uid not in (0, own) and own != 0:
        raise RpcError(
            f"The process that listens on {path} belongs to user {uid}, not to you ({own}), so nothing was asked; "
            "name another socket with --socket.",
            code="foreign_socket",
        )


def listener_uid(sock: socket.socket) -> int | None:
    """The kernel's word on who listens at the other end of a connected socket; None where it says nothing (macOS)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:8], sys.byteorder)


class Client:
    """A connection to a running daemon; owns its socket. Not for use by several threads at once.

    Use it as a context manager, or call `close`. After an error other than an answer of the daemon the connection is
    closed, and further calls raise `ConnectionLostError`.

    Args:
        path: the socket; None for the default place.
        timeout_s: how long connecting, or any one call, may take.
        name: who we are, for the daemon's log.
    """

    def __init__(
        self, path: str | Path | None = None, timeout_s: float = DEFAULT_TIMEOUT_S, name: str = "python"
    ) -> None:
        self.path = str(path if path is not None else default_socket_path())
        self.timeout_s = timeout_s
        self.server: dict[str, Any] = {}
        """What the daemon answered to `hello`."""
        self._name = name
        self._socket: socket.socket | None = None
        self._decoder = Decoder(CLIENT_LIMITS)
        self._notifications: deque[tuple[str, Any]] = deque(maxlen=MAX_KEPT_NOTIFICATIONS)
        self._next_id = 0

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def connect(self) -> None:
        """Connect and say hello.

        Raises:
            DaemonNotRunningError: nobody listens there.
            RpcError: the socket cannot be used, or the daemon speaks another protocol version.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(self.timeout_s)
        try:
            sock.connect(self.path)
        except TimeoutError as error:
            sock.close()
            raise self._late("accept the connection") from error
        except OSError as error:
            sock.close()
            if error.errno is None:  # Python itself refuses an overlong path, with a message only.
                raise RpcError(f"The socket path {self.path} is too long; name a shorter one with --socket.") from error
            raise connect_error(error, self.path) from error
        self._socket = sock
        try:
            check_listener(listener_uid(sock), self.path)
            self.server = self.call("hello", client=self._name, protocol=PROTOCOL_VERSION)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the socket; calling it again does no harm."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Call a method and wait for its answer.

        A `timeout_s` among the parameters, which the daemon waits itself, is added to ours.

        Raises:
            RegendError: the daemon's answer is an error; its class and `code` say which.
            ConnectionLostError: the daemon went away.
            ProtocolError: what came back is not MessagePack-RPC.
            RpcError: with code ``timeout``: no answer in time.
        """
        waits = params.get("timeout_s", 0.0)
        deadline = monotonic() + self.timeout_s + (waits if isinstance(waits, (int, float)) else 0.0)
        self._next_id += 1
        try:
            data = encode_request(self._next_id, method, params)
        except (OverflowError, ValueError, TypeError) as error:
            raise RpcError(f"`{method}` cannot be asked that: {error}.", code="invalid_params") from error
        self._send(data, deadline, method)
        while True:
            message = self._receive(deadline)
            if message is None:
                self.close()
                raise self._late(f"answer `{method}`")
            if isinstance(message, Notification):
                self._keep(message)
            elif isinstance(message, Response) and message.id == self._next_id:
                if message.error is not None:
                    raise error_from_wire(message.error)
                if not isinstance(message.result, dict):
                    raise self._broken(f"the result of `{method}` is not a map")
                return message.result
            else:
                raise self._broken(f"an answer to `{method}` was due, not {type(message).__name__}")

    def notifications(self, timeout_s: float | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield ``(topic, payload)`` as they come, after `subscribe`.

        Args:
            timeout_s: stop once this long nothing came; None for never. The next call goes on where this one stopped.

        Raises:
            ConnectionLostError: the daemon went away.
        """
        while True:
            while self._notifications:
                yield self._notifications.popleft()
            message = self._receive(None if timeout_s is None else monotonic() + timeout_s)
            if message is None:
                return
            if not isinstance(message, Notification):
                raise self._broken(f"a notification was due, not {type(message).__name__}")
            self._keep(message)

    def _keep(self, message: Notification) -> None:
        payload = message.params[0] if message.params else {}
        self._notifications.append((message.method, payload if isinstance(payload, dict) else {}))

    def _send(self, data: bytes, deadline: float, method: str) -> None:
        sock = self._open_socket()
        sock.settimeout(max(deadline - monotonic(), 0.001))
        try:
            sock.sendall(data)
        except TimeoutError as error:
            self.close()
            raise self._late(f"take the request `{method}`") from error
        except OSError as error:
            # The daemon may have told us why before it closed the connection; else this raises that it is lost.
            self._receive(monotonic() + _PARTING_WORDS_S)
            self.close()
            raise self._lost() from error

    def _receive(self, deadline: float | None) -> Message | None:
        """The next message, or None at the deadline."""
        sock = self._open_socket()
        while True:
            try:
                message = self._decoder.next()
            except ProtocolError:
                self.close()
                raise
            if isinstance(message, Notification) and message.method == "error":
                # The daemon says why it closes the connection.
                self.close()
                raise error_from_wire(message.params[0] if message.params else None)
            if message is not None:
                return message
            left = None if deadline is None else deadline - monotonic()
            if left is not None and left <= 0:
                return None
            sock.settimeout(left)
            try:
                data = sock.recv(_RECEIVE_BYTES)
            except TimeoutError:
                return None
            except OSError as error:
                self.close()
                raise self._lost() from error
            if not data:
                self.close()
                raise self._lost()
            self._decoder.feed(data)

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionLostError(f"The connection to the daemon on {self.path} is closed; connect again.")
        return self._socket

    def _lost(self) -> ConnectionLostError:
        return ConnectionLostError(f"The daemon on {self.path} closed the connection; see its log, then try again.")

    def _late(self, what: str) -> RpcError:
        return RpcError(
            f"The daemon on {self.path} did not {what} within {self.timeout_s:g} s; see its log.", code="timeout"
        )

    def _broken(self, what: str) -> ProtocolError:
        self.close()
        return ProtocolError(f"The daemon on {self.path} broke the protocol: {what}; is it another version?")
