"""Brings in a stronger model that the user configured: waits until its provider answers, and then offers it to the
store and the pipeline. The models before it serve meanwhile, and whenever it does not answer.
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


async def bring_in(
    served: ServedModel,
    config: EmbeddingConfig,
    indexer: Indexer,
    driver: Driver,
    allowed_roots: Callable[[], frozenset[RootId] | None],
) -> None:
    """Offer the model once it is known; retry without end. Runs on the event loop.

    Args:
        allowed_roots: the roots whose text the model may be given now; None: all.
    """
    model = await _known_model(served)
    roots = allowed_roots()
    await asyncio.wrap_future(indexer.call(lambda store: store.offer_track(model, roots)))
    driver.send(TrackOffered(batch_config(config, model), config.concurrency or model.concurrency))
    log.info("upgrade_offered", model=model.model_id, dim=model.dim, local=model.local)


async def _known_model(served: ServedModel) -> ModelInfo:
    pause_s = _FIRST_PAUSE_S
    while True:
        try:
            model = await served.provider.prepare()
        except EmbeddingError as error:
            served.error = str(error)
            log.warning("upgrade_waits", reason=str(error), pause_s=pause_s)
        else:
            served.error = ""
            return model
        await asyncio.sleep(pause_s)
        pause_s = min(2.0 * pause_s, _LONGEST_PAUSE_S)
