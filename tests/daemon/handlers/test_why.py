"""`why` answers for every path that a user may name, whatever the disk says of it."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.test_roots_come_and_go import Rig, served

_STAT = os.stat


def shut_stat(path: Any, *args: Any, **keywords: Any) -> os.stat_result:
    """Refuse what a directory hides that may not be entered; root, who may run the tests, enters every directory."""
    if "/shut/" in str(path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return _STAT(path, *args, **keywords)


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("shut/b.py", "skipped", "unreadable: It may not be read."),
        ("shut/none/b.py", "skipped", "unreadable: It may not be read."),
        ("shut/b.log", "ignored", "excludes it"),
        ("a.py/b.py", "missing", "There is no such file."),
        ("circle/b.py", "missing", "There is no such file."),
        ("circle", "skipped", "symbolic link"),
        ("nowhere", "skipped", "symbolic link"),
        ("folder", "indexed", "It is a directory"),
        ("folder/a.py", "indexed", "It is searchable"),
    ],
)
async def test_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, state: str, reason: str) -> None:
    def live(rig: Rig) -> None:
        root = rig.make("apple")
        (root / "folder").mkdir()
        (root / "folder/a.py").write_text("def a():\n    return 1\n")
        (root / "a.py").write_text("def b():\n    return 1\n")
        (root / ".gitignore").write_text("*.log\n")
        (root / "circle").symlink_to("circle")
        (root / "nowhere").symlink_to("none")
        rig.call("add", path=str(root))
        rig.flush()
        monkeypatch.setattr(os, "stat", shut_stat)
        monkeypatch.setattr(os, "lstat", lambda path, **keywords: shut_stat(path, follow_symlinks=False, **keywords))
        said = rig.call("why", file=str(root / name))
        assert said["state"] == state and reason in said["reason"], said

    async with served(tmp_path, monkeypatch) as rig:
        await asyncio.to_thread(live, rig)
