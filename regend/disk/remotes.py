"""Reads by what a repository and its clones know each other: remotes and first commits. It asks git, where it is.

git is given the files to read and runs nothing that a repository's own configuration names.
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from regend.disk.repository import find_repository

TIMEOUT_S = 20.0
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT")


@dataclass(frozen=True, slots=True)
class Origins:
    """Facts by which clones of a repository know each other.

    Attributes:
        remotes: name of each remote -> its URL.
        root_commits: commits without a parent; none in a shallow clone, which knows no first commit.
    """

    remotes: dict[str, str]
    root_commits: tuple[str, ...]


def origins_of(root: Path) -> Origins:
    """Read the facts of the repository that contains `root`; they are empty for a plain folder."""
    repository = find_repository(root)
    if repository is None:
        return Origins({}, ())
    config = repository.common_dir / "config"
    listed = git("config", "--file", str(config), "--null", "--get-regexp", r"^remote\..*\.url$")
    remotes: dict[str, str] = {}
    for entry in listed.split("\0"):
        key, _, url = entry.partition("\n")
        if url:
            remotes.setdefault(key.removeprefix("remote.").removesuffix(".url"), url)
    if (repository.common_dir / "shallow").exists():
        return Origins(remotes, ())
    commits = git("--git-dir", str(repository.git_dir), "rev-list", "--max-parents=0", "HEAD")
    return Origins(remotes, tuple(commits.split()))


def environment() -> dict[str, str]:
    """Return the environment for git, in which it prompts for nothing, takes no optional lock, and fetches nothing."""
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # Before version 2.44 git knows no `GIT_NO_LAZY_FETCH`, so no way to fetch is allowed either.
    fixed = {
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_ALLOW_PROTOCOL": "none",
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_TERMINAL_PROMPT": "0",
    }
    return kept | fixed


def git(*arguments: str) -> str:
    """Return what git prints; empty where it fails, or is missing."""
    try:
        done = subprocess.run(
            ["git", *arguments], env=environment(), stdin=subprocess.DEVNULL, capture_output=True, timeout=TIMEOUT_S,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return os.fsdecode(done.stdout) if done.returncode == 0 else ""
