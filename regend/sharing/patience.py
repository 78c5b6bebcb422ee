"""Calls of a shared store that end by their deadline, whatever the store does."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from regend.errors import SharedStoreAwayError, SharedStoreError
from regend.sharing.reach import Reach

_T = TypeVar("_T")


class Patience:
    """Owns the calls that were given up; used on the event loop."""

    def __init__(self, reach: Reach) -> None:
        self.reach = reach
        self._dropped: set[asyncio.Task[Any]] = set()

    async def wait_for(self, pool: str, call: Coroutine[Any, Any, _T], timeout_s: float) -> _T | None:
        """Return the answer to a call about a pool; None, with the reason noted in `reach`, after a failure."""
        asked = asyncio.create_task(call)
        try:
            await asyncio.wait({asked}, timeout=timeout_s)
            if not asked.done():
                self.reach.failed(f"It did not answer within {timeout_s:g} s.", time.monotonic())
                return None
            answer = asked.result()
        except SharedStoreAwayError as error:
            self.reach.failed(str(error), time.monotonic())
            return None
        except SharedStoreError as error:
            self.reach.refused(pool, str(error), time.monotonic())
            return None
        finally:
            self._drop(asked)
        self.reach.answered(pool)
        return answer

    def _drop(self, asked: asyncio.Task[Any]) -> None:
        """Give a call up without waiting for its end, which takes seconds where the server hangs."""
        if not asked.done():
            asked.cancel()
            self._dropped.add(asked)
            asked.add_done_callback(self._forget)

    def _forget(self, asked: asyncio.Task[Any]) -> None:
        self._dropped.discard(asked)
        if not asked.cancelled():
            asked.exception()  # It was given up, so it interests no caller.
