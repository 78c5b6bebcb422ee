"""MCP over HTTP: the same tools and answers as on standard input, in both eras, without any state."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from regend.gateway import agents
from regend.mcp.answering import Answerer
from regend.mcp.tools import tools
from tests.gateway.rig import Gateway, Reply, gateway
from tests.mcp.rig import modern
from tests.rpc.scripted import ROOT, ServerThread, short_directory

VERSION = "2026-07-28"


@pytest.fixture(scope="module")
def served() -> Iterator[Gateway]:
    with short_directory() as directory, ServerThread(directory / "s") as daemon, gateway(daemon.path) as made:
        yield made


def post(served: Gateway, body: object, path: str = "/mcp", **headers: str | None) -> Reply:
    given = {"Accept": "application/json, text/event-stream"}
    return served.ask("POST", path, body, given | {name.replace("_", "-"): value for name, value in headers.items()})


def request(method: str, **params: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}


def modern_headers(method: str, name: str | None = None) -> dict[str, str | None]:
    return {"MCP_Protocol_Version": VERSION, "Mcp_Method": method, **({"Mcp_Name": name} if name else {})}


def test_older_clients_need_no_session(served: Gateway) -> None:
    reply = post(served, request("initialize", protocolVersion="2025-06-18", capabilities={}))
    assert reply.status == 200
    assert reply.json["result"]["protocolVersion"] == "2025-06-18"
    assert "Mcp-Session-Id" not in reply.headers
    noted = post(served, {"jsonrpc": "2.0", "method": "notifications/initialized"}, MCP_Protocol_Version="2025-06-18")
    assert (noted.status, noted.body) == (202, b"")
    listed = post(served, request("tools/list"), MCP_Protocol_Version="2025-06-18").json["result"]["tools"]
    assert [tool["name"] for tool in listed] == list(tools(manage=False))
    called = request("tools/call", name="search_code", arguments={"query": "quiet time"})
    for path in ("/mcp", f"/mcp?root={ROOT}"):
        result = post(served, called, path).json["result"]
        assert not result["isError"]
        assert "core/debounce.py:10-12  Debouncer.push" in result["content"][0]["text"]


@pytest.mark.parametrize("root", ["all", "~/x", "src", "./x", "%00", "/a%00b"])
def test_a_root_in_the_url_that_is_no_absolute_path_is_refused(served: Gateway, root: str) -> None:
    called = request("tools/call", name="search_code", arguments={"query": "quiet time"})
    reply = post(served, called, f"/mcp?root={root}")
    assert (reply.status, reply.code) == (400, "invalid_params")


def test_newer_clients_say_it_twice(served: Gateway) -> None:
    found = post(served, request("server/discover", **modern()), **modern_headers("server/discover")).json["result"]
    assert VERSION in found["supportedVersions"]
    called = request("tools/call", **modern(name="outline", arguments={"file": f"{ROOT}/core/debounce.py"}))
    for name in ("outline", "=?base64?b3V0bGluZQ==?="):
        result = post(served, called, **modern_headers("tools/call", name)).json["result"]
        assert (result["resultType"], result["isError"]) == ("complete", False)
    for headers in (
        {},
        modern_headers("tools/call"),
        modern_headers("tools/list", "outline"),
        modern_headers("tools/call", "search_code"),
        modern_headers("tools/call", "=?base64?!?="),
        {**modern_headers("tools/call", "outline"), "MCP_Protocol_Version": "2025-06-18"},
        {**modern_headers("tools/call", "outline"), "MCP_Protocol_Version": None},
    ):
        reply = post(served, called, **headers)
        assert (reply.status, reply.json["error"]["code"], reply.json["id"]) == (400, -32020, 1), headers


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, -32700),
        (b"[" * 50_000, 400, -32700),
        (b"3", 400, -32600),
        (b"[]", 400, -32600),
        (b'[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"ping"}]', 400, -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', 400, -32600),
        (b'{"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]}', 400, -32602),
        (request("nope"), 404, -32601),
        (request("tools/call", name="nope"), 400, -32602),
        (request("tools/call", name="index_repository"), 400, -32602),
        (request("server/discover"), 400, -32602),
    ],
)
def test_mistakes(served: Gateway, body: object, status: int, code: int) -> None:
    reply = post(served, body)
    assert (reply.status, reply.json["error"]["code"]) == (status, code)


def test_an_answer_that_takes_too_long_is_an_error_of_the_protocol(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(agents, "_ANSWER_LIMIT_S", 0.05)
    monkeypatch.setattr(Answerer, "answer", lambda *_: ended.wait(20))

    async def ask() -> None:
        served = web.Application()
        served.add_routes([web.post("/mcp", agents.Agents(Path("/nowhere/socket")).post)])
        called = request("tools/call", name="search_code", arguments={"query": "quiet time"})
        async with TestClient(TestServer(served)) as client, client.post("/mcp", json=called) as reply:
            assert reply.status == 500
            assert await reply.json() == {
                "jsonrpc": "2.0", "id": 1,
                "error": {"code": -32603, "message": "There was no answer within 0.05 s; try again."},
            }  # fmt: skip

    try:
        asyncio.run(ask())
    finally:
        ended.set()


def test_unknown_versions(served: Gateway) -> None:
    reply = post(served, request("tools/list"), MCP_Protocol_Version="1999-01-01")
    assert (reply.status, reply.json["error"]["code"]) == (400, -32022)
    new = request("tools/list", **modern(_meta={"io.modelcontextprotocol/protocolVersion": "2031-01-01"}))
    reply = post(served, new, MCP_Protocol_Version="2031-01-01", Mcp_Method="tools/list")
    assert (reply.status, reply.json["error"]["code"]) == (400, -32022)
    assert VERSION in reply.json["error"]["data"]["supported"]


def test_a_mistake_of_a_model_is_a_result(served: Gateway) -> None:
    result = post(served, request("tools/call", name="search_code", arguments={"k": 0})).json["result"]
    assert result["isError"]
    assert "missing required field `query`" in result["content"][0]["text"]


def test_there_is_no_stream_to_get_and_no_session_to_end(served: Gateway) -> None:
    for method in ("GET", "DELETE"):
        reply = served.ask(method, "/mcp")
        assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    assert served.ask("POST", "/mcp", b"{}", {"Content-Type": "text/plain"}).status == 415


def test_a_subscription_stays_open(served: Gateway) -> None:
    connection = served.connection()
    body = json.dumps(request("subscriptions/listen", **modern(notifications={"toolsListChanged": True})))
    headers = {
        "Authorization": f"Bearer {served.token}", "Content-Type": "application/json",
        "MCP-Protocol-Version": VERSION, "Mcp-Method": "subscriptions/listen",
    }  # fmt: skip
    connection.request("POST", "/mcp", body, headers)
    answer = connection.getresponse()
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert answer.readline() == b"event: message\n"
    assert json.loads(answer.readline().removeprefix(b"data: "))["method"].endswith("subscriptions/acknowledged")
    assert post(served, request("ping")).json["result"] == {}
    connection.close()


def test_many_at_once(served: Gateway) -> None:
    found: list[Any] = []

    def call() -> None:
        found.append(post(served, request("tools/call", name="find_symbol", arguments={"name": "push"})).json)

    callers = [threading.Thread(target=call) for _ in range(24)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(20)
    assert [answer["result"]["isError"] for answer in found] == [False] * 24
