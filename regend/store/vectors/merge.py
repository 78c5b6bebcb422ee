"""When a slab gets an HNSW base, and the background thread that builds or loads it.

One job runs at a time. It works on an immutable view and hands its result back through `poll`; the index thread
installs it. Building costs about 0.2 ms of CPU per vector, so a base is extended by what is new and rebuilt only for
its dead.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog

from regend.errors import EnvelopeError
from regend.store.catalog.loading import vector_blocks
from regend.store.catalog.schema import open_reader
from regend.store.envelope import discard, read_header
from regend.store.vectors import hnsw
from regend.store.vectors.hnsw import BuildStoppedError, HnswBase
from regend.store.vectors.slab import SlabView
from regend.types import PoolId

EXACT_ROWS = 20_000
"""Slabs below this are searched exactly: 0.23 ms at 20,000 rows of 256 floats, where HNSW takes 0.11 ms (k=200)."""

_DROP_SHARE = 0.5
_MIN_DELTA_ROWS = 4_000
_DELTA_SHARE = 0.2
_DEAD_SHARE = 0.3

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class MergeResult:
    """A finished job: a base to install, or None where there is none to be had."""

    pool: PoolId
    base: HnswBase | None


class SlabMerger:
    """Keeps HNSW bases and their files. Owned by the index thread; its thread touches only what the job was given."""

    def __init__(
        self, directory: Path, catalog_path: Path, model_id: str, model: int, dim: int, owner: str = ""
    ) -> None:
        """`owner` names the catalog."""
        self._directory = directory
        self._owner = owner
        self._catalog_path = catalog_path
        self._model_id = model_id
        self._model = model
        self._dim = dim
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._results: list[MergeResult] = []
        self._files: dict[PoolId, Path] = {}
        self.exact_rows = EXACT_ROWS

    def _name(self, pool: PoolId) -> str:
        return f"pool-{pool}-model-{self._model}"

    @property
    def busy(self) -> bool:
        """Whether a job runs, or its result has not been polled."""
        return self._thread is not None

    def poll(self) -> MergeResult | None:
        """The result of the job that has ended, if any."""
        if self._thread is None or self._thread.is_alive():
            return None
        self._thread.join()
        self._thread = None
        return self._results.pop() if self._results else None

    def check_age(self, pool: PoolId, generation: int) -> None:
        """Remove a base that is ahead of the catalog: it was made from commits that are lost with a damaged log, and
        their keys will be given to other chunks. Before the first commit after opening."""
        try:
            header, _ = read_header(self._directory, self._name(pool))
        except EnvelopeError:
            return  # There is none, or `load` will say why not.
        if header.generation > generation:
            log.warning("vector_base_too_new", pool=pool, generation=header.generation, catalog=generation)
            self.discard(pool)

    def load(self, pool: PoolId) -> bool:
        """Start loading the pool's base from disk; False where there is no file, or a job runs."""
        if self.busy or not (self._directory / f"{self._name(pool)}.envelope").exists():
            return False
        self._start(pool, lambda: self._load(pool))
        return True

    def consider(self, pool: PoolId, view: SlabView, generation: int) -> bool:
        """Start a build where the slab asks for one and no job runs; True if it was started."""
        base = view.base
        if self.busy or view.live_count < self.exact_rows:
            return False
        delta_live = view.count - view.dead_count
        if base is None or view.base_dead_count > _DEAD_SHARE * len(base.keys):
            self._start(pool, lambda: self._build(pool, view, generation))
            return True
        if delta_live <= max(min(_MIN_DELTA_ROWS, self.exact_rows), _DELTA_SHARE * len(base.keys)):
            return False
        file = self._files.get(pool)
        if file is None or not file.exists():
            self._start(pool, lambda: self._build(pool, view, generation))
        else:
            self._start(pool, lambda: self._extend(pool, base, file, view, generation))
        return True

    def should_drop(self, view: SlabView) -> bool:
        """Whether the slab has become so small that exact search is better."""
        return view.base is not None and view.live_count < self.exact_rows * _DROP_SHARE

    def discard(self, pool: PoolId) -> None:
        """Remove the pool's file."""
        self._files.pop(pool, None)
        discard(self._directory, self._name(pool))

    def close(self) -> None:
        """Stop the job and wait for it; what it was building is built again some other time."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _start(self, pool: PoolId, job: Callable[[], HnswBase | None]) -> None:
        self._results.clear()

        def run() -> None:
            try:
                self._results.append(MergeResult(pool, job()))
            except BuildStoppedError:
                pass  # The store is closing; nobody polls any more.
            except EnvelopeError as error:
                log.warning("vector_base_unusable", pool=pool, reason=str(error))
                discard(self._directory, self._name(pool))
            except Exception:
                # Exact search goes on; the next `consider` tries again.
                log.exception("vector_base_failed", pool=pool)

        self._thread = threading.Thread(target=run, name="regend-slab", daemon=True)
        self._thread.start()

    def _build(self, pool: PoolId, view: SlabView, generation: int) -> HnswBase:
        return self._saved(pool, hnsw.build(*view.live_rows(), self._stop), generation)

    def _extend(self, pool: PoolId, base: HnswBase, file: Path, view: SlabView, generation: int) -> HnswBase:
        # The file is checked again: it may have lain on disk for long since it was written.
        _, _, checked = hnsw.load(self._directory, self._name(pool), self._model_id, self._dim, self._owner)
        alive = ~view.dead[: view.count]
        keys, vectors = view.keys[: view.count][alive], view.vectors[: view.count][alive]
        return self._saved(pool, hnsw.extend(base, checked, keys, vectors, self._stop), generation)

    def _saved(self, pool: PoolId, base: HnswBase, generation: int) -> HnswBase:
        try:
            self._files[pool] = hnsw.save(
                base, self._directory, self._name(pool), self._model_id, generation, self._owner
            )
        except OSError as error:
            # It serves from memory; only the next start has to build it again.
            log.warning("vector_base_not_saved", pool=pool, reason=str(error))
        return base

    def _load(self, pool: PoolId) -> HnswBase | None:
        keys, index, payload = hnsw.load(self._directory, self._name(pool), self._model_id, self._dim, self._owner)
        vectors = np.zeros((len(keys), self._dim), np.float32)
        connection = open_reader(self._catalog_path)
        try:
            for block_keys, block in vector_blocks(connection, self._model, self._dim):
                if self._stop.is_set():
                    raise BuildStoppedError
                at = np.minimum(np.searchsorted(keys, block_keys), max(len(keys) - 1, 0))
                inside = keys[at] == block_keys if len(keys) else np.zeros(len(block_keys), np.bool_)
                vectors[at[inside]] = block[inside]
        finally:
            connection.close()
        # A row that the catalog no longer has stays zero: its key is never used again, so it is and stays dead.
        self._files[pool] = payload
        return HnswBase(keys, vectors, index)
