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

from regend.errors import ConnectionLostError, DaemonNotRunningError, ProtocolError, RegendError, RpcError
from regend.limits import MAX_WAIT_S
from regend.paths import socket_places
from regend.rpc.codec import (
    CLIENT_LIMITS,
    PROTOCOL_VERSION,
    SERVER_LIMITS,
    Decoder,
    Notification,
    Response,
    encode_request,
    error_from_wire,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any, Self

    from regend.rpc.codec import Message

DEFAULT_TIMEOUT_S = 30.0
MAX_KEPT_NOTIFICATIONS = 1_000
"""Maximum notifications kept until the caller reads them; the oldest are dropped."""
_RECEIVE_BYTES = 1 << 18
_PARTING_WORDS_S = 0.2


def connect_error(error: OSError, path: str, timeout_s: float) -> RpcError:
    """Say why the socket at `path` could not be connected to, and what to do."""
    if isinstance(error, TimeoutError):
        return late_error(path, "accept the connection", timeout_s)
    match error.errno:
        case None:  # Python itself refuses an overlong path, with a message only.
            return RpcError(f"The socket path {path} is too long; name a shorter one with --socket.")
        case errno.ENOENT | errno.ECONNREFUSED | errno.ENOTDIR:
            return DaemonNotRunningError(
                f"No daemon listens on {path}; start one with `regenctl start`, or at every login with "
                "`regenctl service install`."
            )
        case errno.EACCES | errno.EPERM | errno.EAFNOSUPPORT:
            return _refused_error(path)
        case errno.EAGAIN:
            return RpcError(f"The daemon on {path} accepts no connection now; try again.")
        case _:
            return RpcError(f"The socket {path} cannot be used: {error.strerror or error}; name another with --socket.")


def _refused_error(path: str) -> RpcError:
    """Say who forbids the connection: the owner of the socket or of a directory above it, else a sandbox."""
    place = path
    while True:
        try:
            found = os.lstat(place)
        except PermissionError:
            place = os.path.dirname(place)  # noqa: PTH120 - pathlib is slower to import.
            continue
        except OSError:
            found = None
        break
    own = os.geteuid()
    if found is not None and place == path and found.st_uid != own:
        return RpcError(
            f"The socket {path} belongs to user {found.st_uid}, not to you ({own}); start your own daemon with "
            "`regenctl start`, or name its socket with --socket.",
            code="foreign_socket",
        )
    if found is not None and place != path and found.st_uid != own and (found.st_uid or not found.st_mode & 0o011):
        return RpcError(
            f"The socket {path} cannot be reached: {place} belongs to user {found.st_uid}, not to you ({own}); name "
            "a place of your own with REGEND_STATE_DIR or --socket, or take that one back where `sudo` made it.",
            code="foreign_socket",
        )
    return RpcError(
        f"This process may not use the Unix socket {path}: a sandbox forbids it; allow Unix sockets in the sandbox's "
        "settings, or run the command outside of it.",
        code="sandboxed",
    )


def late_error(path: str, act: str, timeout_s: float) -> RpcError:
    """Say that the daemon did not act in time."""
    return RpcError(f"The daemon on {path} did not {act} within {timeout_s:g} s; see its log.", code="timeout")


def lost_error(path: str) -> ConnectionLostError:
    """Say that the daemon closed the connection."""
    return ConnectionLostError(f"The daemon on {path} closed the connection; see its log, then try again.")


def broken_error(path: str, breach: str) -> ProtocolError:
    """Say that the daemon sent a message that the protocol does not allow here."""
    return ProtocolError(f"The daemon on {path} broke the protocol: {breach}; is it another version?")


def request_bytes(request_id: int, method: str, params: dict[str, Any]) -> bytes:
    """Encode a request, and read it as the daemon would: a request beyond its limits would end the connection.

    Raises:
        RpcError: with code ``invalid_params``: a parameter does not fit into MessagePack; or ``too_large``.
    """
    try:
        data = encode_request(request_id, method, params)
    except (OverflowError, ValueError, TypeError) as error:
        raise RpcError(
            f"The parameters of `{method}` cannot be sent: {error}; correct them.", code="invalid_params"
        ) from error
    as_daemon = Decoder(SERVER_LIMITS)
    try:
        as_daemon.feed(data)
        as_daemon.next()
    except ProtocolError as error:
        raise RpcError(f"`{method}` cannot be asked so: {error}", code="too_large") from error
    return data


def call_limit_s(timeout_s: float, params: dict[str, Any]) -> float:
    """Return how long a call may take: the client's limit, plus the `timeout_s` that the daemon is asked to wait.

    The daemon refuses a `timeout_s` that is out of range at once.
    """
    waits = params.get("timeout_s")
    return timeout_s + (waits if isinstance(waits, (int, float)) and 0 <= waits <= MAX_WAIT_S else 0.0)


def payload_of(message: Notification) -> dict[str, Any]:
    """Return the map that a notification carries; empty if it carries something else."""
    payload = message.params[0] if message.params else None
    return payload if isinstance(payload, dict) else {}


def check_listener(uid: int | None, path: str) -> None:
    """Refuse another user's daemon, which would read our queries and unsaved files and could answer anything.

    Args:
        uid: user of the process that listens on the socket, see `listener_uid`.

    Raises:
        RpcError: with code ``foreign_socket``: the user is neither our own nor root. Root may ask every daemon.
    """
    own = os.geteuid()
    if uid is not None and uid not in (0, own) and own != 0:
        raise RpcError(
            f"The process that listens on {path} belongs to user {uid}, not to you ({own}), so nothing was asked; "
            "name another socket with --socket.",
            code="foreign_socket",
        )


def listener_uid(sock: socket.socket) -> int | None:
    """Return the user of the process at the other end of a connected socket; None where the kernel hides it (macOS)."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    return int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:8], sys.byteorder)


def _open_socket(place: str, timeout_s: float) -> socket.socket:
    sock: socket.socket | None = None
    try:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)  # Some sandboxes forbid even this.
        sock.settimeout(timeout_s)
        sock.connect(place)
    except OSError as error:
        if sock is not None:
            sock.close()
        raise connect_error(error, place, timeout_s) from error
    return sock


class Client:
    """A connection to a running daemon; owns its socket. Not for use by several threads at once.

    Use it as a context manager, or call `close`. An error that is not the daemon's answer closes the
    connection, and further calls raise `ConnectionLostError`.

    Args:
        path: the socket; None for the first of the usual places at which a daemon listens.
        timeout_s: how long connecting, or any one call, may take.
        name: the caller's name, for the daemon's log.
    """

    def __init__(
        self, path: str | Path | None = None, timeout_s: float = DEFAULT_TIMEOUT_S, name: str = "python"
    ) -> None:
        self._places = [str(path)] if path is not None else socket_places()
        self.path = self._places[0]
        self.timeout_s = timeout_s
        self.server: dict[str, Any] = {}
        """The daemon's answer to `hello`."""
        self._name = name
        self._socket: socket.socket | None = None
        self._decoder = Decoder(CLIENT_LIMITS)
        self._notifications: deque[tuple[str, Any]] = deque(maxlen=MAX_KEPT_NOTIFICATIONS)
        self._last_id = 0

    def __enter__(self) -> Self:
        if self._socket is None:
            self.connect()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> None:
        """Connect and say hello.

        Raises:
            DaemonNotRunningError: no daemon listens there.
            RpcError: the socket cannot be used, or the daemon speaks another protocol version.
        """
        sock = self._connected()
        self._socket = sock
        try:
            check_listener(listener_uid(sock), self.path)
            self.server = self.call("hello", client=self._name, protocol=PROTOCOL_VERSION)
        except BaseException:
            self.close()
            raise

    def _connected(self) -> socket.socket:
        """Return a socket that is connected to the first place at which a daemon listens, which becomes `path`."""
        failure: DaemonNotRunningError | None = None
        for place in self._places:
            try:
                sock = _open_socket(place, self.timeout_s)
            except DaemonNotRunningError as error:
                failure = failure or error
                continue
            self.path = place
            return sock
        assert failure is not None
        raise failure

    @property
    def is_open(self) -> bool:
        """Whether the connection can take a call, as far as is known."""
        return self._socket is not None

    def close(self) -> None:
        """Close the socket; calling it again does no harm."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Call a method and wait for its answer.

        If the parameters have a `timeout_s`, which the daemon waits itself, the client waits that much longer.

        Raises:
            RegendError: the daemon's answer is an error; its class and `code` say which.
            ConnectionLostError: the daemon went away.
            ProtocolError: the answer is not MessagePack-RPC.
            RpcError: with code ``timeout``: no answer came in time.
        """
        limit_s = call_limit_s(self.timeout_s, params)
        deadline = monotonic() + limit_s
        self._last_id += 1
        data = request_bytes(self._last_id, method, params)
        try:
            return self._answer(method, data, deadline, limit_s)
        except RegendError:
            raise
        except BaseException:  # Such as Ctrl-C: a late answer must not be taken for that of the next call.
            self.close()
            raise

    def _answer(self, method: str, data: bytes, deadline: float, limit_s: float) -> dict[str, Any]:
        self._send(data, deadline, method)
        while (message := self._receive(deadline)) is not None:
            if isinstance(message, Notification):
                self._notifications.append((message.method, payload_of(message)))
            elif not isinstance(message, Response) or message.id != self._last_id:
                breach = f"an answer to `{method}` was due, not {type(message).__name__}"
                raise self._ended(broken_error(self.path, breach))
            elif message.error is not None:
                raise error_from_wire(message.error)
            elif not isinstance(message.result, dict):
                raise self._ended(broken_error(self.path, f"the result of `{method}` is not a map"))
            else:
                return message.result
        raise self._ended(late_error(self.path, f"answer `{method}`", limit_s))

    def notifications(self, timeout_s: float | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield ``(topic, payload)`` as they come, after `subscribe`.

        Args:
            timeout_s: stop after this long without a notification; None: never stop. The next call continues there.

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
                breach = f"a notification was due, not {type(message).__name__}"
                raise self._ended(broken_error(self.path, breach))
            self._notifications.append((message.method, payload_of(message)))

    def _send(self, data: bytes, deadline: float, method: str) -> None:
        sock = self._open_socket()
        sock.settimeout(max(deadline - monotonic(), 0.001))
        try:
            sock.sendall(data)
        except TimeoutError as error:
            raise self._ended(late_error(self.path, f"take the request `{method}`", self.timeout_s)) from error
        except OSError as error:
            # The daemon may have sent its reason before it closed the connection; else this raises `lost_error`.
            self._receive(monotonic() + _PARTING_WORDS_S)
            raise self._ended(lost_error(self.path)) from error

    def _receive(self, deadline: float | None) -> Message | None:
        """Return the next message, or None at the deadline."""
        sock = self._open_socket()
        while True:
            try:
                message = self._decoder.next()
            except ProtocolError:
                self.close()
                raise
            if isinstance(message, Notification) and message.method == "error":
                # The daemon says why it closes the connection.
                raise self._ended(error_from_wire(message.params[0] if message.params else None))
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
                raise self._ended(lost_error(self.path)) from error
            if not data:
                raise self._ended(lost_error(self.path))
            self._decoder.feed(data)

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise ConnectionLostError(f"The connection to the daemon on {self.path} is closed; connect again.")
        return self._socket

    def _ended(self, error: RegendError) -> RegendError:
        """Close the connection, and return the error for the caller to raise."""
        self.close()
        return error
