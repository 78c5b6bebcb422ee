"""Real agents with the server: they list its tools, and one asks it a hundred times about what it has just written.

`make test-all` installs them from npm, in the versions below. Each has a home of its own and hardly an environment.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from regend.mcp.install.clients import BY_NAME
from regend.mcp.install.guidance import PLUGIN
from regend.mcp.tools import tools
from tests.e2e.rig import Daemon, daemon
from tests.mcp.loopback_model import Model

REPOSITORY = Path(__file__).parents[2]
NPM = Path(os.environ.get("REGEND_NPM", REPOSITORY / "build/npm")).resolve()
BIN = NPM / "node_modules/.bin"
PACKAGES = {
    "claude": "@anthropic-ai/claude-code",
    "codex": "@openai/codex",
    "gemini": "@google/gemini-cli",
    "opencode": "opencode-ai",
}
ROUNDS = 100
LIMIT_S = 120.0
pytestmark = [pytest.mark.slow]


@dataclass(frozen=True, slots=True)
class Home:
    """A home with a repository in it, whose daemon runs."""

    at: Path
    code: Path
    served: Daemon

    def run(self, *command: str, limit_s: float = LIMIT_S, code: int | None = 0, **more: str) -> str:
        environ = {"HOME": str(self.at), "PATH": f"{BIN}:/usr/bin:/bin", "TERM": "dumb", **more}
        done = subprocess.run(
            command, cwd=self.code, env=environ, capture_output=True, text=True, timeout=limit_s,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert code is None or done.returncode == code, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def regenctl(self, *arguments: str) -> str:
        program = str(Path(sys.executable).with_name("regenctl"))
        return self.run(program, *arguments, "--socket", str(self.served.socket), limit_s=300.0)


def needs(name: str) -> None:
    if not (BIN / name).exists():
        pytest.skip(f"{PACKAGES[name]} is not installed in {NPM}")
    manifest = json.loads((NPM / "node_modules" / PACKAGES[name] / "package.json").read_text())
    assert manifest["version"] == BY_NAME[name].seen, "the table of clients names another version"


@pytest.fixture
def home() -> Iterator[Home]:
    with tempfile.TemporaryDirectory(prefix="rg-", ignore_cleanup_errors=True) as directory, daemon() as served:
        made = Home(Path(directory), Path(directory) / "code", served)
        made.code.mkdir()
        (made.code / "first.py").write_text("def first():\n    return 1\n")
        subprocess.run(["git", "init", "-q", str(made.code)], check=True)
        served.start(made.code)
        yield made


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_it_is_installed_listed_and_removed(home: Home, name: str) -> None:
    needs(name)
    client = BY_NAME[name]
    if name == "gemini":  # It starts no server in a folder that the user does not trust.
        (home.at / ".gemini").mkdir()
        (home.at / ".gemini" / "trustedFolders.json").write_text(json.dumps({str(home.code): "TRUST_FOLDER"}))
    said = home.regenctl("mcp", "install", name)
    assert f"{name}: added: " in said
    assert f"{client.title} lists it" in said
    listed = next(line for line in home.run(name, *client.lists).splitlines() if "regend" in line)
    assert name == "codex" or "onnected" in listed, listed
    assert "is there already" in home.regenctl("mcp", "install", name)
    home.regenctl("mcp", "uninstall", name)
    assert str(home.served.socket) not in home.run(name, *client.lists, code=None)


def test_codex_lists_every_tool(home: Home) -> None:
    needs("codex")
    home.regenctl("mcp", "install", "codex")
    process = subprocess.Popen(
        [str(BIN / "codex"), "app-server"], cwd=home.code, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={"HOME": str(home.at), "PATH": f"{BIN}:/usr/bin:/bin"},
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        for message in (
            {"id": 1, "method": "initialize", "params": {"clientInfo": {"name": "t", "title": "t", "version": "1"}}},
            {"method": "initialized"},
            {"id": 2, "method": "mcpServerStatus/list", "params": {}},
        ):
            process.stdin.write(json.dumps(message).encode() + b"\n")
        process.stdin.flush()
        while (answer := json.loads(process.stdout.readline())).get("id") != 2:
            pass
        (server,) = answer["result"]["data"]
        assert server["name"] == "regend"
        assert sorted(server["tools"]) == sorted(tools(manage=False))
    finally:
        process.kill()
        process.wait(10)
        process.stdin.close()
        process.stdout.close()


def test_claude_finds_no_fault_in_the_plugin(home: Home) -> None:
    needs("claude")
    assert "Validation passed" in home.run("claude", "plugin", "validate", str(PLUGIN))


def test_in_the_sandbox_of_codex_regenctl_says_what_is_wrong(home: Home) -> None:
    needs("codex")
    program = str(Path(sys.executable).with_name("regenctl"))
    said = home.run("codex", "sandbox", "--", program, "--socket", str(home.served.socket), "search", "x", code=2)
    assert "a sandbox forbids it; allow Unix sockets" in said


def test_opencode_edits_and_asks_a_hundred_times(home: Home) -> None:
    needs("opencode")
    calls: list[tuple[str, dict[str, object]]] = []
    for n in range(ROUNDS):
        text = f"# Round {n}.\ndef written_{n}(value):\n    return value + {n}\n"
        calls.append(("write", {"filePath": str(home.code / f"new{n % 7}.py"), "content": text}))
        calls.append(("regend_find_symbol", {"name": f"written_{n}"}))
    with Model(calls) as model:
        file = home.at / ".config/opencode/opencode.json"
        file.parent.mkdir(parents=True)
        options = {"baseURL": model.url, "apiKey": "none"}
        provider = {
            "npm": "@ai-sdk/openai-compatible", "name": "loop", "options": options,
            "models": {"m": {"name": "m", "limit": {"context": 1_000_000, "output": 10_000}}},
        }  # fmt: skip
        configured = {"provider": {"loop": provider}, "model": "loop/m", "permission": "allow", "autoupdate": False}
        file.write_text(json.dumps(configured))
        home.regenctl("mcp", "install", "opencode")
        home.run("opencode", "run", "Write and ask.", limit_s=400.0)
    assert {f"regend_{name}" for name in tools(manage=False)} <= set(model.tools)
    assert len(model.said) == 2 * ROUNDS
    right = [n for n, said in enumerate(model.said[1::2]) if f"new{n % 7}.py:2-3  function written_{n}" in said]
    assert right == list(range(ROUNDS)), model.said[-1]


def test_npm_has_the_versions_of_the_table() -> None:
    """The Makefile installs exactly what the table of clients says was tried."""
    text = (REPOSITORY / "Makefile").read_text()
    for name, package in PACKAGES.items():
        assert f"{package}@{BY_NAME[name].seen}" in text
    assert shutil.which("make")
