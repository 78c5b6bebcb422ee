"""The extension for VS Code under Node, against a real daemon; `editors/vscode/test` has its tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

from tests.e2e.rig import REPOSITORY
from tests.editors.conftest import Served, controlled

EXTENSION = REPOSITORY / "editors/vscode"
LIMIT_S = 300.0

pytestmark = [
    pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed (Debian: apt-get install nodejs)"),
    pytest.mark.skipif(
        not (EXTENSION / "node_modules/esbuild").exists(), reason="run `npm ci` in editors/vscode to test the extension"
    ),
]


def npm(*words: str, **environ: str) -> str:
    """Run a command of npm, which must succeed, in the extension's folder, and return what it prints."""
    done = subprocess.run(
        ["npm", "--silent", *words], cwd=EXTENSION, capture_output=True, text=True, timeout=LIMIT_S, check=False,
        env={**os.environ, **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def node_tests(name: str, *flags: str, **environ: str) -> str:
    """Run one file of tests under Node, and return what it prints."""
    npm("run", "build-tests")
    done = subprocess.run(
        ["node", *flags, "--test", f"build/test/{name}.test.js"], cwd=EXTENSION, capture_output=True, text=True,
        timeout=LIMIT_S, check=False, env={**os.environ, **environ},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"pass [1-9]", done.stdout) and "fail 0" in done.stdout
    return done.stdout


def test_what_is_shown_and_sent() -> None:
    node_tests("results")


def test_the_extension_asks_a_daemon(served: Served) -> None:
    node_tests("extension", ROOT=str(served.root), REGEND_SOCKET=str(served.socket))


@pytest.mark.slow
def test_the_types_fit() -> None:
    npm("run", "check")


@pytest.mark.slow
def test_the_connection_and_its_figures(tmp_path: Path) -> None:
    """Its daemon is stopped and started by the test in Node, with the commands that a user has."""
    with controlled(tmp_path) as (served, program):
        out = node_tests(
            "client", "--expose-gc", ROOT=str(served.root), REGEND_SOCKET=str(served.socket), RESTART=str(program),
            FIGURES="1",
        )  # fmt: skip
    print("\n".join(line for line in out.splitlines() if "medians" in line or "heap" in line))
    assert "skipped 0" in out


@pytest.mark.slow
def test_it_is_packed_without_a_network(tmp_path: Path) -> None:
    """`vsce` makes the package, and only what runs is in it."""
    npm("run", "package", https_proxy="http://127.0.0.1:9", http_proxy="http://127.0.0.1:9")
    with zipfile.ZipFile(EXTENSION / "build/regend.vsix") as packed:
        names = sorted(name.removeprefix("extension/") for name in packed.namelist() if name.startswith("extension/"))
    assert names == ["LICENSE.txt", "dist/extension.js", "package.json", "readme.md"]


def test_the_page_names_the_commands() -> None:
    section = (REPOSITORY / "docs/editors.md").read_text().split("\n## VS Code\n")[1].split("\n## ")[0]
    manifest = json.loads((EXTENSION / "package.json").read_text())
    named = re.findall(r"^\| `(Regend: .+?)` \|", section, re.M)
    assert named == [f"{command['category']}: {command['title']}" for command in manifest["contributes"]["commands"]]
    assert set(re.findall(r"`#(\w+)`", section)) == {
        tool["toolReferenceName"] for tool in manifest["contributes"]["languageModelTools"]
    }
    (commands,) = re.findall(r"```bash\n(.*?)```", section, re.S)
    assert commands.splitlines() == ["cd editors/vscode", "npm ci", "npm run package"]
    assert "package" in manifest["scripts"] and (EXTENSION / "package-lock.json").exists()
    assert "resolved" not in (EXTENSION / "package-lock.json").read_text()
