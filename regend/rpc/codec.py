"""MessagePack-RPC on an unframed byte stream: requests, responses, notifications, and their limits.

Request ``[0, id, method, params]``, response ``[1, id, error, result]``, notification ``[2, method, params]``, as in
https://github.com/msgpack-rpc/msgpack-rpc/blob/master/spec.md. Bytes come in, messages go out; there is no IO here.
Only the standard library and msgpack are imported, because `regenctl` starts with this module.

File names need not be UTF-8. A string is a Python ``str`` whose undecodable bytes are surrogates (PEP 383), and those
go over the wire as the bytes they stand for; any other lone surrogate becomes ``?``.
"""

from __future__ import annotations

import codecs
from collections import namedtuple
from collections.abc import Iterator

import msgpack

import regend.errors
from regend.errors import ProtocolError, RegendError, RpcError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple

    class Request(NamedTuple):
        id: int
        method: str
        params: list[Any]

    class Response(NamedTuple):
        id: int
        error: Any
        result: Any

    class Notification(NamedTuple):
        method: str
        params: list[Any]

    class Limits(NamedTuple):
        max_message_bytes: int
        max_items: int
        max_depth: int

    Message = Request | Response | Notification
else:  # `typing` costs `regenctl` a tenth of its start-up.
    Request = namedtuple("Request", "id method params")
    Response = namedtuple("Response", "id error result")
    Notification = namedtuple("Notification", "method params")
    Limits = namedtuple("Limits", "max_message_bytes max_items max_depth")

PROTOCOL_VERSION = 1
MAX_ID = 2**32 - 1

SERVER_LIMITS = Limits(max_message_bytes=1 << 20, max_items=256, max_depth=8)
"""Limits of a daemon. Before msgpack reads the items of an array, it allocates the length that the header states, and
it nests up to 1,024 deep. So `max_items` bounds what a hostile message takes: 1,024 x 256 pointers are 2 MB."""
CLIENT_LIMITS = Limits(max_message_bytes=64 << 20, max_items=1 << 16, max_depth=32)
"""Limits of a client, which must accept a page of files, or 1,000 results with their snippets."""


def _encode_surrogates(error: UnicodeError) -> tuple[bytes, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    bad = error.object[error.start : error.end]
    return bytes(ord(c) - 0xDC00 if 0xDC80 <= ord(c) <= 0xDCFF else 0x3F for c in bad), error.end


codecs.register_error("regend.wire", _encode_surrogates)


class Decoder:
    """Turns a stream of bytes into messages, within limits; owns the bytes of the message that is still incomplete.

    After a `ProtocolError` the stream is out of step: close the connection.
    """

    __slots__ = ("_complete_at", "_fed", "_limits", "_starved", "_unpacker")

    def __init__(self, limits: Limits = SERVER_LIMITS) -> None:
        self._limits = limits
        self._unpacker = msgpack.Unpacker(
            raw=False,
            unicode_errors="surrogateescape",
            strict_map_key=True,
            max_buffer_size=limits.max_message_bytes + (1 << 20),
            max_array_len=limits.max_items,
            max_map_len=limits.max_items,
        )
        self._fed = 0
        self._complete_at = 0
        self._starved = True

    def feed(self, data: bytes | bytearray | memoryview) -> None:
        """Add bytes as they came.

        Raises:
            ProtocolError: more bytes are waiting than one message may have.
        """
        try:
            self._unpacker.feed(data)
        except msgpack.BufferFull:
            raise self._too_large() from None
        self._fed += len(data)
        self._starved = False

    def next(self) -> Message | None:
        """Return the next complete message, or None until more bytes are fed.

        Raises:
            ProtocolError: the bytes are not MessagePack, not a message, or break a limit.
        """
        try:
            value = self._unpacker.unpack()
        except msgpack.OutOfData:
            self._starved = True
            if self._fed - self._complete_at > self._limits.max_message_bytes:
                raise self._too_large() from None
            return None
        except RecursionError as error:
            raise ProtocolError("The message is nested too deeply.") from error
        except (ValueError, TypeError, OverflowError, MemoryError, msgpack.UnpackException) as error:
            raise ProtocolError(f"The bytes are not valid MessagePack within the limits: {_reason(error)}.") from error
        size = self._unpacker.tell() - self._complete_at
        self._complete_at += size
        if size > self._limits.max_message_bytes:
            raise self._too_large()
        return _message(value, self._limits.max_depth)

    def __iter__(self) -> Iterator[Message]:
        while (message := self.next()) is not None:
            yield message

    @property
    def partial(self) -> bool:
        """Whether a message has begun and is incomplete, as far as `next` has read."""
        return self._starved and self._fed > self._complete_at

    def _too_large(self) -> ProtocolError:
        return ProtocolError(
            f"The message is larger than {self._limits.max_message_bytes} bytes; send less in one request."
        )


def _reason(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _message(value: Any, max_depth: int) -> Message:
    if not isinstance(value, list) or not value:
        raise ProtocolError(f"A message is an array, not {_shape(value)}.")
    if _deeper_than(value, max_depth):
        raise ProtocolError(f"The message is nested more than {max_depth} deep.")
    kind = value[0]
    if type(kind) is not int or kind not in (0, 1, 2):
        raise ProtocolError("The first element of a message is its type: 0, 1 or 2.")
    want = (4, 4, 3)[kind]
    if len(value) != want:
        raise ProtocolError(f"A message of type {kind} has {want} elements, not {len(value)}.")
    if kind != 2 and (type(value[1]) is not int or not 0 <= value[1] <= MAX_ID):
        raise ProtocolError(f"A message id is a whole number from 0 to {MAX_ID}.")
    if kind == 1:
        return Response(value[1], value[2], value[3])
    method, params = value[-2], value[-1]
    if isinstance(method, bytes):
        method = method.decode("utf-8", "surrogateescape")
    if not isinstance(method, str):
        raise ProtocolError(f"A method is a string, not {_shape(method)}.")
    if not isinstance(params, list):
        raise ProtocolError(f"The parameters are an array, not {_shape(params)}.")
    return Request(value[1], method, params) if kind == 0 else Notification(method, params)


def _shape(value: object) -> str:
    return {dict: "a map", list: "an array", str: "a string", bytes: "bytes", bool: "a boolean", int: "a number"}.get(
        type(value), type(value).__name__
    )


def _deeper_than(value: Any, limit: int) -> bool:
    """Say whether arrays and maps nest more than `limit` deep; go level by level, so that depth costs no stack."""
    level = [value]
    for _ in range(limit):
        level = [
            item
            for parent in level
            for item in (parent.values() if type(parent) is dict else parent)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return False
    return True


def encode_request(request_id: int, method: str, params: dict[str, Any] | None = None) -> bytes:
    """Encode a request; `params` is the one map of its parameters, or None."""
    return encode([0, request_id, method, [] if params is None else [params]])


def encode_response(request_id: int, error: object, result: object) -> bytes:
    """Encode a response; `error` is None, or a map as `error_to_wire` makes it."""
    return encode([1, request_id, error, result])


def encode_notification(topic: str, payload: object) -> bytes:
    """Encode a notification with one parameter."""
    return encode([2, topic, [payload]])


def encode(message: list[Any]) -> bytes:
    """Encode a message that consists of builtin types."""
    data: bytes = msgpack.packb(message, use_bin_type=True, unicode_errors="regend.wire")
    return data


def error_to_wire(error: RegendError) -> dict[str, Any]:
    """Return the map that stands for an error on the wire."""
    return {"code": error.code, "message": str(error), "data": getattr(error, "data", None)}


def error_from_wire(value: object) -> RegendError:
    """Return the error that a map stands for: of the class with its code, else an `RpcError` with the code."""
    if not isinstance(value, dict):
        return RpcError(value if isinstance(value, str) else f"The daemon answered with the error {value!r}.")
    code, message, data = str(value.get("code", "")), str(value.get("message", "")), value.get("data")
    for cls in vars(regend.errors).values():
        if isinstance(cls, type) and issubclass(cls, RegendError) and cls.code == code:
            return cls(message, code, data) if issubclass(cls, RpcError) else cls(message)
    return RpcError(message, code or None, data)
