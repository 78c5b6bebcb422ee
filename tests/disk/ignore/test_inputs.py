"""After any change beside the watched tree, rules decide as freshly made ones do, and as git does."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from regend.disk.ignore.rules import IgnoreRules
from tests.disk.ignore_zoo import bare_git_dir, environment

PATTERNS = ["*.log", "*.sql", "gen/", "/deep", "!a.log", "*.LOG", "x.tmp", "pkg/gen", "**/b.py", "!*.sql", "deep/*"]
FILES = ["a.log", "Foo.LOG", "x.tmp", "gen/api.py", "deep/b.py", "deep/c.sql", "src/gen/y.py", "src/a.log", "q.sql"]


class World:
    """A root in a worktree, with all that can change beside it."""

    def __init__(self, base: Path, rng: random.Random, monkeypatch: pytest.MonkeyPatch) -> None:
        self.rng = rng
        self.base = base
        self.home = base / "home"
        self.up = base / "up"
        self.repo = self.up / "repo"
        self.etc = base / "etc.gitconfig"
        for name in list(os.environ):
            if name.startswith("GIT_"):
                monkeypatch.delenv(name)
        for name, value in {**environment(self.home), "GIT_CONFIG_SYSTEM": str(self.etc)}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.delenv("GIT_CONFIG_NOSYSTEM", raising=False)
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        self.repo.mkdir(parents=True)
        (self.home / "sub").mkdir(parents=True)
        self.main = self.repo
        kind = rng.choice(["plain", "top", "below", "below", "linked", "separate"])
        if kind == "linked":
            self.main = base / "main"
            self.git(base, "init", "-q", str(self.main))
            self.git(self.main, "commit", "-q", "--allow-empty", "-m", "one")
            self.git(self.main, "worktree", "add", "-q", str(self.repo))
        elif kind == "separate":
            self.git(base, "init", "-q", "--separate-git-dir", str(base / "own"), str(self.repo))
        elif kind != "plain":
            self.git(base, "init", "-q", str(self.repo))
        self.root = self.repo / "pkg" if kind in ("below", "linked", "plain") else self.repo
        for nested in ("", "nested/", "wt/"):
            for file in FILES:
                (self.root / nested / file).parent.mkdir(parents=True, exist_ok=True)
                (self.root / nested / file).touch()
        self.git(base, "init", "-q", str(self.root / "nested"))
        self.git(base, "init", "-q", "--separate-git-dir", str(base / "far"), str(self.root / "wt"))
        for name in ("ignore", "ignore2"):
            (self.home / name).write_text(self.ignore_file())
        (self.home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignore\n")
        self.paths = [
            (path.relative_to(self.root).as_posix(), path.is_dir())
            for path in sorted(self.root.rglob("*"))
            if ".git" not in path.parts
        ]

    def git(self, directory: Path, *arguments: str) -> None:
        subprocess.run(
            ["git", "-C", str(directory), "-c", "user.name=n", "-c", "user.email=e@x", *arguments],
            check=False, capture_output=True,
        )  # fmt: skip

    def ignore_file(self) -> str:
        return "".join(f"{self.rng.choice(PATTERNS)}\n" for _ in range(self.rng.randint(1, 4)))

    def write(self, file: Path, text: str) -> None:
        """Write in one of the ways that tools have: in place, by rename, through a link, or not at all."""
        how = self.rng.choice(["in place", "in place", "in place", "rename", "link", "remove"])
        if not file.parent.is_dir():
            return
        if how == "remove" or file.is_symlink():
            file.unlink(missing_ok=True)
        if how == "in place":
            file.write_text(text)
        elif how in ("rename", "link"):
            new = self.base / f"new{self.rng.random()}"
            new.write_text(text)
            if how == "rename":
                new.replace(file)
            else:
                file.unlink(missing_ok=True)
                file.symlink_to(new)

    def git_dir(self) -> Path:
        said = subprocess.run(
            ["git", "-C", str(self.root), "rev-parse", "--path-format=absolute", "--git-dir"],
            capture_output=True, check=False,
        )  # fmt: skip
        return Path(said.stdout.decode().strip() or self.base / "nowhere")

    def common_dir(self) -> Path:
        directory = self.git_dir()
        return directory.parents[1] if (directory / "commondir").exists() else directory

    # Each changes one input.

    def ignore_above(self) -> None:
        above = [directory for directory in (self.up, self.repo) if directory != self.root]
        self.write(self.rng.choice(above) / ".gitignore", self.ignore_file())

    def info_exclude(self) -> None:
        self.write(self.common_dir() / "info/exclude", self.ignore_file())

    def nested_exclude(self) -> None:
        self.write(self.rng.choice([self.root / "nested/.git", self.base / "far"]) / "info/exclude", self.ignore_file())

    def default_excludes(self) -> None:
        (self.home / ".config/git").mkdir(parents=True, exist_ok=True)
        self.write(self.home / ".config/git/ignore", self.ignore_file())

    def excludes(self) -> None:
        self.write(self.home / self.rng.choice(["ignore", "ignore2"]), self.ignore_file())

    def excludes_of_same_size(self) -> None:
        for name in ("ignore", "ignore2"):
            (self.home / name).write_text(self.rng.choice(["*.log\n", "*.sql\n"]))

    def user_config(self) -> None:
        self.write(self.rng.choice([self.home / ".gitconfig", self.home / ".config/git/config"]), self.config())

    def system_config(self) -> None:
        self.write(self.etc, self.config())

    def included_config(self) -> None:
        self.write(self.home / self.rng.choice(["more", "sub/more", "sub/deeper"]), self.config())

    def repository_config(self) -> None:
        values = ["core.excludesFile ~/ignore2", "core.ignoreCase true", "core.ignoreCase false"]
        values += [f"include.path {self.home}/more", "extensions.worktreeConfig true"]
        key, value = self.rng.choice(values).split(" ")
        self.git(self.root, "config", key, value)

    def worktree_config(self) -> None:
        self.write(self.git_dir() / "config.worktree", self.config())

    def config(self) -> str:
        core = [
            "excludesFile = ~/ignore",
            "excludesFile = ~/ignore2",
            "ignoreCase",
            "ignoreCase = no",
            "excludesFile =",
        ]
        include = ["[include]\n\tpath = ~/more", "[include]\n\tpath = sub/more", "[include]\n\tpath = deeper"]
        include += [
            f'[includeIf "gitdir:{self.up}/"]\n\tpath = ~/more',
            '[includeIf "onbranch:other"]\n\tpath = ~/more',
        ]
        parts = ["[core]\n\t" + self.rng.choice(core), self.rng.choice(include)]
        return "\n".join(self.rng.sample(parts, self.rng.choice([1, 1, 2]))) + "\n"

    def branch(self) -> None:
        self.git(self.root, "symbolic-ref", "HEAD", f"refs/heads/{self.rng.choice(['other', 'main'])}")

    def damage(self) -> None:
        """A part of a git directory goes away, as it is not there yet while git makes one."""
        directory = self.rng.choice([self.common_dir(), self.git_dir(), self.root / "nested/.git", self.base / "far"])
        part = directory / self.rng.choice(["HEAD", "objects", "refs", "commondir"])
        if part.exists() and not (away := part.with_name(f"{part.name}.away")).exists():
            part.rename(away)

    def repair(self) -> None:
        for directory in (self.repo / ".git", self.base / "own", self.main / ".git", self.root / "nested/.git"):
            for away in directory.glob("*.away"):
                if not away.with_suffix("").exists():
                    away.rename(away.with_suffix(""))

    def init_above(self) -> None:
        self.git(self.base, "init", "-q", *self.rng.choice([[], [], ["--bare"]]), str(self.up))

    def leave_above(self) -> None:
        for name in (".git", "HEAD"):
            if (self.up / name).exists():
                (self.up / name).rename(self.base / f"gone{self.rng.random()}")

    def init_here(self) -> None:
        self.git(self.base, "init", "-q", str(self.rng.choice([self.root, self.repo])))

    def move_main(self) -> None:
        for place in (self.main, self.base / "own"):
            if place != self.repo and place.exists():
                place.rename(self.base / f"{place.name}.away")
            elif place != self.repo and (self.base / f"{place.name}.away").exists():
                (self.base / f"{place.name}.away").rename(place)

    def point_elsewhere(self) -> None:
        dot_git = self.repo / ".git"
        if dot_git.is_file():
            dot_git.write_text(
                f"gitdir: {self.rng.choice([self.base / 'own', self.base / 'far', self.base / 'none'])}\n"
            )

    def common_elsewhere(self) -> None:
        directory = self.git_dir()
        if directory.is_dir():
            (directory / "commondir").write_text(f"{self.rng.choice([self.base / 'far', directory])}\n")

    def verdicts(self, rules: IgnoreRules) -> dict[str, tuple[bool, str, int]]:
        asked = {path: rules.decide(path, is_dir) for path, is_dir in self.paths}
        return {path: (decision.ignored, decision.source, decision.line) for path, decision in asked.items()}

    def git_ignores(self) -> dict[str, bool]:
        """Ask git, where it takes the root for a part of a worktree."""
        paths = [path for path, _ in self.paths if not path.startswith(("nested", "wt"))]
        stdin = b"".join(os.fsencode(path) + b"\0" for path in paths)
        command = ["git", "-C", str(self.root), "check-ignore", "--no-index", "--stdin", "-z", "-v", "-n"]
        said = subprocess.run(command, input=stdin, capture_output=True, check=False).stdout
        fields = [os.fsdecode(field) for field in said.split(b"\0")]
        rows = [fields[at : at + 4] for at in range(0, len(fields) - 3, 4)]
        return {path: bool(source) and not pattern.startswith("!") for source, _, pattern, path in rows}


TEXTS: list[Callable[[World], None]] = [
    World.ignore_above, World.info_exclude, World.nested_exclude, World.default_excludes, World.excludes,
    World.excludes_of_same_size, World.user_config, World.system_config, World.included_config,
    World.repository_config, World.worktree_config,
]  # fmt: skip
PLACES: list[Callable[[World], None]] = [
    World.branch, World.damage, World.repair, World.repair, World.init_above, World.leave_above,
    World.leave_above, World.init_here, World.move_main, World.point_elsewhere, World.common_elsewhere,
]  # fmt: skip


@pytest.mark.parametrize("block", range(4))
def test_any_change_gives_what_fresh_rules_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    differing = compared = 0
    for seed in range(block * 2, block * 2 + 2):
        (tmp_path / str(seed)).mkdir()
        world = World(tmp_path / str(seed), random.Random(seed), monkeypatch)
        rules = IgnoreRules(world.root)
        before = world.verdicts(rules)
        for step in range(30):
            change = world.rng.choice(world.rng.choice([TEXTS, TEXTS, PLACES]))
            change(world)
            rules.refresh_if_outside_changed()
            after = world.verdicts(rules)
            fresh = IgnoreRules(world.root)
            note = (seed, step, change.__name__)
            assert after == world.verdicts(fresh), note
            assert (rules.git_dir, rules.problem) == (fresh.git_dir, fresh.problem), note
            assert not rules.refresh_if_outside_changed(), (note, "nothing changed since")
            if not rules.problem:
                said = world.git_ignores()
                compared += bool(said)
                assert {path: after[path][0] for path in said} == said, note
            differing += after != before
            before = after
    assert differing > 5 and compared > 15


def test_a_worktree_that_ceases_to_be_one(tmp_path: Path) -> None:
    root = tmp_path / "r"
    for arguments in (["init", "-q", str(root)], ["-C", str(root), "commit", "-qm", "x", "--allow-empty"]):
        subprocess.run(["git", "-c", "user.name=n", "-c", "user.email=e@x", *arguments], check=True)
    rules = IgnoreRules(root)
    subprocess.run(["git", "-C", str(root), "worktree", "add", "-q", "wt"], check=True, capture_output=True)
    assert rules.decide("wt", True).source == "nested_worktree"
    (root / "wt/.git").unlink()
    assert rules.refresh_if_outside_changed() and not rules.decide("wt", True).ignored


def test_many_repositories_below_take_their_turns(tmp_path: Path) -> None:
    root = tmp_path / "r"
    names = [f"n{number}" for number in range(600)]
    for name in names:
        bare_git_dir(root / name / ".git")
    rules = IgnoreRules(root)
    for name in names:
        assert not rules.decide(f"{name}/x", False).ignored
    for name in (names[0], names[300], names[-1]):
        (root / name / ".git/info/exclude").write_text("x\n")
        assert any(rules.refresh_if_outside_changed() for _ in range(3)), name
        assert rules.decide(f"{name}/x", False).ignored
        assert not rules.refresh_if_outside_changed()
