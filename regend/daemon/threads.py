"""Threads of the event loop: pools that take every call, however few threads the system grants."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import structlog

from regend.errors import RegendError

log = structlog.get_logger(__name__)


class Threads(ThreadPoolExecutor):
    """A pool whose first thread starts at once; while the system grants no further one, calls wait for those there are.

    `ThreadPoolExecutor.submit` raises when no thread can be started, and yet runs the call later.

    Args:
        size: maximum number of threads; None for as many as asyncio has.

    Raises:
        RegendError: not even the first thread can be started.
    """

    def __init__(self, name: str, size: int | None = None) -> None:
        super().__init__(size, thread_name_prefix=name)
        self._name = name
        self._is_short = False
        self.submit(_nothing)

    def _adjust_thread_count(self) -> None:
        # Each call that ends counts as an idle thread, those for which no thread was started, too: start over.
        while self._is_short and self._idle_semaphore.acquire(timeout=0):
            pass
        try:
            super()._adjust_thread_count()
        except (RuntimeError, MemoryError) as error:
            if not self._threads:
                raise no_thread(self._name, error) from error
            if not self._is_short:
                log.warning("thread_not_started", pool=self._name, threads=len(self._threads), reason=str(error))
            self._is_short = True
        else:
            self._is_short = False


def start_first(thread: threading.Thread) -> None:
    """Start a thread without which the daemon cannot run.

    Raises:
        RegendError: the system refuses.
    """
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        raise no_thread(thread.name, error) from error


def no_thread(name: str, error: BaseException) -> RegendError:
    """Return the error that ends the daemon's start."""
    said = str(error) or type(error).__name__
    return RegendError(f"The thread {name} cannot be started ({said}); raise the limit on processes (`ulimit -u`).")


def _nothing() -> None:
    """Return at once: the first call, for which the pool starts its first thread."""
