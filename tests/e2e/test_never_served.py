"""Roots that must not be served at all, and files of a repository that would harm the daemon that reads them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from regend.errors import RegendError
from tests.e2e.rig import daemon, wait_for

DEEP = "x = " + "[" * 10_000


def laid(top: Path) -> Path:
    top.mkdir(parents=True)
    (top / "a.py").write_text("def apple():\n    return 1\n")
    return top


def test_directories_for_secrets_and_state_are_no_roots(tmp_path: Path) -> None:
    top = tmp_path.resolve()
    with daemon() as subject:
        subject.start()
        wanted = [laid(top / name) for name in (".ssh", ".AWS/deep", "x/.gnupg")]
        wanted += [subject.state_dir, subject.state_dir / "cookies", Path("/proc/self"), Path("/sys/kernel")]
        for path in wanted:
            for force in (False, True):
                with pytest.raises(RegendError) as caught:
                    subject.call("add", path=str(path), force=force)
                assert caught.value.code == "root_error", path
        assert subject.status()["roots"] == []


def test_a_state_directory_within_a_root_is_left_alone(tmp_path: Path) -> None:
    """Named by a link, or another daemon's, which appears while the root is served."""
    root = laid(tmp_path.resolve() / "root")
    (root / "state").mkdir()
    (tmp_path / "link").symlink_to(root / "state")
    with daemon() as subject, daemon() as other:
        subject.state_dir = tmp_path / "link"
        other.state_dir = root / "other" / "state"
        subject.start(root).flush()
        other.start(root).flush()
        other.flush()

        def listed() -> list[str]:
            subject.flush()
            return [file["path"] for file in subject.call("files", root=str(root))["files"]]

        wait_for(lambda: listed() == ["a.py"], "nothing of a state directory is left in the index")
        before = subject.status()["generation"]
        time.sleep(1.0)  # An index of its own index would go on changing for ever.
        assert subject.status()["generation"] == before


def test_a_repository_file_of_many_brackets(tmp_path: Path) -> None:
    first, second = laid(tmp_path.resolve() / "first"), laid(tmp_path.resolve() / "second")
    (second / ".regend.toml").write_text(DEEP)
    with daemon() as subject:
        subject.start(first).flush()
        with pytest.raises(RegendError) as caught:
            subject.call("add", path=str(second))
        assert caught.value.code == "config_error"
        (first / ".regend.toml").write_text(DEEP)
        (first / "b.py").write_text("def banana():\n    return 2\n")
        subject.flush()
        assert subject.paths("banana")[0] == "b.py"
        found = subject.root(first)
        assert (found["state"], found["watching"]) == ("degraded", "events")
        assert "nested too deeply" in found["reason"]
        assert subject.stop() == 0
        subject.start().flush()
        assert subject.paths("banana")[0] == "b.py"
        wait_for(lambda: "nested too deeply" in subject.root(first)["reason"], "it is said again after a restart")


def test_git_files_that_make_no_sense_spoil_one_directory_at_most(tmp_path: Path) -> None:
    root = laid(tmp_path.resolve() / "root")
    for number, content in enumerate((b"gitdir: \0\xff\n", b"gitdir: /proc/self/fd/0\n", b"gitdir: " + b"a/" * 4_000)):
        (laid(root / f"sub{number}") / ".git").write_bytes(content)
    git = laid(root / "sub3") / ".git"
    git.mkdir()
    (git / "HEAD").touch()
    (git / "commondir").write_bytes(b"\0")
    for name in (".gitignore", "sub0/.regenignore"):
        os.mkfifo(root / name)
    (root / "sub1" / ".gitignore").mkdir()
    with daemon() as subject:
        subject.start(root).flush()
        assert sorted(subject.paths("apple", k=20)) == ["a.py", *(f"sub{number}/a.py" for number in range(4))]
        (root / "sub3" / "b.py").write_text("def banana():\n    return 2\n")
        subject.flush()
        assert subject.paths("banana")[0] == "sub3/b.py"
        found = subject.root(root)
        assert (found["watching"], found["reason"]) == ("events", "")
