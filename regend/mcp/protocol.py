"""The Model Context Protocol without IO: a message goes in, what to do about it comes out.

Both eras are spoken on the same stream. A request with a protocol version in its `_meta` is of revision 2026-07-28,
which knows no connection state; any other is of the revisions that begin with `initialize`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from regend.mcp import messages as rpc
from regend.mcp.messages import FaultError, Message, Notification, Reply, Request

MODERN = ("2026-07-28",)
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Protocol revisions, newest first."""
_PREFIX = "io.modelcontextprotocol/"
_CACHED_MS = 3_600_000
"""How long a client may keep a list; the tools change with a new release only."""
_ROOTS_ID = "regend-roots"
_MODERN_METHODS = ("server/discover", "tools/list", "tools/call", "subscriptions/listen")
"""Methods of the newer revision: it has no `initialize` and no `ping`, and a server answers only what it declares."""
_NAMED = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""The parameter that the header `Mcp-Name` repeats, by method."""
_CODED = re.compile(r"=\?base64\?(.*)\?=")


@dataclass(frozen=True, slots=True)
class Server:
    """The server as it describes itself, and the tools that it lists.

    Attributes:
        tools: by name, each as `tools/list` shows it.
    """

    version: str
    instructions: str
    tools: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool, to be answered by `Session.answer` or `Session.progress`."""

    id: str | int
    tool: str
    arguments: Mapping[str, Any]
    modern: bool
    progress_token: str | int | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """The client no longer wants the answer to this request."""

    id: str | int


@dataclass(slots=True)
class Session:
    """The conversation with one client; owns what an older client said about itself.

    Attributes:
        awaits_roots: the client was asked for its roots and has not answered.
        directories: the client's roots as paths; only clients of the older revisions have them.
    """

    server: Server
    awaits_roots: bool = False
    directories: tuple[str, ...] = ()
    _has_roots: bool = False

    def receive(self, line: bytes | None) -> Iterator[bytes | Call | Cancel]:
        """Yield what follows from a line: bytes to send, calls to run, calls to cancel."""
        for message in rpc.messages(line):
            try:
                yield from self.steps(message)
            except FaultError as fault:
                yield rpc.error_line(fault)

    def steps(self, message: Message | FaultError) -> Iterator[bytes | Call | Cancel]:
        """Yield what follows from a message.

        Raises:
            FaultError: the message is to be answered with an error.
        """
        match message:
            case FaultError():
                raise message
            case Request():
                try:
                    yield self._answer_or_call(message)
                except FaultError as fault:
                    fault.id = message.id
                    raise
            case Notification():
                yield from self._noted(message)
            case Reply(id=id_, result=result) if id_ == _ROOTS_ID:
                self.awaits_roots = False
                self.directories = _directories(result or {})
            case Reply():
                pass  # Nothing else is asked of a client.

    def answer(self, call: Call, text: str, facts: Mapping[str, Any] | None, failed: bool) -> bytes:
        """Return the answer to a call: its text, and the facts behind it.

        The facts travel in `_meta`. Claude Code, Codex and OpenCode hide the text from the model where a result has
        `structuredContent` (see decision 18).
        """
        result: dict[str, Any] = {"content": [{"type": "text", "text": text}], "isError": failed}
        if facts is not None:
            result["_meta"] = {"dev.regend/answer": facts}
        return rpc.encoded({"id": call.id, "result": self._complete(result, call.modern)})

    def progress(self, call: Call, done: float, total: float, message: str) -> bytes:
        """Return a notification about the progress of a call that has a token."""
        params = {"progressToken": call.progress_token, "progress": done, "total": total, "message": message}
        return rpc.encoded({"method": "notifications/progress", "params": params})

    def _answer_or_call(self, request: Request) -> bytes | Call:
        meta = request.params.get("_meta")
        meta = meta if isinstance(meta, dict) else {}
        modern = is_modern(request)
        if modern:
            _check_envelope(meta)
            if request.method not in _MODERN_METHODS:
                raise _unknown(request.method)
        if request.method == "tools/call":
            return self._call(request, meta, modern)
        if request.method == "subscriptions/listen" and modern:
            # The lists never change, so nothing is ever sent; the request stays open until the client cancels it.
            params = {"_meta": {f"{_PREFIX}subscriptionId": request.id}, "notifications": {}}
            return rpc.encoded({"method": "notifications/subscriptions/acknowledged", "params": params})
        result = self._result(request)
        return rpc.encoded({"id": request.id, "result": self._complete(result, modern)})

    def _result(self, request: Request) -> dict[str, Any]:
        kept = {"ttlMs": _CACHED_MS, "cacheScope": "public"}
        match request.method:
            case "initialize":
                return self._initialize(request.params)
            case "server/discover":
                return {
                    "supportedVersions": [*MODERN, *LEGACY], "capabilities": {"tools": {}},
                    "instructions": self.server.instructions, **kept,
                }  # fmt: skip
            case "ping":
                return {}
            case "tools/list":
                return {"tools": list(self.server.tools.values()), **kept}
            case "resources/list":
                return {"resources": [], **kept}
            case "resources/templates/list":
                return {"resourceTemplates": [], **kept}
            case "prompts/list":
                return {"prompts": [], **kept}
            case "resources/read" | "prompts/get":
                raise FaultError(rpc.INVALID_PARAMS, "This server has tools only, no resources and no prompts.")
            case _:
                raise _unknown(request.method)

    def _initialize(self, params: Mapping[str, Any]) -> dict[str, Any]:
        wanted = params.get("protocolVersion")
        if not isinstance(wanted, str):
            raise FaultError(rpc.INVALID_PARAMS, "`initialize` needs a `protocolVersion`.")
        capabilities = params.get("capabilities")
        self._has_roots = isinstance(capabilities, dict) and isinstance(capabilities.get("roots"), dict)
        return {
            "protocolVersion": wanted if wanted in LEGACY else LEGACY[0],
            "capabilities": {"tools": {}},
            "serverInfo": self._info(),
            "instructions": self.server.instructions,
        }

    def _call(self, request: Request, meta: Mapping[str, Any], modern: bool) -> Call:
        name, arguments = request.params.get("name"), request.params.get("arguments")
        if not isinstance(name, str):
            raise FaultError(rpc.INVALID_PARAMS, "`tools/call` needs the `name` of a tool.")
        if name not in self.server.tools:
            known = ", ".join(self.server.tools)
            raise FaultError(rpc.INVALID_PARAMS, f"Unknown tool: {name[:64]}; there are {known}.")
        if not isinstance(arguments, dict | None):
            raise FaultError(rpc.INVALID_PARAMS, "`arguments` is an object.")
        token = meta.get("progressToken")
        token = token if isinstance(token, (str, int)) and not isinstance(token, bool) else None
        return Call(request.id, name, arguments or {}, modern, token)

    def _noted(self, notification: Notification) -> Iterator[bytes | Cancel]:
        match notification.method:
            case "notifications/cancelled":
                id_ = notification.params.get("requestId")
                if isinstance(id_, (str, int)):
                    yield Cancel(id_)
            case "notifications/initialized" | "notifications/roots/list_changed" if self._has_roots:
                self.awaits_roots = True
                yield rpc.encoded({"id": _ROOTS_ID, "method": "roots/list"})

    def _complete(self, result: dict[str, Any], modern: bool) -> dict[str, Any]:
        """Add what every result of the newer revision has, or take away what older ones do not know."""
        if modern:
            result["resultType"] = "complete"
            result["_meta"] = {**result.get("_meta", {}), f"{_PREFIX}serverInfo": self._info()}
        else:
            result.pop("ttlMs", None)
            result.pop("cacheScope", None)
        return result

    def _info(self) -> dict[str, str]:
        return {"name": "regend", "title": "regend code search", "version": self.server.version}


def is_modern(request: Request) -> bool:
    """Say whether a request is of the revisions without connection state."""
    meta = request.params.get("_meta")
    named = isinstance(meta, dict) and f"{_PREFIX}protocolVersion" in meta
    return named or request.method == "server/discover"


def _unknown(method: str) -> FaultError:
    return FaultError(rpc.METHOD_NOT_FOUND, f"There is no method `{method[:64]}`.")


def check_headers(request: Request, header: Callable[[str], Sequence[str]]) -> None:
    """Refuse a request by HTTP whose headers say something else than its body.

    https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http

    Args:
        header: returns all values of a header.

    Raises:
        FaultError: a header is missing, there twice, or different; or an older client names an unknown revision.
    """
    versions = header("MCP-Protocol-Version")
    if not is_modern(request):
        if request.method != "initialize" and versions and versions[0] not in (*LEGACY, *MODERN):
            data = {"supported": [*MODERN, *LEGACY], "requested": versions[0]}
            raise FaultError(rpc.UNSUPPORTED_VERSION, "Unsupported protocol version", data, request.id)
        return
    meta = request.params.get("_meta")
    version = meta.get(f"{_PREFIX}protocolVersion") if isinstance(meta, dict) else None
    if version is None:
        return  # The request lacks what each must have, which is said first.
    wanted = {"MCP-Protocol-Version": version, "Mcp-Method": request.method}
    if (key := _NAMED.get(request.method)) and isinstance(request.params.get(key), str):
        wanted["Mcp-Name"] = request.params[key]
    for name, value in wanted.items():
        if [_header_text(given) for given in header(name)] != [value]:
            raise FaultError(rpc.HEADER_MISMATCH, f"The header {name} does not say what the body says.", id=request.id)


def _header_text(value: str) -> str | None:
    """Return the text of a header; those that are not plain ASCII come as ``=?base64?...?=``."""
    coded = _CODED.fullmatch(value)
    if coded is None:
        return value
    try:
        return base64.b64decode(coded[1], validate=True).decode()
    except ValueError:
        return None


def _check_envelope(meta: Mapping[str, Any]) -> None:
    """Refuse a request of the newer revision that lacks what each must have, or names a version that is not spoken."""
    version = meta.get(f"{_PREFIX}protocolVersion")
    if not isinstance(version, str):
        raise FaultError(rpc.INVALID_PARAMS, f"`_meta` needs `{_PREFIX}protocolVersion`, a string.")
    if version not in MODERN:
        data = {"supported": [*MODERN, *LEGACY], "requested": version}
        raise FaultError(rpc.UNSUPPORTED_VERSION, "Unsupported protocol version", data)
    if not isinstance(meta.get(f"{_PREFIX}clientCapabilities"), dict):
        raise FaultError(rpc.INVALID_PARAMS, f"`_meta` needs `{_PREFIX}clientCapabilities`, an object.")


def _directories(result: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the paths of a client's roots; other URIs than those of local files are left out."""
    from urllib.parse import unquote, urlsplit

    roots = result.get("roots")
    found = []
    for root in roots if isinstance(roots, list) else ():
        uri = root.get("uri") if isinstance(root, dict) else None
        try:
            parts = urlsplit(uri) if isinstance(uri, str) else None
        except ValueError:  # Such as brackets around what is no address.
            continue
        if parts and parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
            found.append(unquote(parts.path, errors="surrogateescape"))
    return tuple(path for path in found if "\0" not in path)
