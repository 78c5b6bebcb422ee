"""After a flush the index equals a fresh one, whatever changed in the tree and whether or not the system said so.

Each row of `ODD` does one strange thing to a served tree. `make test` does them one after another to one daemon;
`make test-all` each to its own, and the large ones besides.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.rig import Daemon, assert_as_fresh, daemon, wait_for
from tests.e2e.test_freshness import git, module, root, served
from tests.ledger import record

__all__ = ["root", "served"]  # Fixtures.


def time_kept(root: Path) -> None:
    """Another content of the same size, and the time of the last change put back."""
    file = root / "pkg1" / "mod5.py"
    before, text = file.stat(), file.read_text()
    file.write_text(text.replace("Thing5", "Thong5"))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def inode_reused(root: Path) -> None:
    """Another file of the same name, size, time and inode number, as far as the file system gives them out again."""
    file = root / "pkg1" / "mod9.py"
    before, text = file.stat(), file.read_text().replace("Thing9", "Thong9")
    for _ in range(50):
        file.unlink()
        file.write_text(text)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        if file.stat().st_ino == before.st_ino:
            break


def case_only_rename(root: Path) -> None:
    (root / "pkg2" / "mod10.py").rename(root / "pkg2" / "MOD10.py")
    (root / "pkg3").rename(root / "Pkg3")


def specials(root: Path) -> None:
    os.mkfifo(root / "pkg0" / "pipe.py")
    with socket.socket(socket.AF_UNIX) as made:
        here = Path.cwd()
        os.chdir(root)  # Socket paths must be short.
        try:
            made.bind("sock.py")
        finally:
            os.chdir(here)
    try:
        os.mknod(root / "null.py", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pass  # Only the superuser may; elsewhere the pipe and the socket have to do.
    file = root / "pkg0" / "mod12.py"
    file.unlink()
    os.mkfifo(file)


def links(root: Path) -> None:
    (root / "a").symlink_to("b")
    (root / "b").symlink_to("a")
    (root / "pkg0" / "up").symlink_to("..")
    (root / "self.py").symlink_to("self.py")
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "secret.py").write_text("def outside_of_the_root():\n    return 1\n")
    (root / "out").symlink_to(outside)
    (root / "out.py").symlink_to(outside / "secret.py")
    shutil.rmtree(root / "pkg1")
    (root / "pkg1").symlink_to("pkg2")
    os.link(root / "README.md", root / "hard.md")


def unreadable(root: Path) -> None:
    """The superuser reads it all the same; then it is an edit of the mode only."""
    (root / "pkg2" / "mod14.py").chmod(0)
    (root / "closed").mkdir()
    (root / "closed" / "in.py").write_text(module(70))
    (root / "closed").chmod(0)


def odd_names(root: Path) -> None:
    top = os.fsencode(root)
    for name in (
        b"bad\xff.py",
        b"line\nbreak.py",
        b" .py",
        b"-rf.py",
        b"*.py",
        b"\xc3\xa9.py",
        b"e\xcc\x81.py",
        b"q'\".py",
    ):
        with open(top + b"/" + name, "wb") as file:
            file.write(b"def f_" + name.hex().encode() + b"():\n    return 1\n")
    os.mkdir(top + b"/dir\xfe")
    with open(top + b"/dir\xfe/in.py", "wb") as file:
        file.write(b"def in_a_badly_named_directory():\n    return 1\n")


def nested(root: Path) -> None:
    git(root, "worktree", "add", "-q", str(root / "inner"), "one")
    (root / "vendored").mkdir()
    git(root / "vendored", "init", "-q")
    (root / "vendored" / ".gitignore").write_text("skipped.py\n")
    (root / "vendored" / "skipped.py").write_text(module(80))
    (root / "vendored" / "kept.py").write_text(module(81))


def clocks(root: Path) -> None:
    for name, at_s in (("mod16.py", 2_500_000_000), ("mod20.py", 1), ("mod24.py", 0)):
        file = root / "pkg0" / name
        file.write_text(file.read_text() + f"\n\ndef at_{at_s}():\n    return 1\n")
        os.utime(file, (at_s, at_s))


def kinds_change(root: Path) -> None:
    (root / "pkg0" / "mod28.py").unlink()
    (root / "pkg0" / "mod28.py").mkdir()
    (root / "pkg0" / "mod28.py" / "in.py").write_text(module(90))
    (root / "README.md").write_text("")
    shutil.rmtree(root / "pkg2")
    (root / "pkg2").write_text("not a directory any more\n")


def renamed_and_back(root: Path) -> None:
    away = root.with_name("away")
    root.rename(away)
    (away / "while_away.py").write_text(module(91))
    away.rename(root)


def storms(root: Path) -> None:
    for n in range(10):
        git(root, "checkout", "-q", "--force", "one" if n % 2 else "two")
    for n in range(600):
        built = root / "build" / f"d{n % 30}" / f"out{n}.py"
        built.parent.mkdir(parents=True, exist_ok=True)
        built.write_text(module(n))
        if n % 4 == 0:
            (root / f"installed{n % 3}").mkdir(exist_ok=True)
            (root / f"installed{n % 3}" / f"lib{n}.py").write_text(module(1_000 + n))
    shutil.rmtree(root / "installed1")


def busy_name(root: Path) -> None:
    """One name, made and removed many times, by two means."""
    file = root / "flicker.py"
    for n in range(300):
        file.write_text(module(n))
        if n % 3 == 0:
            file.unlink()
        elif n % 3 == 1:
            os.replace(file, root / "flicker2.py")


ODD: tuple[Callable[[Path], None], ...] = (
    time_kept, inode_reused, case_only_rename, specials, odd_names, clocks, unreadable, busy_name, nested, storms,
    links, kinds_change, renamed_and_back,
)  # fmt: skip


def settle_root(subject: Daemon, root: Path) -> None:
    """A root that was away is found again within a second."""
    wait_for(lambda: subject.root(root)["state"] not in ("gone", "scanning"), "the root is served")


def test_one_strange_thing_after_another(served: Daemon, root: Path) -> None:
    try:
        for change in ODD:
            change(root)
            served.flush()
        settle_root(served, root)
        assert_as_fresh(served, root, queries=10)
    finally:
        (root / "closed").chmod(0o700)
    record("watcher: strange trees", len(ODD))


@pytest.mark.parametrize(
    "change", [time_kept, *(pytest.param(change, marks=pytest.mark.slow) for change in (clocks, inode_reused))]
)
def test_what_happened_while_nobody_watched(served: Daemon, root: Path, change: Callable[[Path], None]) -> None:
    assert served.stop() == 0
    change(root)
    served.start()
    assert_as_fresh(served, root, queries=5)


@pytest.mark.slow
@pytest.mark.parametrize("change", ODD)
def test_a_strange_thing(served: Daemon, root: Path, change: Callable[[Path], None]) -> None:
    try:
        change(root)
        settle_root(served, root)
        assert_as_fresh(served, root)
    finally:
        if (root / "closed").exists():
            (root / "closed").chmod(0o700)
    record("watcher: strange trees", 1)


@pytest.mark.slow
def test_a_hundred_branch_flips(served: Daemon, root: Path) -> None:
    rng = random.Random(4)
    for n in range(100):
        git(root, "checkout", "-q", "--force", "one" if n % 2 else "two")
        if rng.random() < 0.2:
            served.paths("Thing3", sync=True)
    assert_as_fresh(served, root)
    record("watcher: branch flips", 100)


FILES = int(os.environ.get("REGEND_OVERFLOW_FILES", "50000"))
DIRECTORIES = 10_000


def tiny(n: int) -> str:
    return f"def number_{n}(item):\n    return item + {n}\n"


@pytest.mark.slow
def test_more_than_the_kernel_can_queue(tmp_path: Path) -> None:
    """The daemon stands still while 50,000 files are written; the kernel's queue holds 16,384 events."""
    root = tmp_path.resolve() / "repo"
    root.mkdir()
    with daemon() as subject:
        subject.flush_limit_s = 900.0
        subject.start(root).flush()
        subject.process.send_signal(signal.SIGSTOP)
        try:
            for n in range(FILES):
                if n % 500 == 0:
                    (root / f"d{n // 500}").mkdir()
                (root / f"d{n // 500}" / f"f{n}.py").write_text(tiny(n))
        finally:
            subject.process.send_signal(signal.SIGCONT)
        assert subject.flush()["complete"]
        assert subject.root(root)["files_indexed"] == FILES
        assert_as_fresh(subject, root, queries=5)
    record("watcher: files written behind its back", FILES)


@pytest.mark.slow
def test_ten_thousand_directories(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "repo"
    for n in range(DIRECTORIES):
        directory = root / f"a{n % 10}" / f"b{n % 100}" / f"c{n}"
        directory.mkdir(parents=True)
        (directory / "f.py").write_text(tiny(n))
    with daemon() as subject:
        subject.flush_limit_s = 600.0
        subject.start(root).flush()
        rng = random.Random(6)
        for n in rng.sample(range(DIRECTORIES), 500):
            directory = root / f"a{n % 10}" / f"b{n % 100}" / f"c{n}"
            if n % 5 == 0:
                shutil.rmtree(directory)
            else:
                (directory / "f.py").write_text(tiny(n + 1_000_000))
        (root / "a3").rename(root / "moved")
        assert_as_fresh(subject, root, queries=5)
    record("watcher: directories", DIRECTORIES)
