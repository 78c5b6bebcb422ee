"""Vectors of queries: remembered, by the model of this process or asked for together, and never late.

A query is sent at once while fewer than two requests are in progress; later ones join the next request.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from threading import Lock

import structlog

from regend.core.batcher import Batch, BatchConfig, Batcher
from regend.daemon.secret_scan import secret_in
from regend.embedding.base import EmbeddingProvider, Matrix
from regend.embedding.registry import QueryEncoder
from regend.errors import EmbeddingError, ProviderUnavailableError
from regend.types import Lane

CACHED_QUERIES = 256
"""Maximum vectors remembered; people and agents ask again."""
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


class _Remembered:
    """The vectors of the latest queries, read-only; any thread may use them."""

    def __init__(self) -> None:
        self._vectors: dict[str, Matrix] = {}
        self._lock = Lock()

    def get(self, text: str) -> Matrix | None:
        with self._lock:
            vector = self._vectors.pop(text, None)
            if vector is not None:
                self._vectors[text] = vector  # Moves to the end.
            return vector

    def keep(self, text: str, vector: Matrix) -> Matrix:
        vector.flags.writeable = False
        with self._lock:
            self._vectors[text] = vector
            if len(self._vectors) > CACHED_QUERIES:
                del self._vectors[next(iter(self._vectors))]
        return vector


class QueryVectors:
    """Owns the cache and the requests in progress for queries; used on the event loop.

    Args:
        timeout_s: how long a query waits for its vector.
        encode: the model of this process, for `encoded`; None where `vector` has to ask for it.
    """

    def __init__(self, provider: EmbeddingProvider, timeout_s: float, encode: QueryEncoder | None = None) -> None:
        self._provider = provider
        self._timeout_s = timeout_s
        self.encoded = None if encode is None else self._remembering(encode)
        self._remembered = _Remembered()
        self._waiting: dict[str, asyncio.Future[Matrix]] = {}
        self._batcher = Batcher[_Query](BatchConfig(provider.info.max_items, provider.info.max_tokens, linger_s=0.0))
        self._running: set[asyncio.Task[None]] = set()
        self.counters = QueryCounters()

    def _remembering(self, encode: QueryEncoder) -> QueryEncoder:
        def encoded(text: str) -> Matrix:
            known = self._remembered.get(text)
            return self._remembered.keep(text, encode(text)) if known is None else known

        return encoded

    async def vector(self, text: str) -> Matrix | None:
        """Return the query's vector: float32 [dim], L2-normalised. None when the provider fails or is late."""
        known = self._remembered.get(text)
        if known is not None:
            return known
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
        """Cancel the requests in progress."""
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
            self._waiting.pop(text).set_result(self._remembered.keep(text, vector))

    def _fail(self, texts: list[str], error: EmbeddingError) -> None:
        for text in texts:
            self._waiting.pop(text).set_exception(error)


def _seen(future: asyncio.Future[Matrix]) -> None:
    """Look at the error of a request whose queries may all have given up, so that asyncio does not report it."""
    if not future.cancelled():
        future.exception()
