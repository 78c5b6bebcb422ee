"""Asks shared pools for vectors before a text is embedded, and notes what they are still to be given.

The embedder waits for a store no longer than its deadline, and not at all while the store is away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from regend.embedding.base import Matrix, ModelInfo
from regend.sharing.base import SharedModel, SharedStore
from regend.sharing.outbox import Outbox
from regend.sharing.patience import Patience
from regend.sharing.reach import Reach
from regend.store.reads import Reads
from regend.types import ChunkId, RootId

_NORM_ERROR = 0.01
"""Vectors whose length differs from 1 by more come from a faulty or hostile writer and are not used."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class SharedRoot:
    """A root that shares.

    Attributes:
        pool: name of the pool in the store.
        place: what the outbox calls it.
    """

    root: RootId
    path: str
    pool: str
    place: str


@dataclass(slots=True)
class SharedCounters:
    """Totals since the start.

    Attributes:
        reused: chunks whose vectors came from the store, and were not embedded.
        pushed: vectors that were given to the store and were new there.
        withheld: chunks that were not asked for or given, because they look like secrets.
        searched: queries that the store answered.
        search_failures: queries that it did not answer in time.
    """

    reused: int = 0
    pushed: int = 0
    withheld: int = 0
    searched: int = 0
    search_failures: int = 0


class Reuse:
    """Answers embedders; used on the event loop.

    Args:
        shares: tells whether the root of this real path shares.
        roots: the roots that share, now.
        is_secret: tells whether a text looks like a secret.
        noted: called after chunks were noted.
    """

    def __init__(
        self,
        store: SharedStore,
        outbox: Outbox,
        reads: Reads,
        reach: Reach,
        counters: SharedCounters,
        timeout_s: float,
        shares: Callable[[str], bool],
        roots: Callable[[], Awaitable[Sequence[SharedRoot]]],
        is_secret: Callable[[str], bool],
        noted: Callable[[], None],
    ) -> None:
        self._store = store
        self._outbox = outbox
        self._reads = reads
        self._reach = reach
        self._counters = counters
        self._timeout_s = timeout_s
        self.shares = shares
        self._roots = roots
        self._is_secret = is_secret
        self._noted = noted
        self._patience = Patience(reach)

    async def fetch(self, model: ModelInfo, chunks: Sequence[ChunkId], texts: Sequence[str]) -> dict[int, Matrix]:
        """Return the vectors that shared pools have, by row: float32 [dim], L2-normalised. Never raises.

        All chunks that belong to a shared root and do not look like secrets are noted for the store.
        """
        shared = SharedModel(model.model_id, model.dim)
        try:
            roots = await self._roots()
            if not roots:
                return {}
            places = await asyncio.to_thread(self._note, roots, shared, chunks, texts)
        except Exception as error:
            # The outbox is a convenience, and a comparison of the whole tree finds what it lacks.
            log.warning("outbox_failed", reason=str(error) or type(error).__name__)
            return {}
        if places:
            self._noted()
        found: dict[ChunkId, Matrix] = {}
        for pool, wanted in places.items():
            missing = sorted(wanted - found.keys())
            if missing and self._reach.may_ask(pool, time.monotonic()):
                found |= await self._fetch(pool, shared, missing)
        self._counters.reused += len(found)
        return {row: found[chunk] for row, chunk in enumerate(chunks) if chunk in found}

    def _note(
        self, roots: Sequence[SharedRoot], model: SharedModel, chunks: Sequence[ChunkId], texts: Sequence[str]
    ) -> Mapping[str, set[ChunkId]]:
        """Note the chunks of each root in the outbox; return those that each pool may be asked for."""
        places: dict[str, set[ChunkId]] = {}
        text_of = dict(zip(chunks, texts, strict=True))
        harmless: dict[ChunkId, bool] = {}
        for root in roots:
            own = self._reads.chunks_in(root.root, chunks)
            for chunk in own - harmless.keys():
                harmless[chunk] = not self._is_secret(text_of[chunk])
                self._counters.withheld += not harmless[chunk]
            if own := {chunk for chunk in own if harmless[chunk]}:
                self._outbox.note(root.place, model, sorted(own))
                places.setdefault(root.pool, set()).update(own)
        return places

    async def _fetch(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> dict[ChunkId, Matrix]:
        answer = await self._patience.wait_for(pool, self._store.fetch(pool, model, chunks), self._timeout_s)
        if answer is None:
            return {}
        found, halves = answer
        vectors = halves.astype(np.float32)
        norms = np.linalg.norm(vectors, axis=1)
        usable = np.abs(norms - 1.0) <= _NORM_ERROR
        if not usable.all():
            log.warning("shared_vectors_refused", pool=pool, vectors=int((~usable).sum()))
        return {found[row]: vectors[row] / norms[row] for row in np.flatnonzero(usable).tolist()}
