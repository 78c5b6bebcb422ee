"""The server as a process: it survives what clients send, and it ends when they are gone."""

from __future__ import annotations

import array
import asyncio
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regend.mcp import stdio
from regend.mcp.messages import MAX_LINE_BYTES
from regend.mcp.protocol import Call
from regend.rpc import operation_messages as ops
from tests.e2e.rig import wait_for
from tests.mcp.rig import COMMAND, REPOSITORY, Agent, agent, modern
from tests.rpc.scripted import ROOT, Script, ServerThread, short_directory

MAX_RSS_KB = 25 * 1024
MAX_CPU_S = 0.3
"""The figure of an idle machine is half of it."""


@pytest.fixture
def served() -> Iterator[ServerThread]:
    with short_directory() as directory, ServerThread(directory / "s") as server:
        yield server


@pytest.fixture
def client(served: ServerThread) -> Iterator[Agent]:
    with agent("--root", ROOT, socket=served.path) as made:
        yield made


def test_broken_frames_are_answered_and_the_server_lives(client: Agent) -> None:
    for frame, code in (
        (b"{", -32700),
        (b"\xff\xfe", -32700),
        (b'"\\ud800"', -32700),
        (b"[" * 100_000, -32700),
        (b"3", -32600),
        (b"[]", -32600),
        (b"{}", -32600),
        (b'{"jsonrpc": "1.0", "id": 1, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": true, "method": "ping"}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1}', -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call"}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "outline", "arguments": 3}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "resources/read", "params": {"uri": "file:///x"}}', -32602),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "logging/setLevel"}', -32601),
        (b"x" * (MAX_LINE_BYTES + 1), -32600),
    ):
        client.send(frame + b"\n")
        answer = client.receive()
        assert answer["error"]["code"] == code, (frame[:80], answer)
    client.send(b'\n\r\n{"jsonrpc": "2.0", "id": "a", "method": "ping"}\r\n')
    assert client.receive() == {"jsonrpc": "2.0", "id": "a", "result": {}}


def test_random_bytes_never_end_it(client: Agent) -> None:
    seed = random.randrange(2**32)
    rng = random.Random(seed)
    params = modern(name="outline", arguments={"file": "a"})
    valid = [
        json.dumps({"jsonrpc": "2.0", "id": n, "method": method, "params": params})
        for n, method in enumerate(("tools/call", "tools/list", "server/discover", "ping", "initialize"))
    ]  # fmt: skip
    for _ in range(300):
        line = bytearray(rng.choice(valid).encode())
        for _ in range(rng.randrange(1, 6)):
            place = rng.randrange(len(line))
            line[place : place + rng.randrange(3)] = rng.randbytes(rng.randrange(3)).replace(b"\n", b"")
        client.send(bytes(line) + b"\n")
    client.send(b'{"jsonrpc": "2.0", "id": "last", "method": "ping"}\n')
    while client.receive().get("id") != "last":
        pass
    assert client.process.poll() is None, f"seed {seed}"


def test_a_message_in_pieces_and_many_in_one(client: Agent) -> None:
    for byte in b'{"jsonrpc":"2.0","id":1,"method":"ping"}\n':
        client.send(bytes([byte]))
    assert client.receive()["id"] == 1
    client.send(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\n' % n for n in range(100)))
    assert [client.receive()["id"] for _ in range(100)] == list(range(100))
    client.send(b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]\n')
    assert [client.receive()["id"] for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("uri", ["file://[slug]/", "file:///a%00b", "file:///a%FFb", "[", "file://x/y", "", None, 3])
def test_a_root_of_the_client_that_is_no_directory_is_left_out(served: ServerThread, uri: object) -> None:
    with agent(socket=served.path) as made:
        made.ask("initialize", protocolVersion="2025-06-18", capabilities={"roots": {}})
        made.note("notifications/initialized")
        wanted = made.receive()
        assert wanted["method"] == "roots/list"
        roots = {"roots": [{"uri": uri}, {"uri": f"file://{ROOT}"}]}
        made.send(json.dumps({"jsonrpc": "2.0", "id": wanted["id"], "result": roots}).encode() + b"\n")
        said = made.call("index_status")["content"][0]["text"]
        assert ROOT in said


def test_versions(client: Agent) -> None:
    for wanted, given in (("2025-06-18", "2025-06-18"), ("2024-11-05", "2024-11-05"), ("2031-01-01", "2025-11-25")):
        answer = client.ask("initialize", protocolVersion=wanted, capabilities={})
        assert answer["result"]["protocolVersion"] == given
        assert "resultType" not in answer["result"]
        assert "search_code" in answer["result"]["instructions"]
    error = client.ask("tools/list", **modern(_meta={"io.modelcontextprotocol/protocolVersion": "2031-01-01"}))["error"]
    assert (error["code"], error["data"]["requested"]) == (-32022, "2031-01-01")
    assert {"2026-07-28", "2025-11-25"} <= set(error["data"]["supported"])
    assert client.ask("server/discover")["error"]["code"] == -32602
    found = client.ask("server/discover", **modern())["result"]
    assert (found["resultType"], found["cacheScope"], found["ttlMs"] > 0) == ("complete", "public", True)
    assert found["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "regend"
    del (half := modern())["_meta"]["io.modelcontextprotocol/clientCapabilities"]
    assert client.ask("tools/list", **half)["error"]["code"] == -32602


def test_a_subscription_is_acknowledged_and_stays_open(client: Agent) -> None:
    sent = client.request("subscriptions/listen", **modern(notifications={"toolsListChanged": True}))
    noted = client.receive()
    assert noted["method"] == "notifications/subscriptions/acknowledged"
    assert noted["params"]["_meta"] == {"io.modelcontextprotocol/subscriptionId": sent}
    assert client.ask("tools/list", **modern())["result"]["resultType"] == "complete"


@pytest.mark.parametrize("method", ["initialize", "ping", "resources/list", "prompts/list", "logging/setLevel", "nope"])
def test_the_newer_revision_answers_only_what_it_declares(client: Agent, method: str) -> None:
    assert client.ask(method, **modern())["error"]["code"] == -32601


class SlowScript(Script):
    """Answers a search for ``slow`` when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.begun = asyncio.Event()
        self.begun_count = 0
        self.go = asyncio.Event()

    async def on_search(self, connection: Any, request: Any) -> Any:
        if request.query == "slow":
            self.begun.set()
            self.begun_count += 1
            await self.go.wait()
        return await super().on_search(connection, request)


def test_a_cancelled_call_is_not_answered_and_others_are_not_held_up() -> None:
    script = SlowScript()
    with (
        short_directory() as directory,
        ServerThread(directory / "s", script) as served,
        agent("--root", ROOT, socket=served.path) as client,
    ):
        slow = client.request("tools/call", name="search_code", arguments={"query": "slow"})
        wait_for(script.begun.is_set, "the daemon was asked")
        assert "Debouncer.push" in client.text("search_code", query="quick")
        client.note("notifications/cancelled", requestId=slow)
        client.note("notifications/cancelled", requestId="unknown")
        client.note("notifications/cancelled")
        assert client.ask("ping")["result"] == {}
        served.run(script.go.set)
        # Its thread is done before the next answer of the daemon could be.
        assert "Debouncer.push" in client.text("search_code", query="after")
        client.process.stdin.close()  # type: ignore[union-attr]
        assert client.process.stdout is not None
        assert client.process.stdout.read() == b""


def test_calls_that_were_cancelled_are_no_way_around_the_maximum() -> None:
    script = SlowScript()
    with (
        short_directory() as directory,
        ServerThread(directory / "s", script) as served,
        agent("--root", ROOT, socket=served.path) as client,
    ):
        before = client.status("Threads")
        for number in range(stdio.MAX_RUNNING):
            slow = client.request("tools/call", name="search_code", arguments={"query": "slow"})
            wait_for(lambda begun=number + 1: script.begun_count == begun, "the daemon was asked")
            client.note("notifications/cancelled", requestId=slow)
        waiting = {
            client.request("tools/call", name="search_code", arguments={"query": "slow"})
            for _ in range(stdio.MAX_RUNNING)
        }
        for _ in range(2):  # The first may be answered before the calls that came with it are started.
            assert client.ask("ping")["result"] == {}
        assert client.status("Threads") <= before + stdio.MAX_RUNNING
        served.run(script.go.set)
        assert {client.receive()["id"] for _ in waiting} == waiting


def test_progress_is_told_to_those_who_ask() -> None:
    script = Script(pending=3)
    with (
        short_directory() as directory,
        ServerThread(directory / "s", script) as served,
        agent("--root", ROOT, "--manage", socket=served.path) as client,
    ):
        asked = {"name": "index_repository", "arguments": {"again": True, "mode": "parallel"}}
        sent = client.request("tools/call", **asked, _meta={"progressToken": "p"})
        noted = client.receive()
        assert noted["method"] == "notifications/progress"
        assert noted["params"]["progressToken"] == "p"
        assert (noted["params"]["progress"], noted["params"]["total"]) == (120, 123)
        script.pending = 0
        while (last := client.receive()).get("id") != sent:
            assert last["method"] == "notifications/progress"
        assert ops.ReindexRequest(ROOT, "parallel") in script.seen
        assert client.request("tools/call", **asked) == client.receive()["id"]


def test_an_older_client_names_its_roots(served: ServerThread, tmp_path: Path) -> None:
    with agent(socket=served.path, cwd=tmp_path) as client:
        client.ask("initialize", protocolVersion="2025-06-18", capabilities={"roots": {"listChanged": True}})
        client.note("notifications/initialized")
        assert client.receive() == {"jsonrpc": "2.0", "id": "regend-roots", "method": "roots/list"}
        sent = client.request("tools/call", name="search_code", arguments={"query": "x"})
        roots = [{"uri": "https://x/y"}, {"uri": f"file://{ROOT}/core"}]
        client.send(json.dumps({"jsonrpc": "2.0", "id": "regend-roots", "result": {"roots": roots}}).encode() + b"\n")
        answer = client.receive()
        assert answer["id"] == sent
        assert answer["result"]["content"][0]["text"].startswith(f"[{ROOT}: complete]")
        assert next(r for r in reversed(served.script.seen) if hasattr(r, "query")).root == ROOT


def test_the_end_of_the_input_ends_it(client: Agent) -> None:
    sent = client.request("tools/call", name="index_status", arguments={})
    assert client.process.stdin is not None
    client.process.stdin.close()
    assert client.receive()["id"] == sent
    assert client.process.wait(5) == 0


def test_it_ends_with_its_parent_even_if_the_pipe_stays_open(served: ServerThread) -> None:
    """A client that is killed leaves its end of the pipe open in any other child that it had."""
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=0)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)"
    )
    ours, theirs = os.pipe()
    parent = subprocess.Popen(
        [sys.executable, "-c", code, *COMMAND, "mcp", "--socket", str(served.path)],
        stdin=ours, stdout=subprocess.PIPE, cwd=REPOSITORY,
    )  # fmt: skip
    try:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        os.write(theirs, b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}\n')
        assert b'"result":{}' in parent.stdout.readline()
        parent.send_signal(signal.SIGKILL)
        parent.wait(5)
        wait_for(lambda: not _runs(pid), "the server has ended", 5.0)
    finally:
        parent.kill()
        parent.wait(5)
        parent.stdout.close()  # type: ignore[union-attr]
        os.close(ours)
        os.close(theirs)


def _runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_it_takes_little_memory_and_time(client: Agent) -> None:
    client.ask("initialize", protocolVersion="2025-11-25", capabilities={})
    client.ask("tools/list")
    client.text("search_code", query="quiet time")
    assert client.status("VmHWM") <= MAX_RSS_KB
    ticks = Path(f"/proc/{client.process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    assert sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK") <= MAX_CPU_S


def test_without_a_daemon_it_lists_its_tools_and_says_how_to_start_one(tmp_path: Path) -> None:
    with short_directory() as directory:
        places = {"HOME": str(tmp_path), "REGEND_STATE_DIR": str(tmp_path / "file" / "state"), "CI": ""}
        (tmp_path / "file").write_text("no directory")
        with agent(socket=directory / "s", environ=places) as client:
            assert len(client.ask("tools/list")["result"]["tools"]) == 5
            result = client.call("search_code", query="x")
            assert result["isError"]
            assert "State directory" in result["content"][0]["text"]
            assert "Use grep meanwhile" in result["content"][0]["text"]


def test_a_pipe_that_does_not_block(served: ServerThread) -> None:
    """More answers than a pipe holds, to a client that reads late."""
    (their_in, ours_out), (ours_in, their_out) = os.pipe(), os.pipe()
    for end in (their_in, their_out):
        os.set_blocking(end, False)
    process = subprocess.Popen(
        [*COMMAND, "mcp", "--socket", str(served.path)], stdin=their_in, stdout=their_out, cwd=REPOSITORY
    )
    limit = threading.Timer(20.0, process.kill)  # Then the lines end, and the test fails.
    limit.start()
    try:
        os.close(their_in)
        os.close(their_out)
        asked = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"tools/list"}\n' % n for n in range(60))
        assert os.write(ours_out, asked) == len(asked)
        wait_for(lambda: _is_full(ours_in), "the pipe is full")
        with os.fdopen(ours_in, "rb") as lines:
            assert [json.loads(lines.readline())["id"] for _ in range(60)] == list(range(60))
        os.close(ours_out)
        assert process.wait(5) == 0
    finally:
        limit.cancel()
        process.kill()
        process.wait(5)


def _is_full(pipe: int) -> bool:
    waiting = array.array("i", [0])
    fcntl.ioctl(pipe, termios.FIONREAD, waiting)
    return waiting[0] >= fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ) // 2  # A write may leave the rest of its page free.


def test_what_a_child_prints_does_not_reach_the_wire(served: ServerThread) -> None:
    """Descriptor 1 is not the wire any more once the server runs."""
    with agent(socket=served.path, stderr=subprocess.DEVNULL) as client:
        client.ask("ping")
        assert os.readlink(f"/proc/{client.process.pid}/fd/1") == os.devnull
        assert os.readlink(f"/proc/{client.process.pid}/fd/0") == os.devnull


def test_a_call_without_a_thread_is_answered_with_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system may have no thread left; the next call is tried again."""
    sent: list[Any] = []

    class Host:
        def send(self, line: bytes) -> None:
            sent.append(json.loads(line))

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    calls = stdio._Calls(Host(), None, None)  # type: ignore[arg-type]
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        for number in range(3):
            calls.take(Call(number, "index_status", {}, modern=True))
        calls.start(())
    assert [(answer["id"], answer["error"]["code"]) for answer in sent] == [(0, -32603), (1, -32603), (2, -32603)]
    assert "thread" in sent[0]["error"]["message"]
    calls.finish(5.0)
