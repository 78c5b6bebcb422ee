"""JSON-RPC 2.0 in lines, as MCP uses it on standard input and output: bytes come in, messages go out; no IO here.

https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/stdio
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

MAX_LINE_BYTES = 4 << 20
"""Maximum size of one message; a longer line is skipped and answered with an error."""

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022


@dataclass(frozen=True, slots=True)
class Request:
    id: str | int
    method: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Notification:
    method: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """The client's answer to a request of ours; `result` is None for an error."""

    id: str | int
    result: Mapping[str, Any] | None


Message = Request | Notification | Reply


class FaultError(Exception):
    """A message, or a request, that is answered with an error.

    Attributes:
        id: of the request; None if it could not be read.
    """

    def __init__(self, code: int, message: str, data: object = None, id: str | int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = data
        self.id = id


class Lines:
    """Cuts a stream of bytes into lines; owns the line that is still incomplete, up to `MAX_LINE_BYTES`."""

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._kept = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> Iterator[bytes | None]:
        """Yield complete lines without their ends, in order; None for one that was too long. Blank lines are left out.

        Use the iterator up before the next call.
        """
        *complete, rest = data.split(b"\n")
        for part in complete:
            too_long = self._skipping or len(self._kept) + len(part) > self._max_bytes
            line = b"" if too_long else bytes(self._kept + part).strip()
            self._kept.clear()
            self._skipping = False
            if too_long:
                yield None
            elif line:
                yield line
        if self._skipping or len(self._kept) + len(rest) > self._max_bytes:
            self._kept.clear()
            self._skipping = True
        else:
            self._kept += rest


def messages(line: bytes | None) -> Iterator[Message | FaultError]:
    """Yield the messages of a line: one, or those of a batch (2025-03-26). None stands for a line that was too long."""
    if line is None:
        yield FaultError(INVALID_REQUEST, f"The message is larger than {MAX_LINE_BYTES:,} bytes; send less at once.")
        return
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        yield FaultError(PARSE_ERROR, f"The line is not valid JSON: {error}.")
        return
    if isinstance(value, list) and value:
        yield from map(_message, value)
    else:
        yield _message(value)


def _message(value: Any) -> Message | FaultError:
    if not isinstance(value, dict) or value.get("jsonrpc") != "2.0":
        return FaultError(INVALID_REQUEST, 'A message is an object with `"jsonrpc": "2.0"`.')
    id_, method, params = value.get("id"), value.get("method"), value.get("params", {})
    known_id = id_ if isinstance(id_, (str, int)) and not isinstance(id_, bool) else None
    if isinstance(method, str):
        if "id" not in value:
            return Notification(method, params if isinstance(params, dict) else {})
        if known_id is None:
            return FaultError(INVALID_REQUEST, "The id of a request is a string or a whole number.")
        if not isinstance(params, dict):
            return FaultError(INVALID_PARAMS, "The parameters of a request are an object.", id=known_id)
        return Request(known_id, method, params)
    if known_id is not None and ("result" in value or "error" in value):
        result = value.get("result")
        return Reply(known_id, result if isinstance(result, dict) else None)
    return FaultError(INVALID_REQUEST, "A message has a `method`, a `result` or an `error`.", id=known_id)


def encoded(message: Mapping[str, Any]) -> bytes:
    """Return the line of a message. Bytes of file names that are not UTF-8 become U+FFFD, because JSON has no bytes."""
    whole = {"jsonrpc": "2.0", **message}
    try:
        return msgspec.json.encode(whole) + b"\n"
    except UnicodeEncodeError:
        return msgspec.json.encode(readable(whole)) + b"\n"


def readable(value: Any) -> Any:
    """Return a value with U+FFFD in its texts for each byte that is not UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace") if not value.isascii() else value
    if isinstance(value, dict):
        return {readable(key): readable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [readable(item) for item in value]
    return value


def error_line(fault: FaultError) -> bytes:
    """Return the line that answers a fault."""
    error: dict[str, Any] = {"code": fault.code, "message": str(fault)}
    if fault.data is not None:
        error["data"] = fault.data
    return encoded({"id": fault.id, "error": error})
