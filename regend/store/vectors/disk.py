"""Vectors that stay on disk, because a shared store finds the nearest of them; memory holds their keys.

Vectors that the shared store may lack, of own edits and of secrets, stay in the slab's delta and are searched here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from regend.embedding.base import ModelInfo
from regend.store.base import Elsewhere, FloatMatrix, FloatVector, KeyArray, Mask
from regend.store.catalog.loading import decode_vectors, distinct, positions
from regend.store.catalog.reader import Reader
from regend.types import PoolId

READ_ROWS = 5_000
"""Rows that one query reads from disk, at most; 5,000 take 20 ms."""
_DELTA_SHARE = 4_096
"""One row in so many may stay in the delta although the store has it: a division goes through all keys."""
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class DiskBase:
    """Rows of a base whose vectors stay on disk.

    Attributes:
        keys: int64 [n], ascending, unique.
        dim: length of the vectors.
        read: returns the stored vectors of keys, as `Reader.vector_rows` does.
        settled: False: the shared store may lack some of the rows, which was not asked for since the start.
        found: what the shared store found for the query of this view, best first: int64 [m].
        scores: exact cosines of `found`, float32 [m].
    """

    keys: KeyArray
    dim: int
    read: Callable[[KeyArray], list[tuple[int, bytes]]]
    settled: bool = False
    found: KeyArray = field(default_factory=lambda: np.empty(0, np.int64))
    scores: FloatVector = field(default_factory=lambda: np.empty(0, np.float32))

    def nearest_live(
        self, _vector: FloatVector, limit: int, dead: Mask, _dead_count: int
    ) -> tuple[KeyArray, FloatVector]:
        """Return up to `limit` live keys that the shared store found, and their cosines, best first."""
        kept = np.flatnonzero(~dead[self.keys.searchsorted(self.found)])[:limit]
        return self.found[kept], self.scores[kept]

    def answered(self, found: KeyArray, vector: FloatVector) -> DiskBase:
        """Return the base for one query, for which the shared store found these keys.

        The cosines are computed here, from the vectors of this machine.
        """
        found = distinct(found[self.rows_of(found) >= 0])
        scores = self.vectors_of(found) @ vector
        order = np.argsort(-scores, kind="stable")
        return replace(self, found=found[order], scores=scores[order])

    def vectors_of(self, keys: KeyArray) -> FloatMatrix:
        """Read vectors (float32 [n, dim]); 4 µs each."""
        vectors = np.zeros((len(keys), self.dim), np.float32)
        for start in range(0, len(keys), _AT_ONCE):
            part = keys[start : start + _AT_ONCE]
            there, halves = decode_vectors(self.read(part), self.dim)
            order = np.argsort(there)
            at = positions(there[order], part)
            vectors[start + np.flatnonzero(at >= 0)] = halves[order][at[at >= 0]]
        return vectors

    def rows_of(self, keys: KeyArray) -> KeyArray:
        """Return the row numbers of `keys` (int64 [n]), -1 where absent."""
        return positions(self.keys, keys)


class DiskSlabs:
    """Decides which vectors of one model's slabs stay on disk.

    Owned by the index thread; `divide` and what the bases read may run in any thread.

    Args:
        number: the model's in the catalog.
        paths_of: returns the paths of a pool's roots, as they are now.
    """

    def __init__(
        self,
        reader: Reader,
        model: ModelInfo,
        number: int,
        elsewhere: Elsewhere | None,
        paths_of: Callable[[PoolId], Sequence[str]],
    ) -> None:
        self._reader = reader
        self._model = model
        self._number = number
        self._elsewhere = elsewhere
        self.paths_of = paths_of
        self._divided: dict[PoolId, tuple[int, ...]] = {}

    def keeps(self, pool: PoolId) -> bool:
        """Return whether a shared store searches all roots of the pool."""
        paths = self.paths_of(pool) if self._elsewhere is not None else ()
        return bool(paths) and all(map(self._store.has, paths))

    @property
    def _store(self) -> Elsewhere:
        assert self._elsewhere is not None, "keeps() comes first"
        return self._elsewhere

    def base(self, keys: KeyArray, *, settled: bool = False) -> DiskBase:
        """Return a base of these keys (int64 [n], ascending)."""
        return DiskBase(
            keys, self._model.dim, lambda some: self._reader.vector_rows(self._number, some.tolist()), settled
        )

    def begin(self, pool: PoolId, base: object, fresh_count: int) -> bool:
        """Return whether the pool is to be divided now, and take it as done.

        Args:
            base: of the slab.
            fresh_count: live rows of the delta.
        """
        changes = tuple(map(self._store.changes, self.paths_of(pool)))
        if 0 in changes:
            return False
        if isinstance(base, DiskBase):
            small = base.settled and fresh_count <= len(base.keys) // _DELTA_SHARE
            if small or changes == self._divided.get(pool):
                return False
        self._divided[pool] = changes
        return True

    def divide(self, paths: Sequence[str], kept: KeyArray, asked: KeyArray) -> DiskBase:
        """Return a base of the keys that the shared store has for one of the roots.

        Args:
            kept: keys of which that is known, ascending.
            asked: the other live keys.
        """
        held = [kept]
        for start in range(0, len(asked), _AT_ONCE):
            chunks = self._reader.chunk_ids(asked[start : start + _AT_ONCE].tolist())
            there = set().union(
                *(
                    self._store.held(path, self._model.model_id, self._model.dim, list(chunks.values()))
                    for path in paths
                )
            )
            held.append(np.array([key for key, chunk in chunks.items() if chunk in there], np.int64))
        return self.base(distinct(np.concatenate(held)), settled=True)
