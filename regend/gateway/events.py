"""Server-sent events: the daemon's notifications for any number of readers, over one connection to the daemon.

A reader that is too slow for its events loses the oldest, and is told how many. https://html.spec.whatwg.org/#sse
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from aiohttp import web

from regend.errors import RegendError, RpcError
from regend.gateway.answers import json_bytes
from regend.gateway.upstream import Upstream
from regend.rpc.operation_messages import TOPICS

PATH = "/api/events"
MAX_READERS = 32
MAX_KEPT = 200
"""Maximum events that wait for a reader."""
WRITE_LIMIT_S = 20.0
"""How long a reader may leave an event unread before it is cut off."""
_ALIVE_S = 15.0
_AGAIN_S = 2.0


class _Reader:
    """The events that wait for one reader; owns them."""

    def __init__(self, topics: frozenset[str]) -> None:
        self._topics = topics
        self._waiting: deque[bytes] = deque()
        self._lost = 0
        self._changed = asyncio.Event()
        self.ended = False

    def put(self, topic: str, data: bytes) -> None:
        if topic in self._topics:
            if len(self._waiting) >= MAX_KEPT:
                self._waiting.popleft()
                self._lost += 1
            self._waiting.append(data)
            self._changed.set()

    def end(self) -> None:
        self.ended = True
        self._changed.set()

    async def taken(self) -> bytes:
        """Return what is to be written next; a comment if nothing happens for a while."""
        try:
            async with asyncio.timeout(_ALIVE_S):
                await self._changed.wait()
        except TimeoutError:
            return b": alive\n\n"
        self._changed.clear()
        lost, self._lost = self._lost, 0
        parts = [_event("lost", {"count": lost})] if lost else []
        parts += self._waiting
        self._waiting.clear()
        return b"".join(parts)


class Events:
    """Hands notifications to readers; owns the connection that they come from, open while there is a reader."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._readers: set[_Reader] = set()
        self._listening: asyncio.Task[None] | None = None

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer with events until the reader goes; `topics` in the URL limits them.

        Raises:
            RpcError: there is no such topic, or too many read already.
        """
        topics = frozenset(request.query.getall("topics", list(TOPICS)))
        if unknown := sorted(topics - set(TOPICS)):
            known = ", ".join(TOPICS)
            raise RpcError(f"There is no topic {unknown[0][:64]!r}; there are {known}.", code="invalid_params")
        if other := sorted(set(request.query) - {"topics"}):
            raise RpcError(f"There is no parameter `{other[0][:64]}`; it takes topics.", code="invalid_params")
        if len(self._readers) >= MAX_READERS:
            raise RpcError(f"{MAX_READERS} clients read events already; close some.", code="busy")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
        reader = _Reader(topics)
        self._readers.add(reader)
        try:
            await response.prepare(request)
            await response.write(b"retry: 2000\n\n")
            self._start()
            while not reader.ended:
                data = await reader.taken()
                async with asyncio.timeout(WRITE_LIMIT_S):
                    await response.write(data)
        except (ConnectionError, TimeoutError):
            pass  # The reader is gone, or does not read.
        finally:
            self._readers.discard(reader)
            self._stop_if_idle()
        return response

    async def close(self) -> None:
        """End all streams."""
        for reader in self._readers:
            reader.end()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)

    def _start(self) -> None:
        if self._listening is None or self._listening.done():
            self._listening = asyncio.create_task(self._listen(), name="http-events")

    def _stop_if_idle(self) -> None:
        if not self._readers and self._listening is not None:
            self._listening.cancel()
            self._listening = None

    async def _listen(self) -> None:
        """Pass notifications on; while there is no daemon, look for it from time to time."""
        while True:
            try:
                client = await self._upstream.subscribed(TOPICS)
            except RegendError as error:
                self._tell("state", {"root": "", "state": "away", "reason": str(error)})
            else:
                try:
                    self._tell("state", {"root": "", "state": "connected", "reason": ""})
                    async for topic, payload in client.notifications():
                        self._tell(topic, payload)
                finally:
                    await client.close()
            await asyncio.sleep(_AGAIN_S)

    def _tell(self, topic: str, payload: dict[str, Any]) -> None:
        data = _event(topic, payload)
        for reader in self._readers:
            reader.put(topic, data)


def _event(topic: str, payload: dict[str, Any]) -> bytes:
    return b"event: %s\ndata: %s\n\n" % (topic.encode(), json_bytes(payload))
