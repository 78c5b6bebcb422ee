"""A watchdog whose internals differ ends the daemon's start with one sentence, and no thread of it later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")

START = """
import sys, types
before = types.ModuleType("watchdog.observers.inotify_c")
before.InotifyConstants = before.InotifyEvent = object
sys.modules["watchdog.observers.inotify_c"] = before
from regend.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_watchdog_that_does_not_fit(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    options = ["--state-dir", tmp_path / "state", "--socket", tmp_path / "socket", "--root", root]
    done = subprocess.run(
        [sys.executable, "-c", START, *options], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("regend: The installed watchdog 7.") and line.endswith("`pip install 'watchdog>=7,<8'`.")
    assert "cannot import name 'CallbackId' from 'watchdog.observers.inotify_c'" in line
