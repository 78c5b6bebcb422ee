"""A real embedding server on 127.0.0.1: speaks the OpenAI API, embeds with the hashing encoder, or misbehaves."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from regend.config import EmbeddingConfig
from regend.embedding.hashing import DIM, HashingEncoder

Respond = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


def items(texts: list[str], as_base64: bool = False) -> list[dict[str, Any]]:
    """The `data` of a right answer."""
    vectors = HashingEncoder().encode(texts, "document")
    return [
        {"index": n, "embedding": base64.b64encode(v.astype("<f4").tobytes()).decode() if as_base64 else v.tolist()}
        for n, v in enumerate(vectors)
    ]


async def good(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"data": items(body["input"])})


class EmbeddingServer:
    """Answers with `respond`, which a test may replace; keeps what it was asked."""

    def __init__(self) -> None:
        self.respond: Respond = good
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def config(self, **changes: Any) -> EmbeddingConfig:
        """A configuration that leads here."""
        return EmbeddingConfig(
            **{"provider": "http", "url": self.url, "model": "hash", "dim": DIM, "timeout_s": 10.0} | changes
        )

    def answer(self, response: Callable[[list[str]], web.StreamResponse]) -> None:
        """From now on, answer each request with `response(texts)`."""

        async def respond(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            return response(body["input"])

        self.respond = respond

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append(body)
        self.headers.append(dict(request.headers))
        return await self.respond(request, body)


@asynccontextmanager
async def serving() -> AsyncIterator[EmbeddingServer]:
    server = EmbeddingServer()
    app = web.Application(client_max_size=100_000_000)
    app.router.add_post("/v1/embeddings", server._handle)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)
