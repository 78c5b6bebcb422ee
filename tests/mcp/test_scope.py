"""Which root an agent means: its argument, `--root`, the client's project, its roots, or where it was started."""

from __future__ import annotations

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


def test_the_innermost_root_counts(tmp_path: Path) -> None:
    roots = ["/a", "/a/b", "/ab", str(tmp_path)]
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real").mkdir()
    for directory, scope in (
        ("", Scope()),
        ("/a", Scope("/a")),
        ("/a/x/y", Scope("/a", "x/y")),
        ("/a/b/c", Scope("/a/b", "c")),
        ("/abc", Scope(unknown="/abc")),
        ("/a/../ab", Scope("/ab")),
        (str(tmp_path / "link"), Scope(str(tmp_path), "real")),
    ):
        assert scope_of(directory, roots) == scope, directory
    assert scope_of("/x/y", ["/"]) == Scope("/", "x/y")


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
