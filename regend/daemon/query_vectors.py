"""Vectors of queries: from a small cache, together with others that are asked at the same time, and never late.

A query goes at once while fewer than two requests are under way; what comes meanwhile joins the next one.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass

import structlog

from regend.core.batcher import Batch, BatchConfig, Batcher
from regend.daemon.secret_scan import secret_in
from regend.embedding.base import EmbeddingProvider, Matrix
from regend.errors import EmbeddingError, ProviderUnavailableError
from regend.types import Lane

CACHED_QUERIES = 256
_SLOTS = 2
_CHARS_PER_TOKEN = 4

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class QueryCounters:
    """Totals since the start.

    Attributes:
        requests: made for queries; answers from the cache are not among them.
        failures: queries that got no vector.
    """

    requests: int = 0
    failures: int = 0


@dataclass(frozen=True, slots=True)
class _Query:
    text: str
    token_count: int
    size_bytes: int


class QueryVectors:
    """Owns the cache and what is under way for queries; used on the event loop."""

    def __init__(self, provider: EmbeddingProvider, timeout_s: float) -> None:
        self._provider = provider
        self._timeout_s = timeout_s
        self._cache: OrderedDict[str, Matrix] = OrderedDict()
        self._waiting: dict[str, asyncio.Future[Matrix]] = {}
        self._batcher = Batcher[_Query](BatchConfig(provider.info.max_items, provider.info.max_tokens, linger_s=0.0))
        self._running: set[asyncio.Task[None]] = set()
        self.counters = QueryCounters()

    async def vector(self, text: str) -> Matrix | None:
        """The query's vector: float32 [dim], L2-normalised. None when the provider fails or is late: words must do."""
        cached = self._cache.get(text)
        if cached is not None:
            self._cache.move_to_end(text)
            return cached
        if not self._provider.info.local and (kind := secret_in(text)):
            self.counters.failures += 1
            log.warning("query_kept_here", kind=kind)
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                # The request goes on for others that wait for it, and for the cache.
                return await asyncio.shield(self._asked(text))
        except (EmbeddingError, TimeoutError) as error:
            self.counters.failures += 1
            log.warning("query_embedding_failed", reason=str(error) or "timeout")
            return None

    async def close(self) -> None:
        """End what is under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _asked(self, text: str) -> asyncio.Future[Matrix]:
        found = self._waiting.get(text)
        if found is None:
            found = self._waiting[text] = asyncio.get_running_loop().create_future()
            found.add_done_callback(_seen)
            size_bytes = len(text.encode("utf-8", "surrogatepass"))
            query = _Query(text, size_bytes // _CHARS_PER_TOKEN + 1, size_bytes)
            self._batcher.add(query, Lane.QUERY, time.monotonic())
            self._pump()
        return found

    def _pump(self) -> None:
        while len(self._running) < _SLOTS and (batch := self._batcher.take(time.monotonic())) is not None:
            task = asyncio.create_task(self._ask(batch))
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._pump()

    async def _ask(self, batch: Batch[_Query]) -> None:
        texts = [query.text for query in batch.items]
        self.counters.requests += 1
        try:
            vectors = await self._provider.embed(texts, "query", Lane.QUERY)
        except EmbeddingError as error:
            self._fail(texts, error)
            return
        except BaseException as error:
            self._fail(texts, ProviderUnavailableError(f"The embedding provider failed: {type(error).__name__}."))
            raise
        for text, vector in zip(texts, vectors, strict=True):
            self._keep(text, vector)

    def _keep(self, text: str, vector: Matrix) -> None:
        vector.flags.writeable = False  # It is handed out again and again.
        self._cache[text] = vector
        if len(self._cache) > CACHED_QUERIES:
            self._cache.popitem(last=False)
        future = self._waiting.pop(text)
        if not future.done():
            future.set_result(vector)

    def _fail(self, texts: list[str], error: EmbeddingError) -> None:
        for text in texts:
            future = self._waiting.pop(text)
            if not future.done():
                future.set_exception(error)


def _seen(future: asyncio.Future[Matrix]) -> None:
    """Whoever asked may have given up; that nobody looks at an error is then no fault."""
    if not future.cancelled():
        future.exception()
