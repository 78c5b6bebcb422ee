"""A model that serves: its provider, and what asks it for the index and for queries."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from regend.daemon.embedder import Embedder
from regend.daemon.query_vectors import QueryVectors
from regend.embedding.base import EmbeddingProvider
from regend.embedding.registry import QueryEncoder
from regend.sharing.base import SharedModel
from regend.types import ChunkId, Track

QUERY_EMBED_TIMEOUT_S = 2.0


class ServedModel:
    """A track's provider and the parts that ask it; used on the event loop.

    Args:
        fetch_texts: reads the texts of chunks from the store, in order; called in a thread.
        encode: the model of this process, which embeds queries; None where the provider has to be asked.

    Attributes:
        error: why the store and the pipeline do not know of the model yet, or empty.
    """

    def __init__(
        self,
        provider: EmbeddingProvider,
        fetch_texts: Callable[[Sequence[ChunkId]], list[str]],
        track: Track,
        encode: QueryEncoder | None = None,
    ) -> None:
        self.provider = provider
        self.track = track
        self.error = ""
        self.embedder = Embedder(provider, fetch_texts, track)
        self.query_vectors = QueryVectors(provider, QUERY_EMBED_TIMEOUT_S, encode)

    @property
    def shared_model(self) -> SharedModel:
        """The model as shared stores name it."""
        return SharedModel(self.provider.info.model_id, self.provider.info.dim)

    async def close(self) -> None:
        """Drop the queries in progress and close the provider."""
        await self.query_vectors.close()
        await self.embedder.close()
