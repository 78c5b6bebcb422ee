"""Background work of the store, in bounded pieces, on the index thread: HNSW bases, lexical repair, garbage, log."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

import structlog

from regend.embedding.base import ModelInfo
from regend.store.catalog import Catalog
from regend.store.garbage import GarbageLimits, collect
from regend.store.memory import Memory
from regend.store.slab_merge import SlabMerger
from regend.types import PoolId

_BUSY_DELAY_S = 0.2
_WRITER_IDLE_S = 5.0
_GARBAGE_INTERVAL_S = 300.0
_DEAD_ROWS_MIN = 1_000
_PURGE_IDLE_S = 1.0
_SMALL_DOCS = 5_000
"""A lexical index of up to this many documents is written anew (0.1 s) as soon as it holds any deleted one."""
_STALE_DOCS_SHARE = 0.05

log = structlog.get_logger(__name__)


class Upkeep:
    """Decides what is due and does it. Returns the pools whose views must be published again."""

    def __init__(
        self,
        state_dir: Path,
        connection: sqlite3.Connection,
        catalog: Catalog,
        memory: Memory,
        model: ModelInfo,
        limits: GarbageLimits,
    ) -> None:
        self._connection = connection
        self._catalog = catalog
        self._memory = memory
        self._limits = limits
        directory, path = state_dir / "vectors", state_dir / "index.db"
        self.merger = SlabMerger(directory, path, model.model_id, catalog.model, model.dim)
        self._to_load = list(memory.pools)
        self._idle_since: float | None = None
        self._idle_generation = -1
        self._garbage_at = time.monotonic()
        self._more_garbage = False
        self._purged = self._tidied = True

    def step(self) -> set[PoolId]:
        """Install what a background job has finished, and start the next one."""
        changed: set[PoolId] = set()
        result = self.merger.poll()
        if result is not None and result.base is not None and result.pool in self._memory.pools:
            self._memory.pools[result.pool].slab.install(result.base)
            changed.add(result.pool)
            log.info("vector_base_installed", pool=result.pool, rows=len(result.base.keys))
        while self._to_load and not self.merger.busy:
            self.merger.load(self._to_load.pop())
        for pool_id, pool in self._memory.pools.items():
            view = pool.slab.view()
            if self.merger.should_drop(view):
                pool.slab.install(None)
                self.merger.discard(pool_id)
                changed.add(pool_id)
            elif view.dead_count > max(_DEAD_ROWS_MIN, view.count // 2):
                pool.slab.compact()
                changed.add(pool_id)
            elif not self._to_load and not self.merger.busy:
                self.merger.consider(pool_id, view, self._catalog.generation)
        return changed

    def idle_step(self) -> set[PoolId]:
        """Do what may wait until nobody does."""
        changed: set[PoolId] = set()
        now, generation = time.monotonic(), self._catalog.generation
        if self._idle_since is None or generation != self._idle_generation:
            self._idle_since, self._idle_generation = now, generation
            self._purged = self._tidied = False
        for pool_id, pool in self._memory.pools.items():
            if pool.lexical.behind:
                if not self._memory.catch_up(pool, generation):
                    self._memory.rebuild_lexical(pool, generation)
                changed.add(pool_id)
            if pool.forget_dead():
                changed.add(pool_id)
        if now - self._idle_since >= _PURGE_IDLE_S and not self._purged:
            changed |= self._purge(generation)
        if now - self._idle_since >= _WRITER_IDLE_S and not self._tidied:
            self._tidy()
        if self._more_garbage or now - self._garbage_at >= _GARBAGE_INTERVAL_S:
            self._garbage_at = now
            self._collect()
        return changed

    def _purge(self, generation: int) -> set[PoolId]:
        """Write lexical indexes anew in which deleted documents weigh on term statistics.

        Segments merge by themselves, but large ones rarely do, and until then results are ranked by words of files that
        are gone.
        """
        changed: set[PoolId] = set()
        for pool_id, pool in self._memory.pools.items():
            few = 0 if pool.doc_count <= _SMALL_DOCS else _STALE_DOCS_SHARE * pool.doc_count
            if pool.lexical.deleted_docs > few:
                self._memory.rebuild_lexical(pool, generation)
                changed.add(pool_id)
        self._purged = True
        return changed

    def _tidy(self) -> None:
        """Give back what writing needed: threads, heaps, log."""
        for pool in self._memory.pools.values():
            pool.lexical.close_writer()
        self._catalog.checkpoint()
        self._catalog.optimize()
        self._tidied = True

    def _collect(self) -> None:
        with self._catalog.transaction():
            report = collect(self._connection, self._limits, self._catalog.model)
        self._more_garbage = report.more
        if report.entries or report.blobs:
            log.info("garbage_collected", entries=report.entries, blobs=report.blobs, chunks=report.chunks)

    def next_delay_s(self) -> float:
        """When there is something to do again, if no command comes before."""
        if self.merger.busy or self._to_load or self._more_garbage:
            return _BUSY_DELAY_S
        if any(pool.lexical.behind for pool in self._memory.pools.values()):
            return _WRITER_IDLE_S
        if not self._purged:
            return _PURGE_IDLE_S
        if not self._tidied:
            return _WRITER_IDLE_S
        return _GARBAGE_INTERVAL_S

    def forget_pool(self, pool: PoolId) -> None:
        """A pool is about to go: its vector file goes too."""
        if pool in self._to_load:
            self._to_load.remove(pool)
        self.merger.discard(pool)

    def close(self) -> None:
        """Stop background jobs."""
        self.merger.close()
