"""The SDK's own client lists and calls every tool, in each of its modes; the answers fit the schemas it checks."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, MCPError, StdioServerParameters

from regend.mcp.tools import tools
from tests.mcp.rig import REPOSITORY
from tests.rpc.scripted import ROOT, ServerThread, short_directory

MODES = ("auto", "legacy", "2026-07-28")
ARGUMENTS: dict[str, dict[str, Any]] = {
    "search_code": {"query": "quiet time"},
    "find_symbol": {"name": "push"},
    "related_code": {"file": f"{ROOT}/core/debounce.py", "line": 10},
    "outline": {"file": "core/debounce.py"},
    "index_status": {},
    "index_repository": {"root": ROOT},
}
SAYS = {
    "search_code": "core/debounce.py:10-12  Debouncer.push\ndef push(self, path, now):",
    "find_symbol": "core/debounce.py:10-12  method Debouncer.push",
    "related_code": "core/debounce.py:10-12  Debouncer.push",
    "outline": "5-30  class Debouncer\n10-12    method push",
    "index_status": f"1 indexed repository, complete\n{ROOT}  ready, complete, generation 7, 120 files",
    "index_repository": f"{ROOT}  ready, complete",
}


@pytest.fixture(scope="module")
def socket() -> Iterator[Path]:
    with short_directory() as directory, ServerThread(directory / "s") as served:
        yield served.path


def parameters(socket: Path, *more: str) -> StdioServerParameters:
    arguments = ["-m", "regend.cli.main", "mcp", "--socket", str(socket), "--root", ROOT, *more]
    return StdioServerParameters(
        command=sys.executable, args=arguments, cwd=REPOSITORY, env={"HOME": os.environ.get("HOME", "/")}
    )


@pytest.mark.parametrize("mode", MODES)
async def test_every_tool_is_listed_and_called(socket: Path, mode: str) -> None:
    async with Client(parameters(socket, "--manage"), mode=mode) as client:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == list(tools(manage=True)) == list(ARGUMENTS)
        for tool in listed:
            assert tool.annotations is not None
            assert tool.annotations.read_only_hint is (tool.name != "index_repository")
            result = await client.call_tool(tool.name, ARGUMENTS[tool.name])
            assert not result.is_error, result
            (content,) = result.content
            assert content.type == "text"
            assert SAYS[tool.name] in content.text
            assert result.structured_content is None
            assert result.meta is not None
            facts = result.meta["dev.regend/answer"]
            assert (facts["roots"], facts["generation"], facts["complete"]) == ([ROOT], 7, True)


@pytest.mark.parametrize("mode", MODES)
async def test_mistakes_of_a_model_are_results_and_those_of_a_client_are_errors(socket: Path, mode: str) -> None:
    async with Client(parameters(socket), mode=mode) as client:
        for arguments, words in (
            ({}, "missing required field `query`"),
            ({"query": "x", "bogus": 1}, "has no argument `bogus`; it takes query, "),
            ({"query": "x", "k": 0}, "`k` is 0; it must be from 1 to 1000"),
            ({"query": ["x"]}, "Expected `str`"),
            ({"query": "x", "root": "src"}, "give an absolute path"),
            ({"query": "x", "root": "/elsewhere"}, "/elsewhere is not indexed"),
        ):
            result = await client.call_tool("search_code", arguments)
            assert result.is_error, arguments
            assert result.content[0].type == "text"
            assert words in result.content[0].text
        with pytest.raises(MCPError, match="Unknown tool: nope") as caught:
            await client.call_tool("nope", {})
        assert caught.value.code == -32602
        assert (await client.call_tool("index_status", {})).is_error is False


async def test_older_clients_that_ask_for_resources_and_prompts_find_none(socket: Path) -> None:
    async with Client(parameters(socket), mode="legacy") as client:
        assert (await client.list_resources()).resources == []
        assert (await client.list_resource_templates()).resource_templates == []
        assert (await client.list_prompts()).prompts == []


@pytest.mark.slow
@pytest.mark.parametrize("era", ["legacy", "modern"])
def test_the_inspector_lists_and_calls_every_tool(socket: Path, era: str) -> None:
    """Its command line is a package of npm; `REGEND_NPM` names a folder in which it is installed."""
    program = Path(os.environ.get("REGEND_NPM", "build/npm")) / "node_modules/.bin/mcp-inspector"
    if not program.exists():
        pytest.skip("@modelcontextprotocol/inspector is not installed")
    served = [sys.executable, "-m", "regend.cli.main", "mcp", "--socket", str(socket), "--root", ROOT, "--manage"]
    asked = [(["tools/list"], [f'"name": "{name}"' for name in ARGUMENTS])]
    for name, arguments in ARGUMENTS.items():
        given = [word for key, value in arguments.items() for word in ("--tool-arg", f"{key}={value}")]
        asked.append((["tools/call", "--tool-name", name, *given], [SAYS[name].partition("\n")[0]]))
    for method, words in asked:
        done = subprocess.run(
            [str(program), "--cli", "--protocol-era", era, *served, "--method", *method],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        for word in words:
            assert word in done.stdout, done.stdout + done.stderr
