"""The store's memory: pools and counts, how they are loaded, changed after a transaction, and published.

Owned by the index thread. It only ever follows the catalog.
"""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import structlog

from regend.core.events import FileVersion
from regend.store.allocator import give_back
from regend.store.base import Elsewhere, Entry, KeyArray, RootRecord
from regend.store.catalog import loading
from regend.store.catalog.reader import Reader
from regend.store.catalog.writer import Catalog
from regend.store.counts import RootCounts
from regend.store.facts import facts_of
from regend.store.lexical.docs import born_docs, lexical_docs
from regend.store.lexical.index import LexicalIndex, LexicalWriteError, WrittenIndex
from regend.store.lexical.mean_lengths import MeanLengths
from regend.store.pool import Pool
from regend.store.snapshot import PoolView, StoreSnapshot, TrackState
from regend.store.staging import PoolEffects, Staging
from regend.store.vectors.disk import DiskSlabs
from regend.store.vectors.merge import discard_strays
from regend.store.vectors.slab import Slab
from regend.store.vectors.track import ModelTrack, PoolTrack
from regend.types import DOC_ORDINAL_BITS, FIRST_TRACK, PoolId, RootId, Track

MEMORY_DOCS = 256
"""Maximum documents of a lexical index in memory. Each takes 0.6 kB there; all of them add 20 ms to a start."""

log = structlog.get_logger(__name__)


class Memory:
    """All pools. Use: `load` once, then `staging`, `install`, `publish` per transaction."""

    def __init__(
        self,
        state_dir: Path,
        connection: sqlite3.Connection,
        catalog: Catalog,
        reader: Reader,
        first: ModelTrack,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._lexical_dir = state_dir / "lexical"
        self._vectors_dir = state_dir / "vectors"
        self._connection = connection
        self._catalog = catalog
        self._reader = reader
        self._mean_lengths = MeanLengths()
        self._roots: dict[RootId, RootRecord] = {}
        self._counts: dict[RootId, RootCounts] = {}
        self.pools: dict[PoolId, Pool] = {}
        self._writing: LexicalIndex | None = None
        """The only lexical index whose writer may be open: six threads and some megabytes. Closing it costs 1 ms."""
        self.tracks = [first]

    # Loading.

    def load(self) -> StoreSnapshot:
        """Read everything from the catalog; open, catch up or rebuild the lexical indexes."""
        started_at = time.perf_counter()
        self.close_writer()
        generation = self._catalog.generation
        records = self._catalog.roots()
        self._roots = {record.root: record for record in records}
        self._counts = {root: RootCounts() for root in self._roots}
        self.pools = {record.pool: self._new_pool(record.pool) for record in records}
        self._load_entries()
        for track in range(len(self.tracks)):
            self._load_track(Track(track))
        self._load_counts()
        for pool in self.pools.values():
            self._open_lexical(pool, generation)
        give_back()
        self._remove_strays()
        took_ms = round((time.perf_counter() - started_at) * 1e3)
        log.info("store_loaded", generation=generation, pools=len(self.pools), roots=len(records), took_ms=took_ms)
        return self.publish(None, generation, self.pools)

    def _new_pool(self, pool: PoolId) -> Pool:
        owner = f"{self._catalog.catalog_id}/{pool}"
        return Pool(pool, self._lexical_dir / str(pool), self.tracks, owner)

    def _load_entries(self) -> None:
        roots_of: dict[int, list[RootId]] = {}
        for root, entry_id, reason in loading.tree_rows(self._connection):
            self._counts[root].count_file(entry_id, reason, 1)
            if entry_id is not None:
                roots_of.setdefault(entry_id, []).append(root)
        shared: dict[tuple[RootId, ...], frozenset[RootId]] = {}
        entries: dict[PoolId, list[Entry]] = {pool: [] for pool in self.pools}
        blob_of_entry: dict[int, int] = {}
        keys_of_blob = loading.live_blob_keys(self._connection)
        for row in loading.live_entries(self._connection):
            key = tuple(sorted(roots_of.get(row.entry_id, ())))
            roots = shared.setdefault(key, frozenset(key))
            if roots:
                blob_of_entry[row.entry_id] = row.blob_key
                count = len(keys_of_blob.get(row.blob_key, ()))
                marks = row.degraded_reason
                entries[row.pool].append(
                    Entry(row.entry_id, row.pool, row.path, row.blob, row.language, roots, count, marks)
                )
        for pool_id, pool in self.pools.items():
            pool.facts = facts_of(entries[pool_id], blob_of_entry, keys_of_blob)
            pool.live.load(entries[pool_id])

    def _load_track(self, number: Track) -> None:
        """Read the stored vectors of live chunks into a track's empty slabs, and note which chunks have none."""
        track = self.tracks[number]
        live_keys = {pool_id: pool.live_keys() for pool_id, pool in self.pools.items()}
        lacks = {pool_id: np.ones(len(keys), np.bool_) for pool_id, keys in live_keys.items()}
        slabs, disk = self.slabs(number), self.disk_slabs(number)
        on_disk: dict[PoolId, list[KeyArray]] = {pool_id: [] for pool_id in slabs if disk.keeps(pool_id)}
        for pool_id, slab in slabs.items():
            if pool_id not in on_disk:
                slab.reserve(len(live_keys[pool_id]))
        for keys, vectors in loading.vector_blocks(self._connection, track.number, track.model.dim):
            for pool_id, slab in slabs.items():
                rows = loading.positions(live_keys[pool_id], keys)
                inside = rows >= 0
                lacks[pool_id][rows[inside]] = False
                if pool_id in on_disk:
                    on_disk[pool_id].append(keys[inside])
                elif inside.all():  # Nothing need be copied.
                    slab.add(keys, vectors)
                else:
                    slab.add(keys[inside], vectors[inside])
        for pool_id, parts in on_disk.items():
            slabs[pool_id].begin(disk.base(np.concatenate([np.empty(0, np.int64), *parts])))
        for pool_id, pool in self.pools.items():
            pool.tracks[number].lacking = set(live_keys[pool_id][lacks[pool_id]].tolist()) - track.forgone
        self.allow()

    def slabs(self, track: Track) -> dict[PoolId, Slab]:
        """Return a track's slabs, by pool."""
        return {pool_id: pool.tracks[track].slab for pool_id, pool in self.pools.items()}

    def disk_slabs(self, number: Track) -> DiskSlabs:
        """Return what decides which vectors of a track stay on disk."""
        track = self.tracks[number]
        return DiskSlabs(self._reader, track.model, track.number, self._elsewhere, self._paths_of)

    def _paths_of(self, pool: PoolId) -> list[str]:
        return [record.path for record in self._roots.values() if record.pool == pool]

    # Tracks.

    def add_track(self, track: ModelTrack) -> Track:
        """Keep a stronger model's vectors, too, and let it serve the pools in which it is complete."""
        self.tracks.append(track)
        for pool in self.pools.values():
            pool.tracks.append(PoolTrack(track))
        number = Track(len(self.tracks) - 1)
        self._load_track(number)
        return number

    def allow(self) -> None:
        """Give a pool to a model only if all of its roots may be given to it."""
        for pool_id, pool in self.pools.items():
            for part in pool.tracks:
                part.allowed = part.track.roots is None or self._roots_of(pool_id) <= part.track.roots

    def lacking(self, track: Track) -> set[int]:
        """Return the keys of chunks that the track's model has to embed."""
        parts = [pool.tracks[track] for pool in self.pools.values()] if track < len(self.tracks) else []
        return set[int]().union(*(part.lacking for part in parts if part.allowed))

    def version_with(self, key: int) -> FileVersion | None:
        """Return a live file that has the chunk."""
        for pool in self.pools.values():
            for doc in pool.facts.docs(key):
                entry = pool.live.get(doc >> DOC_ORDINAL_BITS)
                if entry is not None:
                    return FileVersion(min(entry.roots), entry.path, entry.blob)
        return None

    def put_off(self, track: Track, keys: frozenset[int]) -> list[PoolId]:
        """Let pools be served without vectors of these chunks, and of no others; return the pools where that is new."""
        changed = []
        for pool_id, pool in self.pools.items():
            part = pool.tracks[track]
            put_off = keys & part.lacking
            if put_off != part.put_off:
                part.put_off = put_off
                changed.append(pool_id)
        return changed

    def _track_state(self, number: Track, views: Mapping[PoolId, PoolView]) -> TrackState:
        track, parts = self.tracks[number], [pool.tracks[number] for pool in self.pools.values()]
        serving = frozenset(pool_id for pool_id, view in views.items() if view.slabs[number] is not None)
        lacking = sum(len(part.lacking) for part in parts if part.allowed)
        return TrackState(track.model.model_id, serving, lacking, len(track.forgone), track.file_vectors)

    def _load_counts(self) -> None:
        for pool in self.pools.values():
            pool.count_loaded(self._counts)

    # Lexical indexes.

    def _open_lexical(self, pool: Pool, generation: int) -> None:
        usable = pool.doc_count > MEMORY_DOCS and pool.lexical.open(generation)
        if usable:
            usable = self.catch_up(pool, generation) and pool.lexical.matches(pool.doc_count)
        if not usable and not self.rebuild_lexical(pool, generation):
            pool.lexical.stand_in()

    def catch_up(self, pool: Pool, generation: int) -> bool:
        """Apply to the lexical index what changed since its last commit; return False where that failed."""
        changed, live = loading.entries_changed_since(self._connection, pool.pool, pool.lexical.generation)
        if not pool.lexical.usable:
            return False
        try:
            if changed:
                self._let_write(pool.lexical).apply(changed, lexical_docs(self._connection, live))
            pool.lexical.mark(generation)
        except LexicalWriteError as error:
            log.warning("lexical_catch_up_failed", pool=pool.pool, reason=str(error))
            return False
        return True

    def _let_write(self, lexical: LexicalIndex) -> LexicalIndex:
        """Return the index, which may open its writer now; the writer of another is closed."""
        if self._writing is not lexical:
            self.close_writer()
            self._writing = lexical
        return lexical

    def close_writer(self) -> None:
        """Give the threads and the memory of the open writer back."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.close_writer()

    def rebuild_lexical(self, pool: Pool, generation: int, *, more_docs: int = 0) -> bool:
        """Rewrite the lexical index from the catalog; return False, and keep the old one, where the disk refuses.

        Args:
            more_docs: documents that are about to be added.
        """
        self.close_writer()
        docs = lexical_docs(self._connection, sorted(entry.entry_id for entry in pool.live.values()))
        small = pool.doc_count + more_docs <= MEMORY_DOCS
        try:
            (pool.lexical.rebuild_in_memory if small else pool.lexical.rebuild)(docs, generation)
        except LexicalWriteError as error:
            log.warning("lexical_rebuild_failed", pool=pool.pool, reason=str(error))
            return False
        return True

    def adopt_lexical(self, pool: Pool, written: WrittenIndex, made_at: int, generation: int) -> None:
        """Serve a lexical index that was written from what was live at generation `made_at`."""
        try:
            pool.lexical.adopt(written, made_at)
        except LexicalWriteError as error:
            log.warning("lexical_rebuild_not_kept", pool=pool.pool, reason=str(error))
        if not self.catch_up(pool, generation):
            pool.lexical.behind = True

    def _remove_strays(self) -> None:
        """Delete lexical indexes and bases of pools that are not served any more (a crash while a root was removed)."""
        discard_strays(self._vectors_dir, self.pools)
        if self._lexical_dir.is_dir():
            for path in self._lexical_dir.iterdir():
                if path.name not in {str(pool) for pool in self.pools}:
                    shutil.rmtree(path, ignore_errors=True)

    # Changes.

    def staging(self, generation: int) -> Staging:
        """Begin a transaction over the current state."""
        return Staging(self._catalog, self.pools, self._roots, self.tracks, generation)

    def install(
        self,
        staging: Staging,
        effects: Mapping[PoolId, PoolEffects],
        generation: int,
        *,
        skip_lexical: bool = False,
        on_step: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """Follow a durable transaction."""
        for count in staging.counts:
            self._counts[count.root].count_file(count.entry_id, count.reason, count.step)
        for track, forgone in zip(self.tracks, staging.forgone, strict=True):
            track.forgone |= forgone
        for pool_id, effect in effects.items():
            pool = self.pools[pool_id]
            if (effect.born or effect.died) and not skip_lexical:
                self._install_lexical(pool, effect, staging, generation, on_step)
            self._install_vectors(pool, effect, staging)

    def _install_lexical(
        self, pool: Pool, effect: PoolEffects, staging: Staging, generation: int, on_step: Callable[[str], None]
    ) -> None:
        """Write the words. A failure leaves the index behind the catalog; queries see no wrong documents meanwhile."""
        staged = [staging.entries[entry_id] for entry_id in effect.born]
        born_docs_count = sum(len(s.keys) for s in staged)
        if pool.lexical.in_memory and pool.doc_count + born_docs_count > MEMORY_DOCS:
            self.rebuild_lexical(pool, generation - 1, more_docs=born_docs_count)
        if not pool.lexical.behind:
            try:
                born = ((s.entry.entry_id, s.entry.path, staging.fresh.get(s.blob_key)) for s in staged)
                self._let_write(pool.lexical).apply(effect.died, born_docs(self._connection, born))
                on_step("lexical")
                pool.lexical.mark(generation)
                on_step("marked")
                return
            except LexicalWriteError as error:
                log.warning("lexical_commit_failed", pool=pool.pool, generation=generation, reason=str(error))
        if not self.catch_up(pool, generation):
            pool.lexical.behind = True

    def _install_vectors(self, pool: Pool, effect: PoolEffects, staging: Staging) -> None:
        for track, vectors in zip(pool.tracks, effect.vectors, strict=True):
            track.follow(effect.born_keys, effect.killed_keys, vectors)
        # Before entries change: these counted their chunks as pending, entries born now will not.
        pool.count_vectors(effect.vectors[FIRST_TRACK][0], self._counts)
        for entry_id in effect.born:
            staged = staging.entries[entry_id]
            pool.facts.add(entry_id, staged.entry.path, staged.blob_key, staged.keys)
        for entry_id, roots in effect.roots.items():
            entry = pool.live.get(entry_id) or staging.entries[entry_id].entry
            pool.set_roots(entry, roots, self._counts)

    def add_root(self, record: RootRecord) -> None:
        """Serve a root that was just added, empty."""
        self._roots[record.root] = record
        self._counts[record.root] = RootCounts()
        if record.pool not in self.pools:
            pool = self.pools[record.pool] = self._new_pool(record.pool)
            self.rebuild_lexical(pool, self._catalog.generation)
        self.allow()

    def set_marker(self, root: RootId, marker: str) -> RootRecord:
        """Change a root's record."""
        self._roots[root] = replace(self._roots[root], marker=marker)
        return self._roots[root]

    def is_last_root(self, root: RootId) -> bool:
        """Return whether no other root shares its pool."""
        return self._roots_of(self._roots[root].pool) == {root}

    def _roots_of(self, pool: PoolId) -> set[RootId]:
        return {record.root for record in self._roots.values() if record.pool == pool}

    def drop_root(self, root: RootId) -> None:
        """Stop serving a root, and its pool with the last one."""
        record = self._roots.pop(root, None)
        self._counts.pop(root, None)
        if record is not None and not self._roots_of(record.pool):
            self.close_writer()
            self.pools.pop(record.pool).lexical.remove()
        self.allow()

    # Publishing.

    def publish(self, old: StoreSnapshot | None, generation: int, changed: Iterable[PoolId]) -> StoreSnapshot:
        """Return a snapshot in which only the `changed` pools have new views."""
        views = {} if old is None else dict(old.pools)
        for pool_id in changed:
            if pool_id in self.pools:
                views[pool_id] = self.pools[pool_id].view()
            else:
                views.pop(pool_id, None)
        return StoreSnapshot(
            generation,
            not self._catalog.has_pending() and not any(pool.lexical.behind for pool in self.pools.values()),
            MappingProxyType(dict(self._roots)),
            MappingProxyType(views),
            MappingProxyType({root: counts.freeze() for root, counts in self._counts.items()}),
            self._reader,
            self._mean_lengths,
            tuple(self._track_state(Track(track), views) for track in range(len(self.tracks))),
        )

    def close(self) -> None:
        """Close the open writer."""
        self.close_writer()
