"""Reads what the commits of a repository changed, and why: subjects and paths. It asks git, where it is.

git is given the directory to read and runs nothing that a repository's own configuration names.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from pathlib import Path

from regend.disk.remotes import TIMEOUT_S, environment, git
from regend.disk.repository import find_repository
from regend.types import Change

MOST_CHANGES = 3_000
_MOST_BYTES = 16_000_000
"""Maximum of git's answer that is read: a commit may change all files of a tree."""
_READ_BYTES = 1 << 16


def head_of(root: Path) -> str:
    """Return the commit that the worktree around `root` is at; empty where there is none, or no git."""
    repository = find_repository(root)
    if repository is None:
        return ""
    return git("--git-dir", str(repository.git_dir), "rev-parse", "--verify", "--quiet", "HEAD^{commit}").strip()


def changes_of(root: Path, commit: str) -> list[Change]:
    """Return the last changes before and with a commit that concern `root`, newest first; merges say nothing new."""
    repository = find_repository(root)
    if repository is None or not commit:
        return []
    within = root.relative_to(repository.top).as_posix()
    log = _beginning(
        "-c", "core.quotePath=false", "-c", "log.showSignature=false", "--git-dir", str(repository.git_dir), "log",
        "--no-merges", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color", "--name-only", "--format=%x00%s",
        f"--max-count={MOST_CHANGES}", *([] if within == "." else [f"--relative={within}/"]), commit, "--",
    )  # fmt: skip
    found = []
    for entry in log.split("\0")[1:]:
        subject, _, paths = entry.partition("\n")
        # A path in quotation marks holds a sign that no line can show.
        named = tuple(path for path in paths.split("\n") if path and not path.startswith('"'))
        if named:
            found.append(Change(subject, named))
    return found


def _beginning(*arguments: str) -> str:
    """Return what git prints, up to `_MOST_BYTES` and without what is cut off there; empty where it fails."""
    try:
        with subprocess.Popen(
            ["git", *arguments], env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                read = _read(process)
            except BaseException:
                process.kill()
                raise
            if len(read) >= _MOST_BYTES:
                process.kill()
                return os.fsdecode(read.rpartition(b"\0")[0])
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(read) if process.returncode == 0 else ""


def _read(process: subprocess.Popen[bytes]) -> bytes:
    """Return what the process prints, up to `_MOST_BYTES`.

    Raises:
        TimeoutExpired: it is not done within `TIMEOUT_S`.
    """
    assert process.stdout is not None
    source, deadline, parts, room = process.stdout.fileno(), time.monotonic() + TIMEOUT_S, list[bytes](), _MOST_BYTES
    waiting = select.poll()
    waiting.register(source)
    while room:
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1e3):
            raise subprocess.TimeoutExpired(process.args, TIMEOUT_S)
        part = os.read(source, min(room, _READ_BYTES))
        if not part:
            break
        parts.append(part)
        room -= len(part)
    return b"".join(parts)
