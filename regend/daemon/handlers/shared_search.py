"""Asks the shared store for the nearest chunks of roots whose vectors stay on disk, before the engine is asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from regend.search.legs.legs import Vector
from regend.sharing.base import SharedModel
from regend.sharing.sharing import Sharing
from regend.store.base import Snapshot
from regend.store.reads import StoreSnapshot
from regend.types import ChunkId, PoolId, RootId

_FEW, _MANY = 200, 1_000
"""Chunks that are asked for: by a plain question, whose legs look at 100, and by one with filters or many results."""


@dataclass(frozen=True, slots=True)
class StoreFound:
    """Answer of the shared store to one query.

    Attributes:
        vector: of the query; None: the store was not asked.
        notes: what the user is to know.
    """

    vector: Vector | None = None
    chunks: Mapping[PoolId, Sequence[ChunkId]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def on(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot with what was found."""
        if self.vector is None or not isinstance(snapshot, StoreSnapshot):
            return snapshot
        return snapshot.with_found(self.vector, self.chunks)


NOT_ASKED = StoreFound()


class SharedSearch:
    """Used on the event loop.

    Args:
        sharing: None where no store is configured, or none could be opened.
    """

    def __init__(self, sharing: Sharing | None) -> None:
        self._sharing = sharing

    def concerns(self, snapshot: Snapshot, root: RootId | None) -> bool:
        """Return whether the store searches some of what a query of one root, or of all (None), looks into."""
        return self._sharing is not None and isinstance(snapshot, StoreSnapshot) and bool(snapshot.on_disk(root))

    async def find(
        self,
        snapshot: Snapshot,
        root: RootId | None,
        model: SharedModel,
        vector_of: Callable[[], Vector | None],
        *,
        deep: bool,
    ) -> StoreFound:
        """Ask the store.

        Args:
            vector_of: returns the query's vector, None where it needs none; called in a thread.
            deep: filters or many results are asked for.
        """
        if self._sharing is None or not isinstance(snapshot, StoreSnapshot) or not (bases := snapshot.on_disk(root)):
            return NOT_ASKED
        vector = await asyncio.to_thread(vector_of)
        if vector is None:
            return NOT_ASKED
        found: dict[PoolId, Sequence[ChunkId]] = {}
        notes: list[str] = []
        for pool, base in bases.items():
            paths = [record.path for record in snapshot.roots.values() if record.pool == pool]
            near = await self._sharing.nearest(paths, model, vector, _MANY if deep else _FEW)
            found[pool] = near.chunks
            if near.problem:
                notes.append(f"{_named(paths)} was searched by words only, but for the newest chunks: {near.problem}")
            elif not base.settled:
                notes.append(f"{_named(paths)} is being compared with the shared store, so chunks may lack.")
        return StoreFound(vector, found, tuple(notes))


def _named(paths: Sequence[str]) -> str:
    return ", ".join(sorted(paths))
