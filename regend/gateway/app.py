"""The gateway's web application: its routes, and what every request has to go through."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from regend.errors import RegendError, RpcError
from regend.gateway.agents import PATH as AGENTS
from regend.gateway.agents import Agents
from regend.gateway.answers import HEADERS, error_answer, json_answer
from regend.gateway.api import MAX_BODY_BYTES, Api
from regend.gateway.events import PATH as EVENTS
from regend.gateway.events import Events
from regend.gateway.guard import Guard
from regend.gateway.metrics import PATH as METRICS
from regend.gateway.metrics import Metrics
from regend.gateway.openapi import PATH as OPENAPI
from regend.gateway.openapi import document
from regend.gateway.pages import Pages
from regend.gateway.upstream import Upstream

OPEN_PATHS = frozenset(("/", "/healthz", "/readyz"))
OPEN_PREFIX = "/static/"
"""Paths without a token: they tell nothing of the index. The page itself is such; its questions are not."""
ANSWER_LIMIT_S = 40.0
"""Longest time for an answer; longer than the limit of the question to the daemon."""
_STREAMS = frozenset((EVENTS, AGENTS))
"""Paths whose answers may go on without end; they bound their own waits."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def application(
    upstream: Upstream, guard: Guard, editor_link: str, asked: Callable[[web.Request], None]
) -> web.Application:
    """Build the application; it closes `upstream` at its end.

    Args:
        asked: is told of each request whose header has come.
    """
    metrics, events, agents = Metrics(upstream), Events(upstream), Agents(upstream.socket)
    made = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=[_counted(metrics, asked), _answered(guard)])
    made.add_routes([*Api(upstream).routes(), *Pages(upstream, guard, editor_link).routes(), *_probes(upstream)])
    made.add_routes([web.get(EVENTS, events.stream, allow_head=False)])  # A HEAD would wait for a body that never ends.
    made.add_routes([web.get(OPENAPI, _described), web.get(METRICS, metrics.answer)])
    made.add_routes([web.post(AGENTS, agents.post)])
    made.on_response_prepare.append(_add_headers)

    async def close(_: web.Application) -> None:
        await events.close()
        await agents.close()
        await upstream.close()

    made.on_shutdown.append(close)
    return made


async def _described(_: web.Request) -> web.Response:
    return json_answer(document())


def _counted(metrics: Metrics, asked: Callable[[web.Request], None]) -> Any:
    """Return the outermost layer: it counts answers and their times."""

    @web.middleware
    async def answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
        asked(request)
        started_at = time.perf_counter()
        response = await handler(request)
        metrics.count(request, response.status, time.perf_counter() - started_at)
        return response

    return answer


def _answered(guard: Guard) -> Any:
    """Return the layer that lets in who may ask, and turns every error into JSON."""

    @web.middleware
    async def answer(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            guard.check_place(request.host, request.headers)
            if request.path not in OPEN_PATHS and not request.path.startswith(OPEN_PREFIX):
                guard.check_token(request.headers, request.cookies)
            async with asyncio.timeout(None if request.path in _STREAMS else ANSWER_LIMIT_S):
                return await handler(request)
        except RegendError as error:
            return error_answer(error)
        except TimeoutError:
            return error_answer(RpcError(f"There was no answer within {ANSWER_LIMIT_S:g} s.", code="timeout"))
        except web.HTTPMethodNotAllowed as error:
            allowed = ", ".join(sorted(error.allowed_methods))
            refusal = RpcError(f"{request.path} takes {allowed} only.", code="method_not_allowed")
            return error_answer(refusal, {"Allow": allowed})
        except web.HTTPNotFound:
            return error_answer(RpcError("There is no such path; `/api/openapi.json` lists them.", code="not_found"))
        except web.HTTPException:
            raise
        except Exception as error:
            traceback.print_exc()  # Without values: requests hold queries.
            fault = f"A mistake of regend's own ({type(error).__name__}); please report it."
            return error_answer(RpcError(fault, code="internal_error"))

    return answer


async def _add_headers(_: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = "regend"


def _probes(upstream: Upstream) -> list[web.RouteDef]:
    async def is_alive(_: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def is_ready(_: web.Request) -> web.Response:
        try:
            await upstream.call("list", {})
        except RegendError:
            return web.Response(text="the daemon does not answer\n", status=503)
        return web.Response(text="ready\n")

    return [web.get("/healthz", is_alive), web.get("/readyz", is_ready)]
