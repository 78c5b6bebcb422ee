"""The Model Context Protocol without IO: a message goes in, what to do about it comes out.

Both eras are spoken on the same stream. A request with a protocol version in its `_meta` is of revision 2026-07-28,
which knows no connection state; any other is of the revisions that begin with `initialize`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from regend.mcp import messages as rpc
from regend.mcp.messages import FaultError, Notification, Reply, Request

MODERN = ("2026-07-28",)
LEGACY = ("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05")
"""Protocol revisions, newest first."""
_PREFIX = "io.modelcontextprotocol/"
_CACHED_MS = 3_600_000
"""How long a client may keep a list; the tools change with a new release only."""
_ROOTS_ID = "regend-roots"


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
                match message:
                    case FaultError():
                        raise message
                    case Request():
                        yield self._answer_or_call(message)
                    case Notification():
                        yield from self._noted(message)
                    case Reply(id=id_, result=result) if id_ == _ROOTS_ID:
                        self.awaits_roots = False
                        self.directories = _directories(result or {})
                    case Reply():
                        pass  # Nothing else is asked of a client.
            except FaultError as fault:
                if fault.id is None and isinstance(message, Request):
                    fault.id = message.id
                yield rpc.error_line(fault)

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
        modern = request.method != "initialize" and (
            f"{_PREFIX}protocolVersion" in meta or request.method == "server/discover"
        )
        if modern:
            _check_envelope(meta)
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
                raise FaultError(rpc.METHOD_NOT_FOUND, f"There is no method `{request.method[:64]}`.")

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
        parts = urlsplit(uri) if isinstance(uri, str) else None
        if parts and parts.scheme == "file" and parts.netloc in ("", "localhost") and parts.path.startswith("/"):
            found.append(unquote(parts.path))
    return tuple(found)
