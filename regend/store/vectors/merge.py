"""When a slab gets an HNSW base, and the background thread that builds or loads it.

One job runs at a time. It works on an immutable view, and the index thread installs its result in `step`. Building
costs about 0.2 ms of CPU per vector, so a base is extended by what is new and rebuilt only for its dead.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

import hnswlib
import numpy as np
import structlog

from regend.embedding.base import ModelInfo
from regend.errors import EnvelopeError
from regend.store.base import NO_THREAD_PAUSE_S, KeyArray
from regend.store.envelope import discard, read_header
from regend.store.vectors import hnsw
from regend.store.vectors.disk import DiskBase, DiskSlabs
from regend.store.vectors.hnsw import BuildStoppedError, HnswBase
from regend.store.vectors.slab import Base, Slab, SlabView
from regend.types import PoolId

BASE_ROWS = 1_500_000
"""Slabs below this have no graph. At 800,000 rows of 256, sifting by signs takes 12 ms and finds 97 of the nearest 100.
A graph takes 4 ms for 96 of them, 0.3 to 1 ms of CPU to build for each row, and two and a half times the memory."""
PIECE_ROWS = 200_000
"""Maximum rows that a job adds to a graph, about 40 s of CPU. Each piece serves as soon as it is done, commits go
between two of them, and a stop loses one at most."""
BUILD_AFTER_S = 5.0
"""Time without a commit after which a base is built: a bulk index needs the core, and would outgrow the base."""
_DROP_SHARE = 0.5
_MIN_DELTA_ROWS = 4_000
_DELTA_SHARE = 0.2
_DEAD_SHARE = 0.3
_DEAD_ROWS_MIN = 1_000

_NO_KEYS: KeyArray = np.empty(0, np.int64)

log = structlog.get_logger(__name__)


def discard_pool(directory: Path, pool: PoolId) -> None:
    """Remove the bases of a pool for all models, also for those that are not served now."""
    for path in directory.glob(f"pool-{pool}-*"):
        path.unlink(missing_ok=True)


def discard_strays(directory: Path, served: Iterable[PoolId]) -> None:
    """Remove the bases of pools that are not served any more."""
    names = {str(pool) for pool in served}
    for path in directory.glob("pool-*-*"):
        if path.name.split("-")[1] not in names:
            with contextlib.suppress(OSError):  # It costs space; the next start tries again.
                path.unlink()


class SlabMerger:
    """Keeps the HNSW bases of one model's slabs, and their files.

    Owned by the index thread; its thread touches only what the job was given.
    """

    def __init__(
        self,
        directory: Path,
        catalog_path: Path,
        model: ModelInfo,
        number: int,
        owner: str,
        slabs: Callable[[], Mapping[PoolId, Slab]],
        disk: DiskSlabs,
    ) -> None:
        """Args:
        number: the model's in the catalog.
        owner: names the catalog.
        slabs: returns the model's slabs by pool, as they are now.
        disk: decides which vectors stay on disk.
        """
        self._disk = disk
        self._directory = directory
        self._owner = owner
        self._catalog_path = catalog_path
        self._model = model
        self._number = number
        self._slabs = slabs
        self._to_load = list(slabs())
        self._thread: threading.Thread | None = None
        self._start_at = 0.0
        self._generation = -1
        self._changed_at = 0.0
        self._stop = threading.Event()
        self._results: list[tuple[PoolId, Base | None]] = []
        self._files: dict[PoolId, Path] = {}

    def _name(self, pool: PoolId) -> str:
        return f"pool-{pool}-model-{self._number}"

    @property
    def is_running(self) -> bool:
        """Whether a job runs, or waits for `step` to take its result."""
        return self._thread is not None

    @property
    def busy(self) -> bool:
        """Whether a job runs, waits for `step` to take its result, has still to start, or could not."""
        return self._thread is not None or bool(self._to_load) or time.monotonic() < self._start_at

    def check_age(self, generation: int) -> None:
        """Remove each base that is ahead of the catalog: it was made from commits that are lost with a damaged log, and
        their keys will be given to other chunks. Before the first commit after opening."""
        for pool in self._to_load:
            try:
                header, _ = read_header(self._directory, self._name(pool))
            except EnvelopeError:
                continue  # There is no base, or `_load` reports why it is unusable.
            if header.generation > generation:
                log.warning("vector_base_too_new", pool=pool, generation=header.generation, catalog=generation)
                discard(self._directory, self._name(pool))

    def step(self, generation: int) -> set[PoolId]:
        """Install the base that the job has made, tidy the slabs, and start the next job.

        Returns:
            The pools whose slabs have changed.
        """
        slabs = self._slabs()
        if generation != self._generation:
            self._generation, self._changed_at = generation, time.monotonic()
        changed = self._install(slabs)
        while self._to_load and self._thread is None and time.monotonic() >= self._start_at:
            pool = self._to_load.pop()
            if self._disk.keeps(pool):
                self.forget(pool)
            elif (self._directory / f"{self._name(pool)}.envelope").exists():
                self._start(pool, partial(self._load, pool))
                if self._thread is None:
                    self._to_load.append(pool)
        for pool, slab in slabs.items():
            view = slab.view()
            if kept := self._disk.keeps(pool):
                self._divide(pool, view)
            on_disk = isinstance(view.base, DiskBase)
            if not kept and (on_disk or (view.base is not None and view.live_count < BASE_ROWS * _DROP_SHARE)):
                self.start_over(pool)
                changed.add(pool)
            elif view.dead_count > max(_DEAD_ROWS_MIN, view.count // 2):
                slab.compact()
                changed.add(pool)
            elif not kept and not self.busy and time.monotonic() - self._changed_at >= BUILD_AFTER_S:
                self._consider(pool, view, generation)
        return changed

    def _install(self, slabs: Mapping[PoolId, Slab]) -> set[PoolId]:
        if self._thread is None or self._thread.is_alive():
            return set()
        self._thread.join()
        self._thread = None
        changed = set[PoolId]()
        for pool, base in self._results:
            if pool not in slabs:
                self.forget(pool)  # It was removed meanwhile.
            elif base is not None:
                slabs[pool].install(base)
                changed.add(pool)
                log.info("vector_base_installed", pool=pool, rows=len(base.keys))
        self._results.clear()
        return changed

    def _divide(self, pool: PoolId, view: SlabView) -> None:
        """Let vectors go that a shared store finds, and take those back that it may lack."""
        base, fresh = view.base, view.live_delta()[0]
        if self.busy or not self._disk.begin(pool, base, len(fresh)):
            return
        known = isinstance(base, DiskBase) and base.settled
        kept = base.keys[~view.base_dead] if base is not None and known else _NO_KEYS
        asked = fresh if known else view.live_keys()
        self._start(pool, partial(self._disk.divide, self._disk.paths_of(pool), kept, asked))

    def _consider(self, pool: PoolId, view: SlabView, generation: int) -> None:
        """Start a build where the slab asks for one."""
        base, file = view.base, self._files.get(pool)
        if view.live_count < BASE_ROWS or isinstance(base, DiskBase):
            return
        if base is not None and view.base_dead_count <= _DEAD_SHARE * len(base.keys):
            if view.count - view.dead_count <= max(min(_MIN_DELTA_ROWS, BASE_ROWS), _DELTA_SHARE * len(base.keys)):
                return
            if file is not None and file.exists():
                self._start(pool, partial(self._extend, pool, base, view, generation))
                return
        self._start(pool, partial(self._build, pool, view, generation))

    def start_over(self, pool: PoolId) -> None:
        """Drop the pool's base, in memory and on disk; a new one without the dead rows is built when it pays."""
        if pool in (slabs := self._slabs()) and not self._stays_on_disk(pool, slabs[pool].view()):
            slabs[pool].install(None)
        self.forget(pool)

    def _stays_on_disk(self, pool: PoolId, view: SlabView) -> bool:
        return isinstance(view.base, DiskBase) and self._disk.keeps(pool)

    def forget(self, pool: PoolId) -> None:
        """Remove the pool's file, and do not load it."""
        if pool in self._to_load:
            self._to_load.remove(pool)
        self._files.pop(pool, None)
        discard(self._directory, self._name(pool))

    def close(self) -> None:
        """Stop the job and wait for it; a later process builds its base again."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _start(self, pool: PoolId, job: Callable[[], Base | None]) -> None:
        self._results.clear()

        def run() -> None:
            try:
                self._results.append((pool, job()))
            except BuildStoppedError:
                pass  # The store is closing; nothing asks for the result any more.
            except EnvelopeError as error:
                log.warning("vector_base_unusable", pool=pool, reason=str(error))
                discard(self._directory, self._name(pool))
            except Exception:
                # Exact search goes on; the next `step` tries again.
                log.exception("vector_base_failed", pool=pool)

        thread = threading.Thread(target=run, name="regend-slab", daemon=True)
        try:
            thread.start()
        except (RuntimeError, MemoryError) as error:
            self._start_at = time.monotonic() + NO_THREAD_PAUSE_S
            log.warning("vector_base_waits", pool=pool, reason=str(error), pause_s=NO_THREAD_PAUSE_S)
            return
        self._thread = thread

    def _build(self, pool: PoolId, view: SlabView, generation: int) -> HnswBase:
        keys, vectors = view.live_rows()
        rows = PIECE_ROWS if view.base is None else len(keys)  # Rows with a graph must not become exact again.
        return self._saved(pool, hnsw.build(keys[:rows], vectors[:rows], self._stop), generation)

    def _extend(self, pool: PoolId, base: HnswBase, view: SlabView, generation: int) -> HnswBase:
        # The file is checked again, because it may have been damaged since it was written.
        _, _, checked = self._checked(pool)
        keys, vectors = view.live_delta()
        return self._saved(
            pool, hnsw.extend(base, checked, keys[:PIECE_ROWS], vectors[:PIECE_ROWS], self._stop), generation
        )

    def _saved(self, pool: PoolId, base: HnswBase, generation: int) -> HnswBase:
        try:
            self._files[pool] = hnsw.save(
                base, self._directory, self._name(pool), self._model.model_id, generation, self._owner
            )
        except OSError as error:
            # It serves from memory; only the next start has to build it again.
            log.warning("vector_base_not_saved", pool=pool, reason=str(error))
        return base

    def _checked(self, pool: PoolId) -> tuple[KeyArray, hnswlib.Index, Path]:
        model = self._model
        return hnsw.load(self._directory, self._name(pool), model.model_id, model.dim, self._owner)

    def _load(self, pool: PoolId) -> HnswBase | None:
        keys, index, payload = self._checked(pool)
        self._files[pool] = payload
        return HnswBase(keys, index)
