"""One model's vectors, of all pools and of one pool.

A pool is served by a track while no live chunk of it lacks that track's vector: a view is wholly of one model. So
nothing is mixed and nothing is missing, whatever comes and goes; after an edit an earlier track serves until the
stronger one has caught up. The first track always serves, because words find what it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import numpy as np

from regend.embedding.base import ModelInfo
from regend.store.vectors import merge
from regend.store.vectors.file_vectors import FileVectors
from regend.store.vectors.slab import KeyedVectors, Slab, SlabView
from regend.types import RootId


@dataclass(slots=True)
class ModelTrack:
    """One model in the store. Owned by the index thread.

    Attributes:
        number: the model's in the catalog.
        roots: roots whose text the model may be given; None: all.
        forgone: chunk keys that will get no vector of it; they hold up no takeover.
        file_vectors: vectors of whole files that were asked for.
    """

    model: ModelInfo
    number: int
    roots: frozenset[RootId] | None = None
    forgone: set[int] = field(default_factory=set)
    file_vectors: FileVectors = field(default_factory=FileVectors)


class PoolTrack:
    """One pool's part of a `ModelTrack`.

    Attributes:
        lacking: keys of live chunks that have no vector of the model and are to get one.
        put_off: keys of chunks that get their vectors later; the pool is served without them.
        allowed: all of the pool's roots may be given to the model.
    """

    def __init__(self, track: ModelTrack) -> None:
        self.track = track
        self.slab = Slab(track.model.dim)
        self.lacking: set[int] = set()
        self.put_off: frozenset[int] = frozenset()
        self.allowed = True

    def follow(self, born: Set[int], killed: Sequence[int], entering: KeyedVectors) -> None:
        """Follow a durable transaction, as `Slab.follow` does, and note what still lacks a vector."""
        self.slab.follow(born, killed, entering)
        keys = np.array(sorted(born), np.int64)
        self.lacking |= set(keys[~self.slab.holds(keys)].tolist())
        self.lacking.difference_update(killed, entering[0].tolist(), self.track.forgone)

    def serving(self) -> SlabView | None:
        """Return the view that serves, while it is whole and quick: a large slab needs its HNSW base for that."""
        if not (self.allowed and self.lacking <= self.put_off):
            return None
        view = self.slab.view()
        return view if view.base is not None or view.live_count <= merge.BASE_ROWS else None
