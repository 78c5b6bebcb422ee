"""The daemon's life: puts the parts together, starts them in order, serves, and closes them in reverse.

Start: listen, start a worker in the background, lock and open the reads, recall the roots, answer. Stop: refuse new
requests, stop the watchers, end the workers, finish the commit in progress, close the reads, unlink the socket.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from regend import __version__
from regend.chunking.grammars import language_names
from regend.config import Config, EmbeddingConfig, search_roots, shared_pools, user_path
from regend.core import events as ev
from regend.core.commands import Commit, Op, PutFile, PutVectors
from regend.core.pipeline import Pipeline
from regend.daemon.admission import Admission, roots_at
from regend.daemon.driver import Driver, Outlets
from regend.daemon.governor import Governor, Pace
from regend.daemon.handlers.asking import QueryMethods, QueryParts
from regend.daemon.handlers.buffers import Buffers
from regend.daemon.handlers.embed_status import EmbedReport, EmbedStatus
from regend.daemon.handlers.freshness import FreshnessMethods
from regend.daemon.handlers.histories import Histories
from regend.daemon.handlers.notices import Notices
from regend.daemon.handlers.operations import OperationMethods
from regend.daemon.handlers.query_runner import QueryRunner
from regend.daemon.handlers.roots import RootMethods
from regend.daemon.handlers.status import RootStates, StatusMethod
from regend.daemon.handlers.table import method_table
from regend.daemon.handlers.verify import VerifyMethod
from regend.daemon.handlers.why import WhyMethod
from regend.daemon.indexer import Indexer
from regend.daemon.models import ServedModel
from regend.daemon.notify import Notifier
from regend.daemon.purger import Purger
from regend.daemon.roots import Roots
from regend.daemon.secret_scan import secret_in
from regend.daemon.settings import pipeline_config
from regend.daemon.telemetry import StageTimes, Trace
from regend.daemon.threads import Threads
from regend.daemon.upgrader import bring_in
from regend.disk.calls import RootCalls
from regend.disk.remotes import origins_of
from regend.embedding.base import EmbeddingProvider
from regend.embedding.registry import known_words, open_provider, query_encoder, word_importance
from regend.errors import RegendError, StoreError, count_text
from regend.paths import CATALOG
from regend.rpc.listen import Listener, open_listener
from regend.rpc.server import RpcServer
from regend.search.engine import Engine
from regend.sharing.address import parse_address
from regend.sharing.naming import pool_name
from regend.sharing.searched import Searched
from regend.sharing.sharing import Sharing
from regend.store.reads import Reads
from regend.types import FIRST_TRACK, Track
from regend.watch.watcher import Watcher
from regend.workers.dispatcher import Dispatcher

QUERY_THREADS = 2
CHECK_INTERVAL_S = 1.0
PROBES = "probes.json"
"""File of the state directory: what embedding servers can do."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Places:
    """Where a daemon lives."""

    state_dir: Path
    socket: Path
    trace: Path | None = None


class App:
    """One running daemon. Create it on the event loop; `run` returns after `stop`."""

    def __init__(self, config: Config, places: Places, roots: Sequence[Path]) -> None:
        self._config = config
        self._places = places
        self._named_roots = tuple(roots)
        self._workers = Dispatcher(config.workers)
        configured = open_provider(config.embedding, self._workers.embed, places.state_dir / PROBES)
        self._is_remote = not configured.info.local
        self._first, self._provider, self._stronger = config.embedding, configured, list[EmbeddingProvider]()
        if config.embedding.provider != "builtin" and config.embedding.role == "upgrade":
            self._first, self._stronger = EmbeddingConfig(), [configured]
            self._provider = open_provider(self._first, self._workers.embed)
        self._shared = parse_address(config.shared.url) if config.shared.url and config.shared.roots else None
        read_url = config.shared.read_url if self._shared else ""
        self._replica = parse_address(read_url, "shared.read_url") if read_url else None
        self._stop = asyncio.Event()
        self._pace = Pace()
        self._http_address: Callable[[], str] = str

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()
        self._pace.wake()

    async def run(self, notifier: Notifier) -> None:
        """Serve until stopped.

        Raises:
            RegendError: the daemon could not start; it left nothing behind.
        """
        listener = open_listener(self._places.socket)
        error: BaseException | None = None
        try:
            async with asyncio.TaskGroup() as tasks, AsyncExitStack() as closing:
                await self._serve(listener, tasks, closing, notifier)
        except BaseExceptionGroup as group:
            error = group
        finally:
            await self._workers.close()
            listener.close()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]  # One task's error ended the others; the first error says why.
        if error is not None:
            raise error  # Outside the handler, or the group would become its context and hold it besides.

    async def _serve(
        self, listener: Listener, tasks: asyncio.TaskGroup, closing: AsyncExitStack, notifier: Notifier
    ) -> None:
        """Start the parts in order. Each is closed by `closing`, in the reverse order of what is pushed there."""
        config, state_dir = self._config, self._places.state_dir
        trace = Trace(self._places.trace) if self._places.trace else None
        if trace is not None:
            closing.callback(trace.write)
        started_at, times = time.monotonic(), StageTimes(trace)
        asyncio.get_running_loop().set_default_executor(Threads("regend-thread"))
        last_threads = Threads("regend-stop")
        if not self._provider.info.dim:
            await self._provider.prepare()
        pipeline = Pipeline(pipeline_config(config, self._first, self._workers, self._provider.info))

        def post(event: ev.Event) -> None:
            driver.post(event)  # Made last; nothing is posted before the first root is added.

        searched = Searched(
            list(map(str, search_roots(config.shared))) if self._shared else (), lambda: indexer.call(lambda _: None)
        )
        indexer = Indexer(state_dir, self._provider.info, post, config.embedding.cache_mb * 1_000_000, searched)
        # Queries do not need a worker, so it starts beside the store and may be ready after the first answer.
        starting = tasks.create_task(self._workers.start())
        reads = await asyncio.to_thread(indexer.start)
        indexer.call(lambda store: store.await_tracks(1 + len(self._stronger)))
        queries = Threads("regend-query", QUERY_THREADS)
        closing.callback(queries.shutdown, wait=False, cancel_futures=True)
        calls = RootCalls()
        closing.callback(calls.close)
        closing.push_async_callback(_stop_indexing, indexer)

        models = self._models(reads, closing)
        closing.push_async_callback(self._workers.close)
        closing.callback(starting.cancel)
        watcher = Watcher(post, config.watch, state_dir / "cookies", calls)
        closing.push_async_callback(asyncio.to_thread, watcher.stop)
        roots = Roots(config, state_dir, calls, watcher.mount_of)
        outlets = Outlets(self._workers, [model.embedder for model in models], indexer, watcher, roots, calls)
        driver = Driver(pipeline, tasks, times, outlets)
        closing.callback(driver.close)
        remote_paths = None
        if self._is_remote:
            remote_paths = frozenset(await _real_paths(roots, config.embedding.remote_roots, "embedding.remote_roots"))
        sharing = await self._sharing(reads, roots, models, closing, searched)
        admission = Admission(roots, indexer, driver, watcher, calls, remote_paths, models[-1].track)
        governor = Governor(
            config.resources, state_dir, self._workers.slots, lambda slots: driver.send(ev.CapacityChanged(slots))
        )
        states = RootStates(roots, pipeline, reads, watcher, self._workers)
        sends_queries = self._provider.info.local or bool(config.embedding.remote_roots)
        histories = Histories(roots, calls, lambda: engine.forget())
        closing.callback(histories.close)
        engine = Engine(
            models[FIRST_TRACK].query_vectors.encoded, knows=known_words(self._first), importance=word_importance,
            history_of=histories.of,
        )  # fmt: skip
        asked = QueryParts(states, driver, reads, engine, models, sends_queries, sharing)
        handlers = method_table(
            QueryMethods(
                asked,
                Buffers(roots, self._workers, self._provider.info, lambda: reads.snapshot),
                QueryRunner(queries, lambda: reads.snapshot, times),
            ),
            RootMethods(admission, states, indexer, histories),
            FreshnessMethods(roots, driver, histories),
            OperationMethods(config, self.stop),
            StatusMethod(
                self._places.socket, state_dir, started_at, states, EmbedStatus(pipeline, reads, models),
                self._workers, driver.inbox, times, governor, lambda: server.counters(), lambda: self._http_address(),
                sharing,
            ),
            VerifyMethod(roots, driver, reads, queries),
            WhyMethod(roots, pipeline, reads),
        )  # fmt: skip
        server = RpcServer(handlers, version=__version__)
        closing.push_async_callback(server.close)
        _tell(driver, self._workers, Notices(server, states), EmbedReport(pipeline, models), sharing, self._pace)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # As `nohup` asks for.
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
        closing.callback(_announce_stop, notifier, server, last_threads)
        await admission.recall()
        for path in self._named_roots:
            if roots.at(path) is None:  # One that the store knows is served already, even if it is away now.
                await admission.add(path, False)
        # Clients waited in the backlog until now, so each sees all roots.
        await server.start(listener.sock)
        _collect_garbage()
        allowed = partial(roots_at, reads, remote_paths)
        stronger = [bring_in(model, config.embedding, indexer, driver, allowed) for model in models[1:]]
        background = [governor.run(self._pace), indexer.wait(), histories.settle(), *self._gateway(), *stronger]
        background.append(_keep_places(listener, server, state_dir / CATALOG, self._pace))
        if sharing is not None:
            background.append(sharing.run())
        for task in [tasks.create_task(work) for work in background]:
            closing.callback(task.cancel)
        # Language data are files. Read them now, or the first filter by language reads them on the event loop.
        tasks.create_task(asyncio.to_thread(language_names))
        notifier.ready(f"serving {count_text(len(roots.all()), 'root')}")
        log.info("serving", version=__version__, socket=str(listener.path), pid=os.getpid())
        await self._look_after(watcher, Purger(roots, indexer, pipeline, calls), notifier)

    def _models(self, reads: Reads, closing: AsyncExitStack) -> list[ServedModel]:
        """Return the models by track."""
        encode = query_encoder(self._config.embedding)
        providers = enumerate([self._provider, *self._stronger])
        models = [ServedModel(provider, reads.texts, Track(number), encode) for number, provider in providers]
        for model in models:
            closing.push_async_callback(model.close)
        return models

    async def _sharing(
        self, reads: Reads, roots: Roots, models: Sequence[ServedModel], closing: AsyncExitStack, searched: Searched
    ) -> Sharing | None:
        """Let the models ask the shared store, where one is configured."""
        config = self._config.shared
        named = shared_pools(config)
        if self._shared is None:
            return None
        real = await _real_paths(roots, list(map(str, named)), "shared.roots")
        pools = dict(zip(real, named.values(), strict=True))
        on_disk = await _real_paths(roots, list(map(str, search_roots(config))), "shared.search_roots")
        searched.paths |= frozenset(on_disk)
        sharing = Sharing(
            self._shared, pools, config.timeout_ms / 1e3, self._places.state_dir, reads, _repository_name,
            lambda: [model.shared_model for model in models if model.provider.info.dim],
            lambda text: bool(secret_in(text)), searched, config.search_timeout_ms / 1e3,
            self._replica,
        )  # fmt: skip
        closing.push_async_callback(sharing.close)
        for model in models:
            model.embedder.reuse = sharing.reuse
        return sharing

    def _gateway(self) -> list[Coroutine[Any, Any, None]]:
        """Return the work that keeps the HTTP gateway running, if there is to be one."""
        if not self._config.http.listen:
            return []
        from regend.gateway.child import GatewayProcess

        gateway = GatewayProcess(self._config.http, self._places.socket, self._places.state_dir)
        self._http_address = lambda: gateway.address
        return [gateway.run()]

    async def _look_after(self, watcher: Watcher, purger: Purger, notifier: Notifier) -> None:
        """Check the watchers, and feed the service manager's watchdog until `stop`."""
        longest_s = (notifier.watchdog_interval_s or 60.0) / 2
        paused_s = 0.0
        while not self._stop.is_set():
            watcher.check(time.monotonic(), paused_s)
            purger.check(time.monotonic())
            notifier.watchdog()
            if purger.waits:
                self._pace.stir()
            paused_s = await self._pace.pause(min(CHECK_INTERVAL_S, longest_s), longest_s)


async def _keep_places(listener: Listener, server: RpcServer, catalog: Path, pace: Pace) -> None:
    """Listen again where the socket's file is gone: a logout removes the runtime directory, and the daemon goes on.

    The looks at the disk need a thread, which may come late, so nothing else waits for them.

    Raises:
        StoreError: the catalog is gone or another, so that queries would fail or commits be lost.
    """
    opened = await asyncio.to_thread(_identity, catalog)
    while True:
        await pace.pause(CHECK_INTERVAL_S)
        found = await asyncio.to_thread(_identity, catalog)
        opened = opened or found
        if found == () or (found and found != opened):
            done = "replaced" if found else "removed"
            raise StoreError(f"{catalog} was {done} while the daemon used it; start the daemon again.")
        if await asyncio.to_thread(listener.is_reachable):
            continue
        try:
            await asyncio.to_thread(listener.renew)
        except RegendError as error:  # Such as no runtime directory before the next login.
            log.debug("socket_lost", reason=str(error))
        else:
            await server.start(listener.sock)
            log.warning("socket_renewed", socket=str(listener.path))


def _identity(path: Path) -> tuple[int, ...] | None:
    """Return what tells a file from another at its path: empty if there is none, None if nothing is known."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return ()
    except OSError:
        return None
    return found.st_dev, found.st_ino


async def _real_paths(roots: Roots, values: Sequence[str], key: str) -> list[str]:
    """Return the real paths of paths of the configuration, in order."""
    paths = [user_path(path, key) for path in values]
    found = await asyncio.gather(*map(roots.real_path, paths), return_exceptions=True)
    # A file system that does not answer: the path as it was written, which is real for most roots.
    return [str(path if isinstance(done, BaseException) else done) for path, done in zip(paths, found, strict=True)]


async def _repository_name(root: str) -> str:
    origins = await asyncio.to_thread(origins_of, Path(root))
    return pool_name(origins.remotes, origins.root_commits)


def _tell(
    driver: Driver, workers: Dispatcher, notices: Notices, report: EmbedReport, sharing: Sharing | None, pace: Pace
) -> None:
    """Tell the parts that follow what happens in the driver and to the workers."""

    def committed(commit: Commit, done: ev.Committed) -> None:
        notices.committed(commit, done)
        if sharing is not None and any(map(_brings_vectors, commit.ops)):
            sharing.wake()

    def changed() -> None:
        pace.stir()
        notices.changed()
        report.changed()

    driver.on_committed = committed
    driver.on_changed = changed
    workers.on_trouble = notices.changed


def _brings_vectors(op: Op) -> bool:
    return isinstance(op, PutVectors) or (isinstance(op, PutFile) and bool(op.chunked and op.chunked.vectors))


def _announce_stop(notifier: Notifier, server: RpcServer, threads: Threads) -> None:
    # A hung file system may hold every thread of the executor, and the system may grant no other by now; the parts must
    # be closed all the same.
    asyncio.get_running_loop().set_default_executor(threads)
    notifier.stopping()
    log.info("stopping")
    server.publish("state", {"root": "", "state": "stopping", "reason": ""})


async def _stop_indexing(indexer: Indexer) -> None:
    if not await asyncio.to_thread(indexer.stop):
        log.error("index_thread_does_not_end")


def _collect_garbage() -> None:
    """Collect garbage from now on, except the objects that the start has made, which stay."""
    gc.freeze()
    gc.enable()
