"""Drives the pure pipeline: feeds it events, carries out its commands, and wakes it at its deadlines.

Runs on the event loop. Every command becomes a task or a message to a thread, and each reports back with an event. The
driver holds no state of the indexing.
"""

from __future__ import annotations

import asyncio
import itertools
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

import structlog

from regend.core import commands as cmd
from regend.core import events as ev
from regend.core.pipeline import Pipeline
from regend.daemon.embedder import Embedder
from regend.daemon.inbox import Inbox
from regend.daemon.indexer import Indexer
from regend.daemon.logs import own_files
from regend.daemon.roots import Roots
from regend.daemon.telemetry import StageTimes
from regend.disk.calls import RootCalls, progress
from regend.disk.repository import REPOSITORY_CONFIG_NAME
from regend.disk.scanner import scan
from regend.errors import ChunkError, RpcError, WorkerError
from regend.types import FIRST_TRACK, STAGES, Lane, RootId
from regend.watch.watcher import Watcher
from regend.workers.dispatcher import Dispatcher

_MEMORY_PAUSE_S = 2.0
"""Pause before a file is tried again for which this process lacked memory."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Outlets:
    """The parts that carry out commands."""

    workers: Dispatcher
    embedders: Sequence[Embedder]
    indexer: Indexer
    watcher: Watcher
    roots: Roots
    calls: RootCalls


class _RunningScan:
    """A scan that was begun. Exactly one last part answers it, from its thread or from the event loop."""

    def __init__(self, root: RootId) -> None:
        self.root = root
        self.answered = False
        self._lock = threading.Lock()

    def answer(self) -> bool:
        """Answer the scan; return False if it was answered before."""
        with self._lock:
            first, self.answered = not self.answered, True
        return first


class Driver:
    """Owns the pipeline, its timer, and the flushes that wait.

    Args:
        tasks: holds every task that the driver starts.

    Attributes:
        on_committed: called for each commit, before the pipeline is told.
        on_changed: called after every batch of events.
    """

    def __init__(self, pipeline: Pipeline, tasks: asyncio.TaskGroup, times: StageTimes, outlets: Outlets) -> None:
        self.pipeline = pipeline
        self._tasks = tasks
        self._times = times
        self._loop = asyncio.get_running_loop()
        self.inbox = Inbox(self._loop, self._handle)
        self._outlets = outlets
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: float | None = None
        self._tickets = itertools.count(1)
        self._flushes: dict[int, asyncio.Future[cmd.ResolveFlush]] = {}
        self._commits: dict[int, tuple[cmd.Commit, float]] = {}
        self._scans: dict[int, _RunningScan] = {}
        self._closed = False
        self.on_committed: Callable[[cmd.Commit, ev.Committed], None] = lambda _commit, _done: None
        self.on_changed: Callable[[], None] = lambda: None

    def post(self, event: ev.Event) -> None:
        """Report a fact; any thread.

        The watch thread that reports a changed `.regend.toml` reads it here, so that the rescan which follows from new
        limits is ahead of every later flush.
        """
        self.inbox.post(event)
        match event:
            case ev.PathChanged(root, path) if path == REPOSITORY_CONFIG_NAME:
                self._reload_limits(root)
            case _:
                pass

    def _reload_limits(self, root: RootId) -> None:
        """Read `.regend.toml` again: also before a look at the whole root, as no event may have named the file."""
        if self._outlets.roots.reload_limits(root):
            self.inbox.post(ev.RescanNeeded(root, rehash=True))

    def send(self, event: ev.Event) -> None:
        """Report a fact and act on it now, ahead of the inbox; event loop only."""
        self._handle([event])

    async def flush(self, wait_vectors: bool, timeout_s: float) -> cmd.ResolveFlush:
        """Wait until every write that finished before the call is searchable.

        Raises:
            RpcError: the wait took longer than `timeout_s` (``timeout`` or ``not_synced``), or indexing is paused.
        """
        code = "timeout" if wait_vectors else "not_synced"
        if self.pipeline.paused:
            raise RpcError("Indexing is paused, so earlier writes will not be read; `regenctl resume` first.", code)
        ticket = next(self._tickets)
        future: asyncio.Future[cmd.ResolveFlush] = self._loop.create_future()
        self._flushes[ticket] = future
        request = ev.FlushRequested(ticket, wait_vectors)
        try:
            async with asyncio.timeout(timeout_s):
                self._outlets.watcher.barrier(ticket, lambda _token: self.post(request))
                return await future
        except TimeoutError as error:
            waiting = {name: count for name, count in self.pipeline.queues().items() if count}
            raise RpcError(
                f"Not everything was searchable within {timeout_s:g} s; it continues in the background.", code, waiting
            ) from error
        finally:
            del self._flushes[ticket]
            if not future.done() or future.cancelled():
                self.post(ev.FlushAbandoned(ticket))

    def close(self) -> None:
        """Accept no more events. Accepted ones are in the store, or their files are read again at the next start."""
        self._closed = True
        self.inbox.close()
        if self._timer is not None:
            self._timer.cancel()

    # -- events in -------------------------------------------------------------------------------------------------

    def _handle(self, events: list[ev.Event]) -> None:
        if self._closed:
            return
        try:
            for event in events:
                self._notice(event)
                for command in self.pipeline.handle(event, time.monotonic()):
                    self._carry_out(command)
            self._set_timer()
            self.on_changed()
        except Exception as error:
            # An event or a command is lost, so this pipeline is wrong from now on. The store is not: end the daemon,
            # and let the next one read the disk again.
            self.close()
            try:
                self._start(_end(error))
            except RuntimeError:
                pass  # The group ends already, for the reason of another task.

    def _notice(self, event: ev.Event) -> None:
        """Note what the driver itself must know of an event."""
        match event:
            case ev.RootFound(root):
                self._found(root)
            case ev.RootLost(root) | ev.RootRemoved(root):
                # Later scans belong to the root that is back, perhaps with the next event.
                begun = [scan_id for scan_id, running in self._scans.items() if running.root == root]
                self._loop.call_soon(self._leave, root, begun)
            case ev.Observed(scan_id, last=True, root_gone=root_gone):
                running = self._scans.pop(scan_id, None)
                if running is not None and root_gone:
                    self._loop.call_soon(self._doubt, running.root)
            case ev.Committed(commit_id):
                commit, started_at = self._commits.pop(commit_id)
                self._times.add("commit", time.perf_counter() - started_at)
                self.on_committed(commit, event)
            case ev.CommitFailed(commit_id, reason):
                self._commits.pop(commit_id)
                log.warning("commit_failed", reason=reason)
            case _:
                pass

    def _found(self, root: RootId) -> None:
        """Note the marker of a root that is back: it may be another directory."""
        outlets = self._outlets
        marker = outlets.roots.found(root, outlets.watcher.identity(root))
        if marker is not None:
            outlets.indexer.call(lambda store: store.set_marker(root, marker))

    def _leave(self, root: RootId, begun: Sequence[int]) -> None:
        """Answer scans of a lost or removed root, and free its workers: its file system may hold both for ever."""
        outlets = self._outlets
        served = outlets.roots.get(root)
        if served is not None and outlets.watcher.health(root).state == "hung":
            outlets.workers.leave(served.path)
        for scan_id in begun:
            running = self._scans.get(scan_id)
            if running is not None and running.answer():
                self.send(ev.Observed(scan_id, (), last=True, root_gone=True))

    def _doubt(self, root: RootId) -> None:
        """Let the watcher look at a root that only a scan found gone: it may be back before the watcher looked."""
        outlets = self._outlets
        if outlets.roots.get(root) is None or not self.pipeline.is_lost(root):
            return
        if outlets.watcher.health(root).state not in ("lost", "hung"):
            outlets.watcher.look_again(root)

    def _set_timer(self) -> None:
        deadline = self.pipeline.next_deadline()
        if self._timer is not None:
            if deadline == self._timer_at:
                return
            self._timer.cancel()
            self._timer = None
        self._timer_at = deadline
        if deadline is not None and not self._closed:
            self._timer = self._loop.call_later(max(0.0, deadline - time.monotonic()), self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._handle([ev.Tick()])

    # -- commands out ----------------------------------------------------------------------------------------------

    def _carry_out(self, command: cmd.Command) -> None:
        outlets = self._outlets
        match command:
            case cmd.Observe():
                self._observe(command)
            case cmd.ChunkFile():
                self._start(self._chunk(command))
            case cmd.Embed():
                self._start(self._embed(command))
            case cmd.Commit():
                self._commits[command.commit_id] = (command, time.perf_counter())
                outlets.indexer.submit(command)
            case cmd.FetchUnembedded():
                outlets.indexer.submit(command)
            case cmd.ResolveFlush():
                future = self._flushes.get(command.ticket)
                if future is not None and not future.done():
                    future.set_result(command)
            case _ as unreachable:
                assert_never(unreachable)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task.

        Raises:
            RuntimeError: the group of tasks ends.
        """
        try:
            self._tasks.create_task(work)
        except RuntimeError:
            work.close()  # Else Python warns that it was never awaited.
            raise

    def _observe(self, command: cmd.Observe) -> None:
        outlets = self._outlets
        root = outlets.roots.get(command.root)
        if root is None:  # It was removed; the pipeline has dropped the scan but waits for its slot.
            self._loop.call_soon(self.send, ev.Observed(command.scan_id, (), last=True, root_gone=True))
            return
        identity, rules = root.identity, root.rules
        running = self._scans[command.scan_id] = _RunningScan(command.root)

        def post(event: ev.Observed) -> None:
            if running.answer() if event.last else not running.answered:
                self.post(event)

        def cancelled() -> bool:
            progress()
            return self._closed or running.answered

        def look() -> None:
            started_at = time.perf_counter()
            try:
                try:
                    if "" in command.scopes:
                        self._reload_limits(command.root)
                finally:  # The pipeline waits for an answer.
                    linked, limit_bytes = outlets.watcher.linked, root.limits.max_file_bytes
                    scan(command, identity, rules, limit_bytes, post, cancelled, own_files(), linked)
            except Exception:
                log.exception("scan_failed", root=str(identity.path))
            took_s = time.perf_counter() - started_at
            try:
                self._loop.call_soon_threadsafe(self._times.add, "scan", took_s)
            except RuntimeError:
                pass  # The event loop has ended.

        outlets.calls.put(command.root, look, ("scan", command.scan_id))

    async def _chunk(self, command: cmd.ChunkFile) -> None:
        outlets = self._outlets
        root, path, version = command.root, command.path, command.version
        known = outlets.roots.get(root)
        if known is None:
            self.post(ev.ChunkFailed(root, path, version, "the root was removed", gone=True))
            return
        event: ev.Event
        try:
            embedder = outlets.embedders[FIRST_TRACK]
            encode = command.is_new and command.lane is Lane.BULK and embedder.is_quick
            encode = encode and not embedder.asks_first(known.record.path)
            attributes = known.rules.attributes_at_once(path)
            if attributes is None:
                attributes = await asyncio.to_thread(known.rules.attributes, path)
            said = attributes.declared(path)
            place, lane, alone = str(known.identity.path), command.lane, command.alone
            with self._times.timed("chunk"):
                result = await outlets.workers.chunk(
                    place, path, known.limits, lane, alone, encode=encode, declared=said
                )
            if encode:
                embedder.counters.embedded_chunks += result.chunk_count
            event = ev.Chunked(root, path, version, result)
        except MemoryError:
            # This process is short of it, not the worker, which answers for itself. The core takes late answers.
            log.warning("no_memory_for_a_file", pause_s=_MEMORY_PAUSE_S)
            self._loop.call_later(_MEMORY_PAUSE_S, lambda: self._carry_out(command))
            return
        except FileNotFoundError as error:
            event = ev.ChunkFailed(root, path, version, str(error), gone=True)
        except (ChunkError, WorkerError) as error:
            log.warning("chunk_failed", root=str(known.identity.path), path=path, reason=str(error))
            event = ev.ChunkFailed(root, path, version, str(error))
        self.send(event)

    async def _embed(self, command: cmd.Embed) -> None:
        with self._times.timed(STAGES[command.track]):
            event = await self._outlets.embedders[command.track].run(command)
        self.send(event)


async def _end(error: Exception) -> None:
    """End the task group with this error."""
    raise error
