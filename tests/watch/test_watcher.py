"""The watcher reports every change in a tree before a barrier passes, and does not even watch ignored paths."""

from __future__ import annotations

import ctypes
import os
import random
import shutil
from pathlib import Path

import pytest

from regend.core.events import PathChanged, RescanNeeded, RootBusy
from regend.types import RootId
from tests.disk.ignore_zoo import bare_git_dir, git
from tests.watch.watch_rig import ROOT, Rig, rig, wait_for, watched_directories


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "src" / "deep").mkdir(parents=True)
    (made / "src" / "a.py").write_text("a")
    (made / "src" / "deep" / "b.py").write_text("b")
    return made


@pytest.fixture
def seen(tmp_path: Path, top: Path):
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        yield made


def exchange(one: Path, other: Path) -> None:
    """Let two names change places in one step, as renameat2(2) does."""
    at_fdcwd, swap = -100, 2
    if ctypes.CDLL(None, use_errno=True).renameat2(at_fdcwd, os.fsencode(one), at_fdcwd, os.fsencode(other), swap):
        raise OSError(ctypes.get_errno(), "renameat2 failed")


def test_start_posts_a_rescan_once_watched(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        made.add(top)
        wait_for(lambda: made.watcher.health(ROOT).state == "watching", "watching")
        wait_for(lambda: made.events, "an event")
        assert made.events == [RescanNeeded(ROOT)]
        assert made.watcher.health(ROOT).watches == 3


CHANGES = {
    "write": (lambda t: (t / "src/a.py").write_text("new"), {"src/a.py"}),
    "append": (lambda t: (t / "src/deep/b.py").open("a").write("x"), {"src/deep/b.py"}),
    "create": (lambda t: (t / "src/new.py").touch(), {"src/new.py"}),
    "delete": (lambda t: (t / "src/a.py").unlink(), {"src/a.py"}),
    "chmod": (lambda t: (t / "src/a.py").chmod(0o600), {"src/a.py"}),
    "rename": (lambda t: (t / "src/a.py").rename(t / "src/z.py"), {"src/a.py", "src/z.py"}),
    "rename dir": (lambda t: (t / "src").rename(t / "lib"), {"src", "lib"}),
    "remove dir": (lambda t: shutil.rmtree(t / "src/deep"), {"src/deep", "src/deep/b.py"}),
    "symlink": (lambda t: (t / "link").symlink_to("src"), {"link"}),
    "new tree": (lambda t: os.makedirs(t / "p/q/r"), {"p"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_is_hinted_before_the_barrier(seen: Rig, top: Path, name: str) -> None:
    change, expected = CHANGES[name]
    change(top)
    seen.barrier()
    assert expected <= seen.paths()
    assert not seen.rescans()


def test_reading_reports_nothing(seen: Rig, top: Path) -> None:
    for file in top.rglob("*.py"):
        file.read_text()
    os.listdir(top / "src")
    seen.barrier()
    assert seen.events == []


def test_atomic_save_hints_both_names(seen: Rig, top: Path) -> None:
    (top / "src/.a.py.swp").write_text("new")
    (top / "src/.a.py.swp").replace(top / "src/a.py")
    seen.barrier()
    assert {"src/.a.py.swp", "src/a.py"} <= seen.paths()


def test_save_from_outside_the_tree(seen: Rig, top: Path, tmp_path: Path) -> None:
    (tmp_path / "outside").write_text("new")
    (tmp_path / "outside").replace(top / "src/a.py")
    seen.barrier()
    assert seen.paths() == {"src/a.py"}


def test_directory_moved_in_is_watched_and_moved_out_is_not(seen: Rig, top: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "x" / "y").mkdir(parents=True)
    outside.rename(top / "in")
    seen.barrier()
    assert seen.covered("in/x/y")
    seen.events.clear()
    (top / "in/x/y/f").touch()
    seen.barrier()
    assert seen.covered("in/x/y/f")

    (top / "in").rename(tmp_path / "out")
    seen.barrier()
    assert seen.covered("in/x/y/f"), "the old path is hinted, which deletes by prefix"
    seen.events.clear()
    (tmp_path / "out/x/y/f").write_text("not ours any more")
    seen.barrier()
    assert seen.events == []
    assert not any(path.startswith("in") for path in watched_directories(seen))


def test_renamed_directory_reports_its_new_path(seen: Rig, top: Path) -> None:
    (top / "src").rename(top / "lib")
    seen.barrier()
    seen.events.clear()
    (top / "lib/deep/b.py").write_text("new")
    seen.barrier()
    assert seen.paths() == {"lib/deep/b.py"}
    assert watched_directories(seen) == {"", "lib", "lib/deep"}


def test_directories_that_change_places_are_watched_where_they_are(seen: Rig, top: Path) -> None:
    for place in ("one/below", "other/below/deeper"):
        (top / place).mkdir(parents=True)
    seen.barrier()
    seen.events.clear()
    exchange(top / "one", top / "other")
    seen.barrier()
    assert seen.covered("one") and seen.covered("other")
    directories = {"one", "one/below", "one/below/deeper", "other", "other/below"}
    assert watched_directories(seen) == {"", "src", "src/deep", *directories}
    for place in directories:
        seen.events.clear()
        (top / place / "new.py").touch()
        seen.barrier()
        assert seen.paths() == {f"{place}/new.py"}


def test_links_are_not_followed(seen: Rig, top: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "sub").mkdir(parents=True)
    (top / "link").symlink_to(tmp_path / "elsewhere")
    seen.barrier()
    seen.events.clear()
    (tmp_path / "elsewhere/sub/f").touch()
    seen.barrier()
    assert seen.events == []


def test_name_that_is_not_utf8_rescans_its_directory(seen: Rig, top: Path) -> None:
    (top / "src" / os.fsdecode(b"bad\xff.py")).touch()
    os.mkdir(os.fsencode(top) + b"/dir\xff")
    seen.barrier()
    assert set(seen.rescans()) <= {"src", ""} and seen.covered("src/x")


def test_watches_equal_the_directories_that_are_not_ignored(tmp_path: Path) -> None:
    top = tmp_path / "tree"
    for n in range(40):
        (top / "node_modules" / f"p{n}" / "lib").mkdir(parents=True)
        (top / "src" / f"m{n}").mkdir(parents=True)
    (top / "src/m3/build/x").mkdir(parents=True)
    (top / ".gitignore").write_text("node_modules/\nbuild\n")
    bare_git_dir(top / ".git")
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        assert watched_directories(made) == {"", "src"} | {f"src/m{n}" for n in range(40)}
        assert made.watcher.health(ROOT).watches == 42 + 1  # The git directory.
        (top / "node_modules/p1/index.js").touch()
        (top / "node_modules/new").mkdir()
        (top / "src/m3/build/out.o").touch()
        (top / "build").write_text("a file may be ignored, too")
        (top / ".env").write_text("SECRET=1")
        (top / ".git/HEAD").write_text("ref: refs/heads/other\n")
        made.barrier()
        assert made.events == []


def test_changed_rules_change_the_watches_and_rescan(seen: Rig, top: Path) -> None:
    (top / "src/.gitignore").write_text("deep/\n")
    seen.barrier()
    assert seen.rescans() and set(seen.rescans()) == {"src"}
    assert watched_directories(seen) == {"", "src"}
    seen.events.clear()
    (top / "src/deep/b.py").write_text("ignored now")
    seen.barrier()
    assert seen.events == []
    (top / "src/.gitignore").unlink()
    seen.barrier()
    assert watched_directories(seen) == {"", "src", "src/deep"}
    assert seen.covered("src/deep/b.py")
    seen.events.clear()
    (top / "src/deep/b.py").write_text("seen again")
    seen.barrier()
    assert seen.paths() == {"src/deep/b.py"}


def test_global_excludes_are_noticed_by_check(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with rig(tmp_path / "cookies") as made:
        rules = made.watch(top)
        (tmp_path / "xdg/git").mkdir(parents=True)
        (tmp_path / "xdg/git/ignore").write_text("deep\n")
        made.watcher.check(1.0)
        wait_for(lambda: made.rescans() == [""], "a rescan")
        assert rules.decide("src/deep", True).ignored
        assert watched_directories(made) == {"", "src"}


def test_directories_with_tracked_files_are_watched_while_they_have_some(tmp_path: Path, top: Path) -> None:
    (top / "build/deep/down").mkdir(parents=True)
    (top / "build/other").mkdir()
    (top / "build/deep/down/kept.c").write_text("")
    (top / ".gitignore").write_text("build/\n")
    git(top, "init", "-q", home=tmp_path)
    with rig(tmp_path / "cookies") as made:
        rules = made.watch(top)
        assert "build" not in watched_directories(made)
        git(top, "add", "-f", "build/deep/down/kept.c", home=tmp_path)
        made.barrier()
        assert made.covered("build/deep/down/kept.c")
        assert watched_directories(made) >= {"build", "build/deep", "build/deep/down"}
        assert "build/other" not in watched_directories(made)
        made.events.clear()
        (top / "build/deep/down/kept.c").write_text("edited")
        (top / "build/deep/down/junk.c").write_text("")
        made.barrier()
        assert made.paths() == {"build/deep/down/kept.c"}
        git(top, "rm", "-q", "-f", "--cached", "build/deep/down/kept.c", home=tmp_path)
        made.barrier()
        assert set(made.rescans()) == {""}
        assert rules.decide("build", True).ignored
        assert "build" not in watched_directories(made)


def test_git_lock_makes_the_root_busy(tmp_path: Path, top: Path) -> None:
    bare_git_dir(top / ".git")
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        (top / ".git/index.lock").touch()
        made.barrier()
        assert made.events == [RootBusy(ROOT, True)]
        (top / "src/a.py").write_text("checked out")
        (top / ".git/index.lock").rename(top / ".git/index")
        made.barrier()
        # A path may be hinted once for each read of the kernel's queue.
        assert list(dict.fromkeys(made.events)) == [
            RootBusy(ROOT, True),
            PathChanged(ROOT, "src/a.py"),
            RootBusy(ROOT, False),
        ]


def test_two_roots_are_told_apart(seen: Rig, top: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    seen.watch(other, RootId(2))
    (other / "f").touch()
    (top / "g").touch()
    seen.barrier()
    assert seen.paths() == {"g"} and seen.paths(RootId(2)) == {"f"}
    seen.watcher.remove(RootId(2))
    (other / "h").touch()
    seen.barrier()
    assert seen.paths(RootId(2)) == {"f"}
    assert seen.watcher.health(RootId(2)).state == "lost"


def test_random_edits_are_all_covered(seen: Rig, top: Path) -> None:
    """After each burst, every path that differs from before lies under some hint."""
    rng = random.Random(7)

    def listing() -> dict[str, tuple[bool, int, int]]:
        found = {}
        for path in top.rglob("*"):
            stat = path.lstat()
            found[path.relative_to(top).as_posix()] = (
                path.is_dir(),
                stat.st_ino,
                stat.st_mtime_ns if path.is_file() else 0,
            )
        return found

    for burst in range(60):
        before = listing()
        for step in range(rng.randint(1, 12)):
            everything = sorted(listing())
            directories = ["", *(p for p, (is_dir, _, _) in sorted(listing().items()) if is_dir)]
            at = top / rng.choice(directories) / f"n{rng.randrange(30)}"
            roll = rng.random()
            victim = top / rng.choice(everything) if everything else at
            if roll < 0.35:
                if not at.is_dir():
                    at.write_text(f"{burst} {step}")
            elif roll < 0.55:
                os.makedirs(at / f"s{rng.randrange(9)}", exist_ok=True) if not at.is_file() else None
            elif roll < 0.75:
                shutil.rmtree(victim) if victim.is_dir() else victim.unlink(missing_ok=True)
            elif not at.exists() and not at.is_relative_to(victim):
                victim.rename(at)
            elif at.exists() and not (at.is_relative_to(victim) or victim.is_relative_to(at)):
                exchange(at, victim)
        seen.barrier()
        after = listing()
        different = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
        missed = {path for path in different if not seen.covered(path)}
        assert not missed, f"burst {burst}"
        directories = {path for path, (is_dir, _, _) in after.items() if is_dir}
        assert watched_directories(seen) == {"", *directories}, f"burst {burst}"
        seen.events.clear()
