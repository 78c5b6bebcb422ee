"""How many directories may be watched, over all roots."""

from __future__ import annotations

import threading

from regend.errors import RootError


class WatchLimitError(RootError):
    """There are no watches left; the root is polled instead."""

    code = "watch_limit"


class WatchBudget:
    """Counts watches; shared by all roots, so it locks."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count one watch.

        Raises:
            WatchLimitError: it would be one too many.
        """
        with self._lock:
            if self._used >= self._limit:
                raise WatchLimitError(f"watch budget of {self._limit} is used up; raise `watch.max_watches`")
            self._used += 1

    def give(self, count: int) -> None:
        """Give watches back."""
        with self._lock:
            self._used -= count
