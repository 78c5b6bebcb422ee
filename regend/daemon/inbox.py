"""The only way into the pipeline: events from all threads, in the order in which they were posted.

Hints are bounded, because they could grow without end: when too many wait, one rescan replaces all hints of a root.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from itertools import compress
from operator import not_

from regend.core.events import Event, PathChanged, RescanNeeded
from regend.types import RootId

MAX_HINTS = 20_000
BATCH = 128
"""Maximum events handled before the event loop may serve queries again."""


class Inbox:
    """Takes events from any thread and hands them to `handle` on the event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop, handle: Callable[[list[Event]], None]) -> None:
        self._loop = loop
        self._handle = handle
        self._events: deque[Event] = deque()
        self._hints = 0
        self._lost: set[RootId] = set()
        self._lock = threading.Lock()
        self._scheduled = False
        self._closed = False
        self.overflows = 0

    def post(self, event: Event) -> None:
        """Queue one event; any thread; returns soon and never raises."""
        with self._lock:
            if self._closed:
                return
            if isinstance(event, PathChanged):
                if event.root in self._lost:
                    return
                if self._hints >= MAX_HINTS:
                    self._replace_hints(event.root)
                    return
                self._hints += 1
            self._events.append(event)
            if self._scheduled:
                return
            self._scheduled = True
        try:
            self._loop.call_soon_threadsafe(self._drain)
        except RuntimeError:
            pass  # The event loop has ended.

    def close(self) -> None:
        """Accept no more events."""
        with self._lock:
            self._closed = True
            self._events.clear()

    def _replace_hints(self, root: RootId) -> None:
        """Replace all hints of a root by one rescan at the place of the first, so that a later flush waits for it."""
        self.overflows += 1
        self._lost.add(root)
        replaced = [isinstance(event, PathChanged) and event.root == root for event in self._events]
        first = replaced.index(True) if True in replaced else len(replaced)
        self._hints -= sum(replaced)
        self._events = deque(compress(self._events, map(not_, replaced)))
        self._events.insert(first, RescanNeeded(root))

    def _drain(self) -> None:
        with self._lock:
            batch = [self._events.popleft() for _ in range(min(BATCH, len(self._events)))]
            for event in batch:
                if isinstance(event, PathChanged):
                    self._hints -= 1
                elif isinstance(event, RescanNeeded):
                    self._lost.discard(event.root)
            self._scheduled = bool(self._events)
            if self._scheduled:
                self._loop.call_soon(self._drain)
        self._handle(batch)
