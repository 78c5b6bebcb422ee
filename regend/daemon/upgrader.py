"""Brings in the stronger model that the user configured: waits until its provider answers, and then offers it to the
store and the pipeline. The built-in model serves meanwhile, and whenever the stronger one does not answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from regend.config import EmbeddingConfig
from regend.core.events import TrackOffered
from regend.daemon.driver import Driver
from regend.daemon.indexer import Indexer
from regend.daemon.models import ServedModel
from regend.daemon.settings import batch_config
from regend.embedding.base import ModelInfo
from regend.errors import EmbeddingError
from regend.types import RootId

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0

log = structlog.get_logger(__name__)


class Upgrader:
    """Offers the stronger model; used on the event loop.

    Args:
        allowed_roots: the roots whose text the model may be given now; None: all.

    Attributes:
        error: why the store and the pipeline do not know of the model yet, or empty.
    """

    def __init__(self, model: ServedModel, allowed_roots: Callable[[], frozenset[RootId] | None]) -> None:
        self.model = model
        self.error = ""
        self._allowed_roots = allowed_roots

    async def bring_in(self, config: EmbeddingConfig, indexer: Indexer, driver: Driver) -> None:
        """Offer the model once it is known; retry without end."""
        model = await self._known_model()
        roots = self._allowed_roots()
        await asyncio.wrap_future(indexer.call(lambda store: store.offer_track(model, roots)))
        driver.send(TrackOffered(batch_config(config, model), config.concurrency or model.concurrency))
        log.info("upgrade_offered", model=model.model_id, dim=model.dim, local=model.local)

    async def _known_model(self) -> ModelInfo:
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                model = await self.model.provider.prepare()
            except EmbeddingError as error:
                self.error = str(error)
                log.warning("upgrade_waits", reason=str(error), pause_s=pause_s)
            else:
                self.error = ""
                return model
            await asyncio.sleep(pause_s)
            pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
