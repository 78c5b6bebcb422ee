"""Changes are read from any layout of a repository, and nothing that its configuration names is run."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from regend.disk import history, remotes
from regend.disk.history import changes_of, head_of
from regend.types import Change

NAME = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgSign=false")


def git(place: Path, *arguments: str) -> str:
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    done = subprocess.run(
        ["git", "-C", str(place), *NAME, *arguments], env=environ, capture_output=True, text=True, check=True
    )
    return done.stdout


def commit(place: Path, subject: str, *paths: str) -> None:
    for path in paths:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        with (place / path).open("a") as file:
            file.write(f"{subject}\n")
    git(place, "add", "-A")
    git(place, "commit", "-qm", subject)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    place = tmp_path.resolve() / "repo"
    place.mkdir()
    git(place, "init", "-q", "-b", "main")
    commit(place, "Send a request again", "src/net.py", "src/retry.py")
    commit(place, "Keep answers\n\nA body that is not read.", "src/cache.py", "docs/cache.md")
    commit(place, "Names: größe, 名前 and spaces", "src/größe.py", "src/名前.py", "a b.py")
    return place


CHANGES = [
    Change("Names: größe, 名前 and spaces", ("a b.py", "src/größe.py", "src/名前.py")),
    Change("Keep answers", ("docs/cache.md", "src/cache.py")),
    Change("Send a request again", ("src/net.py", "src/retry.py")),
]


def read(root: Path) -> list[Change]:
    return changes_of(root, head_of(root))


def test_newest_first_with_their_paths(made: Path) -> None:
    assert head_of(made) == git(made, "rev-parse", "HEAD").strip()
    assert read(made) == CHANGES


def test_a_root_within_the_repository_sees_its_own_files_only(made: Path) -> None:
    assert read(made / "src") == [
        Change("Names: größe, 名前 and spaces", ("größe.py", "名前.py")), Change("Keep answers", ("cache.py",)),
        Change("Send a request again", ("net.py", "retry.py")),
    ]  # fmt: skip
    assert read(made / "docs") == [Change("Keep answers", ("cache.md",))]


def test_a_worktree_has_the_history_of_its_own_commit(made: Path, tmp_path: Path) -> None:
    other = tmp_path.resolve() / "other"
    git(made, "worktree", "add", "-q", str(other), "HEAD~1")
    assert read(other) == CHANGES[1:]
    assert read(made) == CHANGES


def test_merges_add_nothing_and_removed_files_count(made: Path) -> None:
    git(made, "checkout", "-qb", "side", "HEAD~1")
    commit(made, "On the side", "side.py")
    git(made, "checkout", "-q", "main")
    git(made, "merge", "-q", "--no-edit", "side")
    git(made, "rm", "-q", "side.py")
    git(made, "commit", "-qm", "Not needed")
    assert read(made)[0] == Change("Not needed", ("side.py",))
    assert sorted(read(made)) == sorted(
        [*CHANGES, Change("On the side", ("side.py",)), Change("Not needed", ("side.py",))]
    )


def test_a_name_that_no_line_can_show_is_left_out(made: Path) -> None:
    commit(made, "Odd", 'quo"te.py', "new\nline.py", "tab\t.py", "plain.py")
    assert read(made)[0] == Change("Odd", ("plain.py",))
    commit(made, "Only odd", 'quo"te.py')
    assert read(made)[0].subject == "Odd"


def test_what_is_no_repository_has_none(tmp_path: Path) -> None:
    assert (head_of(tmp_path), read(tmp_path)) == ("", [])
    git(tmp_path, "init", "-q")
    assert (head_of(tmp_path), read(tmp_path)) == ("", [])


def test_without_git_there_is_none(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = head_of(made)
    monkeypatch.setenv("PATH", "/nonexistent")
    assert (head_of(made), changes_of(made, head)) == ("", [])


def test_a_damaged_repository_has_none(made: Path) -> None:
    head = head_of(made)
    for file in (made / ".git/objects").rglob("*"):
        if file.is_file():
            file.chmod(0o600)
            file.write_bytes(b"damaged")
    assert (head_of(made), changes_of(made, head), changes_of(made, "0" * 40)) == ("", [], [])


@pytest.mark.parametrize("kept", ["GIT_NO_LAZY_FETCH", "GIT_ALLOW_PROTOCOL"])
def test_what_a_partial_clone_lacks_is_not_fetched(
    made: Path, tmp_path: Path, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(made, "config", "uploadpack.allowFilter", "true")
    git(made, "config", "uploadpack.allowAnySHA1InWant", "true")
    clone = tmp_path.resolve() / "clone"
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=tree:0", f"file://{made}", str(clone))
    before = git(clone, "count-objects", "-v")
    whole = remotes.environment()
    others = {"GIT_NO_LAZY_FETCH", "GIT_ALLOW_PROTOCOL"} - {kept}
    limited = {name: value for name, value in whole.items() if name not in others}
    monkeypatch.setattr(history, "environment", lambda: limited)
    assert changes_of(clone, head_of(clone)) == []
    assert git(clone, "count-objects", "-v") == before
    git(clone, "log", "--name-only")
    assert git(clone, "count-objects", "-v") != before, "git itself fetches"


def test_what_is_too_long_is_read_from_its_beginning(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for length in range(1, 200):
        monkeypatch.setattr(history, "_MOST_BYTES", length)
        found = read(made)
        assert found == CHANGES[: len(found)], length
    monkeypatch.setattr(history, "MOST_CHANGES", 2)
    assert read(made) == CHANGES[:2]


def test_a_git_that_hangs_is_ended_in_time(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head, programs, own = head_of(made), tmp_path / "bin", tmp_path / "pid"
    programs.mkdir()
    (programs / "git").write_text(f"#!/bin/sh\necho $$ > {own}\nprintf '\\0begun\\n'\nexec sleep 60\n")
    (programs / "git").chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(history, "TIMEOUT_S", 0.5)
    assert changes_of(made, head) == []
    with pytest.raises(ProcessLookupError):
        os.kill(int(own.read_text()), 0)


def test_nothing_that_the_repository_names_is_run(made: Path, tmp_path: Path) -> None:
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\ntouch {sprung}\ncat\n")
    trap.chmod(0o700)
    for key in (
        "gpg.program", "core.fsmonitor", "core.pager", "pager.log", "diff.external", "core.sshCommand", "core.editor",
        "diff.x.textconv", "diff.x.command", "filter.x.smudge", "filter.x.clean", "alias.log", "core.askPass",
    ):  # fmt: skip
        git(made, "config", key, str(trap))
    git(made, "config", "log.showSignature", "true")
    git(made, "config", "core.hooksPath", str(tmp_path))
    (made / ".git/info").mkdir(exist_ok=True)
    (made / ".git/info/attributes").write_text("* diff=x filter=x\n")
    sprung.unlink(missing_ok=True)
    assert read(made) == CHANGES
    assert not sprung.exists()
