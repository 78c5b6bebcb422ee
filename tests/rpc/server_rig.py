"""A raw client and the fixtures that the tests of the server share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgpack
import pytest
import uvloop

from regend.rpc.operation_messages import SyncRequest, SyncResponse
from regend.rpc.server import Connection
from tests.rpc.scripted import short_directory

DEADLINE_S = 5.0

# The hook that replaces this fixture works for a whole directory only, and the other tests there need one loop.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


@pytest.fixture(params=["asyncio", "uvloop"])
def event_loop_policy(request: pytest.FixtureRequest) -> asyncio.AbstractEventLoopPolicy:
    return uvloop.EventLoopPolicy() if request.param == "uvloop" else asyncio.DefaultEventLoopPolicy()


@pytest.fixture
def path() -> Iterator[Path]:
    with short_directory() as directory:
        yield directory / "s"


class Peer:
    """A raw client: what it sends and gets is in the hands of the test."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._unpacker = msgpack.Unpacker(unicode_errors="surrogateescape")

    @classmethod
    async def connect(cls, path: Path) -> Peer:
        return cls(*await asyncio.open_unix_connection(str(path)))

    def send(self, *message: Any) -> None:
        self.writer.write(msgpack.packb(message))

    async def get(self) -> Any:
        """The next message, or None at the end of the stream."""
        async with asyncio.timeout(DEADLINE_S):
            while True:
                try:
                    return self._unpacker.unpack()
                except msgpack.OutOfData:
                    pass
                try:
                    data = await self.reader.read(65536)
                except (ConnectionResetError, BrokenPipeError):
                    return None
                if not data:
                    return None
                self._unpacker.feed(data)

    async def call(self, method: str, **params: Any) -> Any:
        self.send(0, 1, method, [params])
        _, _, error, result = await self.get()
        assert error is None
        return result

    def close(self) -> None:
        self.writer.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():  # noqa: ASYNC110 - the server has no event for every number that a test may wait for.
            await asyncio.sleep(0.002)


class Gate:
    """A `sync` handler that waits until it is opened, and what became of its calls."""

    def __init__(self) -> None:
        self.opened = asyncio.Event()
        self.began = self.ended = self.cancelled = 0

    async def __call__(self, _: Connection, request: SyncRequest) -> SyncResponse:
        self.began += 1
        try:
            await self.opened.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1
        return SyncResponse(self.ended, 0.0)
