"""A model that serves: its provider, and what asks it for the index and for queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from regend.daemon.embedder import Embedder
from regend.daemon.query_vectors import QueryVectors
from regend.embedding.base import EmbeddingProvider
from regend.types import ChunkId, Tier

QUERY_EMBED_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class ServedModel:
    """Used on the event loop."""

    provider: EmbeddingProvider
    embedder: Embedder
    query_vectors: QueryVectors

    @classmethod
    def of(
        cls, provider: EmbeddingProvider, fetch_texts: Callable[[Sequence[ChunkId]], list[str]], tier: Tier
    ) -> ServedModel:
        """Serve a provider; `fetch_texts` reads the texts of chunks, in a thread."""
        return cls(provider, Embedder(provider, fetch_texts, tier), QueryVectors(provider, QUERY_EMBED_TIMEOUT_S))

    async def close(self) -> None:
        """Drop the queries in progress and close the provider."""
        await self.query_vectors.close()
        await self.embedder.close()
