"""A root's identity is found without git and equals git's; its own file may set ignore rules and limits only."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regend.config import LimitConfig
from regend.disk.repository import RepositoryConfig, identify, load_repository_config, marker_of
from regend.errors import ConfigError, PathError, RegendError, RootError
from tests.disk.ignore_zoo import git


def said_by_git(directory: Path, home: Path) -> tuple[str, str]:
    out = git(directory, "rev-parse", "--path-format=absolute", "--git-dir", "--git-common-dir", home=home)
    git_dir, common_dir = out.decode().split()
    return os.path.realpath(git_dir), os.path.realpath(common_dir)


def test_worktrees_and_submodules_equal_git(tmp_path: Path) -> None:
    main, lib = tmp_path / "main", tmp_path / "lib"
    for top in (main, lib):
        top.mkdir()
        git(top, "init", "-q", home=tmp_path)
        (top / "f").write_text("x")
        git(top, "add", ".", home=tmp_path)
        git(top, "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "x", home=tmp_path)
    git(main, "worktree", "add", "-q", str(tmp_path / "linked"), home=tmp_path)
    git(main, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(lib), "sub", home=tmp_path)
    (main / "deep/er").mkdir(parents=True)
    for directory in (main, tmp_path / "linked", main / "sub", main / "deep/er", lib):
        identity = identify(directory)
        git_dir, common_dir = said_by_git(directory, tmp_path)
        assert (str(identity.git_dir), identity.pool_key) == (git_dir, common_dir), directory
    assert identify(main).pool_key == identify(tmp_path / "linked").pool_key != identify(main / "sub").pool_key


def test_plain_folder(tmp_path: Path) -> None:
    identity = identify(tmp_path)
    assert (identity.path, identity.pool_key, identity.git_dir) == (tmp_path, str(tmp_path), None)
    assert identity.marker == marker_of(tmp_path) == f"{tmp_path.stat().st_dev}:{tmp_path.stat().st_ino}"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        b"gitdir: nowhere",
        b"gitdir:",
        b"gitdir: /dev/null",
        b"\xff",
        b"gitdir: \0\n",
        b"gitdir: " + b"a/" * 3_000,
    ],
)
def test_git_file_that_leads_nowhere_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").write_bytes(content)
    assert identify(tmp_path).git_dir is None


@pytest.mark.parametrize("content", [b"\0", b"../" * 2_000, b"\xff"])
def test_a_common_directory_that_leads_nowhere_counts_as_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git" / "HEAD").touch()
    (tmp_path / ".git" / "commondir").write_bytes(content)
    assert identify(tmp_path).git_dir in (None, tmp_path / ".git")


def test_links_in_the_path_are_resolved(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert identify(tmp_path / "link") == identify(tmp_path / "real")


def test_refusals_name_the_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    odd = tmp_path / os.fsdecode(b"odd\xff")
    odd.mkdir()
    (tmp_path / "loop").symlink_to("loop")
    expected: list[tuple[Path, type[RegendError]]] = [
        (tmp_path / "missing", RootError),
        (tmp_path / "file", PathError),
        (tmp_path / "file/below", RootError),
        (odd, PathError),
        (Path("/"), RootError),
        (Path("/proc/self"), RootError),
        (Path("/sys/kernel"), RootError),
        (tmp_path / "loop", PathError),
    ]
    for path, kind in expected:
        with pytest.raises(kind) as caught:
            identify(path)
        assert type(caught.value) is kind
        str(caught.value).encode()


def test_marker_tells_gone_and_replaced(tmp_path: Path) -> None:
    top = tmp_path / "t"
    top.mkdir()
    before = marker_of(top)
    top.rename(tmp_path / "away")
    assert marker_of(top) is None
    top.symlink_to("away")
    assert marker_of(top) is None
    top.unlink()
    top.mkdir()
    assert marker_of(top) not in (None, before)


def test_repository_config(tmp_path: Path) -> None:
    assert load_repository_config(tmp_path) == RepositoryConfig()
    (tmp_path / ".regend.toml").write_text('[ignore]\npatterns = ["a"]\n[limits]\nmax_file_bytes = 10\n')
    config = load_repository_config(tmp_path)
    assert config == RepositoryConfig(("a",), 10, None)
    assert config.apply(LimitConfig()) == LimitConfig(max_file_bytes=10)
    assert RepositoryConfig(max_file_bytes=9**9).apply(LimitConfig()) == LimitConfig(), "limits cannot be raised"


@pytest.mark.parametrize(
    "text",
    [
        "[embedding]\nurl = 'http://evil'\n",
        "url = 1",
        "ignore = 1",
        "[ignore]\npatterns = 'x'\n",
        "[ignore]\npatterns = [1]\n",
        "[ignore]\nfiles = ['x']\n",
        "[limits]\nmax_file_bytes = 0\n",
        "[limits]\nmax_line_bytes = true\n",
        "[limits]\nparse_timeout_s = 1\n",
        "[ignore",
        "x = " + "[" * 8_000,
        "[ignore]\npatterns = " + "[" * 1_500 + "]" * 1_500,
        "[ignore.patterns" + ".a" * 4_000 + "]\n",
        "[limits]\nmax_file_bytes = " + "9" * 5_000,
        "a." * 20_000 + "b = 1",
        "\ufeff\0",
    ],
    ids=lambda text: text[:30],
)
def test_other_keys_are_errors(tmp_path: Path, text: str) -> None:
    (tmp_path / ".regend.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"\.regend\.toml"):
        load_repository_config(tmp_path)


def test_repository_config_must_be_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("[ignore]\npatterns = []\n")
    (tmp_path / ".regend.toml").symlink_to("elsewhere")
    with pytest.raises(ConfigError):
        load_repository_config(tmp_path)
    (tmp_path / ".regend.toml").unlink()
    os.mkfifo(tmp_path / ".regend.toml")
    with pytest.raises(ConfigError):
        load_repository_config(tmp_path)
