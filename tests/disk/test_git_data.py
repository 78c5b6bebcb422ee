"""No byte of git's own data is observed or read, wherever it lies; the files of worktrees are, as git lists them."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from regend.core.commands import Observe
from regend.core.events import Observed
from regend.disk import scanner
from regend.disk.ignore.builtin import VERSION_CONTROL_SOURCE, version_control_directory
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.repository import identify, is_git_directory
from regend.types import RootId, StatSig
from tests.disk.ignore_zoo import environment, git

AUTHOR = ("-c", "user.name=n", "-c", "user.email=e@example.invalid", "-c", "protocol.file.allow=always")
TOKEN = "https://user:not-a-real-token@example.invalid/x.git"


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without git configuration, for git and for us."""
    made = tmp_path / "home"
    made.mkdir()
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    return made


def observed(top: Path, rules: IgnoreRules | None = None) -> set[str]:
    identity = identify(top)
    parts: list[Observed] = []
    rules = rules or IgnoreRules(identity.path)
    scanner.scan(Observe(1, RootId(1), ("",), {}), identity, rules, 100_000, parts.append, lambda: False)
    assert not any(part.unsure for part in parts)
    return {file.path for part in parts for file in part.files}


class Layout:
    """A root with repositories laid out in odd ways.

    Attributes:
        data: the directories that hold git's own data.
        worktrees: those whose files are to be indexed.
        hidden: linked worktrees of the root's own repository.
        plain: files that lie in no worktree.
    """

    def __init__(self, base: Path, rng: random.Random) -> None:
        self.rng = rng
        self.home = base / "home"
        self.top = base / "root"
        self.outside = base / "outside"
        self.data: set[Path] = set()
        self.worktrees: set[Path] = set()
        self.hidden: set[Path] = set()
        self.plain: set[Path] = set()
        self.count = 0
        self.source = self._commit(self.outside / "source")

    def git(self, directory: Path, *arguments: str) -> bytes:
        return git(directory, *AUTHOR, *arguments, home=self.home)

    def fresh(self) -> Path:
        """A new name below the root, such as git's data has and such as it never has."""
        self.count += 1
        parent = self.rng.choice(["", "", "deep/er/", "vendor/"])
        name = self.rng.choice(["x.git", ".bare", "mirror", "dot git", ".gitted", "é", "objects", "refs", "HEAD"])
        return self.top / f"{parent}{self.count}{name}"

    def _commit(self, top: Path) -> Path:
        top.mkdir(parents=True, exist_ok=True)
        if not (top / ".git").exists():
            self.git(top, "init", "-q")
        for name in ("config", "HEAD", "lib/refs", "a.py", "skip.log"):
            (top / name).parent.mkdir(exist_ok=True)
            (top / name).write_text(f"source {name}\n")
        (top / ".gitignore").write_text("*.log\n")
        self.git(top, "add", "-A")
        self.git(top, "commit", "-qm", "one", "--allow-empty")
        return top

    # Kinds of root.

    def root_plain(self) -> None:
        (self.top / "notes.md").write_text("notes")

    def root_usual(self) -> None:
        self.worktrees.add(self._commit(self.top))

    def root_separate(self) -> None:
        place = self.rng.choice([self.fresh(), self.outside / "own.git"])
        place.parent.mkdir(parents=True, exist_ok=True)
        self.git(self.top, "init", "-q", "--separate-git-dir", str(place))
        self.worktrees.add(self._commit(self.top))

    def root_linked_directory(self) -> None:
        self.worktrees.add(self._commit(self.top))
        place = self.rng.choice([self.fresh(), self.outside / "own"])
        place.parent.mkdir(parents=True, exist_ok=True)
        (self.top / ".git").rename(place)
        (self.top / ".git").symlink_to(place)

    def root_worktree(self) -> None:
        self.git(self.source, "worktree", "add", "-q", str(self.top), "-b", "linked")
        self.worktrees.add(self.top)

    def root_within_bare(self) -> None:
        bare = self.outside / "project.git"
        self.git(self.outside, "clone", "-q", "--bare", str(self.source), str(bare))
        self.top = bare / "main"
        self.git(bare, "worktree", "add", "-q", str(self.top))
        self.worktrees.add(self.top)

    def root_of_worktrees(self) -> None:
        self.git(self.top, "clone", "-q", "--bare", str(self.source), ".bare")
        (self.top / ".git").write_text("gitdir: ./.bare\n")
        (self.top / "notes.md").write_text("notes")
        self.data.add(self.top / ".bare")
        self.git(self.top, "worktree", "add", "-q", "main")
        self.hidden.add(self.top / "main")

    # Things that lie in it.

    def add_bare(self) -> None:
        kind = self.rng.choice([["clone", "-q", "--bare"], ["clone", "-q", "--mirror"]])
        place = self.fresh()
        self.git(self.outside, *kind, str(self.source), str(place))
        self.data.add(place)
        if self.rng.random() < 0.5:
            self.git(place, "gc", "-q")
        if self.rng.random() < 0.3:
            self.git(place, "worktree", "add", "-q", str(wt := self.fresh()), "-b", f"w{self.count}")
            self.worktrees.add(wt)
            self.git(place, "worktree", "add", "-q", str(place / "within"), "-b", f"v{self.count}")

    def add_empty_bare(self) -> None:
        self.data.add(place := self.fresh())
        self.git(self.outside, "init", "-q", "--bare", str(place))

    def add_clone(self) -> None:
        place, separate = self.fresh(), []
        if self.rng.random() < 0.5:
            separate = ["--separate-git-dir", str(self.fresh())]
        self.git(self.outside, "clone", "-q", *separate, str(self.source), str(place))
        self.worktrees.add(place)

    def add_submodule(self) -> None:
        if self.top in self.worktrees:
            place = self.fresh()
            self.git(self.top, "submodule", "--quiet", "add", str(self.source), str(place.relative_to(self.top)))
            self.worktrees.add(place)

    def add_worktree(self) -> None:
        if self.top in self.worktrees:
            place = self.fresh()
            self.git(self.top, "worktree", "add", "-q", str(place), "-b", f"b{self.count}")
            self.hidden.add(place)

    def add_renamed(self) -> None:
        place = self._commit(self.fresh())
        if self.top not in self.worktrees:
            self.plain |= {place / os.fsdecode(name) for name in self.git(place, "ls-files", "-z").split(b"\0") if name}
        (place / ".git").rename(place / "kept")
        self.data.add(place / "kept")

    def add_link_farm(self) -> None:
        """A git directory as `git-new-workdir` makes it: its parts are links."""
        self.data.add(place := self.fresh())
        place.mkdir(parents=True)
        for part in ("objects", "refs", "config", "packed-refs"):
            (place / part).symlink_to(self.source / ".git" / part)
        (place / "HEAD").write_text("ref: refs/heads/master\n")

    def add_reftable(self) -> None:
        """The layout of a repository with reftables, which git 2.39 cannot make."""
        self.data.add(place := self.fresh())
        for part in ("objects", "refs", "reftable"):
            (place / part).mkdir(parents=True)
        (place / "HEAD").write_text("ref: refs/heads/.invalid\n")
        (place / "refs/heads").write_text("this repository uses the reftable format\n")
        (place / "reftable/tables.list").write_text("0x1-0x2.ref\n")
        (place / "config").write_text("[extensions]\n\trefstorage = reftable\n")

    def add_linked_head(self) -> None:
        self.add_empty_bare()
        place = max(self.data, key=lambda path: path.stat().st_ctime_ns)
        (place / "HEAD").unlink()
        (place / "HEAD").symlink_to("refs/heads/main")

    def build(self) -> None:
        self.top.mkdir()
        kinds = [name for name in sorted(dir(self)) if name.startswith("root_")]
        additions = [name for name in sorted(dir(self)) if name.startswith("add_")]
        getattr(self, self.rng.choice(kinds))()
        (self.top / "deep/er").mkdir(parents=True, exist_ok=True)
        (self.top / "vendor").mkdir(exist_ok=True)
        for name in self.rng.choices(additions, k=self.rng.randint(1, 4)):
            getattr(self, name)()
        for worktree in (*self.worktrees, *self.hidden):
            said = self.git(worktree, "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir")
            self.data |= {Path(os.path.realpath(os.fsdecode(line))) for line in said.splitlines()}
        for place in self.data:
            if not (place / "config").is_symlink():
                with (place / "config").open("a") as config:
                    config.write(f'[remote "copy"]\n\turl = {TOKEN}\n')

    def expected(self) -> set[str]:
        """The files that git lists in each worktree, without those that lie in data or in hidden worktrees."""
        files = self.plain | ({self.top / "notes.md"} & set(self.top.iterdir()))
        for worktree in self.worktrees:
            said = self.git(worktree, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
            files |= {worktree / os.fsdecode(name) for name in said.split(b"\0") if name and not name.endswith(b"/")}
        left_out = self.data | self.hidden
        return {
            file.relative_to(self.top).as_posix()
            for file in files
            # A submodule is listed as a file of the worktree around it.
            if (file.is_symlink() or not file.is_dir())
            and not any(place in left_out and self.top in place.parents for place in file.parents)
        }


@pytest.mark.parametrize("seed", range(30))
def test_odd_layouts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    layout = Layout(tmp_path, random.Random(seed))
    layout.build()
    read: list[str] = []
    read_at = scanner.read_at

    def recorded(directory: int, name: str, limit_bytes: int, path: str) -> tuple[bytes, StatSig]:
        content, sig = read_at(directory, name, limit_bytes, path)
        assert TOKEN.encode() not in content, path
        read.append(path)
        return content, sig

    monkeypatch.setattr(scanner, "read_at", recorded)
    rules = IgnoreRules(layout.top)
    found = observed(layout.top, rules)
    assert found == layout.expected()
    assert set(read) <= found
    for place in layout.data:
        if layout.top in place.parents:
            assert is_git_directory(str(place))
            decision = rules.decide(f"{place.relative_to(layout.top)}/config", False)
            assert decision.ignored and decision.source in (VERSION_CONTROL_SOURCE, "nested_worktree"), place
            assert version_control_directory(place) == str(place)
    for worktree in (layout.top, *layout.worktrees):
        assert version_control_directory(worktree) == "", worktree


DATA = [".git/config", ".GIT/x", ".hg/hgrc", ".svn/wc.db", "_svn/entries", ".jj/repo/x", ".sl/config", ".repo/x.list"]
DATA += [".bzr/branch/x", "CVS/Root", "_darcs/prefs/x", ".pijul/config", ".fslckout", "_FOSSIL_", "_MTN/log", "$tf/1/x"]
DATA += ["lib/module.c,v", "sub/.eden/config", ".got/path-prefix"]


@pytest.mark.parametrize("path", DATA)
def test_data_of_every_version_control_is_left_out(tmp_path: Path, path: str) -> None:
    for negation in (".gitignore", ".regenignore"):
        (tmp_path / negation).write_text("!*\n!**/\n")
    decision = IgnoreRules(tmp_path, ("!*",)).decide(path, False)
    assert decision.ignored and decision.source == VERSION_CONTROL_SOURCE


@pytest.mark.parametrize(
    "path", ["cvs/x.py", "src/CVS", "git/x", ".github/x", ".gitignore", "HEAD", "repo/x", "x/HEAD/y"]
)
def test_source_that_looks_like_data_is_indexed(tmp_path: Path, path: str) -> None:
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).touch()
    for name in ("x/objects", "y/refs", "y/objects"):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    assert not IgnoreRules(tmp_path).decide(path, False).ignored


@pytest.mark.parametrize("lost", ["objects", "refs", "hooks"])
def test_the_rest_of_a_repository_is_left_out(tmp_path: Path, home: Path, lost: str) -> None:
    """Such as a copy in progress, or one by a tool that drops empty directories."""
    top = tmp_path / "r"
    top.mkdir()
    git(top, "init", "-q", "--bare", "x", home=home)
    shutil.rmtree(top / "x" / lost)
    rules = IgnoreRules(top)
    assert observed(top, rules) == set() and rules.decide("x", True).source == VERSION_CONTROL_SOURCE
    (top / "x/config").write_text("[server]\n")
    assert rules.refresh_if_outside_changed() == (lost != "hooks")
    assert rules.decide("x", True).ignored == (lost == "hooks")


GROWTHS: list[Callable[[Path], object]] = [
    lambda top: (top / "HEAD").write_text("ref: refs/heads/main\n"),
    lambda top: (top / "refs").mkdir(),
    lambda top: (top / "objects").mkdir(),
]


@pytest.mark.parametrize("last", range(3))
def test_a_directory_that_becomes_a_repository_and_ceases_to_be_one(tmp_path: Path, last: int) -> None:
    place = tmp_path / "x"
    place.mkdir()
    (place / "config").write_text(TOKEN)
    rules = IgnoreRules(tmp_path)
    for grow in (*GROWTHS[:last], *GROWTHS[last + 1 :]):
        grow(place)
        assert not rules.decide("x/config", False).ignored
    GROWTHS[last](place)
    name = ("HEAD", "refs", "objects")[last]
    assert rules.is_rule_file(f"x/{name}") and not rules.is_rule_file(f"y/{name}")
    # A scan notices it by its own listing, though the event is still to come.
    assert "x/config" not in observed(tmp_path, rules)
    assert not rules.is_rule_file(f"x/{name}") and rules.decide("x/config", False).ignored
    rules.invalidate(f"x/{name}")
    assert rules.decide("x", True).ignored and not rules.refresh_if_outside_changed()
    if (place / name).is_dir():
        (place / name).rmdir()
    else:
        (place / name).unlink()
    assert rules.refresh_if_outside_changed()
    assert not rules.decide("x/config", False).ignored and not rules.refresh_if_outside_changed()


def test_a_root_that_becomes_a_repository_is_ignored_as_a_whole(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    (top / "deep").mkdir(parents=True)
    rules = IgnoreRules(top / "deep")
    assert rules.problem == "" and not rules.decide("x", False).ignored
    git(top, "init", "-q", "--bare", home=home)
    assert rules.refresh_if_outside_changed()
    assert rules.decide("x", False).ignored and str(top) in rules.problem
    (top / "HEAD").unlink()
    assert rules.refresh_if_outside_changed()
    assert rules.problem == "" and not rules.decide("x", False).ignored
