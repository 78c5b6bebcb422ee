"""MCP over HTTP with clients of others: the SDK's client in its modes, and the public conformance suite.

The suite needs Node 22 and the npm package `@modelcontextprotocol/conformance`; `REGEND_NPM` names the folder in which
it is installed, and `REGEND_NODE` the program. Most of its scenarios need a server with the suite's own test tools;
those that a server of other tools can pass are here.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from aiohttp import ClientSession, web
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

from regend.mcp.tools import tools
from tests.gateway.rig import Gateway, gateway
from tests.mcp.test_conformance import ARGUMENTS, MODES, SAYS
from tests.rpc.scripted import ROOT, ServerThread, short_directory

PACKAGES = Path(os.environ.get("REGEND_NPM", "build/npm")).absolute()
PROGRAM = PACKAGES / "node_modules/@modelcontextprotocol/conformance/dist/index.js"
SCENARIOS = {
    "server-initialize": 1, "ping": 1, "tools-list": 1, "resources-list": 1, "prompts-list": 1,
    "dns-rebinding-protection": 2,
}  # fmt: skip
"""Scenario to the number of its checks."""


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
async def test_the_public_suite(served: Gateway) -> None:
    node = os.environ.get("REGEND_NODE") or shutil.which("node")
    if not node or not PROGRAM.exists():
        pytest.skip("the npm package @modelcontextprotocol/conformance or node is missing")
    async with _with_token(served) as address:
        for scenario, checks in SCENARIOS.items():
            process = await asyncio.create_subprocess_exec(
                node, str(PROGRAM), "server", "--url", f"{address}/mcp", "--scenario", scenario, cwd=PACKAGES,
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            )  # fmt: skip
            output = (await asyncio.wait_for(process.communicate(), 60))[0].decode()
            if "globSync" in output:
                pytest.skip("the suite needs Node 22; name it in REGEND_NODE")
            found = re.search(r"Passed: (\d+)/(\d+), (\d+) failed", output)
            assert found, output
            print(scenario, found[0])
            assert (int(found[1]), int(found[3]), process.returncode) == (checks, 0, 0), output


@asynccontextmanager
async def _with_token(served: Gateway) -> AsyncIterator[str]:
    """The address of a proxy that adds the token, because the suite can send none; all else passes as it is."""

    async def passed_on(request: web.Request) -> web.Response:
        own = {"content-length", "transfer-encoding", "connection"}
        headers = {name: value for name, value in request.headers.items() if name.lower() not in own}
        headers["Authorization"] = f"Bearer {served.token}"
        async with (
            ClientSession() as session,
            session.request(
                request.method, f"{served.address}{request.rel_url}", headers=headers, data=await request.read()
            ) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in own}
            return web.Response(status=answer.status, headers=kept, body=await answer.read())

    made = web.Application()
    made.router.add_route("*", "/{path:.*}", passed_on)
    runner = web.AppRunner(made, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()
