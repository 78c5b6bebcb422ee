"""Every command of docs/agents.md runs as it stands there, in a home of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.mcp.install.clients import CLIENTS
from regend.mcp.tools import tools

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/agents.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


@pytest.fixture
def home() -> Iterator[Path]:
    """A home with two agents in it and a small repository; the daemon that a command starts is stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="rg-", ignore_cleanup_errors=True) as directory:
        made = Path(directory)
        for folder in (".codex", ".gemini", "code"):
            (made / folder).mkdir()
        (made / "code" / "retries.py").write_text("# Where retries are limited.\nMAX_RETRIES = 3\n")
        subprocess.run(["git", "init", "-q", str(made / "code")], check=True)
        yield made
        shell(made, "regenctl stop || true")


def shell(home: Path, script: str) -> str:
    environ = {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "LANG": "C.UTF-8"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=home / "code", env=environ, capture_output=True, text=True,
        timeout=60, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_every_command_of_the_page(home: Path) -> None:
    assert len(BLOCKS) >= 7
    shell(home, f"regenctl add {home}/code")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and ".local" not in path.parts}
    said = [shell(home, block) for block in BLOCKS]
    assert "codex: added: " in said[0]
    assert "configuration checked only" in said[0]
    assert said[1].startswith(f"--- {home}/.gemini/settings.json\n+++ ")
    assert any("retries.py" in text for text in said)
    shell(home, "regenctl mcp uninstall")
    after = {path: path.read_bytes() for path in home.rglob("*") if path.is_file() and ".local" not in path.parts}
    assert after == before


def test_the_tables_name_every_client_and_tool() -> None:
    for client in CLIENTS:
        row = next(line for line in PAGE.splitlines() if f"| `{client.name}` |" in line)
        assert client.title in row
        assert row.endswith(f"| {client.seen or 'configuration checked only'} |")
        place = str(client.file({"HOME": "/h"})).replace("/h/.config/Code", "Code").replace("/h", "~")
        assert f"`{place}`" in row
    for name in tools(manage=True):
        assert f"| `{name}` |" in PAGE


def test_where_a_sandbox_forbids_unix_sockets_the_command_says_so(tmp_path: Path) -> None:
    """`codex sandbox` and the like let `connect` fail with EPERM, which this does by itself."""
    code = (
        "import errno, socket, sys\n"
        "def refuse(*_): raise PermissionError(errno.EPERM, 'Operation not permitted')\n"
        "socket.socket.connect = refuse\n"
        "from regend.cli.main import main\n"
        "sys.exit(main(['search', 'x']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=20,
        env={**os.environ, "REGEND_SOCKET": str(tmp_path / "s")},
    )  # fmt: skip
    assert done.returncode == 2
    assert "a sandbox forbids it" in done.stderr
    assert "allow Unix sockets" in done.stderr
