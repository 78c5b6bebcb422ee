"""Brings in the stronger model that the user configured: waits until it can be had, and then offers it to the store and
the pipeline. The built-in model serves meanwhile, and whenever the stronger one does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import structlog

from regend.config import EmbeddingConfig
from regend.core.events import UpgradeOffered
from regend.daemon.driver import Driver
from regend.daemon.embedder import Embedder
from regend.daemon.indexer import Indexer
from regend.daemon.query_vectors import QueryVectors
from regend.daemon.settings import batch_config
from regend.embedding.base import EmbeddingProvider, ModelInfo
from regend.errors import EmbeddingError
from regend.types import ChunkId, RootId, Tier

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0

log = structlog.get_logger(__name__)


class Upgrader:
    """Owns the stronger provider; used on the event loop.

    Args:
        allowed_roots: the roots that may be given to it now; None: all.

    Attributes:
        is_offered: the store and the pipeline know of it.
        error: why they do not yet, or empty.
    """

    def __init__(
        self,
        provider: EmbeddingProvider,
        fetch_texts: Callable[[Sequence[ChunkId]], list[str]],
        query_timeout_s: float,
        allowed_roots: Callable[[], frozenset[RootId] | None],
    ) -> None:
        self.provider = provider
        self.embedder = Embedder(provider, fetch_texts, Tier.UPGRADE)
        self.query_vectors = QueryVectors(provider, query_timeout_s)
        self.is_offered = False
        self.error = ""
        self._allowed_roots = allowed_roots

    async def bring_in(self, config: EmbeddingConfig, indexer: Indexer, driver: Driver) -> None:
        """Offer the model once it is known; tries for ever."""
        model = await self._known_model()
        roots = self._allowed_roots()
        await asyncio.wrap_future(indexer.call(lambda store: store.offer_upgrade(model, roots)))
        driver.send(UpgradeOffered(batch_config(config, model), config.concurrency or model.concurrency))
        self.is_offered = True
        log.info("upgrade_offered", model=model.model_id, dim=model.dim, local=model.local)

    async def close(self) -> None:
        await self.query_vectors.close()
        await self.embedder.close()

    def status(self, state: Any, error: str) -> dict[str, Any]:
        """What `status` shows of it.

        Args:
            state: the snapshot's `UpgradeState`, or None.
            error: what its embedder said last.
        """
        info = self.provider.info
        shown: dict[str, Any] = {"id": info.model_id, "dim": info.dim, "local": info.local, "note": info.note}
        if state is not None:
            shown |= {
                "pools_served": len(state.serving),
                "chunks_lacking": state.lacking,
                "chunks_forgone": state.forgone,
            }
        if self.error or error:
            shown["error"] = self.error or error
        return shown

    async def _known_model(self) -> ModelInfo:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                model = await self.provider.prepare()
            except EmbeddingError as error:
                self.error = str(error)
                log.warning("upgrade_waits", reason=str(error), pause_s=pause_s)
            else:
                self.error = ""
                return model
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
