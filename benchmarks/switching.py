"""Costs of a switch between branches, and of a second worktree of the same repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.daemons import PrivateDaemon, private_daemon, quiet
from benchmarks.figures import Rounds, Section
from benchmarks.indexing import POLL_S, wait_until_complete
from benchmarks.processes import rss_mb
from benchmarks.setup import Setup
from benchmarks.trees import CODE

CHANGED_FILES = 1_000


def run(setup: Setup) -> Section:
    """Switch a copy of the tree to a branch with other files and back; then add a second worktree of it."""
    rounds, about = Rounds(), {"tree": setup.tree.name}
    for _ in range(setup.rounds):
        with tempfile.TemporaryDirectory(prefix="rg-") as place, private_daemon(setup.cores) as daemon:
            first, second = Path(place) / "first", Path(place) / "second"
            about["changed files"] = make_repository(setup.tree, first)
            began_at = time.perf_counter()
            daemon.start(first)
            wait_until_complete(daemon)
            whole_s, before_mb = time.perf_counter() - began_at, rss_mb(daemon.pid)
            quiet(daemon.pid)
            rounds.add("first worktree: to complete", "s", whole_s)
            _switch(daemon, first, "changed", "to the branch", rounds)
            quiet(daemon.pid)
            _switch(daemon, first, "main", "back", rounds)
            quiet(daemon.pid)
            git(first, "worktree", "add", "--quiet", "--force", str(second), "main")
            before_mb, began_at = rss_mb(daemon.pid), time.perf_counter()
            embedded = _embedded(daemon)
            daemon.call("add", path=str(second))
            while not all(root["complete"] for root in daemon.call("status")["roots"]):
                time.sleep(POLL_S)
            took_s = time.perf_counter() - began_at
            rounds.add("second worktree: to complete", "s", took_s)
            rounds.add("second worktree: share of the first's time", "%", took_s / whole_s * 100)
            quiet(daemon.pid)
            rounds.add("second worktree: more memory", "%", (rss_mb(daemon.pid) / before_mb - 1.0) * 100)
            rounds.add("second worktree: chunks embedded", "chunks", _embedded(daemon) - embedded)
            daemon.stop()
    return Section("switch", about, rounds.figures())


def make_repository(tree: Path, into: Path) -> int:
    """Make a repository with the tree as `main`, and a branch in which many files differ; return how many do."""
    shutil.copytree(tree, into, symlinks=True, ignore=shutil.ignore_patterns(".git"))
    git(into, "init", "--quiet", "--initial-branch", "main")
    git(into, "add", "--all", "--force")
    git(into, "commit", "--quiet", "--message", "all")
    git(into, "checkout", "--quiet", "-b", "changed")
    files = [file for file in sorted(into.rglob("*")) if file.suffix in CODE and file.is_file()][:CHANGED_FILES]
    for number, file in enumerate(files):
        with file.open("a") as stream:
            stream.write(f"\n# changed_on_the_branch_{number}\n")
    git(into, "commit", "--quiet", "--all", "--message", "changed")
    git(into, "checkout", "--quiet", "main")
    return len(files)


def git(place: Path, *arguments: str) -> None:
    """Run git without the user's own settings."""
    environ: dict[str, Any] = {
        **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_AUTHOR_NAME": "bench", "GIT_AUTHOR_EMAIL": "bench@example.org",
        "GIT_COMMITTER_NAME": "bench", "GIT_COMMITTER_EMAIL": "bench@example.org",
    }  # fmt: skip
    subprocess.run(["git", "-C", str(place), *arguments], check=True, env=environ, capture_output=True)


def _switch(daemon: PrivateDaemon, tree: Path, branch: str, label: str, rounds: Rounds) -> None:
    embedded = _embedded(daemon)
    git(tree, "checkout", "--quiet", branch)
    began_at = time.perf_counter()
    daemon.flush()
    rounds.add(f"{label}: to words", "s", time.perf_counter() - began_at)
    wait_until_complete(daemon)
    rounds.add(f"{label}: to complete", "s", time.perf_counter() - began_at)
    rounds.add(f"{label}: chunks embedded", "chunks", _embedded(daemon) - embedded)


def _embedded(daemon: PrivateDaemon) -> int:
    count: int = daemon.call("status")["counters"]["embedded_chunks"]
    return count
