"""A real embedding server on 127.0.0.1: speaks each dialect, embeds with the hashing encoder, or misbehaves.

It does not model partial batches, models that take time for each token, or HTTP/2.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from regend.chunking.tokens import estimate_tokens
from regend.config import EmbeddingConfig
from regend.embedding.remote.fleet import PROBE_TEXT
from tests import canary
from tests.embedding.hashing import DIM, HashingEncoder

Respond = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]
PATHS = {"http": "/v1", "openai": "/v1", "voyage": "/v1", "ollama": "", "tei": "", "llama-server": ""}
"""The end of the base URL, by provider."""


def vectors_of(texts: Sequence[str]) -> list[list[float]]:
    return [vector.tolist() for vector in HashingEncoder().encode(texts, "document")]


def items(texts: Sequence[str], as_base64: bool = False) -> list[dict[str, Any]]:
    """The `data` of a right answer in the OpenAI API."""
    vectors = HashingEncoder().encode(texts, "document")
    return [
        {"index": n, "embedding": base64.b64encode(v.astype("<f4").tobytes()).decode() if as_base64 else v.tolist()}
        for n, v in enumerate(vectors)
    ]


def texts_in(body: dict[str, Any]) -> list[str]:
    return list(body.get("input", body.get("inputs", body.get("content", []))))


def right_answer(path: str, body: dict[str, Any]) -> web.Response:
    """As the server of that path gives it."""
    texts = texts_in(body)
    tokens = sum(estimate_tokens(text) for text in texts)
    if path == "/api/embed":
        return web.json_response({"embeddings": vectors_of(texts), "prompt_eval_count": tokens})
    if path == "/embed":
        return web.json_response(vectors_of(texts), headers={"x-compute-tokens": str(tokens)})
    if path == "/embedding":
        return web.json_response([{"index": n, "embedding": [v]} for n, v in enumerate(vectors_of(texts))])
    data = items(texts, body.get("encoding_format") == "base64")
    return web.json_response({"data": data, "usage": {"total_tokens": tokens}})


async def good(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return right_answer(request.path, body)


@dataclass
class StrictLimits:
    """Answers 429 to a request that exceeds a limit within any `window_s` seconds; 0 means no limit."""

    requests: float = 0.0
    tokens: float = 0.0
    window_s: float = 60.0
    refused: int = 0
    used: list[float] = field(default_factory=lambda: [0.0, 0.0])
    log: deque[tuple[float, float]] = field(default_factory=deque)

    def admits(self, tokens: float) -> bool:
        now = time.monotonic()
        while self.log and self.log[0][0] <= now - self.window_s:
            self.log.popleft()
        after = (len(self.log) + 1, sum(cost for _, cost in self.log) + tokens)
        if any(limit and used > limit for used, limit in zip(after, (self.requests, self.tokens), strict=True)):
            self.refused += 1
            return False
        self.log.append((now, tokens))
        self.used[0] += 1
        self.used[1] += tokens
        return True


class EmbeddingServer:
    """Answers with `respond`, which a test may replace; keeps what it was asked, probes apart.

    Attributes:
        respond_probe: answers requests that hold the probe text.
        max_items: more texts at once are refused with 413; 0: no bound.
        delay_s: before each answer.
        is_remote: it stands for one on another machine, which must get no secret.
    """

    def __init__(self) -> None:
        self.respond: Respond = good
        self.respond_probe: Respond = good
        self.asked: list[dict[str, Any]] = []
        self.probes: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.limits: StrictLimits | None = None
        self.is_remote = False
        self.max_items = 0
        self.delay_s = 0.0
        self.running = 0
        self.most_running = 0
        self.port = 0

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.origin}/v1"

    def config(self, provider: str = "http", **changes: Any) -> EmbeddingConfig:
        """A configuration that leads here and tries nothing twice."""
        base: dict[str, Any] = {
            "provider": provider, "urls": (self.origin + PATHS[provider],), "model": "hash", "dim": DIM,
            "timeout_s": 10.0, "attempts": 1, "max_text_tokens": 1_000_000, "api_key_env": canary.KEY_VARIABLE,
        }  # fmt: skip
        return EmbeddingConfig(**base | changes)

    def answer(self, response: Callable[[list[str]], web.StreamResponse]) -> None:
        """From now on, answer each request with `response(texts)`."""

        async def respond(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            return response(texts_in(body))

        self.respond = respond

    def answer_in_turn(self, *responses: Respond | Callable[[], web.StreamResponse] | None) -> None:
        """Answer the next requests with these, None for a right answer, and all others right."""
        left = deque(responses)

        async def respond(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            response = left.popleft() if left else None
            if response is None:
                return await good(request, body)
            try:
                return response()  # type: ignore[call-arg, return-value]
            except TypeError:
                return await response(request, body)  # type: ignore[call-arg, misc]

        self.respond = respond

    @property
    def texts(self) -> list[list[str]]:
        """The texts of each request that was no probe."""
        return [texts_in(body) for body in self.asked]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        canary.look("a request", raw, canary.KEY, *([canary.SECRET] if self.is_remote else []))
        body = json.loads(raw)
        texts = texts_in(body)
        is_probe = PROBE_TEXT in texts
        (self.probes if is_probe else self.asked).append(body)
        self.headers.append(dict(request.headers))
        if self.limits is not None and not self.limits.admits(sum(estimate_tokens(text) for text in texts)):
            return web.Response(status=429, text="slow down")
        if self.max_items and len(texts) > self.max_items:
            return web.Response(status=413, text="batch too large")
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            return await (self.respond_probe if is_probe else self.respond)(request, body)
        finally:
            self.running -= 1


@asynccontextmanager
async def serving(port: int = 0) -> AsyncIterator[EmbeddingServer]:
    server = EmbeddingServer()
    app = web.Application(client_max_size=100_000_000)
    for path in ("/v1/embeddings", "/api/embed", "/embed", "/embedding"):
        app.router.add_post(path, server._handle)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
        await asyncio.sleep(0)
