"""Bounds on clients, who may ask, and how the server closes."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from regend.rpc.server import RpcServer, ServerLimits, limits_of_process
from tests.rpc.scripted import Script, serving
from tests.rpc.server_rig import DEADLINE_S, Gate, Peer, event_loop_policy, path, until

# The hook that replaces a fixture works for a whole directory only, and the other tests there need one loop.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


async def test_a_thousand_idle_connections(path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2_200:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2_200), hard))
    try:
        async with serving(path, Script().handlers()) as server:
            idle = [await Peer.connect(path) for _ in range(1_000)]
            await until(lambda: server.counters()["connections"] == 1_000)
            peer = await Peer.connect(path)
            assert await peer.call("pause") == {"paused": True}
            assert (await idle[500].call("resume")) == {"paused": False}
            for each in (*idle, peer):
                each.close()
            await until(lambda: server.counters()["connections"] == 0)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_one_connection_too_many_is_told_and_the_others_stay(path: Path) -> None:
    async with serving(path, Script().handlers(), ServerLimits(max_connections=2)) as server:
        inside = [await Peer.connect(path) for _ in range(2)]
        for peer in inside:
            await peer.call("pause")
        outside = await Peer.connect(path)
        assert (await outside.get())[2][0]["code"] == "too_many_connections"
        assert await outside.get() is None
        assert await inside[0].call("pause") == {"paused": True}
        assert server.counters()["refused_connections"] == 1
        for peer in (*inside, outside):
            peer.close()


async def test_a_flood_of_clients_too_many_holds_few_descriptors(path: Path) -> None:
    async with serving(path, Script().handlers(), ServerLimits(max_connections=1)) as server:
        inside = await Peer.connect(path)
        await inside.call("pause")
        before = len(os.listdir("/proc/self/fd"))
        outside = [await Peer.connect(path) for _ in range(200)]
        await until(lambda: server.counters()["refused_connections"] == 200)
        # Each of ours, and the server's end of those that are told why.
        assert len(os.listdir("/proc/self/fd")) - before <= 200 + 64
        heard = [await peer.get() for peer in outside]
        assert sum(message is not None for message in heard) == 64
        assert all(message[2][0]["code"] == "too_many_connections" for message in heard if message is not None)
        assert await inside.call("pause") == {"paused": True}
        for peer in (inside, *outside):
            peer.close()


@pytest.mark.parametrize(
    ("open_files", "clients"), [(4_096, 1_200), (1_024, 768), (256, 64), (resource.RLIM_INFINITY, 1_200)]
)
def test_clients_leave_descriptors_for_the_rest(open_files: int, clients: int) -> None:
    assert limits_of_process(open_files).max_connections == clients


@pytest.mark.parametrize(("uid", "allowed"), [(os.geteuid(), True), (0, True), (54_321, False)])
async def test_only_our_user_and_root_may_ask(path: Path, uid: int, allowed: bool) -> None:
    async with serving(path, Script().handlers(), credentials=lambda sock: (uid, 1)) as server:
        peer = await Peer.connect(path)
        peer.send(0, 1, "pause", [])
        assert await peer.get() == ([1, 1, None, {"paused": True}] if allowed else None)
        assert server.counters()["requests"] == int(allowed)
        peer.close()


async def test_a_peer_that_the_system_cannot_name_is_refused(path: Path) -> None:
    def unknown(sock: Any) -> tuple[int, int]:
        raise OSError("not supported")

    async with serving(path, Script().handlers(), credentials=unknown):
        peer = await Peer.connect(path)
        assert await peer.get() is None
        peer.close()


@pytest.fixture
async def closing(path: Path) -> AsyncIterator[tuple[RpcServer, Gate, Peer]]:
    gate = Gate()
    async with serving(path, {**Script().handlers(), "sync": gate}) as server:
        peer = await Peer.connect(path)
        peer.send(0, 1, "sync", [])
        await until(lambda: gate.began == 1)
        yield server, gate, peer
        peer.close()


async def test_close_waits_for_what_is_under_way_and_takes_nothing_new(
    path: Path, closing: tuple[RpcServer, Gate, Peer]
) -> None:
    server, gate, peer = closing
    close = asyncio.create_task(server.close(DEADLINE_S))
    await until(lambda: server.stopping)
    peer.send(0, 2, "pause", [])
    assert (await peer.get())[2]["code"] == "stopping"
    assert not close.done()
    gate.opened.set()
    assert (await peer.get())[1:3] == [1, None]
    assert await peer.get() is None
    await close
    assert server.counters()["connections"] == 0


async def test_close_cancels_what_takes_too_long_and_says_so(closing: tuple[RpcServer, Gate, Peer]) -> None:
    server, gate, peer = closing
    await server.close(0.05)
    assert gate.cancelled == 1
    assert (await peer.get())[2]["code"] == "stopping"
    assert await peer.get() is None
    assert server.counters()["connections"] == 0


async def test_a_handler_without_a_method_is_a_bug() -> None:
    with pytest.raises(ValueError, match="frobnicate"):
        RpcServer({"frobnicate": Script().handlers()["list"]}, version="1")
