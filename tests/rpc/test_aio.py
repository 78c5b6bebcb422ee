"""The asynchronous client: calls overlap, each gets its own answer, and an end reaches everyone who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regend.errors import ConnectionLostError, DaemonNotRunningError, ProtocolError, RootError, RpcError
from regend.rpc.aio import AsyncClient
from regend.rpc.operation_messages import SyncResponse
from tests.rpc.scripted import ROOT, Script, serving, short_directory


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


async def test_calls_overlap_and_find_their_answers(directory: Path) -> None:
    first_may_end = asyncio.Event()
    handlers = dict(Script().handlers())

    async def sync(_: Any, request: Any) -> SyncResponse:
        await first_may_end.wait()
        return SyncResponse(1, request.timeout_s)

    async def flush(_: Any, request: Any) -> Any:
        first_may_end.set()
        return SyncResponse(2, 0.0)

    handlers |= {"sync": sync, "flush": flush}
    async with serving(directory / "s", handlers), await AsyncClient.connect(directory / "s") as client:
        answers = await asyncio.gather(client.call("sync", timeout_s=3.0), client.call("flush"), client.call("pause"))
        assert [answers[0]["took_ms"], answers[1]["generation"], answers[2]] == [3.0, 2, {"paused": True}]


async def test_many_calls_at_once(directory: Path) -> None:
    async with serving(directory / "s", Script().handlers()), await AsyncClient.connect(directory / "s") as client:
        answers = await asyncio.gather(*(client.call("search", query="x", k=1 + n % 2) for n in range(500)))
        assert [len(a["results"]) for a in answers] == [1 + n % 2 for n in range(500)]


async def test_an_error_comes_as_its_class(directory: Path) -> None:
    async with serving(directory / "s", Script().handlers()), await AsyncClient.connect(directory / "s") as client:
        with pytest.raises(RootError, match="/nope"):
            await client.call("reindex", path="/nope")
        assert (await client.call("list"))["roots"][0]["path"] == ROOT


async def test_notifications_come_in_order_and_end_with_the_connection(directory: Path) -> None:
    async with serving(directory / "s", Script().handlers()) as server:
        client = await AsyncClient.connect(directory / "s")
        await client.call("subscribe", topics=["index"])
        for number in range(3):
            assert server.publish("index", {"n": number}) == 1
        await client.call("pause")
        await server.close(1.0)
        assert [item async for item in client.notifications()] == [("index", {"n": n}) for n in range(3)]
        assert [item async for item in client.notifications()] == []
        await client.close()


async def test_a_late_answer_is_dropped_and_the_connection_stays(directory: Path) -> None:
    release = asyncio.Event()
    handlers = dict(Script().handlers())

    async def sync(_: Any, request: Any) -> SyncResponse:
        await release.wait()
        return SyncResponse(1, 0.0)

    handlers["sync"] = sync
    async with serving(directory / "s", handlers), await AsyncClient.connect(directory / "s", timeout_s=5) as client:
        client.timeout_s = 0.05
        with pytest.raises(RpcError, match="did not answer `sync`") as caught:
            await client.call("sync", timeout_s=0)
        assert caught.value.code == "timeout"
        client.timeout_s = 5
        release.set()
        assert await client.call("pause") == {"paused": True}


async def test_the_end_of_the_connection_reaches_all_calls(directory: Path) -> None:
    began = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x94\x01\x01\xc0\x80")
        await reader.readuntil(b"status")
        began.set()
        writer.close()

    async with await asyncio.start_unix_server(serve, str(directory / "s")):
        client = await AsyncClient.connect(directory / "s")
        calls = [asyncio.create_task(client.call(name)) for name in ("list", "status")]
        await began.wait()
        assert [type(e) for e in await asyncio.gather(*calls, return_exceptions=True)] == [ConnectionLostError] * 2
        with pytest.raises(ConnectionLostError):
            await client.call("list")
        await client.close()


async def test_broken_bytes_end_the_connection(directory: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x94\x01\x01\xc0\x80")
        await reader.readuntil(b"status")
        writer.write(b"\xc1")
        writer.close()

    async with await asyncio.start_unix_server(serve, str(directory / "s")):
        client = await AsyncClient.connect(directory / "s")
        with pytest.raises(ProtocolError, match="MessagePack"):
            await client.call("status")
        await client.close()


async def test_no_daemon(directory: Path) -> None:
    with pytest.raises(DaemonNotRunningError):
        await AsyncClient.connect(directory / "s")
