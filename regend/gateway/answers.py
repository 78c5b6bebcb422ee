"""Answers as JSON, and errors with the HTTP status that fits their code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import web

from regend.errors import RegendError
from regend.mcp.messages import readable

STATUS_OF = {
    "invalid_params": 400, "not_json": 400, "config_error": 400,
    "unauthorized": 401,
    "wrong_host": 403, "wrong_origin": 403,
    "not_found": 404, "root_error": 404, "path_error": 404,
    "method_not_allowed": 405,
    "too_large": 413,
    "not_json_type": 415,
    "query_error": 422, "filter_error": 422, "search_error": 422,
    "daemon_not_running": 503, "connection_lost": 503, "stopping": 503, "too_many_connections": 503, "busy": 503,
    "timeout": 504, "not_synced": 504,
}  # fmt: skip
"""The status of each error code; 500 for others."""
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer."""


def json_bytes(value: object) -> bytes:
    """Return a value as JSON. Bytes of file names that are not UTF-8 become U+FFFD, because JSON has no bytes."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(readable(value))


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with a value."""
    kept = {"Cache-Control": "no-store", **(headers or {})}
    return web.Response(body=json_bytes(value), status=status, content_type="application/json", headers=kept)


def error_answer(error: RegendError, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with an error: its code, its message, and its data if it has some."""
    body: dict[str, Any] = {"code": error.code, "message": str(error)}
    if (data := getattr(error, "data", None)) is not None:
        body["data"] = data
    status = STATUS_OF.get(error.code, 500)
    more = {"WWW-Authenticate": 'Bearer realm="regend"'} if status == 401 else {}
    return json_answer({"error": body}, status, {**more, **(headers or {})})
