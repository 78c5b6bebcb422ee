"""The vectors of one pool and one model: an immutable base, a small exact delta, and tombstones.

The writer only ever appends to arrays and replaces masks, so publishing a view copies nothing but the masks that
changed (one byte per row). A view sees the rows below its own length and stays as it is while the writer goes on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from regend.store.base import FloatMatrix, FloatVector, HalfMatrix, KeyArray, Mask
from regend.store.catalog.loading import distinct
from regend.store.vectors.disk import READ_ROWS, DiskBase
from regend.store.vectors.exact import SIFTED_ROWS, KeyRows, SignMatrix, nearest, sifted, signs_of
from regend.store.vectors.hnsw import HnswBase, best

KeyedVectors = tuple[KeyArray, HalfMatrix]
"""Chunk keys (int64 [n]) and their vectors (float16 [n, dim], unit rows), as they are stored."""

Base = HnswBase | DiskBase

_NO_KEYS: KeyArray = np.empty(0, np.int64)
NO_VECTORS: KeyedVectors = (np.empty(0, np.int64), np.empty((0, 0), np.float16))
_FIRST_CAPACITY = 256
_COPIED_ROWS = 8_192


@dataclass(frozen=True, slots=True)
class SlabView:
    """A slab at one moment; any thread may search it.

    Attributes:
        base: the HNSW base, or that of vectors on disk; None while everything is exact.
        base_dead: tombstones of the base's rows.
        keys: int64 [>= count], the delta's chunk keys.
        vectors: float16 [>= count, dim], unit rows of the delta, to the bit as they are stored.
        dead: bool [>= count], tombstones of the delta.
        count: rows of the delta that belong to this view.
        row_of: of the delta's chunk keys; it may name rows beyond `count`.
        signs: of the delta's rows, where these are many, see `exact.signs_of`; else of no rows.
    """

    dim: int
    base: Base | None
    base_dead: Mask
    base_dead_count: int
    keys: KeyArray
    vectors: HalfMatrix
    dead: Mask
    dead_count: int
    count: int
    row_of: KeyRows
    signs: SignMatrix

    @property
    def live_count(self) -> int:
        """Vectors that may be found."""
        base_rows = 0 if self.base is None else len(self.base.keys) - self.base_dead_count
        return base_rows + self.count - self.dead_count

    @property
    def on_disk(self) -> bool:
        """Whether memory holds no more vectors than the shared store may lack."""
        return isinstance(self.base, DiskBase) and self.base.settled

    def search(self, vector: FloatVector, limit: int) -> tuple[KeyArray, FloatVector]:
        """Find the `limit` nearest live keys and their cosines, best first; exact except for the base's recall."""
        limit = min(limit, self.live_count)
        if limit <= 0:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        keys, scores = self._search_delta(vector, limit)
        if self.base is not None and len(self.base.keys) > self.base_dead_count:
            base_keys, base_scores = self.base.nearest_live(vector, limit, self.base_dead, self.base_dead_count)
            keys, scores = np.concatenate((keys, base_keys)), np.concatenate((scores, base_scores))
        return best(keys, scores, limit)

    def _search_delta(self, vector: FloatVector, limit: int) -> tuple[KeyArray, FloatVector]:
        if self.signs.shape[1]:
            rows = sifted(self.signs[:, : self.count], vector, limit)
            rows = rows[~self.dead[rows]]
            if len(rows) >= limit:
                return self._nearest_of(rows, vector, limit)
        dead = np.flatnonzero(self.dead[: self.count]) if self.dead_count else _NO_KEYS
        rows, scores = nearest(self.vectors[: self.count], vector, limit, dead)
        return self.keys[rows], scores

    def _nearest_of(self, rows: KeyArray, vector: FloatVector, limit: int) -> tuple[KeyArray, FloatVector]:
        """Find the nearest of these rows of the delta, which are live."""
        found, scores = nearest(self.vectors.take(rows, axis=0), vector, limit, _NO_KEYS)
        return self.keys[rows[found]], scores

    def search_among(self, vector: FloatVector, keys: KeyArray, limit: int) -> tuple[KeyArray, FloatVector]:
        """Find the `limit` nearest among `keys` (unique), best first; keys without a live vector are left out.

        Exact, unless there are very many keys. Where too many vectors would have to be read from disk, what the shared
        store found has to do.
        """
        if self.base is None:
            rows = self.row_of.find(keys)
            rows = rows[(rows >= 0) & (rows < self.count)]
            rows = rows[~self.dead[rows]]
            if len(rows) >= SIFTED_ROWS:
                rows = rows[sifted(self.signs.take(rows, axis=1), vector, limit)]
            return best(*self._nearest_of(rows, vector, limit), limit)
        if isinstance(self.base, DiskBase) and len(keys) > READ_ROWS:
            keys = np.intersect1d(keys, np.concatenate((self.base.found, self.live_delta()[0])))
        scores, known = self.scores(vector, keys)
        return best(keys[known], scores[known], limit)

    def vector(self, key: int) -> FloatVector | None:
        """Return the unit vector of a live key, or None."""
        vectors, known = self.gather(np.array([key], np.int64))
        return vectors[0] if known[0] else None

    def scores(self, vector: FloatVector, keys: KeyArray) -> tuple[FloatVector, Mask]:
        """Return exact cosines of `keys`, and which keys have a live vector (the other cosines mean nothing)."""
        vectors, known = self.gather(keys)
        return vectors @ vector, known

    def gather(self, keys: KeyArray) -> tuple[FloatMatrix, Mask]:
        """Return the vectors of `keys` (float32 [n, dim]) and which of them are live; the other rows are zero."""
        vectors, known = np.zeros((len(keys), self.dim), np.float32), np.zeros(len(keys), np.bool_)
        rows = self.row_of.find(keys)
        at = np.flatnonzero((rows >= 0) & (rows < self.count))
        at = at[~self.dead[rows[at]]]
        vectors[at], known[at] = self.vectors.take(rows[at], axis=0), True
        if self.base is not None:
            rows = self.base.rows_of(keys)
            at = np.flatnonzero(rows >= 0)
            at = at[~self.base_dead[rows[at]]]
            vectors[at], known[at] = self.base.vectors_of(keys[at]), True
        return vectors, known

    def live_keys(self) -> KeyArray:
        """Copy all live keys."""
        keys = self.keys[: self.count][~self.dead[: self.count]]
        return keys if self.base is None else np.concatenate((self.base.keys[~self.base_dead], keys))

    def live_delta(self) -> tuple[KeyArray, HalfMatrix]:
        """Return the live keys and vectors of the delta."""
        if not self.dead_count:  # These rows never change, so there is no need for a copy.
            return self.keys[: self.count], self.vectors[: self.count]
        alive = ~self.dead[: self.count]
        return self.keys[: self.count][alive], self.vectors[: self.count][alive]

    def live_rows(self) -> tuple[KeyArray, HalfMatrix]:
        """Return all live keys and vectors."""
        keys, vectors = self.live_delta()
        if self.base is None:
            return keys, vectors
        base_keys = self.base.keys[~self.base_dead]
        held = self.base.vectors_of(base_keys).astype(np.float16)
        return np.concatenate((base_keys, keys)), np.concatenate((held, vectors))


class Slab:
    """Writer of one slab. Owned by the index thread."""

    def __init__(self, dim: int) -> None:
        self._dim = dim
        self._base: Base | None = None
        self._base_dead: Mask = np.zeros(0, np.bool_)
        self._base_dead_count = 0
        self._reset_delta(_FIRST_CAPACITY)
        self._shared_masks = False
        self._view: SlabView | None = None

    def _reset_delta(self, capacity: int) -> None:
        self._keys: KeyArray = np.zeros(capacity, np.int64)
        self._vectors: HalfMatrix = np.empty((capacity, self._dim), np.float16)
        self._dead: Mask = np.zeros(capacity, np.bool_)
        self._dead_count = 0
        self._count = 0
        self._row_of = KeyRows()
        self._signs: SignMatrix = signs_of(self._vectors[:0])
        self._signed = 0

    def __contains__(self, key: int) -> bool:
        """Return whether the slab holds a vector for `key`, live or dead."""
        return self._row_of.row(key) >= 0 or self._base_row(key) >= 0

    def holds(self, keys: KeyArray) -> Mask:
        """Return which of `keys` (int64 [n]) the slab holds a vector for, live or dead: bool [n]."""
        held: Mask = self._row_of.find(keys) >= 0
        return held if self._base is None else held | (self._base.rows_of(keys) >= 0)

    def _base_row(self, key: int) -> int:
        if self._base is None:
            return -1
        keys = self._base.keys
        row = int(keys.searchsorted(key))
        return row if row < len(keys) and keys[row] == key else -1

    def add(self, keys: KeyArray, vectors: FloatMatrix | HalfMatrix) -> None:
        """Append rows for new keys: live at once in the next view. `vectors`: float [n, dim], unit rows."""
        needed = self._count + len(keys)
        self.reserve(needed)
        self._keys[self._count : needed] = keys
        self._vectors[self._count : needed] = vectors
        self._row_of = self._row_of.with_rows(keys, self._count)
        self._count = needed
        self._view = None

    def begin(self, base: Base) -> None:
        """Give an empty slab a base, all of whose rows are live."""
        self._base, self._base_dead, self._view = base, np.zeros(len(base.keys), np.bool_), None

    def reserve(self, rows: int) -> None:
        """Make room for this many rows of the delta in total. Views keep the old arrays."""
        if rows <= len(self._keys):
            return
        count, capacity = self._count, max(rows, len(self._keys) + len(self._keys) // 2)
        keys, vectors, dead = self._keys, self._vectors, self._dead
        self._keys, self._dead = np.zeros(capacity, np.int64), np.zeros(capacity, np.bool_)
        self._vectors = np.empty((capacity, self._dim), np.float16)
        self._keys[:count], self._vectors[:count], self._dead[:count] = keys[:count], vectors[:count], dead[:count]

    def follow(self, born: Iterable[int], killed: Iterable[int], entering: KeyedVectors) -> None:
        """Follow a durable transaction: add vectors, revive the born chunks, tombstone the killed ones."""
        if len(entering[0]):
            self.add(*entering)
        self.revive(born)
        self.kill(killed)

    def kill(self, keys: Iterable[int]) -> None:
        """Tombstone keys; ignore keys that the slab does not hold."""
        self._set_dead(keys, dead=True)

    def revive(self, keys: Iterable[int]) -> None:
        """Take tombstones back; ignore keys that are live or unknown."""
        if self._dead_count or self._base_dead_count:
            self._set_dead(keys, dead=False)

    def _set_dead(self, keys: Iterable[int], *, dead: bool) -> None:
        step = 1 if dead else -1
        back: list[int] = []
        for key in keys:
            row = self._row_of.row(key)
            if row >= 0:
                if self._dead[row] != dead:
                    self._own_masks()
                    self._dead[row] = dead
                    self._dead_count += step
                continue
            row = self._base_row(key)
            if row >= 0 and self._base_dead[row] != dead:
                if not dead and isinstance(self._base, DiskBase):
                    back.append(key)  # The shared store may have dropped it meanwhile.
                    continue
                self._own_masks()
                self._base_dead[row] = dead
                self._base_dead_count += step
        if back and isinstance(self._base, DiskBase):
            found = distinct(np.array(back, np.int64))
            self.add(found, self._base.vectors_of(found))

    def _own_masks(self) -> None:
        if self._shared_masks:
            self._dead, self._base_dead = self._dead.copy(), self._base_dead.copy()
            self._shared_masks = False
        self._view = None

    def view(self) -> SlabView:
        """Return the slab as it is now."""
        if self._view is None:
            self._shared_masks = True
            self._view = SlabView(
                self._dim, self._base, self._base_dead, self._base_dead_count, self._keys, self._vectors,
                self._dead, self._dead_count, self._count, self._row_of, self._sign(),
            )  # fmt: skip
        return self._view

    def _sign(self) -> SignMatrix:
        """Return the signs of the delta's rows if these are many."""
        done, count = self._signed, self._count
        if count < SIFTED_ROWS:
            return self._signs[:, :0]
        if self._signs.shape[1] < count:
            signs = np.empty((len(self._signs), len(self._keys)), np.uint64)
            signs[:, :done] = self._signs[:, :done]
            self._signs = signs
        self._signs[:, done:count] = signs_of(self._vectors[done:count])
        self._signed = count
        return self._signs

    def install(self, base: Base | None) -> None:
        """Replace the base; move live rows that it does not hold to a new delta."""
        view = self.view()
        live_keys = view.live_keys()
        self._shared_masks = False
        self._base = base
        if base is None:
            self._base_dead, self._base_dead_count = np.zeros(0, np.bool_), 0
            outside = np.ones(len(live_keys), np.bool_)
        else:
            rows = base.rows_of(live_keys)
            outside = rows < 0
            self._base_dead = np.ones(len(base.keys), np.bool_)
            self._base_dead[rows[~outside]] = False
            self._base_dead_count = int(self._base_dead.sum())
        self._keep(live_keys[outside], view)

    def _keep(self, keys: KeyArray, view: SlabView) -> None:
        """Make a new delta of these live rows of the view."""
        count = len(keys)
        self._reset_delta(max(_FIRST_CAPACITY, count))
        for start in range(0, count, _COPIED_ROWS):  # All at once, they would be in memory once more.
            part = keys[start : start + _COPIED_ROWS]
            rows = view.row_of.find(part)
            is_fresh = rows.min() >= 0 and rows.max() < view.count and not view.dead[rows].any()
            self._vectors[start : start + len(part)] = view.vectors[rows] if is_fresh else view.gather(part)[0]
        self._keys[:count] = keys
        self._row_of, self._count, self._view = KeyRows().with_rows(keys, 0), count, None

    def compact(self) -> None:
        """Drop the delta's dead rows."""
        self.install(self._base)
