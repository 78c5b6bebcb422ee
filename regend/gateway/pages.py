"""The page and its files, which hold no data and need no token, and the few answers that only the page asks for."""

from __future__ import annotations

import asyncio
import hashlib
import os
from contextlib import suppress
from importlib.resources import files
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from regend import __version__
from regend.errors import RegendError, RpcError
from regend.gateway.answers import STATUS_OF, json_answer, json_bytes
from regend.gateway.api import body_params
from regend.gateway.guard import Guard
from regend.gateway.highlight import Run, coloured_runs
from regend.gateway.upstream import Upstream
from regend.rpc.schema import METHODS

_TYPES = {
    ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".txt": "text/plain",
}  # fmt: skip
_YEAR_S = 31_536_000
PREFIX = "/page/"
_NOTHING: dict[str, Any] = {
    "results": [],
    "words": [],
    "notes": [],
    "complete": True,
    "took_ms": 0.0,
    "next_offset": None,
}


class Pages:
    """Serves the page; owns its files, some 100 KB, read once.

    Args:
        editor_link: as in the configuration.
    """

    def __init__(self, upstream: Upstream, guard: Guard, editor_link: str) -> None:
        self._upstream = upstream
        self._guard = guard
        self._facts = {"version": __version__, "editor_link": editor_link, "home": os.path.expanduser("~")}  # noqa: PTH111
        self._files = _page_files()

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of the page."""
        return [
            web.get("/", self._home),
            web.get("/static/{name:[a-z0-9./-]+}", self._file),
            web.get(f"{PREFIX}facts", self._tell_facts),
            web.post(f"{PREFIX}search", self._asked("search")),
            web.post(f"{PREFIX}related", self._asked("related")),
        ]

    async def _home(self, request: web.Request) -> web.StreamResponse:
        """Show the page. A link with the token hands it over as a cookie, so that it leaves the address bar."""
        if "token" in request.query:
            self._guard.check_token({"Authorization": f"Bearer {request.query['token']}"}, {})
            rest = [(name, value) for name, value in request.query.items() if name != "token"]
            answer = web.Response(status=303, headers={"Location": f"/?{urlencode(rest)}" if rest else "/"})
            answer.set_cookie(
                self._guard.cookie, self._guard.token, max_age=_YEAR_S, httponly=True, samesite="Strict", path="/"
            )
            answer.headers["Cache-Control"] = "no-store"
            return answer
        return self._served(request, "index.html")

    async def _file(self, request: web.Request) -> web.StreamResponse:
        return self._served(request, request.match_info["name"])

    def _served(self, request: web.Request, name: str) -> web.StreamResponse:
        if name not in self._files:
            raise RpcError(f"There is no file {name[:80]!r}.", code="not_found")
        content, kind, tag = self._files[name]
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=content, content_type=kind, charset="utf-8", headers=headers)

    async def _tell_facts(self, _: web.Request) -> web.Response:
        return json_answer(self._facts)

    def _asked(self, method: str) -> Any:
        """Return a handler whose answer has two lines: what was found, and then `runs` of each snippet.

        The page shows the first at once. Lexers take longer than the search, and another thread runs them, so that no
        other request waits.
        """

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                found = await self._upstream.call(method, await body_params(request, METHODS[method]))
            except RegendError as error:
                if STATUS_OF.get(error.code) != 422:
                    raise
                # Half a filter is nothing unusual while it is typed, and browsers log other statuses as errors.
                found = {**_NOTHING, "trouble": str(error)}
            response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"})
            await response.prepare(request)
            with suppress(ConnectionError):  # The page has asked again and reads this answer no more.
                await response.write(json_bytes(found) + b"\n")
                coloured: list[list[list[Run]]] = []
                for result in found["results"]:
                    if request.transport is None or request.transport.is_closing():
                        break
                    coloured.append(await asyncio.to_thread(coloured_runs, result, found["words"]))
                await response.write(json_bytes({"runs": coloured}) + b"\n")
            return response

        return answer


def _page_files() -> dict[str, tuple[bytes, str, str]]:
    """Return content, type and entity tag of the page's files, by their path below `page/`."""
    found: dict[str, tuple[bytes, str, str]] = {}
    todo = [(entry, entry.name) for entry in files("regend.gateway").joinpath("page").iterdir()]
    while todo:
        entry, name = todo.pop()
        if entry.is_dir():
            todo += [(inner, f"{name}/{inner.name}") for inner in entry.iterdir()]
        elif kind := _TYPES.get(os.path.splitext(name)[1]):  # noqa: PTH122
            content = entry.read_bytes()
            found[name] = content, kind, f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    return found
