"""The stronger model's vectors of one pool, beside those of the first model, until they take over and from then on.

A pool is served by the stronger model while no live chunk of it lacks that model's vector, and by the first model
otherwise: a view is wholly one or wholly the other. So nothing is mixed and nothing is missing, whatever comes and
goes; after an edit the first model serves until the stronger one has caught up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field

from regend.embedding.base import ModelInfo
from regend.store.vectors import merge
from regend.store.vectors.file_vectors import FileVectors
from regend.store.vectors.slab import KeyedVectors, Slab, SlabView
from regend.types import RootId


@dataclass(slots=True)
class Upgrade:
    """The stronger model in the store. Owned by the index thread.

    Attributes:
        number: the model's in the catalog.
        roots: roots whose text the model may be given; None: all.
        forgone: chunk keys that will get no vector of it; they hold up no takeover.
        file_vectors: vectors of whole files that were asked for.
    """

    model: ModelInfo
    number: int
    roots: frozenset[RootId] | None
    forgone: set[int]
    file_vectors: FileVectors = field(default_factory=FileVectors)


class PoolUpgrade:
    """One pool's part of an `Upgrade`.

    Attributes:
        lacking: keys of live chunks that have no vector of the stronger model and are to get one.
        allowed: all of the pool's roots may be given to the model.
    """

    def __init__(self, upgrade: Upgrade) -> None:
        self.upgrade = upgrade
        self.slab = Slab(upgrade.model.dim)
        self.lacking: set[int] = set()
        self.allowed = True

    def load(self, live: Iterable[int]) -> None:
        """Note which live chunks have no vector; call once the stored vectors are in the slab."""
        self.lacking = {key for key in live if key not in self.slab} - self.upgrade.forgone

    def follow(self, born: Set[int], killed: Sequence[int], entering: KeyedVectors) -> None:
        """Follow a durable transaction, as `Slab.follow` does, and note what still lacks a vector."""
        self.slab.follow(born, killed, entering)
        self.lacking |= {key for key in born if key not in self.slab}
        self.lacking.difference_update(killed, entering[0].tolist(), self.upgrade.forgone)

    def serving(self) -> SlabView | None:
        """Return the view that serves, while it is whole and quick: a large slab needs its HNSW base for that."""
        if self.lacking or not self.allowed:
            return None
        view = self.slab.view()
        return view if view.base is not None or view.live_count <= merge.EXACT_ROWS else None
