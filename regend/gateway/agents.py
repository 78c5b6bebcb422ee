"""MCP over HTTP, without state: each POST is one message, and its answer is one JSON document.

The protocol, the tools and the answers are those of `regenctl mcp` (`regend/mcp`).
https://modelcontextprotocol.io/specification/2026-07-28/basic/transports/streamable-http
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from aiohttp import web

from regend import __version__
from regend.errors import RpcError
from regend.gateway.api import raw_body
from regend.mcp import messages as rpc
from regend.mcp.answering import Answerer
from regend.mcp.link import Link
from regend.mcp.messages import FaultError, Request
from regend.mcp.protocol import Call, Server, Session, check_headers
from regend.mcp.scope import Places
from regend.mcp.tools import INSTRUCTIONS, tools

PATH = "/mcp"
MAX_RUNNING = 8
"""Maximum calls that are answered at the same time; further ones wait."""
MAX_WAITING = 64
"""Maximum calls that wait or are answered; further ones are refused."""
MAX_LISTENERS = 32
_ANSWER_LIMIT_S = 60.0
"""Longest time for an answer, the wait for a thread included."""
_ALIVE_S = 15.0
_STATUS_OF = {rpc.METHOD_NOT_FOUND: 404, rpc.INTERNAL_ERROR: 500}
_LISTEN = "subscriptions/listen"


class Agents:
    """Answers MCP clients; owns the threads in which tools are answered."""

    def __init__(self, socket: Path) -> None:
        self._link = Link(socket, starts=False, name="mcp-http")
        offered = tools(manage=False)
        self._server = Server(__version__, INSTRUCTIONS, {name: tool.shown() for name, tool in offered.items()})
        self._answerer = Answerer(self._link, offered, adds=False)
        self._threads = ThreadPoolExecutor(MAX_RUNNING, "mcp")
        self._waiting = 0
        self._listeners: set[asyncio.Event] = set()

    async def post(self, request: web.Request) -> web.StreamResponse:
        """Answer a message; `?root=DIR` in the URL is the repository to search unless the agent names one."""
        if request.content_type != "application/json":
            raise RpcError("A message is JSON; say so with `Content-Type: application/json`.", code="not_json_type")
        root = request.query.get("root", "")
        if root and (not root.startswith("/") or "\0" in root):
            raise RpcError(
                f"`root` in the URL is {root!r}; give the absolute path of a directory, or leave it out.",
                code="invalid_params",
            )
        session = Session(self._server)
        try:
            message = _one_message(await raw_body(request))
            if not isinstance(message, Request):
                return web.Response(status=202)  # Nothing is ever asked of a client, so nothing of it matters here.
            check_headers(message, lambda name: request.headers.getall(name, ()))
            (step,) = session.steps(message)
            if isinstance(step, Call):
                return _line(await self._answered(session, step, Places(root=root)))
            assert isinstance(step, bytes)
            return _line(step) if message.method != _LISTEN else await self._listen(request, step)
        except FaultError as fault:
            return _line(rpc.error_line(fault), _STATUS_OF.get(fault.code, 400))

    async def close(self) -> None:
        """End open streams, and give up the threads."""
        for ended in self._listeners:
            ended.set()
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._link.close()

    async def _answered(self, session: Session, call: Call, places: Places) -> bytes:
        if self._waiting >= MAX_WAITING:
            raise FaultError(rpc.INTERNAL_ERROR, f"{MAX_WAITING} calls wait already; try again.", id=call.id)
        self._waiting += 1
        try:
            answer = partial(self._answerer.answer, session, call, places, (), _report)
            async with asyncio.timeout(_ANSWER_LIMIT_S):
                return await asyncio.get_running_loop().run_in_executor(self._threads, answer)
        except TimeoutError as error:
            late = f"There was no answer within {_ANSWER_LIMIT_S:g} s; try again."
            raise FaultError(rpc.INTERNAL_ERROR, late, id=call.id) from error
        finally:
            self._waiting -= 1

    async def _listen(self, request: web.Request, acknowledged: bytes) -> web.StreamResponse:
        """Keep a subscription open. The lists never change, so nothing follows."""
        if len(self._listeners) >= MAX_LISTENERS:
            raise RpcError(f"{MAX_LISTENERS} clients listen already; close some.", code="busy")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        ended = asyncio.Event()
        self._listeners.add(ended)
        try:
            await response.prepare(request)
            await response.write(b"event: message\ndata: " + acknowledged + b"\n")
            while not ended.is_set():
                try:
                    async with asyncio.timeout(_ALIVE_S):
                        await ended.wait()
                except TimeoutError:
                    await response.write(b": alive\n\n")
        except ConnectionError:
            pass  # The client is gone.
        finally:
            self._listeners.discard(ended)
        return response


def _one_message(raw: bytes) -> rpc.Message:
    """Return the message in a body.

    Raises:
        FaultError: it is no message, or several.
    """
    found = list(rpc.messages(raw))
    if len(found) != 1:
        raise FaultError(rpc.INVALID_REQUEST, "A body is one message; batches are not taken over HTTP.")
    if isinstance(found[0], FaultError):
        raise found[0]
    return found[0]


def _line(line: bytes, status: int = 200) -> web.Response:
    return web.Response(
        body=line.rstrip(b"\n"), status=status, content_type="application/json", headers={"Cache-Control": "no-store"}
    )


def _report(done: float, total: float, message: str) -> None:
    """Tell nothing: no tool that is offered here reports progress."""
