"""Tracked files are not ignored: decisions equal what real git tracks or does not ignore, in every kind of index."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from regend.disk.ignore.git_index import IndexFormatError, read_index
from regend.disk.ignore.rules import IgnoreRules
from tests.disk.ignore_zoo import environment, git, random_rule_file, random_tree

IDENTITY = ("-c", "user.name=n", "-c", "user.email=e@x", "-c", "protocol.file.allow=always")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    made = tmp_path / "home"
    made.mkdir()
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    return made


def seen_by_git(top: Path, home: Path, below: str = "") -> set[str]:
    """Return the files on disk that are tracked, or untracked and not ignored."""
    said = git(top, "ls-files", "-z", "-c", "-o", "--exclude-standard", "--", below or ".", home=home)
    names = {os.fsdecode(name)[len(below) :] for name in said.split(b"\0") if name}
    return {name for name in names if os.path.lexists(top / below / name) and not (top / below / name).is_dir()}


def admitted(rules: IgnoreRules, root: Path) -> set[str]:
    """Walk as the scanner does: what is ignored is not entered."""
    found, waiting = set(), [""]
    while waiting:
        directory = waiting.pop()
        for entry in os.scandir(root / directory):
            path = f"{directory}/{entry.name}".lstrip("/")
            is_dir = entry.is_dir(follow_symlinks=False)
            if rules.decide(path, is_dir).ignored:
                continue
            if is_dir:
                waiting.append(path)
            else:
                found.add(path)
    return found


def lay(top: Path, *paths: str, text: str = "x\n") -> None:
    for path in paths:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)


def commit(top: Path, home: Path) -> None:
    git(top, *IDENTITY, "commit", "-q", "--allow-empty", "-m", "x", home=home)


class World:
    """A random repository that random commands change; `files` may be tracked by force."""

    def __init__(self, top: Path, home: Path, rng: random.Random) -> None:
        self.top, self.home, self.rng = top, home, rng
        top.mkdir()
        hashes = ["--object-format=sha256"] if rng.random() < 0.3 else []
        git(top, "init", "-q", *hashes, home=home)
        if rng.random() < 0.4:
            git(top, "config", "core.splitIndex", "true", home=home)
            git(top, "config", "splitIndex.maxPercentChange", "100", home=home)
        if rng.random() < 0.4:
            git(top, "config", "index.version", "4", home=home)
        self.files = [path for path, is_dir in random_tree(rng, top, 40) if not is_dir]
        (top / ".gitignore").write_bytes(random_rule_file(rng, 5) + b"\n*.o\nbuild/\n")

    def some(self) -> list[str]:
        there = [path for path in self.files if os.path.lexists(self.top / path)]
        return self.rng.sample(there, min(len(there), self.rng.randint(1, 6)))

    def force(self) -> None:
        git(self.top, "add", "-f", "--", *self.some(), home=self.home, check=False)

    def intend(self) -> None:
        git(self.top, "add", "-f", "-N", "--", *self.some(), home=self.home, check=False)

    def add_all(self) -> None:
        git(self.top, "add", "-A", home=self.home, check=False)

    def untrack(self) -> None:
        git(self.top, "rm", "-q", "-r", "-f", "--cached", "--ignore-unmatch", "--", *self.some(), home=self.home)

    def commit(self) -> None:
        commit(self.top, self.home)

    def branch(self) -> None:
        self.commit()
        git(self.top, "branch", "-f", f"b{self.rng.randrange(3)}", home=self.home)

    def checkout(self) -> None:
        git(self.top, *IDENTITY, "checkout", "-q", "-f", f"b{self.rng.randrange(3)}", home=self.home, check=False)

    def rules_file(self) -> None:
        (self.top / ".gitignore").write_bytes(random_rule_file(self.rng, 4) + b"\n*.o\n")

    def refresh(self) -> None:
        git(self.top, "status", "--short", home=self.home)


STEPS: list[Callable[[World], None]] = [
    World.force, World.force, World.force, World.intend, World.add_all, World.untrack, World.untrack, World.commit,
    World.branch, World.checkout, World.checkout, World.rules_file, World.refresh,
]  # fmt: skip


def check_worlds(tmp_path: Path, home: Path, seeds: range) -> None:
    against_rules = 0
    for seed in seeds:
        world = World(tmp_path / str(seed), home, random.Random(seed))
        root = world.top
        rules = IgnoreRules(root)
        for _ in range(10):
            step = world.rng.choice(STEPS)
            step(world)
            rules.refresh_if_outside_changed()
            rules.invalidate(".gitignore")  # The watch tells of it.
            found, expected = admitted(rules, root), seen_by_git(root, home)
            assert found == expected, (seed, step.__name__, found ^ expected)
            against_rules += sum(rules.decide(path, False).tracked for path in found)
    assert against_rules > len(seeds)


@pytest.mark.parametrize("block", range(2))
def test_any_command_of_git_is_followed(tmp_path: Path, home: Path, block: int) -> None:
    check_worlds(tmp_path, home, range(block * 6, block * 6 + 6))


@pytest.mark.slow
def test_many_commands_of_git_are_followed(tmp_path: Path, home: Path) -> None:
    check_worlds(tmp_path, home, range(1_000, 1_200))


def repository(top: Path, home: Path, *forced: str, ignored: str = "build/\n*.log\n") -> IgnoreRules:
    lay(top, "src/a.c", "src/a.log", "build/junk/b.c", *forced)
    (top / ".gitignore").write_text(ignored)
    git(top, "init", "-q", home=home)
    git(top, "add", ".", home=home)
    git(top, "add", "-f", *forced, home=home)
    return IgnoreRules(top)


def test_a_file_below_an_ignored_directory_opens_the_way_to_it_only(tmp_path: Path, home: Path) -> None:
    rules = repository(tmp_path / "r", home, "build/deep/down/kept.c", "x.log")
    assert admitted(rules, tmp_path / "r") == {".gitignore", "src/a.c", "build/deep/down/kept.c", "x.log"}
    way, kept, other = (
        rules.decide("build/deep", True), rules.decide("build/deep/down/kept.c", False), rules.decide("build/y", False),
    )  # fmt: skip
    assert (way.tracked, way.source, way.line, way.pattern) == (True, ".gitignore", 1, "build/")
    assert (kept.tracked, kept.ignored, kept.pattern) == (True, False, "build/")
    assert (other.tracked, other.ignored, other.pattern) == (False, True, "build/")


def test_secrets_and_the_users_own_rules_hold_for_what_is_tracked(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    forced = ("build/.env", "build/id_rsa", "build/a.c", "build/b.c", "build/c.c", ".env")
    repository(top, home, *forced)
    (top / ".regenignore").write_text("b.c\n")
    rules = IgnoreRules(top, ("/build/c.c",))
    assert {path for path in forced if not rules.decide(path, False).ignored} == {"build/a.c"}


def test_a_regenignore_brings_back_nothing_but_what_is_tracked(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    repository(top, home, "build/a.c")
    (top / "build/.regenignore").write_text("!*\n")
    assert admitted(IgnoreRules(top), top) == {".gitignore", ".regenignore", "src/a.c", "build/a.c"} - {".regenignore"}


def test_a_root_within_a_worktree_and_a_linked_worktree_have_their_own_index(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "main"
    repository(top, home, "src/build/a.c", "build/z.c")
    commit(top, home)
    git(top, "worktree", "add", "-q", str(tmp_path / "linked"), home=home)
    lay(tmp_path / "linked", "src/build/b.c", "src/build/c.c")
    git(tmp_path / "linked", "add", "-f", "src/build/b.c", home=home)
    for root, below in ((top / "src", "src/"), (tmp_path / "linked", ""), (tmp_path / "linked/src", "src/")):
        whole = root if not below else root.parent
        assert admitted(IgnoreRules(root), root) == seen_by_git(whole, home, below), root
    assert not IgnoreRules(tmp_path / "linked").decide("src/build/b.c", False).ignored
    assert IgnoreRules(top).decide("src/build/b.c", False).ignored
    # A root that the rules above ignore is indexed because its user wants it.
    assert not IgnoreRules(top / "build").decide("z.c", False).ignored


def test_submodules_below_an_ignored_directory_follow_their_own_index(tmp_path: Path, home: Path) -> None:
    repository(tmp_path / "library", home, "build/made.c")
    commit(tmp_path / "library", home)
    top = tmp_path / "r"
    repository(top, home)
    library = str(tmp_path / "library")
    git(top, *IDENTITY, "submodule", "-q", "add", "-f", library, "build/vendor/lib", home=home)
    git(top, "clone", "-q", library, "build/vendor/stray", home=home)
    rules = IgnoreRules(top)
    lib = "build/vendor/lib"
    expected = {".gitignore", ".gitmodules", "src/a.c", f"{lib}/.gitignore", f"{lib}/src/a.c", f"{lib}/build/made.c"}
    assert admitted(rules, top) - {f"{lib}/.git"} == expected
    lay(top / lib, "build/later.c")
    assert not rules.refresh_if_outside_changed()
    git(top / lib, "add", "-f", "build/later.c", home=home)
    assert rules.refresh_if_outside_changed()
    assert admitted(rules, top) - {f"{lib}/.git"} == {*expected, f"{lib}/build/later.c"}


def test_commands_that_change_no_decision_read_no_rules_again(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    rules = repository(top, home, "build/a.c")
    admitted(rules, top)
    lay(top, "src/new.c", "build/later.c")
    for command in (
        ["add", "src/new.c"],
        ["rm", "-q", "--cached", "src/new.c"],
        ["status"],
        ["update-index", "--refresh"],
    ):
        git(top, *command, home=home)
        assert not rules.refresh_if_outside_changed(), command
    for command in (["add", "-f", "build/later.c"], ["rm", "-q", "--cached", "build/later.c"]):
        git(top, *command, home=home)
        assert rules.refresh_if_outside_changed(), command
        assert not rules.refresh_if_outside_changed(), command


def test_a_scan_of_the_whole_root_does_not_hide_a_change_from_the_watch(tmp_path: Path, home: Path) -> None:
    rules = repository(tmp_path / "r", home)
    admitted(rules, tmp_path / "r")
    git(tmp_path / "r", "add", "-f", "build/junk/b.c", home=home)
    rules.refresh()
    assert rules.refresh_if_outside_changed()
    assert not rules.refresh_if_outside_changed()


def test_sparse_indexes_and_conflicts_are_read(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    repository(top, home, "build/a.c", "other/deep/b.log", "kept/c.log")
    commit(top, home)
    git(top, "sparse-checkout", "set", "--cone", "--sparse-index", "kept", "build", home=home)
    assert read_index(top / ".git", top / ".git") != []
    assert admitted(IgnoreRules(top), top) == seen_by_git(top, home)
    git(top, "sparse-checkout", "disable", home=home)
    git(top, "branch", "other", home=home)
    lay(top, "build/a.c", text="one\n")
    git(top, *IDENTITY, "commit", "-q", "-am", "x", home=home)
    git(top, "checkout", "-q", "other", home=home)
    lay(top, "build/a.c", text="two\n")
    git(top, *IDENTITY, "commit", "-q", "-am", "x", home=home)
    git(top, *IDENTITY, "merge", "-q", "master", home=home, check=False)
    assert read_index(top / ".git", top / ".git").count(b"build/a.c") > 1
    assert admitted(IgnoreRules(top), top) == seen_by_git(top, home)


def test_names_of_any_bytes_are_found(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    names = [
        "build/größe.c",
        os.fsdecode(b"build/\xff\xfe.c"),
        "build/ a\tb\n.c",
        "build/" + "n" * 200 + "/" + "m" * 250,
    ]
    rules = repository(top, home, *names)
    assert {name for name in names if rules.decide(name, False).tracked} == set(names)


def test_a_damaged_index_tracks_nothing_and_is_said(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    repository(top, home, "build/a.c")
    index = top / ".git/index"
    whole = index.read_bytes()
    rng = random.Random(7)
    for _ in range(300):
        cut = bytearray(whole[: rng.randrange(len(whole))] if rng.random() < 0.5 else whole)
        for _ in range(rng.randrange(4)):
            if cut:
                cut[rng.randrange(len(cut))] = rng.randrange(256)
        index.write_bytes(cut)
        try:
            read_index(top / ".git", top / ".git")
        except IndexFormatError:
            pass
    index.write_bytes(whole[:40])
    rules = IgnoreRules(top)
    assert rules.decide("build/a.c", False).ignored
    assert "run `git status` there" in rules.problem
    shutil.copy(top / ".gitignore", top / "copy")
    index.write_bytes(whole)
    assert rules.refresh_if_outside_changed()
    assert not rules.decide("build/a.c", False).ignored
    assert rules.problem == ""
