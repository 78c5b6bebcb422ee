"""git's own data that appears below a watched root is neither watched nor hinted, in whatever order it appears."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path

import pytest

from tests.watch.watch_rig import ROOT, rig


def grow(place: Path, part: str) -> None:
    if part == "HEAD":
        (place / part).write_text("ref: refs/heads/main\n")
    elif part == "config":
        (place / part).write_text("url = https://user:not-a-real-token@example.invalid\n")
    else:
        (place / part).mkdir()


@pytest.mark.parametrize("order", list(itertools.permutations(["HEAD", "objects", "refs"])))
def test_a_directory_that_becomes_a_repository(tmp_path: Path, order: tuple[str, ...]) -> None:
    top = tmp_path / "tree"
    (top / "x").mkdir(parents=True)
    with rig(tmp_path / "cookies") as made:
        rules = made.watch(top)
        for part in order:
            assert not rules.decide("x/config", False).ignored
            grow(top / "x", part)
            made.barrier()
        assert rules.decide("x/config", False).ignored
        assert "x" in made.rescans(), "what was indexed of it must go"
        assert made.watcher.health(ROOT).watches == 1, "the root"
        made.events.clear()
        grow(top / "x", "config")
        made.barrier()
        assert made.events == []


def test_repositories_that_git_makes(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    top.mkdir()
    with rig(tmp_path / "cookies") as made:
        rules = made.watch(top)
        for number in range(8):
            subprocess.run(["git", "init", "-q", "--bare", str(top / f"{number}.git")], check=True)
            made.barrier()
            assert rules.settle(f"{number}.git", {path.name for path in (top / f"{number}.git").iterdir()}).ignored
        made.watcher.check(1.0)
        made.barrier()
        made.events.clear()
        for number in range(8):
            (top / f"{number}.git/config").write_text("changed")
        made.barrier()
        assert made.events == []
