"""Which root an agent means: its argument, `--root`, the client's project, its roots, or where it was started."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from regend.errors import PathError
from regend.mcp.scope import Places, Scope, named_directory, repository_of, scope_of


def test_the_order(tmp_path: Path) -> None:
    (tmp_path / "r" / ".git").mkdir(parents=True)
    working = str(tmp_path / "r")
    everything = Places("/root", "/project", working)
    for argument, places, client_roots, directory in (
        ("/named", everything, ("/client",), "/named"),
        ("all", everything, ("/client",), ""),
        ("", everything, ("/client",), "/root"),
        ("", Places("", "/project", working), ("/client",), "/project"),
        ("", Places("", "", working), ("/client", "/other"), "/client"),
        ("", Places("", "", working), (), working),
        ("", Places("", "", str(tmp_path)), (), ""),
        ("", Places(), (), ""),
    ):
        assert named_directory(argument, places, client_roots) == directory, (argument, places)


@pytest.mark.parametrize("argument", ["src", ".", "*", "./all"])
def test_a_relative_root_is_refused(argument: str) -> None:
    with pytest.raises(PathError, match="give an absolute path, or `all`"):
        named_directory(argument, Places(), ())


def test_a_root_that_can_be_no_path_is_refused() -> None:
    with pytest.raises(PathError, match="NUL"):
        named_directory("/a\0b", Places(), ())


def test_the_innermost_root_counts(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    roots = [{"path": path, "pool": path} for path in ("/a", "/a/b", "/ab", str(tmp_path))]
    for directory, root, inside in (
        ("/a", "/a", ""),
        ("/a/x/y", "/a", "/a/x/y"),
        ("/a/b/c", "/a/b", "/a/b/c"),
        ("/a/../ab", "/ab", ""),
        (str(tmp_path / "link"), str(tmp_path), str(tmp_path / "real")),
    ):
        assert scope_of(directory, roots) == Scope((root,)), directory
        assert scope_of(directory, roots, whole=False) == Scope((root,), (inside,) if inside else ()), directory
    assert scope_of("", roots) == Scope()
    assert scope_of("/abc", roots) == Scope(unknown="/abc")
    assert scope_of("/x/y", [{"path": "/", "pool": "/"}]) == Scope(("/",))


def test_another_worktree_in_a_root_is_not_the_root(tmp_path: Path) -> None:
    """Agents make worktrees inside of a repository; the daemon leaves those out, and each is a root of its own."""
    main, other = tmp_path / "main", tmp_path / "main" / ".agent" / "trees" / "one"
    for command in (
        ["git", "init", "-q", str(main)],
        ["git", "-C", str(main), "-c", "user.name=x", "-c", "user.email=x", "commit", "-q", "--allow-empty", "-m", "x"],
        ["git", "-C", str(main), "worktree", "add", "-q", str(other)],
    ):
        subprocess.run(command, check=True)
    roots = [{"path": str(main), "pool": str(main / ".git")}]
    assert scope_of(str(main / ".agent"), roots) == Scope((str(main),))
    assert scope_of(str(other), roots) == Scope(unknown=str(other))
    roots.append({"path": str(other), "pool": str(main / ".git")})
    assert scope_of(str(other), roots) == Scope((str(other),))


def test_a_home_directory_is_no_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "code" / "sub").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert repository_of(str(tmp_path)) == repository_of(str(tmp_path / "code")) == repository_of("") == ""
    (tmp_path / "code" / ".git").write_text("gitdir: elsewhere")  # A linked worktree.
    assert repository_of(str(tmp_path / "code" / "sub")) == str(tmp_path / "code")


def test_a_working_directory_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert Places.of_process("", {}) == Places()
