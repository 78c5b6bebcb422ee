"""MCP over HTTP with clients of others: the SDK's client in its modes, and the public conformance suite.

The suite is the npm package `@modelcontextprotocol/conformance` in the folder that `REGEND_NPM` names. It needs Node
22: that of `tests/editors/code_server.py`, or the program in `REGEND_NODE`. All of its scenarios for a server run.
Those that need more than tools, or a state, are named here, each with the reason.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Container, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from aiohttp import ClientSession, web
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from regend.mcp.tools import tools
from tests.editors import code_server
from tests.gateway.rig import Gateway, gateway
from tests.mcp.test_conformance import ARGUMENTS, MODES, SAYS
from tests.rpc.scripted import ROOT, ServerThread, short_directory

PACKAGES = Path(os.environ.get("REGEND_NPM", "build/npm")).absolute()
PROGRAM = PACKAGES / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
RESOURCES = "there are no resources"
PROMPTS = "there are no prompts"
CONTENT = "a tool of the suite answers with other content than text, and those here have text only"
ASKS = "a tool of the suite asks the client, and none here does"
LOGS = "no messages are logged to clients"
NOT_FOR_US = {
    "completion-complete": "there are no prompts whose arguments could be completed",
    "http-custom-header-server-validation": "no tool has a parameter that travels in a header of its own",
    "json-schema-2020-12": "it looks for a tool of the suite with such a schema",
    "logging-set-level": LOGS,
    "tools-call-with-logging": LOGS,
    "tools-call-with-progress": "no tool that is offered by HTTP takes long enough for progress",
    **dict.fromkeys(("tools-call-audio", "tools-call-embedded-resource", "tools-call-image"), CONTENT),
    "tools-call-mixed-content": CONTENT,
    **dict.fromkeys(("tools-call-elicitation", "tools-call-sampling"), ASKS),
    **dict.fromkeys(("elicitation-sep1034-defaults", "elicitation-sep1330-enums"), ASKS),
    **{
        f"input-required-result-{name}": ASKS
        for name in (
            "basic-elicitation", "basic-list-roots", "basic-sampling", "capability-check", "ignore-extra-params",
            "missing-input-response", "multi-round", "multiple-input-requests", "non-tool-request", "request-state",
            "result-type", "tampered-state",
        )
    },
    **dict.fromkeys(("resources-read-binary", "resources-read-text", "resources-templates-read"), RESOURCES),
    **dict.fromkeys(("resources-subscribe", "resources-unsubscribe"), RESOURCES),
    **dict.fromkeys(("prompts-get-simple", "prompts-get-with-args"), PROMPTS),
    **dict.fromkeys(("prompts-get-embedded-resource", "prompts-get-with-image"), PROMPTS),
}  # fmt: skip
"""Scenarios that cannot pass, and why."""
NOT_FOR_US_OLD = dict.fromkeys(
    ("server-sse-multiple-streams", "server-sse-polling"), "an answer is one JSON document, so there is no stream"
)
NOT_FOR_US_NEW = {"resources-list": RESOURCES, "sep-2164-resource-not-found": RESOURCES, "prompts-list": PROMPTS}
"""The same, for one revision only. Clients of older ones may ask for lists and get empty ones."""
CHECKS_NOT_FOR_US = {
    "sep-2575-server-rejects-undeclared-capability": ASKS,
    "sep-2575-missing-capability-http-400": ASKS,
    "sep-2575-http-server-no-independent-requests-on-stream": ASKS,
    "sep-2575-server-no-log-without-loglevel": LOGS,
    "sep-2549-prompts-list-caching-hints": PROMPTS,
    "sep-2549-resources-list-caching-hints": RESOURCES,
    "sep-2549-resources-templates-list-caching-hints": RESOURCES,
}
"""Checks within scenarios that pass otherwise, and why they cannot be made."""
PASSED = ("SUCCESS", "INFO", "SKIPPED")
STAND_INS: dict[str, tuple[str, dict[str, object]]] = {
    "test_simple_text": ("index_status", {}),
    "test_error_handling": ("search_code", {"query": "x", "k": 0}),
}
"""Tools of the suite to the call of ours that must have the same kind of answer."""


@pytest.fixture(scope="module")
def served() -> Iterator[Gateway]:
    with short_directory() as directory, ServerThread(directory / "s") as daemon, gateway(daemon.path) as made:
        yield made


@asynccontextmanager
async def client(served: Gateway, mode: str) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(headers={"Authorization": f"Bearer {served.token}"}) as plain:
        transport = streamable_http_client(f"{served.address}/mcp?root={ROOT}", http_client=plain)
        async with Client(transport, mode=mode) as made:
            yield made


@pytest.mark.parametrize("mode", MODES)
async def test_every_tool_is_listed_and_called(served: Gateway, mode: str) -> None:
    async with client(served, mode) as agent:
        listed = (await agent.list_tools()).tools
        assert [tool.name for tool in listed] == list(tools(manage=False))
        for tool in listed:
            result = await agent.call_tool(tool.name, ARGUMENTS[tool.name])
            assert not result.is_error, result
            assert SAYS[tool.name] in result.content[0].text  # type: ignore[union-attr]
        assert (await agent.call_tool("search_code", {"query": "x", "k": 0})).is_error
        with pytest.raises(MCPError, match="Unknown tool: nope"):
            await agent.call_tool("nope", {})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("revision", "not_for_us", "checks"),
    [("2025-11-25", NOT_FOR_US | NOT_FOR_US_OLD, {}), ("2026-07-28", NOT_FOR_US | NOT_FOR_US_NEW, CHECKS_NOT_FOR_US)],
)
async def test_the_public_suite(
    served: Gateway, tmp_path: Path, revision: str, not_for_us: dict[str, str], checks: dict[str, str]
) -> None:
    node = os.environ.get("REGEND_NODE") or (str(code_server.node()) if code_server.READY.exists() else None)
    if not node or not PROGRAM.exists():
        pytest.skip("the npm package @modelcontextprotocol/conformance or Node 22 is missing")
    async with _with_token(served) as address:
        process = await asyncio.create_subprocess_exec(
            node, str(PROGRAM), "server", "--url", f"{address}/mcp", "--suite", "all", "--spec-version", revision,
            "-o", str(tmp_path), cwd=PACKAGES, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        output = (await asyncio.wait_for(process.communicate(), 300))[0].decode()
    found = _results(tmp_path, checks)
    good = {name for name, results in found.items() if all(status in PASSED for _, status in results)}
    passed = sum(status == "SUCCESS" for name in good for _, status in found[name])
    print(f"{revision}: {len(good)} of {len(found)} scenarios and {passed} checks pass, the others are not for us")
    assert {name: found[name] for name in found.keys() - good - not_for_us.keys()} == {}, output
    assert good & not_for_us.keys() == set(), "these pass, so they are no longer to be left out"
    assert passed > len(good)


def _results(folder: Path, without: Container[str]) -> dict[str, list[tuple[str, str]]]:
    """Names and states of the checks by scenario."""
    return {
        re.sub(r"^server-|-\d{4}-\d\d-\d\dT.*$", "", file.parent.name): [
            (check["id"], check["status"]) for check in json.loads(file.read_text()) if check["id"] not in without
        ]
        for file in folder.rglob("checks.json")
    }


@asynccontextmanager
async def _with_token(served: Gateway) -> AsyncIterator[str]:
    """The address of a proxy that adds the token, because the suite can send none, and names our tools for its own."""

    async def passed_on(request: web.Request) -> web.StreamResponse:
        own = {"content-length", "transfer-encoding", "connection"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in own}
        headers["Authorization"] = f"Bearer {served.token}"
        body = await request.read()
        for name, (stands_in, arguments) in STAND_INS.items():
            if f'"{name}"'.encode() in body:
                message = json.loads(body)
                message["params"] |= {"name": stands_in, "arguments": arguments}
                body = json.dumps(message).encode()
                headers = {key: stands_in if value == name else value for key, value in headers.items()}
        async with (
            ClientSession() as session,
            session.request(request.method, f"{served.address}{request.rel_url}", headers=headers, data=body) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in own}
            passed = web.StreamResponse(status=answer.status, headers=kept)
            await passed.prepare(request)
            async for piece in answer.content.iter_any():
                await passed.write(piece)
            return passed

    made = web.Application()
    made.router.add_route("*", "/{path:.*}", passed_on)
    runner = web.AppRunner(made, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
