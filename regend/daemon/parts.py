"""The parts of a running daemon, for those who answer questions about it. `app` puts them together."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from regend.config import Config
from regend.daemon.driver import Driver
from regend.daemon.embedder import Embedder
from regend.daemon.governor import Governor
from regend.daemon.indexer import Indexer
from regend.daemon.query_vectors import QueryVectors
from regend.daemon.roots import Roots, ServedRoot
from regend.daemon.telemetry import StageTimes
from regend.daemon.upgrader import Upgrader
from regend.embedding.base import EmbeddingProvider
from regend.rpc.server import RpcServer
from regend.search.engine import Engine
from regend.watch.watcher import Watcher
from regend.workers.dispatcher import Dispatcher


@dataclass(frozen=True, slots=True)
class Places:
    """Where a daemon lives."""

    state_dir: Path
    socket: Path


@dataclass(slots=True)
class Parts:
    """What a daemon is made of; read by many, changed by nobody after the start.

    Attributes:
        started_at: monotonic seconds.
        add_root: serves a directory (path, force).
        remove_root: stops serving a root.
        stop: asks the daemon to end.
        upgrader: brings in the stronger model; None where none is configured.
        server: set once the handlers, which need the other parts, are there.
    """

    config: Config
    places: Places
    started_at: float
    times: StageTimes
    roots: Roots
    queries: ThreadPoolExecutor
    workers: Dispatcher
    provider: EmbeddingProvider
    embedder: Embedder
    query_vectors: QueryVectors
    upgrader: Upgrader | None
    engine: Engine
    driver: Driver
    indexer: Indexer
    watcher: Watcher
    add_root: Callable[[Path, bool], Awaitable[ServedRoot]]
    remove_root: Callable[[ServedRoot], Awaitable[None]]
    stop: Callable[[], None]
    governor: Governor
    server: RpcServer = field(init=False)
