"""The daemon's life: puts the parts together, starts them in order, serves, and takes them down in reverse.

Start: lock and open the store, start a worker, listen, bring the roots back, serve. Stop: refuse new requests, stop the
watchers, end the workers, finish the commit under way, close the store, unlink the socket.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import structlog

from regend import __version__
from regend.config import Config
from regend.core import events as ev
from regend.core.batcher import BatchConfig
from regend.core.debouncer import DebounceConfig
from regend.core.pipeline import Pipeline, PipelineConfig
from regend.daemon.driver import Driver, Outlets
from regend.daemon.embedder import Embedder
from regend.daemon.indexer import Indexer
from regend.daemon.listen import Listener, open_listener
from regend.daemon.methods import Methods
from regend.daemon.notices import Notices
from regend.daemon.notify import Notifier
from regend.daemon.pool import WorkerPool
from regend.daemon.roots import Prepared, Roots, ServedRoot
from regend.daemon.server import RpcServer
from regend.daemon.telemetry import StageTimes
from regend.daemon.watcher import Watcher
from regend.embedding.registry import encoder_spec, open_provider
from regend.errors import RootError
from regend.search.engine import Engine
from regend.store.base import RootRecord
from regend.store.registry import Store

QUERY_THREADS = 2
QUERY_EMBED_TIMEOUT_S = 2.0
CHECK_INTERVAL_S = 1.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Where this daemon lives."""

    state_dir: Path
    socket: Path


class App:
    """One running daemon. Create it on the event loop; `run` returns when it was asked to stop."""

    def __init__(self, config: Config, places: Places, roots: Sequence[Path]) -> None:
        self.config = config
        self.places = places
        self.started_at = time.monotonic()
        self.times = StageTimes()
        self.roots = Roots(config, places.state_dir)
        self.queries = ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="regend-query")
        self._scanners = ThreadPoolExecutor(2, thread_name_prefix="regend-scan")
        self._wanted = list(roots)
        self._stop = asyncio.Event()
        self._adding = asyncio.Lock()
        self.pool = WorkerPool(config.workers, encoder_spec(config.embedding))
        self.provider = open_provider(config.embedding, self.pool.embed)
        self.engine = Engine()
        self.driver: Driver
        self.indexer: Indexer
        self.embedder: Embedder
        self.watcher: Watcher
        self.server: RpcServer

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()

    async def run(self, notifier: Notifier) -> None:
        """Serve until stopped.

        Raises:
            RegendError: it could not start; nothing was left behind.
        """
        listener = open_listener(self.places.socket)
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(listener, tasks, notifier)
        except BaseExceptionGroup as group:
            # A task's error took the others down; the first tells why.
            raise group.exceptions[0] from group
        finally:
            listener.close()

    async def _serve(self, listener: Listener, tasks: asyncio.TaskGroup, notifier: Notifier) -> None:
        self.driver = Driver(Pipeline(pipeline_config(self.config, self.pool)), tasks, self.times)
        self.indexer = Indexer(self.places.state_dir, self.provider.info, self.driver.post)
        store = await asyncio.to_thread(self.indexer.start)
        self.watcher = Watcher(self.driver.post, self.config.watch, self.places.state_dir / "cookies")
        self.embedder = Embedder(self.provider, lambda chunks: store.texts(tuple(chunks)), QUERY_EMBED_TIMEOUT_S)
        self.driver.connect(Outlets(self.pool, self.embedder, self.indexer, self.watcher, self.roots, self._scanners))
        self.server = RpcServer(Methods(self).handlers(), version=__version__)
        notices = Notices(self)
        self.driver.on_committed = notices.committed
        self.driver.on_changed = notices.changed
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        try:
            await self.pool.start()
            await self._recall_roots()
            for path in self._wanted:
                await self.add_root(path, force=False)
            await self.server.start(listener.sock)  # Clients have waited in the backlog; none sees half of the roots.
            notifier.ready(f"serving {len(self.roots.all())} roots")
            log.info("serving", version=__version__, socket=str(listener.path), pid=os.getpid())
            await self._look_after(notifier)
        finally:
            notifier.stopping()
            await self._shut_down()

    async def _look_after(self, notifier: Notifier) -> None:
        """Watch the watchers and feed the service manager's watchdog until it is time to stop."""
        interval_s = min(CHECK_INTERVAL_S, (notifier.watchdog_interval_s or 60.0) / 2)
        while not self._stop.is_set():
            self.watcher.check(time.monotonic())
            notifier.watchdog()
            try:
                async with asyncio.timeout(interval_s):
                    await self._stop.wait()
            except TimeoutError:
                continue

    async def _shut_down(self) -> None:
        log.info("stopping")
        self.server.publish("state", {"root": "", "state": "stopping", "reason": ""})
        await self.server.close()
        self.driver.close()
        await asyncio.to_thread(self.watcher.stop)
        await self.pool.close()
        await self.embedder.close()
        if not await asyncio.to_thread(self.indexer.stop):
            log.error("index_thread_does_not_end")
        self._scanners.shutdown(wait=False, cancel_futures=True)
        self.queries.shutdown(wait=False, cancel_futures=True)

    # -- roots -----------------------------------------------------------------------------------------------------

    async def _recall_roots(self) -> None:
        for record in self.indexer.store.roots():
            prepared = await asyncio.to_thread(self.roots.recall, record)
            await self._admit(prepared)

    async def add_root(self, path: Path, force: bool) -> ServedRoot:
        """Serve a directory; one that is served already is left as it is.

        Raises:
            RegendError: it cannot be served, see `Roots.prepare`.
        """
        async with self._adding:
            prepared = await asyncio.to_thread(self.roots.prepare, path, force)
            for served in self.roots.all():
                if served.identity.path == prepared.identity.path:
                    return served
            return await self._admit(prepared)

    async def _admit(self, prepared: Prepared) -> ServedRoot:
        identity = prepared.identity

        def load(store: Store) -> tuple[RootRecord, ev.RootAdded]:
            record = store.add_root(str(identity.path), identity.pool_key, identity.marker)
            files, blobs = store.tree(record.root), store.pool_blobs(record.pool)
            return record, ev.RootAdded(record.root, record.pool, files, blobs)

        record, added = await asyncio.wrap_future(self.indexer.call(load))
        served = self.roots.add(record, prepared)
        self.driver.send(added)
        self.watcher.add(added.root, identity, prepared.rules)
        log.info("root_added", root=served.path, files=len(added.files))
        return served

    async def remove_root(self, served: ServedRoot) -> None:
        """Stop serving a root and forget what only it used."""
        root = served.record.root
        async with self._adding:
            if self.roots.get(root) is None:
                raise RootError(f"{served.path} was removed already.")
            self.watcher.remove(root)
            self.driver.send(ev.RootRemoved(root))
            self.roots.remove(root)
            await asyncio.wrap_future(self.indexer.call(lambda store: store.remove_root(root)))
        log.info("root_removed", root=served.path)


def pipeline_config(config: Config, pool: WorkerPool) -> PipelineConfig:
    """The core's bounds from the user's configuration."""
    watch, embedding = config.watch, config.embedding
    mode = config.workers.mode
    return PipelineConfig(
        debounce=DebounceConfig(watch.quiet_ms / 1e3, watch.max_delay_ms / 1e3, watch.storm_paths, watch.busy_limit_s),
        batch=BatchConfig(
            embedding.batch_items, embedding.batch_tokens, embedding.batch_bytes, embedding.linger_ms / 1e3
        ),
        mode="pipeline" if mode == "auto" else mode,  # type: ignore[arg-type]
        chunk_slots=pool.slots,
        embed_slots=embedding.concurrency,
    )
