"""Carries out `Embed`: fetches the texts, asks the provider, and finds the chunk that spoils a batch.

A rejected batch is halved until the poison is alone, so one text that a provider refuses does not cost the others
their vectors. Before that it is asked for the vector of a harmless text: when it refuses that too, the fault is the
provider's or the configuration's (a wrong dimension, say), and the batch is tried again later.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from regend.core.commands import Embed
from regend.core.events import Embedded, EmbedFailed
from regend.embedding.base import EmbeddingProvider, Matrix, checked
from regend.errors import EmbeddingError, ProviderRejectedError, ProviderUnavailableError, StoreError
from regend.types import ChunkId, Lane

REFUSED_PAUSE_S = 30.0
"""Before a batch is tried again when the provider refuses everything."""
HARMLESS_TEXT = "def add(a, b):\n    return a + b"
_CACHED_QUERIES = 256

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class EmbedCounters:
    """Totals since the start.

    Attributes:
        embedded_chunks: texts given to the provider for the index, each time that they were.
        requests: requests made for the index.
        tokens: estimated tokens of the batches.
        failures: requests that gave no vectors, and batches whose texts could not be read.
        splits: times that a batch was halved to find the text that spoils it.
        request_s: seconds that requests took, together.
        query_requests: requests made for queries; answers from the cache are not among them.
        query_failures: of these, the ones that gave no vector.
    """

    embedded_chunks: int = 0
    requests: int = 0
    tokens: int = 0
    failures: int = 0
    splits: int = 0
    request_s: float = 0.0
    query_requests: int = 0
    query_failures: int = 0


class Embedder:
    """Owns the provider and the counters; used on the event loop.

    Args:
        fetch_texts: reads the texts of chunks from the store, in order; called in a thread.
    """

    def __init__(
        self, provider: EmbeddingProvider, fetch_texts: Callable[[Sequence[ChunkId]], list[str]], query_timeout_s: float
    ) -> None:
        self._provider = provider
        self._fetch_texts = fetch_texts
        self._query_timeout_s = query_timeout_s
        self._queries: OrderedDict[str, Matrix] = OrderedDict()
        self.counters = EmbedCounters()

    async def run(self, command: Embed) -> Embedded | EmbedFailed:
        """Embed one batch. Never raises but for cancellation."""
        batch = command.batch_id
        try:
            texts = await asyncio.to_thread(self._fetch_texts, command.chunks)
        except StoreError as error:
            self.counters.failures += 1
            return EmbedFailed(batch, str(error), REFUSED_PAUSE_S)
        self.counters.tokens += command.token_count
        try:
            vectors, failed = await self._embed(texts, command.lane)
        except ProviderUnavailableError as error:
            return EmbedFailed(batch, str(error), error.retry_after_s or 0.0)
        except ProviderRejectedError as error:
            return EmbedFailed(batch, str(error), REFUSED_PAUSE_S)
        except Exception as error:
            # A provider's bug must not end the daemon; words are searchable without it.
            log.exception("embedding_failed", batch=batch)
            return EmbedFailed(batch, f"{type(error).__name__}: {error}", REFUSED_PAUSE_S)
        return Embedded(batch, vectors, tuple((command.chunks[row], failed[row]) for row in sorted(failed)))

    async def embed_query(self, text: str) -> Matrix | None:
        """The query's vector: float32 [dim], L2-normalised. None when the provider fails or is late: words must do."""
        cached = self._queries.get(text)
        if cached is not None:
            self._queries.move_to_end(text)
            return cached
        self.counters.query_requests += 1
        try:
            async with asyncio.timeout(self._query_timeout_s):
                vectors = await self._provider.embed([text], "query", Lane.QUERY)
            vector: Matrix = checked(vectors, 1, self._provider.info.dim, "The embedding provider")[0]
        except (EmbeddingError, TimeoutError) as error:
            self.counters.query_failures += 1
            log.warning("query_embedding_failed", reason=str(error) or "timeout")
            return None
        vector.flags.writeable = False  # It is handed out again and again.
        self._queries[text] = vector
        if len(self._queries) > _CACHED_QUERIES:
            self._queries.popitem(last=False)
        return vector

    async def close(self) -> None:
        await self._provider.close()

    async def _embed(self, texts: Sequence[str], lane: Lane) -> tuple[Matrix, dict[int, str]]:
        """Vectors of the rows that did not fail, and why the others did.

        Raises:
            ProviderUnavailableError: worth a retry later.
            ProviderRejectedError: the provider refuses any text.
        """
        if not texts:
            return self._no_vectors(), {}
        try:
            return await self._request(texts, lane), {}
        except ProviderRejectedError as error:
            log.warning("embedding_rejected", texts=len(texts), reason=str(error))
        self.counters.requests += 1
        await self._ask([HARMLESS_TEXT], lane)
        return await self._isolate(texts, lane)

    async def _isolate(self, texts: Sequence[str], lane: Lane) -> tuple[Matrix, dict[int, str]]:
        """As `_embed`, for texts of which at least one was refused in a request with all of them.

        One that is alone is tried once more: when a worker process was killed, the text may not be to blame.
        """
        middle = len(texts) // 2
        halves = [(0, texts)] if len(texts) == 1 else [(0, texts[:middle]), (middle, texts[middle:])]
        self.counters.splits += len(halves) - 1
        parts: list[Matrix] = []
        failed: dict[int, str] = {}
        for start, half in halves:
            try:
                parts.append(await self._request(half, lane))
            except ProviderRejectedError as error:
                if half is texts:
                    failed[start] = str(error)
                    continue
                vectors, inner = await self._isolate(half, lane)
                parts.append(vectors)
                failed.update({start + row: reason for row, reason in inner.items()})
        return np.concatenate([self._no_vectors(), *parts]), failed

    def _no_vectors(self) -> Matrix:
        return np.zeros((0, self._provider.info.dim), np.float32)

    async def _request(self, texts: Sequence[str], lane: Lane) -> Matrix:
        self.counters.requests += 1
        self.counters.embedded_chunks += len(texts)
        return await self._ask(texts, lane)

    async def _ask(self, texts: Sequence[str], lane: Lane) -> Matrix:
        started_at = time.perf_counter()
        try:
            vectors = await self._provider.embed(texts, "document", lane)
            return checked(vectors, len(texts), self._provider.info.dim, "The embedding provider")
        except EmbeddingError:
            self.counters.failures += 1
            raise
        finally:
            took_s = time.perf_counter() - started_at
            self.counters.request_s += took_s
            log.debug("embedding_request", texts=len(texts), took_ms=round(took_s * 1e3, 2))
