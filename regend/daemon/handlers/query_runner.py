"""Where a query runs: a quick one at once on the event loop, any other in a query thread.

Handing a query to a thread and its answer back costs time (see decision 14), so a question whose work is bounded
is answered where it arrives. Meanwhile the loop does nothing else: no watching, no committing, no other client. So
after a quick query that took long all the same (a cold disk, a busy machine), the next ones go to threads for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from regend.daemon.telemetry import StageTimes
from regend.store.base import Snapshot

SLOW_S = 0.02
"""Maximum seconds of a quick query; after a slower one, the next queries go to threads."""
THREADED_AFTER_SLOW = 64
"""Queries that go to threads after a slow one."""
_T = TypeVar("_T")


class QueryRunner:
    """Runs queries on the snapshot of the moment; used on the event loop.

    Args:
        now: monotonic seconds.
    """

    def __init__(
        self,
        threads: ThreadPoolExecutor,
        snapshot: Callable[[], Snapshot],
        times: StageTimes,
        now: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._threads = threads
        self._snapshot = snapshot
        self._times = times
        self._now = now
        self._threaded = 0

    async def run(self, query: Callable[[Snapshot], _T], quick: bool = False) -> _T:
        """Return the query's answer.

        Args:
            quick: its work is bounded, whatever the index holds.
        """
        snapshot = self._snapshot()
        started_at = self._now()
        try:
            if quick and not self._threaded:
                return query(snapshot)
            self._threaded = max(0, self._threaded - 1)
            return await asyncio.get_running_loop().run_in_executor(self._threads, query, snapshot)
        finally:
            took_s = self._now() - started_at
            self._times.add("query", took_s)
            if quick and took_s > SLOW_S:
                self._threaded = THREADED_AFTER_SLOW
