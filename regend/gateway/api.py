"""The JSON endpoints: every method of the socket that asks and changes nothing, with the same parameters and answers.

Parameters are checked as on the socket. Those of a URL are texts, and get their types here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

import msgspec
from aiohttp import web

from regend.errors import RpcError
from regend.gateway.answers import json_answer
from regend.gateway.upstream import Upstream
from regend.rpc.parameters import invalid, request_of
from regend.rpc.schema import METHODS, Method

ASKED = ("search", "symbols", "related", "outline", "why", "status", "list", "files")
"""Methods with an endpoint: those that only read."""
MAX_BODY_BYTES = 4 << 20
BODY_LIMIT_S = 10.0
"""How long a body may take to arrive."""
PREFIX = "/api/"


def in_url(method: Method) -> list[str]:
    """Return the parameters that fit into a URL: texts, numbers and lists of them."""
    hints = get_type_hints(method.request)
    return [item.name for item in fields(method.request) if "Overlay" not in str(hints[item.name])]


class Api:
    """Answers the endpoints."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all methods, each by GET and by POST."""
        found = []
        for name in ASKED:
            found += [
                web.get(f"{PREFIX}{name}", self._answer_url(METHODS[name])),
                web.post(f"{PREFIX}{name}", self._answer_body(METHODS[name])),
            ]
        return found

    def _answer_url(self, method: Method) -> Any:
        async def answer(request: web.Request) -> web.Response:
            params = url_params(method, request.query)
            return json_answer(await self._upstream.call(method.name, params))

        return answer

    def _answer_body(self, method: Method) -> Any:
        async def answer(request: web.Request) -> web.Response:
            params = await body_params(request, method)
            return json_answer(await self._upstream.call(method.name, params))

        return answer


def url_params(method: Method, query: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters in a URL's query with their types; lists are parameters that come several times.

    Raises:
        RpcError: with code ``invalid_params``.
    """
    hints, known = get_type_hints(method.request), in_url(method)
    texts: dict[str, list[str]] = {}
    for name, value in query.items():
        texts.setdefault(name, []).append(value)
    values: dict[str, Any] = {}
    for name, given in texts.items():
        if name in hints and name not in known:
            raise invalid(method, f"takes `{name}` in a body only; send it by POST", name)
        if hints.get(name) == tuple[str, ...]:
            values[name] = given
        elif len(given) > 1:
            raise invalid(method, f"takes one `{name[:64]}`, not {len(given)}", name[:64])
        else:
            values[name] = given[0]
    return _given(request_of(method, values, strict=False), values)


async def body_params(request: web.Request, method: Method) -> dict[str, Any]:
    """Return the parameters in a request's body, which is a JSON object; an empty body means none.

    Raises:
        RpcError: the body is too large, takes too long, is no JSON object, or a parameter is wrong.
    """
    value = await _json_body(request)
    if not isinstance(value, dict):
        raise RpcError("The body must be a JSON object with the parameters.", code="invalid_params")
    # To JSON, `3.0` is a whole number, and some clients write all numbers so.
    values = {
        name: int(item) if isinstance(item, float) and item.is_integer() else item for name, item in value.items()
    }
    return _given(request_of(method, values), values)


def _given(request: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the checked values of the parameters that were given."""
    return {name: msgspec.to_builtins(getattr(request, name)) for name in values}


async def _json_body(request: web.Request) -> object:
    """Return the JSON value in a request's body; `{}` for an empty one. Errors are those of `body_params`."""
    raw = await raw_body(request)
    if not raw:
        return {}
    if request.content_type != "application/json":
        raise RpcError("The body must be JSON; say so with `Content-Type: application/json`.", code="not_json_type")
    try:
        value: object = msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise RpcError(f"The body is not valid JSON: {error}.", code="not_json") from error
    return value


async def raw_body(request: web.Request) -> bytes:
    """Return a request's body. Errors are those of `body_params`."""
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            return await request.read()
    except TimeoutError as error:
        raise RpcError(f"The body did not arrive within {BODY_LIMIT_S:g} s.", code="timeout") from error
    except web.RequestPayloadError as error:
        raise RpcError(f"The body is not what its header says: {error}.", code="not_json") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise RpcError(f"The body is larger than {MAX_BODY_BYTES:,} bytes; send less.", code="too_large") from error
