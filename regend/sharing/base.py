"""The seam of shared stores: vectors by the hash of their text, and which trees hold them, for many daemons.

A shared store knows hashes, vectors and numbers, and never a text or a path. Pools are strangers to each other: no
answer about one pool depends on what another one holds. Each implementation passes `tests/sharing/test_contract.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from regend.types import ChunkId

HalfMatrix = npt.NDArray[np.float16]
FloatVector = npt.NDArray[np.float32]
LEASE_S = 14 * 86_400.0
"""How long a tree counts after its daemon was last heard of."""
GRACE_S = 86_400.0
"""How long a vector stays that no tree names; its daemon may be about to name it."""


class SharedModel(NamedTuple):
    """The model of vectors; those of different models are never mixed."""

    model_id: str
    dim: int


class Near(NamedTuple):
    """A chunk and its cosine, from -1 to 1."""

    chunk: ChunkId
    score: float


@dataclass(frozen=True, slots=True)
class TreeChange:
    """A change of one tree's chunks.

    Attributes:
        tree: name of the tree, drawn by its daemon; it says nothing about paths.
        base: revision that the change starts from; empty: `added` is the whole tree.
        revision: name of the result, drawn at random.
    """

    tree: str
    base: str
    revision: str
    added: frozenset[ChunkId] = field(default_factory=frozenset)
    removed: frozenset[ChunkId] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class TreeCommitted:
    """Answer to a `TreeChange`.

    Attributes:
        done: False: the store holds another revision than `base`, and nothing was changed; send the whole tree.
        missing: added chunks that the pool does not hold, so that the tree does not name them; put them again.
    """

    done: bool
    missing: frozenset[ChunkId] = field(default_factory=frozenset)


class KnownTree(NamedTuple):
    """A tree whose lease has not ended, and for how long it still runs."""

    tree: str
    revision: str
    lease_s: float


@dataclass(frozen=True, slots=True)
class Swept:
    """Counts of the rows that a sweep removed."""

    trees: int = 0
    chunks: int = 0


class ModelCount(NamedTuple):
    """How many vectors of a model a pool holds."""

    model_id: str
    dim: int
    vectors: int


@dataclass(frozen=True, slots=True)
class PoolHealth:
    """Counts of one pool.

    Attributes:
        vectors: by model, without models of which there there is no vector.
        trees: those whose lease has not ended.
    """

    name: str
    chunks: int
    trees: int
    vectors: tuple[ModelCount, ...]


@dataclass(frozen=True, slots=True)
class Health:
    """The store at the moment of asking.

    Attributes:
        kind: the store's software with its version.
        schema: version of the tables.
        pools: those that the user may see, by name.
    """

    kind: str
    schema: int
    pools: tuple[PoolHealth, ...]


class SharedVectors(Protocol):
    """Vectors by (pool, model, hash of the text).

    Each method raises `SharedStoreAwayError` where a later try may help, and `SharedStoreError` where it may not.
    Vectors: float16 [n, dim], rows L2-normalised.
    """

    async def known(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        """Return those of `chunks` that have a vector."""
        ...

    async def put(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId], vectors: HalfMatrix) -> int:
        """Store vectors; the first one of a chunk stays. Durable when it returns, and harmless to repeat.

        Returns:
            How many were new.
        """
        ...

    async def fetch(self, pool: str, model: SharedModel, chunks: Sequence[ChunkId]) -> tuple[list[ChunkId], HalfMatrix]:
        """Return those of `chunks` that have a vector, in any order, and their vectors."""
        ...

    async def page(self, pool: str, model: SharedModel, after: bytes, limit: int) -> list[ChunkId]:
        """Return up to `limit` chunks that have a vector, in order of their hashes, beyond `after`."""
        ...

    async def nearest(
        self, pool: str, model: SharedModel, vector: FloatVector, limit: int, trees: Mapping[str, str]
    ) -> list[Near]:
        """Find the `limit` nearest chunks of some trees, best first; unknown trees are left out.

        Args:
            trees: name -> the revision that a replica must have to be asked; empty: any will do.
        """
        ...

    async def similarity(
        self, pool: str, model: SharedModel, vector: FloatVector, chunks: Sequence[ChunkId]
    ) -> dict[ChunkId, float]:
        """Return the exact cosines of those of `chunks` that have a vector."""
        ...


class SharedTrees(Protocol):
    """Which trees hold which chunks; what no tree holds is swept. Errors are those of `SharedVectors`."""

    async def commit_tree(self, pool: str, change: TreeChange, lease_s: float = LEASE_S) -> TreeCommitted:
        """Change a tree atomically, and renew its lease."""
        ...

    async def renew(self, pool: str, tree: str, lease_s: float = LEASE_S) -> str:
        """Renew the lease of a tree; return its revision, empty where the store does not know the tree."""
        ...

    async def trees(self, pool: str) -> list[KnownTree]:
        """Return the trees of a pool, by name."""
        ...

    async def tree_chunks(self, pool: str, tree: str) -> set[ChunkId]:
        """Return the chunks that a tree names; empty for an unknown tree."""
        ...

    async def sweep(self, pool: str, grace_s: float = GRACE_S) -> Swept:
        """Remove trees whose lease has ended, and chunks that no tree names and that are older than `grace_s`."""
        ...

    async def health(self) -> Health: ...

    async def close(self) -> None: ...


class SharedStore(SharedVectors, SharedTrees, Protocol):
    """Both halves; what a URL opens."""

    async def setup(self) -> bool:
        """Make the tables, as an administrator; return False where they exist."""
        ...
