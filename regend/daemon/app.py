"""The daemon's life: puts the parts together, starts them in order, serves, and takes them down in reverse.

Start: listen, start a worker behind, lock and open the store, bring the roots back, answer. Stop: refuse new requests,
stop the watchers, end the workers, finish the commit under way, close the store, unlink the socket.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from regend import __version__
from regend.chunking.grammars import language_names
from regend.config import Config, EmbeddingConfig, user_path
from regend.core import events as ev
from regend.core.pipeline import Pipeline
from regend.daemon.driver import Driver, Outlets
from regend.daemon.embedder import Embedder
from regend.daemon.governor import Governor
from regend.daemon.handlers.embed_status import EmbedReport
from regend.daemon.handlers.notices import Notices
from regend.daemon.handlers.table import Methods
from regend.daemon.indexer import Indexer
from regend.daemon.notify import Notifier
from regend.daemon.parts import Parts, Places
from regend.daemon.purger import Purger
from regend.daemon.query_vectors import QueryVectors
from regend.daemon.roots import Prepared, Roots, ServedRoot
from regend.daemon.settings import pipeline_config
from regend.daemon.telemetry import StageTimes
from regend.daemon.upgrader import Upgrader
from regend.embedding.base import EmbeddingProvider
from regend.embedding.registry import encoder_spec, open_provider, query_encoder
from regend.errors import RootError
from regend.rpc.listen import Listener, open_listener
from regend.rpc.server import RpcServer
from regend.search.engine import Engine
from regend.store.base import RootRecord
from regend.store.store import Store
from regend.types import ChunkId, RootId, Tier
from regend.watch.watcher import Watcher
from regend.workers.dispatcher import WorkerPool

QUERY_THREADS = 2
QUERY_EMBED_TIMEOUT_S = 2.0
CHECK_INTERVAL_S = 1.0
PROBES = "probes.json"
"""File of the state directory: what embedding servers can do."""

log = structlog.get_logger(__name__)


class App:
    """One running daemon. Create it on the event loop; `run` returns when it was asked to stop."""

    def __init__(self, config: Config, places: Places, roots: Sequence[Path]) -> None:
        self._config = config
        self._places = places
        self._wanted = list(roots)
        self._roots = Roots(config, places.state_dir)
        self._pool = WorkerPool(config.workers, encoder_spec(config.embedding))
        configured = open_provider(config.embedding, self._pool.embed, places.state_dir / PROBES)
        self._remote_paths = None if configured.info.local else _real_paths(config.embedding.remote_roots)
        self._first, self._provider = config.embedding, configured
        self._stronger: EmbeddingProvider | None = None
        if config.embedding.provider != "builtin" and config.embedding.role == "upgrade":
            self._first, self._stronger = EmbeddingConfig(), configured
            self._provider = open_provider(self._first, self._pool.embed)
        self._queries = ThreadPoolExecutor(QUERY_THREADS, thread_name_prefix="regend-query")
        self._scanners = ThreadPoolExecutor(2, thread_name_prefix="regend-scan")
        self._stop = asyncio.Event()
        self._adding = asyncio.Lock()
        self._bringing_in: asyncio.Task[None] | None = None
        self._governing: asyncio.Task[None] | None = None
        self._starting: asyncio.Task[None]
        self._parts: Parts

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()

    async def run(self, notifier: Notifier) -> None:
        """Serve until stopped.

        Raises:
            RegendError: it could not start; nothing was left behind.
        """
        listener = open_listener(self._places.socket)
        try:
            async with asyncio.TaskGroup() as tasks:
                await self._serve(listener, tasks, notifier)
        except BaseExceptionGroup as group:
            # A task's error took the others down; the first tells why.
            raise group.exceptions[0] from group
        finally:
            await self._pool.close()
            listener.close()

    async def _serve(self, listener: Listener, tasks: asyncio.TaskGroup, notifier: Notifier) -> None:
        times = StageTimes()
        if not self._provider.info.dim:
            await self._provider.prepare()
        pipeline = Pipeline(pipeline_config(self._config, self._first, self._pool, self._provider.info))
        driver = Driver(pipeline, tasks, times)
        cache_bytes = self._config.embedding.cache_mb * 1_000_000
        indexer = Indexer(self._places.state_dir, self._provider.info, driver.post, cache_bytes)
        # Queries do not need it, so it starts beside the store and behind the first answer.
        self._starting = tasks.create_task(self._pool.start())
        store = await asyncio.to_thread(indexer.start)
        watcher = Watcher(driver.post, self._config.watch, self._places.state_dir / "cookies")

        def texts(chunks: Sequence[ChunkId]) -> list[str]:
            return store.texts(tuple(chunks))

        embedder = Embedder(self._provider, texts)
        query_vectors = QueryVectors(self._provider, QUERY_EMBED_TIMEOUT_S)
        upgrader, embedders = None, {Tier.FIRST: embedder}
        if self._stronger is not None:
            upgrader = Upgrader(self._stronger, texts, QUERY_EMBED_TIMEOUT_S, lambda: self._remote_roots(store))
            embedders[Tier.UPGRADE] = upgrader.embedder
        driver.connect(Outlets(self._pool, embedders, indexer, watcher, self._roots, self._scanners))
        parts = self._parts = Parts(
            config=self._config,
            places=self._places,
            started_at=time.monotonic(),
            times=times,
            roots=self._roots,
            queries=self._queries,
            pool=self._pool,
            provider=self._provider,
            embedder=embedder,
            query_vectors=query_vectors,
            upgrader=upgrader,
            engine=Engine(query_encoder(self._config.embedding)),
            driver=driver,
            indexer=indexer,
            watcher=watcher,
            add_root=self._add_root,
            remove_root=self._remove_root,
            stop=self.stop,
            governor=Governor(
                self._config.resources,
                self._places.state_dir,
                self._pool.slots,
                lambda slots: driver.send(ev.CapacityChanged(slots)),
            ),
        )
        parts.server = RpcServer(Methods(parts).handlers(), version=__version__)
        notices = Notices(parts)
        driver.on_committed = notices.committed
        report = EmbedReport(parts)

        def changed() -> None:
            notices.changed()
            report.changed()

        driver.on_changed = changed
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self.stop)
        try:
            await self._recall_roots()
            for path in self._wanted:
                await self._add_root(path, False)
            # Clients have waited in the backlog meanwhile; none sees half of the roots.
            await self._parts.server.start(listener.sock)
            _collect_garbage()
            if upgrader is not None:
                self._bringing_in = tasks.create_task(upgrader.bring_in(self._config.embedding, indexer, driver))
            self._governing = tasks.create_task(parts.governor.run())
            # Whoever filters by language later finds the data of all of them; they are files.
            tasks.create_task(asyncio.to_thread(language_names))
            notifier.ready(f"serving {len(self._roots.all())} roots")
            log.info("serving", version=__version__, socket=str(listener.path), pid=os.getpid())
            await self._look_after(notifier)
        finally:
            notifier.stopping()
            await self._shut_down()

    async def _look_after(self, notifier: Notifier) -> None:
        """Watch the watchers and feed the service manager's watchdog until it is time to stop."""
        purger = Purger(self._roots, self._parts.indexer, lambda: self._parts.driver.pipeline.is_idle)
        interval_s = min(CHECK_INTERVAL_S, (notifier.watchdog_interval_s or 60.0) / 2)
        while not self._stop.is_set():
            self._parts.watcher.check(time.monotonic())
            purger.check(time.monotonic())
            notifier.watchdog()
            try:
                async with asyncio.timeout(interval_s):
                    await self._stop.wait()
            except TimeoutError:
                continue

    async def _shut_down(self) -> None:
        log.info("stopping")
        self._parts.server.publish("state", {"root": "", "state": "stopping", "reason": ""})
        await self._parts.server.close()
        self._parts.driver.close()
        await asyncio.to_thread(self._parts.watcher.stop)
        self._starting.cancel()
        await self._pool.close()
        for task in (self._governing, self._bringing_in):
            if task is not None:
                task.cancel()
        if self._parts.upgrader is not None:
            await self._parts.upgrader.close()
        await self._parts.query_vectors.close()
        await self._parts.embedder.close()
        if not await asyncio.to_thread(self._parts.indexer.stop):
            log.error("index_thread_does_not_end")
        self._scanners.shutdown(wait=False, cancel_futures=True)
        self._queries.shutdown(wait=False, cancel_futures=True)

    # -- roots -----------------------------------------------------------------------------------------------------

    async def _recall_roots(self) -> None:
        for record in self._parts.indexer.store.roots():
            prepared = await asyncio.to_thread(self._roots.recall, record)
            await self._admit(prepared)

    async def _add_root(self, path: Path, force: bool) -> ServedRoot:
        """Serve a directory; one that is served already is left as it is.

        Raises:
            RegendError: it cannot be served, see `Roots.prepare`.
        """
        async with self._adding:
            prepared = await asyncio.to_thread(self._roots.prepare, path, force)
            for served in self._roots.all():
                if served.identity.path == prepared.identity.path:
                    return served
            return await self._admit(prepared)

    async def _admit(self, prepared: Prepared) -> ServedRoot:
        identity = prepared.identity

        def load(store: Store) -> tuple[RootRecord, ev.RootAdded]:
            record = store.add_root(str(identity.path), identity.pool_key, identity.marker)
            remote = self._remote_roots(store)
            if remote is not None and self._stronger is not None:
                store.upgrade_only(remote)
            elif remote is not None:
                store.embed_only(remote)
            files, blobs = store.tree(record.root), store.pool_blobs(record.pool)
            return record, ev.RootAdded(record.root, record.pool, files, blobs)

        record, added = await asyncio.wrap_future(self._parts.indexer.call(load))
        served = self._roots.add(record, prepared)
        self._parts.driver.send(added)
        self._parts.watcher.add(added.root, identity, prepared.rules)
        log.info("root_added", root=served.path, files=len(added.files))
        return served

    def _remote_roots(self, store: Store) -> frozenset[RootId] | None:
        """The roots whose text may leave the machine; None where none does."""
        if self._remote_paths is None:
            return None
        return frozenset(record.root for record in store.roots() if record.path in self._remote_paths)

    async def _remove_root(self, served: ServedRoot) -> None:
        """Stop serving a root and forget what only it used."""
        root = served.record.root
        async with self._adding:
            if self._roots.get(root) is None:
                raise RootError(f"{served.path} was removed already.")
            self._parts.watcher.remove(root)
            self._parts.driver.send(ev.RootRemoved(root))
            self._roots.remove(root)
            await asyncio.wrap_future(self._parts.indexer.call(lambda store: store.remove_root(root)))
        log.info("root_removed", root=served.path)


def _collect_garbage() -> None:
    """From now on, and without looking again and again at what the start has made, which stays."""
    gc.freeze()
    gc.enable()


def _real_paths(paths: Sequence[str]) -> frozenset[str]:
    return frozenset(str(user_path(path, "embedding.remote_roots").resolve()) for path in paths)
