"""While the daemon runs, rules beside the root change and repositories appear in it: the index is as a fresh one's."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.e2e.rig import Daemon, daemon

LIMIT_S = 8.0
TOKEN = "notarealtoken"


def git(directory: Path, *arguments: str) -> None:
    author = ("-c", "user.name=n", "-c", "user.email=e@example.invalid")
    subprocess.run(["git", "-C", str(directory), *author, *arguments], check=True, capture_output=True)


def lay(top: Path, *paths: str) -> Path:
    for path in paths:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(f"def {Path(path).stem}():\n    return 1\n")
    return top


def files(subject: Daemon, root: Path) -> list[str]:
    return [file["path"] for file in subject.call("files", root=str(root))["files"]]


def fresh_files(subject: Daemon, root: Path) -> list[str]:
    with daemon() as fresh:
        fresh.environ = {"HOME": str(subject.home), "XDG_CONFIG_HOME": str(subject.home / ".config")}
        fresh.start(root).flush()
        return files(fresh, root)


def reach(subject: Daemon, root: Path, expected: list[str], what: str) -> None:
    """Flush until the index holds these files."""
    deadline = time.monotonic() + LIMIT_S
    while subject.flush()["complete"] and files(subject, root) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    assert files(subject, root) == expected, what


def expect(subject: Daemon, root: Path, expected: list[str], what: str) -> None:
    """Flush until the index holds these files, which are those of a fresh daemon."""
    reach(subject, root, expected, what)
    assert fresh_files(subject, root) == expected, what


def test_each_rule_beside_the_root_is_followed(tmp_path: Path) -> None:
    up = tmp_path.resolve() / "up"
    root = lay(up / "repo/pkg", "app.py", "gen/api.py", "late.py", "note.py", "tmp_x.py")
    main = tmp_path.resolve() / "main"
    git(tmp_path, "init", "-q", str(main))
    with daemon() as subject:
        subject.start(root)
        expect(subject, root, ["app.py", "gen/api.py", "late.py", "note.py", "tmp_x.py"], "at the start")

        (up / "repo/.gitignore").write_text("gen/\n")
        git(up, "init", "-q", "repo")
        expect(subject, root, ["app.py", "late.py", "note.py", "tmp_x.py"], "a repository above the root")

        (subject.home / "ignore").write_text("late.py\n")
        (subject.home / ".gitconfig").write_text("[include]\n\tpath = more\n")
        (subject.home / "more").write_text("[core]\n\texcludesFile = ~/ignore\n")
        expect(subject, root, ["app.py", "note.py", "tmp_x.py"], "an included configuration")

        (up / "repo/.git/info/exclude").write_text("tmp_*\n")
        expect(subject, root, ["app.py", "note.py"], "`info/exclude`")

        (main / ".git/info/exclude").write_text("note.py\n")
        (up / "repo/.git").rename(tmp_path / "away")
        (up / "repo/.git").write_text(f"gitdir: {main}/.git\n")
        expect(subject, root, ["app.py", "tmp_x.py"], "`.git` names another directory")

        main.rename(tmp_path / "main2")
        (subject.home / "more").unlink()
        expect(subject, root, ["app.py", "gen/api.py", "late.py", "note.py", "tmp_x.py"], "that directory is gone")


def test_what_git_tracks_is_followed(tmp_path: Path) -> None:
    root = lay(tmp_path.resolve() / "root", "app.py", "build/out/kept.py", "build/out/junk.py", "old.log", "build/.env")
    (root / ".gitignore").write_text("build/\n*.log\n")
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "one")
    with daemon() as subject:
        subject.start(root)
        reach(subject, root, [".gitignore", "app.py"], "at the start")

        git(root, "checkout", "-qb", "forced")
        git(root, "add", "-f", "build/out/kept.py", "old.log", "build/.env")
        reach(subject, root, [".gitignore", "app.py", "build/out/kept.py", "old.log"], "added by force")
        said = subject.call("why", file="build/out/kept.py", root=str(root))
        assert said["state"] == "indexed"
        assert said["rule"]["line"] == 1
        assert said["reason"].endswith("`build/` in .gitignore:1 does not exclude it, because git tracks it.")
        said = subject.call("why", file="build/out", root=str(root))
        assert said["reason"] == "`build/` in .gitignore:1 excludes it, except for what git tracks in it."
        assert subject.call("why", file="build/out/junk.py", root=str(root))["state"] == "ignored"

        git(root, "commit", "-qm", "two")
        git(root, "checkout", "-q", "main")
        reach(subject, root, [".gitignore", "app.py"], "another branch")
        git(root, "checkout", "-q", "forced")
        reach(subject, root, [".gitignore", "app.py", "build/out/kept.py", "old.log"], "back again")
        git(root, "rm", "-q", "--cached", "old.log")
        expect(subject, root, [".gitignore", "app.py", "build/out/kept.py"], "no longer tracked")


def test_repositories_that_appear_bring_in_no_data_of_git(tmp_path: Path) -> None:
    root = lay(tmp_path.resolve() / "root", "app.py")
    source = lay(tmp_path.resolve() / "source", "lib.py")
    git(tmp_path, "init", "-q", str(source))
    git(source, "add", "-A")
    git(source, "commit", "-qm", "one")
    changes: list[Callable[[], object]] = [
        lambda: git(tmp_path, "clone", "-q", "--bare", str(source), str(root / "copy.git")),
        lambda: git(root / "copy.git", "config", "remote.origin.url", f"https://u:{TOKEN}@example.invalid/x.git"),
        lambda: git(
            tmp_path, "clone", "-q", "--separate-git-dir", str(root / "data"), str(source), str(root / "clone")
        ),
        lambda: git(root / "clone", "config", "remote.origin.url", f"https://u:{TOKEN}@example.invalid/x.git"),
        lambda: (root / "copy.git").rename(root / "renamed"),
    ]
    with daemon() as subject:
        subject.start(root).flush()
        for change in changes:
            change()
            subject.flush()
        expect(subject, root, ["app.py", "clone/lib.py"], "repositories made below the root")
        found = subject.call("search", query=TOKEN)["results"]
        assert not any(TOKEN in result["snippet"] for result in found)
        subject.stop()
        held = b"".join(path.read_bytes() for path in subject.state_dir.rglob("*") if path.is_file())
        assert TOKEN.encode() not in held
    assert os.path.exists(root / "renamed/HEAD")
