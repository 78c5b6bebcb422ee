"""The server answers what is well formed, refuses what is not, and lets no client hurt another."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest
import structlog

from regend.errors import RootError, RpcError
from regend.rpc.codec import encode_request
from regend.rpc.operation_messages import Empty, PausedResponse
from regend.rpc.query_messages import SearchResponse
from regend.rpc.server import Connection, ServerLimits
from tests.rpc.scripted import Script, serving
from tests.rpc.server_rig import Gate, Peer, event_loop_policy, path, until

# The hook that replaces a fixture works for a whole directory only, and the other tests there need one loop.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")


async def test_pipelined_requests_are_answered_as_they_are_ready(path: Path) -> None:
    gate = Gate()
    async with serving(path, {**Script().handlers(), "sync": gate}):
        peer = await Peer.connect(path)
        peer.writer.write(encode_request(1, "sync") + encode_request(2, "pause") + encode_request(3, "resume"))
        assert {(await peer.get())[1] for _ in range(2)} == {2, 3}
        gate.opened.set()
        assert await peer.get() == [1, 1, None, {"generation": 1, "took_ms": 0.0}]
        peer.close()


async def test_a_request_may_come_byte_by_byte(path: Path) -> None:
    async with serving(path, Script().handlers()):
        peer = await Peer.connect(path)
        for byte in encode_request(1, "pause"):
            peer.writer.write(bytes([byte]))
            await peer.writer.drain()
            await asyncio.sleep(0)
        assert await peer.get() == [1, 1, None, {"paused": True}]
        peer.close()


async def test_strings_may_come_as_bytes(path: Path) -> None:
    async with serving(path, Script().handlers()):
        peer = await Peer.connect(path)
        peer.send(0, 1, b"search", [{"query": b"x", b"k": 1}])
        assert len((await peer.get())[3]["results"]) == 1
        peer.send(0, 2, "subscribe", [{"topics": [b"state"]}])
        assert (await peer.get())[3] == {"subscribed": ["state"]}
        peer.close()


async def test_a_handlers_error_keeps_its_code_and_a_bug_keeps_its_secrets(path: Path) -> None:
    async def root_error(_: Connection, request: Empty) -> PausedResponse:
        raise RootError("/r is gone; add it again.")

    async def odd_data(_: Connection, request: Empty) -> PausedResponse:
        raise RpcError("odd", code="odd_error", data=object())

    async def bug(_: Connection, request: Empty) -> PausedResponse:
        raise KeyError("the secret")

    async def wrong_type(_: Connection, request: Empty) -> Any:
        return object()

    handlers = {"pause": root_error, "resume": bug, "list": wrong_type, "status": odd_data}
    async with serving(path, handlers) as server:
        peer = await Peer.connect(path)
        expected = {
            "pause": {"code": "root_error", "message": "/r is gone; add it again.", "data": None},
            "status": {"code": "odd_error", "message": "odd", "data": None},
        }
        with structlog.testing.capture_logs() as logs:
            for method in ("pause", "status", "resume", "list"):
                peer.send(0, 1, method, [])
                answer = (await peer.get())[2]
                if method in expected:
                    assert answer == expected[method]
                else:
                    assert answer["code"] == "internal_error"
                    assert "secret" not in str(answer)
        assert [log["method"] for log in logs if log["event"] == "rpc_handler_failed"] == ["resume", "list"]
        assert (server.counters()["requests"], server.counters()["request_errors"]) == (4, 4)
        peer.close()


async def test_an_answer_that_is_no_text_keeps_its_bytes(path: Path) -> None:
    script = Script(roots=["/src/caf\udce9"])
    async with serving(path, script.handlers()) as server:
        peer = await Peer.connect(path)
        assert (await peer.call("list"))["roots"][0]["path"] == "/src/caf\udce9"
        await peer.call("subscribe", topics=["state"])
        server.publish("state", {"root": "/src/caf\udce9"})
        assert await peer.get() == [2, "state", [{"root": "/src/caf\udce9"}]]
        peer.close()


async def test_a_client_that_leaves_cancels_its_requests_only(path: Path) -> None:
    gate = Gate()
    async with serving(path, {**Script().handlers(), "sync": gate}) as server:
        leaves, stays = await Peer.connect(path), await Peer.connect(path)
        for number in range(3):
            leaves.send(0, number, "sync", [])
        stays.send(0, 9, "sync", [])
        await until(lambda: gate.began == 4)
        leaves.close()
        await until(lambda: gate.cancelled == 3 and server.counters()["connections"] == 1)
        gate.opened.set()
        assert (await stays.get())[1] == 9
        stays.close()


async def test_requests_beyond_the_bound_wait_in_the_socket(path: Path) -> None:
    gate = Gate()
    limits = ServerLimits(max_in_flight=4)
    async with serving(path, {**Script().handlers(), "sync": gate}, limits):
        peer, other = await Peer.connect(path), await Peer.connect(path)
        for number in range(300):
            peer.send(0, number, "sync", [])
        await until(lambda: gate.began == 4)
        assert await other.call("pause") == {"paused": True}
        assert gate.began == 4
        gate.opened.set()
        assert sorted([(await peer.get())[1] for _ in range(300)]) == list(range(300))
        peer.close()
        other.close()


async def big(_: Connection, request: Any) -> SearchResponse:
    return SearchResponse((), 1, True, 0.0, ("x" * 200_000,))


async def test_a_client_that_does_not_read_slows_only_itself_and_is_cut_off(path: Path) -> None:
    limits = ServerLimits(high_water_bytes=1 << 16, write_timeout_s=0.3)
    script = Script()
    async with serving(path, {**script.handlers(), "search": big}, limits) as server:
        greedy, polite = socket.socket(socket.AF_UNIX), await Peer.connect(path)
        with greedy:
            greedy.connect(str(path))
            greedy.setblocking(False)
            for number in range(200):
                greedy.sendall(encode_request(number, "search", {"query": "x"}))
            assert await polite.call("pause") == {"paused": True}
            await until(lambda: server.counters()["connections"] == 1)
            assert server.counters()["requests"] < 100
        polite.close()


async def test_too_many_unread_bytes_cut_the_client_off(path: Path) -> None:
    gate = Gate()

    async def wait_then_big(connection: Connection, request: Any) -> SearchResponse:
        await gate(connection, request)
        return await big(connection, request)

    limits = ServerLimits(max_unsent_bytes=1_000_000)
    async with serving(path, {"search": wait_then_big}, limits) as server:
        with socket.socket(socket.AF_UNIX) as greedy:
            greedy.connect(str(path))
            greedy.sendall(b"".join(encode_request(n, "search", {"query": "x"}) for n in range(60)))
            await until(lambda: gate.began == 60)
            gate.opened.set()
            await until(lambda: server.counters()["connections"] == 0)


async def test_notifications_to_a_client_that_does_not_read_are_dropped_and_counted(path: Path) -> None:
    limits = ServerLimits(high_water_bytes=1 << 16)
    async with serving(path, Script().handlers(), limits) as server:
        slow, reads = await Peer.connect(path), await Peer.connect(path)
        for peer in (slow, reads):
            await peer.call("subscribe", topics=["index"])
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sent = 0
        while server.counters()["dropped_notifications"] < 50:
            server.publish("index", {"paths": ["x" * 1_000]})
            sent += 1
            assert (await reads.get())[1] == "index"
        assert sent < 5_000
        slow.writer.transport.resume_reading()  # type: ignore[attr-defined]
        slow.send(0, 5, "pause", [])
        kinds = []
        while (message := await slow.get())[0] == 2:
            kinds.append(message[1])
        assert message == [1, 5, None, {"paused": True}]
        assert len(kinds) == sent - server.counters()["dropped_notifications"]
        slow.close()
        reads.close()
        await until(lambda: server.counters()["connections"] == 0)
        assert server.counters()["dropped_notifications"] >= 50


async def test_publish_reaches_subscribers_of_the_topic_only(path: Path) -> None:
    async with serving(path, Script().handlers()) as server:
        one, two = await Peer.connect(path), await Peer.connect(path)
        await one.call("subscribe", topics=["index", "state"])
        await two.call("subscribe", topics=["state"])
        assert [server.publish(topic, {"t": topic}) for topic in ("index", "state", "progress")] == [1, 2, 0]
        assert [(await one.get())[1] for _ in range(2)] == ["index", "state"]
        assert (await two.get())[1] == "state"
        one.close()
        two.close()


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"\xc1", "MessagePack", id="no msgpack"),
        pytest.param(b"GET / HTTP/1.1\r\n", "array", id="http"),
        pytest.param(b"\x91" * 3_000, "MessagePack", id="deep"),
        pytest.param(b"\x94\x00\x01\xa1m" + b"\x91" * 9 + b"\xc0", "nested", id="deeper than 8"),
        pytest.param(b"\xdd\x7f\xff\xff\xff", "MessagePack", id="huge array"),
        pytest.param(b"\x94\x00\x01\xa1m\x91\xdb\x7f\xff\xff\xff" + b"x" * (3 << 20), "larger", id="oversized"),
    ],
)
async def test_bytes_that_are_no_requests_end_the_connection_with_a_reason(path: Path, data: bytes, words: str) -> None:
    async with serving(path, Script().handlers()) as server:
        peer, other = await Peer.connect(path), await Peer.connect(path)
        peer.writer.write(data)
        kind, topic, (payload,) = await peer.get()
        assert (kind, topic, payload["code"]) == (2, "error", "protocol_error")
        assert words in payload["message"]
        assert await peer.get() is None
        assert await other.call("pause") == {"paused": True}
        await until(lambda: server.counters()["connections"] == 1)
        peer.close()
        other.close()


async def test_a_message_that_dawdles_is_cut_off_and_idling_is_not(path: Path) -> None:
    limits = ServerLimits(partial_timeout_s=0.2)
    async with serving(path, Script().handlers(), limits) as server:
        idle, slow = await Peer.connect(path), await Peer.connect(path)
        loop = asyncio.get_running_loop()
        began_at = loop.time()
        ended = asyncio.create_task(slow.get())
        for byte in encode_request(1, "search", {"query": "x" * 200}):
            if ended.done():
                break
            slow.writer.write(bytes([byte]))
            await asyncio.wait([ended], timeout=0.01)
        assert (await ended)[2][0]["code"] == "protocol_error"
        assert loop.time() - began_at >= 0.19
        await until(lambda: server.counters()["connections"] == 1)
        assert await idle.call("pause") == {"paused": True}
        idle.close()
        slow.close()


async def test_each_message_has_its_own_time(path: Path) -> None:
    limits = ServerLimits(partial_timeout_s=0.3)
    async with serving(path, Script().handlers(), limits):
        peer = await Peer.connect(path)
        request = encode_request(1, "pause")
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + 0.7
        rest = request[:4]
        peer.writer.write(rest)
        while loop.time() < ends_at:  # The stream is never at a message's end, yet no message takes long.
            peer.writer.write(request[4:] + request[:4])
            assert (await peer.get())[3] == {"paused": True}
            await asyncio.wait([asyncio.create_task(asyncio.sleep(0.05))])
        peer.close()


@pytest.mark.parametrize("params", [[], [{}], [None], [[]]])
async def test_no_parameters_have_four_forms(path: Path, params: list[Any]) -> None:
    async with serving(path, Script().handlers()):
        peer = await Peer.connect(path)
        peer.send(0, 1, "pause", params)
        assert (await peer.get())[2:] == [None, {"paused": True}]
        peer.close()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        *(("pause", [value]) for value in (0, False, "", b"", 0.0, "x", [1], True)),
        ("pause", [{}, {}]),
        ("search", [{"query": "x", "overlays": [{"path": "/a", "text": "x", "txt": 1}]}]),
        (
            "related",
            [{"file": "/a", "overlays": [{"path": "/a", "text": "x"}, {"path": "/b", "text": "", "lang": ""}]}],
        ),
    ],
)
async def test_what_is_no_parameter_is_refused(path: Path, method: str, params: list[Any]) -> None:
    async with serving(path, Script().handlers()):
        peer = await Peer.connect(path)
        peer.send(0, 1, method, params)
        assert (await peer.get())[2]["code"] == "invalid_params"
        peer.send(0, 2, "resume", [])
        assert (await peer.get())[2:] == [None, {"paused": False}]
        peer.close()
