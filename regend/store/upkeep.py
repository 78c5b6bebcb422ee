"""Background work of the store, in bounded pieces, on the index thread: HNSW bases, lexical repair, garbage, log."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import structlog

from regend.store.allocator import give_back
from regend.store.base import GarbageLimits
from regend.store.catalog.garbage import collect, remove_entries
from regend.store.catalog.writer import Catalog
from regend.store.envelope import fsync_dir, parse_signed, signed, write_atomically
from regend.store.lexical.index import SEGMENT_DOCS
from regend.store.lexical.rebuild import LexicalRebuilder
from regend.store.memory import Memory
from regend.store.pool import Pool
from regend.store.snapshot import StoreSnapshot
from regend.store.vectors.merge import SlabMerger, discard_pool
from regend.types import FIRST_TRACK, PoolId, Track

_BUSY_DELAY_S = 0.2
_WRITER_IDLE_S = 5.0
_GARBAGE_INTERVAL_S = 300.0
_PURGE_IDLE_S = 1.0
_PURGE_AGAIN_S = 30.0
"""Pause before the next attempt of a purge that the disk refused."""
_REWRITE_IDLE_S = 5.0
"""Longer than bulk commits may be apart: rewritten amid a bulk index, a large index is scattered again soon."""
_WARM_IDLE_S = 1.0
_WARM_SLICE_S = 0.02
_SMALL_DOCS = 5_000
"""Maximum documents of a lexical index that is rewritten (0.1 s) as soon as it holds a deleted document."""
_STALE_DOCS_SHARE = 0.05
_ADDED_DOCS_SHARE = 0.5
_SEGMENTS_SHARE = 1.5
"""Least segments that are worth a rewrite, as a share of those that it leaves. The Linux kernel's 1,240,293 documents
lay in 19, and a rewrite, minutes of CPU, would leave 21."""

log = structlog.get_logger(__name__)


def _has_more(pool: Pool) -> bool:
    """Return whether the pool's lexical index has clearly more segments than a rewrite would leave."""
    left = -(-pool.doc_count // SEGMENT_DOCS)
    return pool.lexical.view().searcher.num_segments > _SEGMENTS_SHARE * left


class Upkeep:
    """Decides what is due and does it. Its methods return the pools whose views must be published again."""

    def __init__(
        self,
        state_dir: Path,
        connection: sqlite3.Connection,
        catalog: Catalog,
        memory: Memory,
        limits: GarbageLimits,
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._memory = memory
        self._limits = limits
        self._state_dir = state_dir
        self.awaited_tracks = 1
        """Configured models; while fewer are known, no model's vectors are garbage."""
        self._mergers: list[SlabMerger] = []
        self.add_track(FIRST_TRACK)
        self._purging = state_dir / "purging"
        self._unpurged = self._read_purging()
        """Pools whose words and bases may hold bytes of rows that a purge removed; None: no purge is unfinished."""
        self._vacuum_due = self.is_purging
        self._purge_at = 0.0
        self._rebuilder = LexicalRebuilder(state_dir / "index.db")
        self._refused: dict[PoolId, int] = {}
        self._idle_since: float | None = None
        self._idle_generation = -1
        self._garbage_at = time.monotonic()
        self._more_garbage = False
        self._purged = self._tidied = self._warm = True
        self._warming: Iterator[None] | None = None

    def add_track(self, number: Track) -> None:
        """Look after the slabs of this track, too."""
        directory, path, track = self._state_dir / "vectors", self._state_dir / "index.db", self._memory.tracks[number]
        slabs = partial(self._memory.slabs, number)
        disk = self._memory.disk_slabs(number)
        merger = SlabMerger(directory, path, track.model, track.number, self._catalog.catalog_id, slabs, disk)
        merger.check_age(self._catalog.generation)
        self._mergers.append(merger)

    def step(self) -> set[PoolId]:
        """Install what background jobs have finished, and start the next one; one builds at a time."""
        changed = self._adopt()
        for merger in self._mergers:
            changed |= merger.step(self._catalog.generation)
            if merger.busy:
                break
        return changed

    def idle_step(self) -> set[PoolId]:
        """Carry out the work that may wait until no command waits."""
        changed: set[PoolId] = set()
        now, generation = time.monotonic(), self._catalog.generation
        if self._idle_since is None or generation != self._idle_generation:
            self._idle_since, self._idle_generation = now, generation
            self._purged = self._tidied = self._warm = False
            self._warming = None
        for pool_id, pool in self._memory.pools.items():
            if pool.lexical.behind:
                self._rebuilder.cancel(pool_id)
                if not self._memory.catch_up(pool, generation):
                    self._memory.rebuild_lexical(pool, generation)
                changed.add(pool_id)
            if pool.forget_dead():
                changed.add(pool_id)
        try:
            changed |= self._finish_purge()
        except (sqlite3.OperationalError, OSError) as error:
            log.warning("purge_unfinished", reason=str(error))
        if now - self._idle_since >= _PURGE_IDLE_S and not self._purged:
            changed |= self._purge(generation)
        if now - self._idle_since >= _WRITER_IDLE_S and not self._tidied:
            self._tidy()
        # Words that are behind learn from the rows of unused entries which documents to delete.
        is_due = self._more_garbage or now - self._garbage_at >= _GARBAGE_INTERVAL_S
        if is_due and not (self._is_behind or self._rebuilder.busy):
            self._garbage_at = now
            self._collect()
        return changed

    def _purge(self, generation: int) -> set[PoolId]:
        """Rewrite lexical indexes whose term statistics count many deleted documents, or that have many segments.

        Segments merge by themselves, but large ones rarely do, and until then results are ranked by words of files that
        are gone, and each query takes twice as long. A large index is written in the background.
        """
        changed: set[PoolId] = set()
        self._purged = True
        for pool_id, pool in self._memory.pools.items():
            small = pool.doc_count <= _SMALL_DOCS
            stale = pool.lexical.deleted_docs > (0 if small else _STALE_DOCS_SHARE * pool.doc_count)
            scattered = not small and pool.lexical.added_docs > _ADDED_DOCS_SHARE * pool.doc_count and _has_more(pool)
            if not (stale or scattered) or self._refused.get(pool_id) == generation:
                continue
            if small:
                self._rebuilder.cancel(pool_id)
                self._memory.rebuild_lexical(pool, generation)
                changed.add(pool_id)
                continue
            self._purged = False
            if not self._busy and time.monotonic() - (self._idle_since or 0.0) >= _REWRITE_IDLE_S:
                entry_ids = sorted(entry.entry_id for entry in pool.live.values())
                self._rebuilder.start(pool_id, pool.lexical.directory, entry_ids, generation)
        return changed

    def _adopt(self) -> set[PoolId]:
        """Serve the lexical index that was written in the background, if it is complete."""
        result = self._rebuilder.poll()
        if result is None:
            return set()
        if result.written is None:
            self._refused[result.pool] = self._catalog.generation  # Until something changes.
            return set()
        pool = self._memory.pools[result.pool]
        self._memory.adopt_lexical(pool, result.written, result.generation, self._catalog.generation)
        return {result.pool}

    @property
    def _busy(self) -> bool:
        """Whether a background job runs; one at a time, because there may be few cores."""
        return self._rebuilder.busy or any(merger.busy for merger in self._mergers)

    @property
    def _is_behind(self) -> bool:
        """Whether words of a pool lack what was committed."""
        return any(pool.lexical.behind for pool in self._memory.pools.values())

    def warm(self, snapshot: StoreSnapshot) -> None:
        """Make vectors of files for some moments after a while without work, so that no query has to."""
        if self._warm or self._idle_since is None or time.monotonic() - self._idle_since < _WARM_IDLE_S:
            return
        if self._warming is None:
            self._warming = snapshot.make_file_vectors()
        until = time.monotonic() + _WARM_SLICE_S
        for _ in self._warming:
            if time.monotonic() >= until:
                return
        self._warm, self._warming = True, None

    def _tidy(self) -> None:
        """Give back what writing needed: threads, heaps, log."""
        self._memory.close_writer()
        self._catalog.optimize()
        self._catalog.checkpoint()
        give_back()
        self._tidied = True

    def _collect(self) -> None:
        models = {track.number for track in self._memory.tracks}
        is_waiting = len(self._memory.tracks) < self.awaited_tracks
        with self._catalog.transaction():
            self._catalog.confirm_models(models)
            report = collect(self._connection, self._limits, models, spare_models=is_waiting)
        self._more_garbage = report.more
        if report.entries or report.blobs:
            log.info("garbage_collected", entries=report.entries, blobs=report.blobs, chunks=report.chunks)

    @property
    def is_purging(self) -> bool:
        """Whether a file on disk may still hold bytes that a purge is to remove; `idle_step` goes on with it."""
        return self._unpurged is not None

    def purge(self, unwanted: Callable[[PoolId, str], bool]) -> set[PoolId]:
        """Remove unused entries with unwanted paths, so that no file on disk holds a byte of them.

        Deleted rows stay readable in SQLite's free pages, and deleted vectors in an HNSW base, until both are
        rewritten. That takes a second for each 300 MB, but rules that exclude indexed files are rare.

        Returns:
            The pools that must be published.

        Raises:
            sqlite3.OperationalError, OSError: the disk refuses; `idle_step` tries again.
        """
        rows = self._connection.execute(
            "SELECT entry_id, blob_key, pool, path FROM entries WHERE unused_utc IS NOT NULL ORDER BY entry_id"
        ).fetchall()
        found = [(entry_id, blob_key, PoolId(pool)) for entry_id, blob_key, pool, path in rows if unwanted(pool, path)]
        if found:
            pools = (self._unpurged or set()) | {pool for *_, pool in found}
            # Once the rows are gone, nothing else says that their bytes are still to be removed.
            write_atomically(self._purging, signed({"pools": sorted(pools)}))
            self._unpurged, self._vacuum_due = pools, True
            with self._catalog.transaction():
                blobs, chunks = remove_entries(self._connection, [(entry_id, key) for entry_id, key, _ in found])
            log.info("purge_begun", entries=len(found), blobs=blobs, chunks=chunks)
        return self._finish_purge()

    def _read_purging(self) -> set[PoolId] | None:
        """Return the pools that an interrupted purge has left; all where that cannot be read."""
        try:
            return {PoolId(pool) for pool in parse_signed(self._purging.read_bytes())["pools"]}
        except FileNotFoundError:
            return None
        except (OSError, ValueError, LookupError, TypeError):
            return set(self._memory.pools)

    def _finish_purge(self) -> set[PoolId]:
        """Rewrite what may hold bytes of removed rows, as far as possible now; return the pools to publish."""
        changed = set[PoolId]()
        # A background job might still write what it was given before.
        if self._unpurged is None or any(merger.is_running for merger in self._mergers):
            return changed
        if time.monotonic() < self._purge_at:
            return changed
        self._purge_at = time.monotonic() + _PURGE_AGAIN_S
        self._rebuilder.cancel()
        for pool_id in self._unpurged:
            for merger in self._mergers:
                merger.start_over(pool_id)
            discard_pool(self._state_dir / "vectors", pool_id)
        if self._vacuum_due:
            self._connection.execute("VACUUM")
            self._vacuum_due = False
        for pool_id in sorted(self._unpurged):
            pool = self._memory.pools.get(pool_id)
            if pool is not None:
                pool.forget_dead(at_once=True)
                changed.add(pool_id)
            if pool is None or self._memory.rebuild_lexical(pool, self._catalog.generation):
                self._unpurged.discard(pool_id)
        if not self._unpurged:
            self._purge_at = 0.0  # The rest costs little, and mostly a reader is in its way.
            if self._catalog.checkpoint():
                self._purging.unlink(missing_ok=True)
                fsync_dir(self._state_dir)
                self._unpurged = None
                changed = set(self._memory.pools)  # Also those of an attempt that failed after it had changed them.
                log.info("purged")
        return changed

    def next_delay_s(self) -> float:
        """Return the seconds until there is work again, if no command comes before."""
        if self._busy or (self._more_garbage and not self._is_behind) or self._warming is not None:
            return _BUSY_DELAY_S
        if self.is_purging or self._is_behind:
            return _WRITER_IDLE_S
        if not self._purged or not self._warm:
            return _PURGE_IDLE_S
        if not self._tidied:
            return _WRITER_IDLE_S
        return _GARBAGE_INTERVAL_S

    def forget_pool(self, pool: PoolId) -> None:
        """Remove the vector files of a pool that is about to be removed."""
        self._rebuilder.cancel(pool)
        for merger in self._mergers:
            merger.forget(pool)

    def close(self) -> None:
        """Stop background jobs."""
        self._rebuilder.cancel()
        for merger in self._mergers:
            merger.close()
