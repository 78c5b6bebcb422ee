"""A worktree may be a root wherever it lies; version control's own data may not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from regend.config import Config
from regend.daemon.roots import Roots
from regend.disk.calls import RootCalls
from regend.errors import RootError
from regend.store.base import RootRecord
from regend.types import PoolId, RootId


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return Roots(Config(), tmp_path / "state", RootCalls())


def made(place: Path, *arguments: str) -> Path:
    subprocess.run(["git", "init", "-q", *arguments, str(place)], check=True)
    return place


@pytest.mark.parametrize("path", ["x.git", "x.git/hooks", "w/.git", "w/.git/refs/heads", "own", "h/.hg", "h/.hg/store"])
def test_data_of_a_version_control_is_refused(tmp_path: Path, roots: Roots, path: str) -> None:
    made(tmp_path / "x.git", "--bare")
    made(tmp_path / "w")
    made(tmp_path / "s", "--separate-git-dir", str(tmp_path / "own"))
    (tmp_path / "h/.hg/store").mkdir(parents=True)
    with pytest.raises(RootError, match="version control data"):
        roots.prepare(tmp_path / path, force=True)


def test_worktrees_are_roots_wherever_they_lie(tmp_path: Path, roots: Roots) -> None:
    source = made(tmp_path / "source")
    author = ["-c", "user.name=n", "-c", "user.email=e@example.invalid"]
    subprocess.run(["git", "-C", str(source), *author, "commit", "-q", "--allow-empty", "-m", "one"], check=True)
    bare = tmp_path / "project.git"
    subprocess.run(["git", "clone", "-q", "--bare", str(source), str(bare)], check=True)
    for place in (bare / "main", source / ".git/wt"):
        subprocess.run(["git", "-C", str(bare), "worktree", "add", "-q", str(place), "-b", place.name], check=True)
        (place / "deep").mkdir()
        for root in (place, place / "deep"):
            candidate = roots.prepare(root, force=False)
            assert candidate.identity.git_dir == candidate.rules.git_dir == bare / "worktrees" / place.name
            assert not candidate.rules.decide("a.py", False).ignored


def test_a_root_of_the_store_that_is_data_admits_nothing(tmp_path: Path, roots: Roots) -> None:
    bare = made(tmp_path / "x.git", "--bare")
    candidate = roots.recall(RootRecord(RootId(1), str(bare), PoolId(1), str(bare), "1:1"))
    assert candidate.rules.decide("config", False).ignored and "remove" in candidate.rules.problem
