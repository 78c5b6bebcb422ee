"""Carries out the operations of one commit inside its transaction, and works out what they mean for memory.

Memory is not touched here: the transaction may still fail. `Staging` collects what the owner applies afterwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import assert_never

import numpy as np
import structlog

from regend.chunking.packing import Rows, rows_of
from regend.core.commands import DeleteFile, Op, PutFile, PutVectors, SkipFile, TouchFile
from regend.core.events import FileVersion, PendingChunk
from regend.embedding.base import unit_vectors
from regend.errors import ProviderRejectedError, StoreError
from regend.store.base import Entry, KeyArray, Mask, RootRecord
from regend.store.catalog.loading import decode_vectors, positions
from regend.store.catalog.writer import Catalog
from regend.store.pool import Pool
from regend.store.vectors.slab import NO_VECTORS, KeyedVectors, Slab
from regend.store.vectors.track import ModelTrack, PoolTrack
from regend.types import (
    DOC_ORDINAL_BITS,
    FIRST_TRACK,
    MAX_CHUNKS_PER_BLOB,
    BlobId,
    PackedFile,
    PoolId,
    RootId,
    StatSig,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class StagedEntry:
    """An entry that an operation named; `entry.roots` is not meant."""

    entry: Entry
    blob_key: int
    keys: KeyArray


@dataclass(frozen=True, slots=True)
class FileCount:
    """A tree row came (`step` 1) or went (-1)."""

    root: RootId
    entry_id: int | None
    reason: str
    step: int


@dataclass(slots=True)
class PoolEffects:
    """Changes that one pool's memory must follow once the transaction is durable.

    Attributes:
        roots: entry id -> the roots that hold it now, for every entry whose roots changed.
        born: entries that came to life.
        died: entries that no root holds any more.
        born_keys: chunks of the entries that came to life.
        killed_keys: chunks that no live entry has any more.
        vectors: those that enter the slabs, by track.
    """

    roots: dict[int, frozenset[RootId]] = field(default_factory=dict)
    born: list[int] = field(default_factory=list)
    died: list[int] = field(default_factory=list)
    born_keys: set[int] = field(default_factory=set)
    killed_keys: list[int] = field(default_factory=list)
    vectors: list[KeyedVectors] = field(default_factory=list)


class Staging:
    """One transaction. Use: `run` or `drop_root`, then `settle`; then read the attributes."""

    def __init__(
        self,
        catalog: Catalog,
        pools: Mapping[PoolId, Pool],
        roots: Mapping[RootId, RootRecord],
        tracks: Sequence[ModelTrack],
        generation: int,
    ) -> None:
        self._catalog = catalog
        self._tracks = tracks
        self._pools = pools
        self._roots = roots
        self._generation = generation
        self._keys_of_blob: dict[int, KeyArray] = {}
        self._put_entries: set[int] = set()
        self._vector_keys: list[set[int]] = [set() for _ in tracks]
        self.forgone: list[set[int]] = [set() for _ in tracks]
        """Chunks that will get no vector, by track."""
        self._roots_after: dict[int, frozenset[RootId]] = {}
        self._pool_of: dict[int, PoolId] = {}
        self._staged_keys: dict[PoolId, set[int]] = {}
        self.entries: dict[int, StagedEntry] = {}
        self.fresh: dict[int, Rows] = {}
        """blob key -> the rows that were stored just now."""
        self._given: list[KeyedVectors] = []
        self.counts: list[FileCount] = []
        self.missing: list[tuple[RootId, str]] = []
        self.pending: tuple[PendingChunk, ...] = ()

    def run(self, ops: Iterable[Op]) -> None:
        """Carry out operations in order; those of a root that was removed meanwhile are ignored.

        Raises:
            StoreError: vectors of the wrong shape, not finite, or zero; the transaction must be rolled back.
        """
        for op in ops:
            if not isinstance(op, PutVectors) and not _is_utf8(op.path):
                # Neither SQLite nor the wire can carry such a name; it must not block the other files.
                log.warning("path_not_utf8", path=ascii(op.path))
                continue
            match op:
                case PutFile():
                    self._put(op)
                case SkipFile():
                    if op.root in self._roots:
                        self._replace(op.root, op.path, op.sig, op.blob, op.reason, None)
                case TouchFile():
                    self._catalog.touch_tree(op.root, op.path, op.sig)
                case DeleteFile():
                    if op.root in self._roots:
                        self._forget(op.root, op.path)
                        self._catalog.delete_tree(op.root, op.path)
                case PutVectors():
                    self._put_vectors(op)
                case _:
                    assert_never(op)

    def drop_root(self, root: RootId) -> None:
        """Remove a root with its tree."""
        for entry_id, reason in self._catalog.tree_entries(root):
            self.counts.append(FileCount(root, entry_id, reason, -1))
            if entry_id is not None:
                self._leave(root, entry_id)
        self._catalog.remove_root(root)

    def _put(self, op: PutFile) -> None:
        record = self._roots.get(op.root)
        if record is None:
            return
        blob = op.blob if op.chunked is None else op.chunked.blob
        row = self._catalog.blob(blob)
        if row is None:
            if op.chunked is None:
                self.missing.append((op.root, op.path))
                return
            if op.chunked.chunk_count >= MAX_CHUNKS_PER_BLOB:
                raise StoreError(
                    f"{op.path} has {op.chunked.chunk_count} chunks where {MAX_CHUNKS_PER_BLOB - 1} are possible; "
                    "lower `limits.max_file_bytes`."
                )
            rows = rows_of(op.chunked)
            row, keys, is_new = self._catalog.add_blob(op.chunked, rows)
            self._keys_of_blob[row.blob_key] = keys
            self.fresh[row.blob_key] = rows
            self._take_vectors(op.chunked, keys, is_new)
        if row.skip_reason:
            self._replace(op.root, op.path, op.sig, blob, row.skip_reason, None)
            return
        entry_id = self._catalog.entry(record.pool, op.path, row.blob_key, self._generation)
        if entry_id not in self.entries:
            keys = self._keys_of(record.pool, row.blob_key)
            marks = row.degraded_reason
            entry = Entry(entry_id, record.pool, op.path, blob, row.language, frozenset(), len(keys), marks)
            self.entries[entry_id] = StagedEntry(entry, row.blob_key, keys)
        self._put_entries.add(entry_id)
        self._replace(op.root, op.path, op.sig, blob, "", entry_id)

    def _take_vectors(self, file: PackedFile, keys: KeyArray, is_new: Mask) -> None:
        """Take the vectors of new chunks that came with the file; chunks that are known have theirs, or are pending."""
        track = self._tracks[FIRST_TRACK]
        if file.vectors and file.model_id == track.model.model_id:
            halves = np.frombuffer(file.vectors, "<f2").reshape(len(keys), track.model.dim)
            self._given.append((keys[is_new], halves[is_new]))

    def _store_given(self) -> KeyedVectors:
        """Store the vectors that came with files; return them, keys ascending."""
        if not self._given:
            return NO_VECTORS
        keys = np.concatenate([keys for keys, _ in self._given])
        halves = np.concatenate([halves for _, halves in self._given])
        self._catalog.add_vectors(keys.tolist(), halves, self._tracks[FIRST_TRACK].number)
        return keys, halves

    def _keys_of(self, pool: PoolId, blob_key: int) -> KeyArray:
        keys = self._keys_of_blob.get(blob_key)
        if keys is None:
            keys = self._pools[pool].facts.keys_of_blob.get(blob_key)
        if keys is None:
            keys = self._catalog.blob_keys(blob_key)
        self._keys_of_blob[blob_key] = keys
        return keys

    def _replace(
        self, root: RootId, path: str, sig: StatSig, blob: BlobId | None, reason: str, entry_id: int | None
    ) -> None:
        self._forget(root, path)
        self._catalog.put_tree(root, path, sig, blob, reason, entry_id)
        self.counts.append(FileCount(root, entry_id, reason, 1))
        if entry_id is not None:
            self._set_roots(root, entry_id, self._roots_of(root, entry_id) | {root})

    def _forget(self, root: RootId, path: str) -> None:
        old = self._catalog.tree_row(root, path)
        if old is not None:
            self.counts.append(FileCount(root, old.entry_id, old.reason, -1))
            if old.entry_id is not None:
                self._leave(root, old.entry_id)

    def _leave(self, root: RootId, entry_id: int) -> None:
        self._set_roots(root, entry_id, self._roots_of(root, entry_id) - {root})

    def _set_roots(self, root: RootId, entry_id: int, roots: frozenset[RootId]) -> None:
        self._roots_after[entry_id] = roots
        self._pool_of[entry_id] = self._roots[root].pool

    def _roots_of(self, root: RootId, entry_id: int) -> frozenset[RootId]:
        if entry_id in self._roots_after:
            return self._roots_after[entry_id]
        entry = self._pools[self._roots[root].pool].live.get(entry_id)
        return frozenset() if entry is None else entry.roots

    def _put_vectors(self, op: PutVectors) -> None:
        if op.track >= len(self._tracks):
            return
        track = self._tracks[op.track]
        self.forgone[op.track].update(key for key in self._catalog.chunk_keys(op.forgone) if key is not None)
        if not op.chunks:
            return
        try:
            vectors = unit_vectors(op.vectors, len(op.chunks), track.model.dim, "The embedding model")
        except ProviderRejectedError as error:
            raise StoreError(str(error)) from error
        keys = self._catalog.chunk_keys(op.chunks)
        # Garbage collection may have removed a chunk in the meantime.
        kept = [(key, row) for row, key in enumerate(keys) if key is not None]
        held = [key for key, _ in kept]
        self._catalog.put_vectors(held, vectors[[row for _, row in kept]].astype(np.float16), track.number)
        self._vector_keys[op.track].update(held)

    # Consequences of the operations.

    def settle(self) -> dict[PoolId, PoolEffects]:
        """Bring entries and pending chunks in line with the trees; return what memory must do, by pool."""
        given = self._store_given()
        for entry_id, staged in self.entries.items():
            if self._roots_after[entry_id]:
                self._staged_keys.setdefault(staged.entry.pool, set()).update(staged.keys.tolist())
        effects = self._changed_entries()
        stored_keys = set[int]().union(*self._vector_keys, *self.forgone)
        for pool_id, pool in self._pools.items():
            if any(self._alive_after(pool, key) for key in stored_keys):
                effects.setdefault(pool_id, PoolEffects())
        for pool_id, effect in effects.items():
            self._catalog.set_live(effect.born, self._generation)
            self._catalog.set_unused(effect.died, self._generation)
            self._settle_chunks(self._pools[pool_id], effect, given)
        self._collect_pending(effects)
        return effects

    def _changed_entries(self) -> dict[PoolId, PoolEffects]:
        """Compare each entry's roots with those before."""
        effects: dict[PoolId, PoolEffects] = {}
        stillborn: list[int] = []
        for entry_id, roots in self._roots_after.items():
            pool = self._pools[self._pool_of[entry_id]]
            before = pool.live.get(entry_id)
            if before is None and not roots:
                # Put and replaced within this very commit: such an entry was never live.
                stillborn.append(entry_id)
            if roots == (frozenset() if before is None else before.roots):
                continue
            effect = effects.setdefault(pool.pool, PoolEffects())
            effect.roots[entry_id] = roots
            if before is None:
                effect.born.append(entry_id)
            elif not roots:
                effect.died.append(entry_id)
        self._catalog.set_unused(stillborn, self._generation)
        return effects

    def _settle_chunks(self, pool: Pool, effect: PoolEffects, given: KeyedVectors) -> None:
        """Find out which chunks were born and killed, and which stored vectors memory lacks."""
        born = effect.born_keys = {key for entry_id in effect.born for key in self.entries[entry_id].keys.tolist()}
        died = {key for entry_id in effect.died for key in pool.facts.keys(entry_id).tolist()} - born
        effect.killed_keys = [key for key in sorted(died) if not self._alive_after(pool, key)]
        for number, (track, keys) in enumerate(zip(pool.tracks, self._vector_keys, strict=True)):
            wanted = born | {key for key in keys if self._alive_after(pool, key)}
            effect.vectors.append(self._stored(wanted, track, given if number == FIRST_TRACK else NO_VECTORS))
        self._catalog.add_pending(sorted(_lacking(born, pool.slab, effect.vectors[FIRST_TRACK])))
        others = [other for other in self._pools.values() if other is not pool]
        gone = [key for key in effect.killed_keys if not any(self._alive_after(other, key) for other in others)]
        self._catalog.remove_pending(gone)

    def _stored(self, wanted_keys: set[int], pool: PoolTrack, given: KeyedVectors) -> KeyedVectors:
        """Return a model's stored vectors of those of these chunks that its slab does not hold.

        Args:
            given: those that came with this commit's files, so that they are not read back.
        """
        wanted = np.array(sorted(wanted_keys), np.int64)
        wanted = wanted[~pool.slab.holds(wanted)]
        at = positions(given[0], wanted)
        rows = self._catalog.vectors_of(wanted[at < 0].tolist(), pool.track.number)
        parts = [(given[0][at[at >= 0]], given[1][at[at >= 0]])] if (at >= 0).any() else []
        if rows:
            parts.append(decode_vectors(sorted(rows.items()), pool.track.model.dim))
        if not parts:
            return NO_VECTORS
        return np.concatenate([keys for keys, _ in parts]), np.concatenate([vectors for _, vectors in parts])

    def _collect_pending(self, effects: Mapping[PoolId, PoolEffects]) -> None:
        """List the chunks of the files that were put which still need a vector."""
        put_keys: dict[PoolId, set[int]] = {}
        for entry_id in self._put_entries:
            if self._roots_after[entry_id]:
                put_keys.setdefault(self._pool_of[entry_id], set()).update(self.entries[entry_id].keys.tolist())
        lacking: set[int] = set()
        for pool_id, keys in put_keys.items():
            entering = effects[pool_id].vectors[FIRST_TRACK] if pool_id in effects else NO_VECTORS
            lacking |= _lacking(keys, self._pools[pool_id].slab, entering)
        versions: dict[int, FileVersion | None] = dict.fromkeys(lacking)
        if not self._tracks[FIRST_TRACK].model.local:
            for entry_id in self._put_entries:
                if roots := self._roots_after[entry_id]:
                    entry = self.entries[entry_id].entry
                    version = FileVersion(min(roots), entry.path, entry.blob)
                    versions |= {key: version for key in self.entries[entry_id].keys.tolist() if key in lacking}
        self.pending = tuple(self._catalog.pending_chunks(versions))

    def _alive_after(self, pool: Pool, key: int) -> bool:
        """Return whether a live entry of the pool has this chunk once all operations are done."""
        for doc in pool.facts.docs(key):
            entry_id = doc >> DOC_ORDINAL_BITS
            after = self._roots_after.get(entry_id)
            if after if after is not None else pool.is_live(entry_id):
                return True
        return key in self._staged_keys.get(pool.pool, ())


def _lacking(keys: Iterable[int], slab: Slab, entering: KeyedVectors) -> set[int]:
    """Return those of `keys` that neither have a vector in the slab nor get one now."""
    asked = np.array(sorted(keys), np.int64)
    return set(asked[~(slab.holds(asked) | np.isin(asked, entering[0]))].tolist())


def _is_utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True
