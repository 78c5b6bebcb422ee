"""The index thread: the only writer of the store. Each command that goes in gives exactly one event.

It never waits for the network or for a query. While commands wait, it does the store's background work in small pieces
between them; otherwise it does all of it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import structlog

from regend.core.commands import Commit, FetchUnembedded
from regend.core.events import CommitFailed, Event, UnembeddedFound
from regend.daemon.threads import start_first
from regend.embedding.base import ModelInfo
from regend.errors import StoreError
from regend.store.base import Elsewhere, GarbageLimits
from regend.store.reads import Reads
from regend.store.store import Store, open_store

_T = TypeVar("_T")
_STEP_INTERVAL_S = 2.0
_IDLE_AFTER_S = 0.3
_NICENESS = 2
_FETCH_RETRY_S = 0.5

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Call:
    """A function to run on the index thread, and where its result goes."""

    function: Callable[[Store], Any]
    future: Future[Any]


class Indexer:
    """Owns the store and its thread.

    The index thread calls `post` with `Committed`, `CommitFailed` and `UnembeddedFound`; it must only pass the event on
    (for example by `loop.call_soon_threadsafe`).
    """

    def __init__(
        self,
        state_dir: Path,
        model: ModelInfo,
        post: Callable[[Event], None],
        max_unused_bytes: int = 1_000_000_000,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        self._elsewhere = elsewhere
        self._limits = GarbageLimits(max_unused_bytes)
        self._state_dir = state_dir
        self._model = model
        self._post = post
        # Bounded by the core, which issues commands only while a slot is free.
        self._queue: queue.SimpleQueue[Commit | FetchUnembedded | _Call | None] = queue.SimpleQueue()
        self._reads: Reads | None = None
        self._opened: Future[Reads] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="regend-index", daemon=True)
        self._gate = threading.Lock()
        self._stopping = False

    def start(self) -> Reads:
        """Open the store on the index thread and wait until it serves.

        Returns:
            What any thread may read of it; `call` writes.

        Raises:
            StoreLockedError: another daemon holds the state directory.
            StoreError: it cannot be used.
            RegendError: the thread cannot be started.
        """
        start_first(self._thread)
        self._reads = self._opened.result()
        return self._reads

    @property
    def reads(self) -> Reads:
        """The part of the open store that any thread may read. Only after `start`."""
        assert self._reads is not None, "start() comes first"
        return self._reads

    async def wait(self) -> None:
        """Wait until the thread ends.

        Raises:
            StoreError: it ended although `stop` was not called, and nothing can be committed any more.
        """
        await asyncio.shield(asyncio.wrap_future(self._ended))

    def submit(self, command: Commit | FetchUnembedded) -> None:
        """Queue a command. It is answered by exactly one event, also while stopping."""
        with self._gate:
            if not self._stopping:
                self._queue.put(command)
                return
        self._post(_refusal(command, "the daemon is stopping"))

    def call(self, function: Callable[[Store], _T]) -> Future[_T]:
        """Run a function of the store on the index thread, such as ``lambda store: store.remove_root(root)``."""
        future: Future[_T] = Future()
        with self._gate:
            if not self._stopping:
                self._queue.put(_Call(function, future))
                return future
        future.set_exception(StoreError("The store is closing; ask again after the next start."))
        return future

    def stop(self, timeout_s: float = 30.0) -> bool:
        """Finish the queued commands, close the store and end the thread.

        Returns:
            Whether the thread ended in time. Commits are durable in any case.
        """
        with self._gate:
            first, self._stopping = not self._stopping, True
        if first:
            self._queue.put(None)
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        _yield_to_queries()
        try:
            store = open_store(self._state_dir, self._model, self._limits, self._elsewhere)
        except BaseException as error:
            self._opened.set_exception(error)
            return
        self._opened.set_result(store.reads)
        try:
            self._serve(store)
        except BaseException as error:  # The extensions panic with errors that are no `Exception`.
            log.critical("index_thread_failed", exc_info=error)
            failure = StoreError(
                f"The index thread failed ({type(error).__name__}), so the daemon ends; start it again."
            )
            failure.__cause__ = error
            self._ended.set_exception(failure)
        else:
            self._ended.set_result(None)
        try:
            store.close()
        except Exception:
            log.exception("store_close_failed")

    def _serve(self, store: Store) -> None:
        delay_s = _IDLE_AFTER_S
        stepped_at = time.monotonic()
        while True:
            try:
                item = self._queue.get(timeout=delay_s)
            except queue.Empty:
                delay_s = self._maintain(store, idle=True)
                stepped_at = time.monotonic()
                continue
            if item is None:
                return
            self._handle(store, item)
            delay_s = _IDLE_AFTER_S
            if time.monotonic() - stepped_at >= _STEP_INTERVAL_S:
                self._maintain(store, idle=False)
                stepped_at = time.monotonic()

    def _handle(self, store: Store, item: Commit | FetchUnembedded | _Call) -> None:
        if isinstance(item, _Call):
            if item.future.set_running_or_notify_cancel():
                try:
                    item.future.set_result(item.function(store))
                except BaseException as error:
                    item.future.set_exception(error)
            return
        event: Event
        try:
            event = _carry_out(store, item)
        except Exception as error:
            log.warning("index_command_failed", command=type(item).__name__, reason=str(error), exc_info=True)
            event = _refusal(item, str(error) or type(error).__name__)
            if isinstance(item, FetchUnembedded):
                # The core asks again immediately; with a catalog that cannot be read that would be a busy loop.
                time.sleep(_FETCH_RETRY_S)
        self._post(event)

    def _maintain(self, store: Store, *, idle: bool) -> float:
        try:
            return store.maintain(idle=idle)
        except Exception:
            # A failure of background work must not end the thread; it is tried again after a pause.
            log.exception("store_maintenance_failed")
            return 30.0


def _carry_out(store: Store, command: Commit | FetchUnembedded) -> Event:
    if isinstance(command, FetchUnembedded):
        return store.unembedded(command.limit, command.exclude, command.track, command.spent)
    started_at = time.perf_counter()
    committed = store.apply(command)
    log.info(
        "commit",
        generation=committed.generation,
        ops=len(command.ops),
        missing=len(committed.missing),
        took_ms=round((time.perf_counter() - started_at) * 1e3, 2),
    )
    return committed


def _refusal(command: Commit | FetchUnembedded, reason: str) -> Event:
    if isinstance(command, Commit):
        return CommitFailed(command.commit_id, reason)
    # The core asks for the list again when something changes, or at the next start.
    return UnembeddedFound((), False, command.track)


def _yield_to_queries() -> None:
    """Let query threads go first where the system can say so per thread (Linux; not tested elsewhere)."""
    try:
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
    except (AttributeError, OSError):
        pass  # Queries are only a little slower then.
