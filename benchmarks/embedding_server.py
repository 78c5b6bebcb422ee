"""An embedding server for measurements, on loopback in a thread: slow as told, strict as told, and it keeps a log.

It speaks the OpenAI API. Its vectors are made of a checksum of the text: they cost no time and mean nothing.
"""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from aiohttp import web

from regend.chunking.tokens import estimate_tokens

DIM = 64
START_LIMIT_S = 10.0


@dataclass
class Request:
    """One request as it arrived, monotonic seconds."""

    at: float
    texts: list[str]
    tokens: int
    refused: bool
    answered_at: float = 0.0


@dataclass
class EmbeddingServer:
    """Settings may change at any time.

    Attributes:
        latency_s: from a request to its answer, however many texts it has.
        requests_per_minute, tokens_per_minute: what is beyond these within any 60 seconds is refused; 0 is no limit.
    """

    latency_s: float = 0.0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    port: int = 0
    log: list[Request] = field(default_factory=list)
    _window: deque[tuple[float, int]] = field(default_factory=deque)
    _window_tokens: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def used(self, since: float, until: float) -> tuple[int, int, int]:
        """Count the answered requests, their tokens, and the refused requests."""
        within = [request for request in self.log if since <= request.at < until]
        taken = [request for request in within if not request.refused]
        return len(taken), sum(request.tokens for request in taken), len(within) - len(taken)

    def note(self, now: float, texts: list[str], tokens: int) -> Request:
        """Log a request that arrives, and decide at once whether it is refused."""
        entry = Request(now, texts, tokens, refused=not self._admits(now, tokens))
        self.log.append(entry)
        return entry

    def _admits(self, now: float, tokens: int) -> bool:
        while self._window and self._window[0][0] <= now - 60.0:
            self._window_tokens -= self._window.popleft()[1]
        if self.requests_per_minute and len(self._window) + 1 > self.requests_per_minute:
            return False
        if self.tokens_per_minute and self._window_tokens + tokens > self.tokens_per_minute:
            return False
        self._window.append((now, tokens))
        self._window_tokens += tokens
        return True

    async def handle(self, request: web.Request) -> web.Response:
        now = time.monotonic()
        texts = (await request.json())["input"]
        tokens = sum(map(estimate_tokens, texts))
        entry = self.note(now, texts, tokens)
        if entry.refused:
            return web.Response(status=429, headers={"Retry-After": "1"})
        await asyncio.sleep(self.latency_s)
        entry.answered_at = time.monotonic()
        data = [{"index": n, "embedding": _vector(text)} for n, text in enumerate(texts)]
        return web.json_response({"data": data, "usage": {"total_tokens": tokens}})


def _vector(text: str) -> str:
    vector = np.random.default_rng(crc32(text.encode("utf-8", "surrogatepass"))).standard_normal(DIM)
    return base64.b64encode((vector / np.linalg.norm(vector)).astype("<f4").tobytes()).decode()


@contextmanager
def embedding_server(
    latency_s: float = 0.0, requests_per_minute: int = 0, tokens_per_minute: int = 0
) -> Iterator[EmbeddingServer]:
    """Run a server until the end of the block."""
    server = EmbeddingServer(latency_s, requests_per_minute, tokens_per_minute)
    started, loop = threading.Event(), asyncio.new_event_loop()
    stop = asyncio.Event()

    async def serve() -> None:
        app = web.Application(client_max_size=100_000_000)
        app.router.add_post("/v1/embeddings", server.handle)
        runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.port = runner.addresses[0][1]
        started.set()
        await stop.wait()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), daemon=True)
    thread.start()
    if not started.wait(START_LIMIT_S):
        raise SystemExit("the embedding server for the measurement does not start")
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(START_LIMIT_S)
        loop.close()
