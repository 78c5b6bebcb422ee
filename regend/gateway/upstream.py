"""The gateway's way to the daemon: one connection for all questions, made again after a restart of the daemon."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from regend.errors import ConnectionLostError
from regend.rpc.aio import AsyncClient

MAX_IN_FLIGHT = 48
"""Maximum questions at the same time. A connection may have 64; with less, the daemon never stops to read from it."""
TIMEOUT_S = 30.0


class Upstream:
    """Asks the daemon; owns the connection."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket
        self._client: AsyncClient | None = None
        self._connecting = asyncio.Lock()
        self._room = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def call(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Ask the daemon; further questions may be in flight.

        Raises:
            RegendError: as `AsyncClient.connect` and `AsyncClient.call`.
        """
        async with self._room:
            client = await self._connected()
            try:
                return await client.call(method, **params)
            except ConnectionLostError:
                client = await self._connected(instead_of=client)
                return await client.call(method, **params)

    async def subscribed(self, topics: tuple[str, ...]) -> AsyncClient:
        """Return a connection of its own with notifications of these topics; the caller closes it."""
        client = await AsyncClient.connect(self.socket, TIMEOUT_S, name="http")
        try:
            await client.call("subscribe", topics=topics)
        except BaseException:
            await client.close()
            raise
        return client

    async def close(self) -> None:
        """Close the connection."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _connected(self, instead_of: AsyncClient | None = None) -> AsyncClient:
        async with self._connecting:
            if self._client is not None and self._client is not instead_of and self._client.is_open:
                return self._client
            await self.close()
            self._client = await AsyncClient.connect(self.socket, TIMEOUT_S, name="http")
            return self._client
