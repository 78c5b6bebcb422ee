"""An ignore file that is there and cannot be read admits nothing new, keeps what is indexed, and is named."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import pytest

from regend.core.commands import Observe
from regend.core.events import Observed
from regend.disk import repository
from regend.disk.ignore import sources
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.inputs import read_small
from regend.disk.repository import identify
from regend.disk.scanner import scan
from regend.types import RootId
from tests.disk.ignore_zoo import bare_git_dir, environment


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without git configuration, for git and for us."""
    made = tmp_path / "home"
    made.mkdir()
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    return made


@contextmanager
def refused(monkeypatch: pytest.MonkeyPatch, file: Path, error: int, module: ModuleType = sources) -> Iterator[None]:
    """Let reads of one file fail, as root may read everything."""

    def read(path: str | os.PathLike[str], limit_bytes: int, flags: int = 0) -> bytes:
        if Path(path) == file:
            raise OSError(error, os.strerror(error), str(path))
        return read_small(path, limit_bytes, flags)

    with monkeypatch.context() as patched:
        patched.setattr(module, "read_small", read)
        yield


def looked(rules: IgnoreRules, top: Path, *scopes: str) -> tuple[set[str], dict[str, str]]:
    parts: list[Observed] = []
    scan(Observe(1, RootId(1), scopes or ("",), {}), identify(top), rules, 1_000, parts.append, lambda: False)
    return {file.path for part in parts for file in part.files}, dict(parts[-1].unsure)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "up/r"
    for path in ("a.py", "d/b.py", "d/deep/c.py", "n/e.py"):
        (made / path).parent.mkdir(parents=True, exist_ok=True)
        (made / path).write_text(path)
    bare_git_dir(tmp_path / "up/.git")
    bare_git_dir(made / "n/.git")
    return made


PLACES: list[tuple[str, str]] = [
    ("up/r/d/.gitignore", "d"),
    ("up/r/d/.regenignore", "d"),
    ("up/r/n/.git/info/exclude", "n"),
    ("up/r/.gitignore", ""),
    ("up/.gitignore", ""),
    ("up/.git/info/exclude", ""),
    ("home/.config/git/ignore", ""),
]


@pytest.mark.parametrize(("place", "governed"), PLACES)
@pytest.mark.parametrize("error", [errno.EACCES, errno.EIO, errno.EMFILE])
def test_nothing_below_is_looked_at(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch, place: str, governed: str, error: int
) -> None:
    file = tmp_path / place
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("x\n")
    everything = {"a.py", "d/b.py", "d/deep/c.py", "n/e.py"}
    below = {path for path in everything if governed == "" or path.startswith(f"{governed}/")}
    rules_files = {place.removeprefix("up/r/")} if place.startswith("up/r/") and ".git/" not in place else set()
    with refused(monkeypatch, file, error):
        rules = IgnoreRules(top)
        found, unsure = looked(rules, top)
        assert found - rules_files == everything - below
        assert list(unsure) == [governed] and os.strerror(error) in unsure[governed] and file.name in unsure[governed]
        for path in below:
            decision = rules.decide(path, False)
            assert not decision.ignored and file.name in decision.unsure
        narrow = min(below)
        assert looked(rules, top, narrow) == (set(), {narrow.rpartition("/")[0]: unsure[governed]})
    assert looked(rules, top, governed)[1] == {}, "the next look reads the file again"
    assert looked(rules, top)[0] - {".gitignore"} - rules_files == everything


@pytest.mark.parametrize(
    "make",
    [
        lambda file: file.symlink_to("elsewhere"),
        lambda file: file.mkdir(),
        lambda file: os.mkfifo(file),
        lambda file: file.write_text(""),
    ],
)
def test_what_git_takes_for_no_rules_is_none(top: Path, make: Callable[[Path], object]) -> None:
    make(top / "d/.gitignore")
    found, unsure = looked(IgnoreRules(top), top)
    assert {"d/b.py", "d/deep/c.py"} <= found and not unsure


def test_configuration_that_git_refuses(home: Path, top: Path) -> None:
    (home / "ignore").write_text("b.py\n")
    (home / ".gitconfig").write_text("[core\n")
    rules = IgnoreRules(top)
    assert looked(rules, top)[0] == set() and "bad config line 1" in rules.problem
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignore\n")
    assert rules.refresh_if_outside_changed() and rules.problem == ""
    assert looked(rules, top)[0] == {"a.py", "d/deep/c.py", "n/e.py"}


def test_the_users_excludes_hold_beside_a_faulty_configuration_of_the_repository(
    home: Path, top: Path, tmp_path: Path
) -> None:
    (home / ".gitconfig").write_text("[core]\n\texcludesFile = ~/ignore\n")
    (home / "ignore").write_text("b.py\n")
    (tmp_path / "up/.git/config").write_text("[core\n")
    rules = IgnoreRules(top)
    assert looked(rules, top)[0] == {"a.py", "d/deep/c.py", "n/e.py"}
    assert "bad config line 1" in rules.problem


@pytest.mark.parametrize(("place", "governed"), [("up/.git", ""), ("up/r/n/.git", "n"), ("up/own/commondir", "")])
def test_a_git_file_that_cannot_be_read(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch, place: str, governed: str
) -> None:
    """The repository, and so its rules, are not known: not enough descriptors are such a moment."""
    for directory in (tmp_path / "up", top / "n"):
        (directory / ".git").rename(directory / "own")
        (directory / ".git").write_text("gitdir: own\n")
    (tmp_path / "up/own/commondir").write_text(".\n")
    with refused(monkeypatch, tmp_path / place, errno.EMFILE, repository):
        rules = IgnoreRules(top)
        assert set(looked(rules, top)[1]) == {governed}
    assert looked(rules, top)[1] == {}


def test_a_dangling_git_file_is_no_problem(top: Path) -> None:
    """As in the copy of a submodule."""
    (top / ".git").write_text("gitdir: ../nowhere\n")
    (top.parent / ".git/HEAD").unlink()
    rules = IgnoreRules(top)
    assert rules.problem == "" and rules.git_dir is None and "a.py" in looked(rules, top)[0]


def test_a_repository_file_that_was_never_readable(top: Path) -> None:
    (top / ".regend.toml").write_text("[ignore\n")
    rules = IgnoreRules(top)
    assert looked(rules, top)[0] == set() and "not valid TOML" in rules.problem
    (top / ".regend.toml").write_text('[ignore]\npatterns = ["a.py"]\n')
    rules.invalidate(".regend.toml")
    assert "a.py" not in looked(rules, top)[0] and "d/b.py" in looked(rules, top)[0]
