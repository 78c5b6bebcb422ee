"""Two things that need a namespace: a root whose mount goes away, and a kernel that has no watches left.

Each test runs itself once more, in new namespaces made by unshare(1), and is skipped where the machine forbids them.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.rig import Daemon, assert_as_fresh, daemon, wait_for
from tests.e2e.test_freshness import module
from tests.ledger import record

INSIDE = "REGEND_TEST_INSIDE"
LIMIT_S = 120.0
Test = Callable[[Path], None]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")


def inside(*options: str, check: str) -> Callable[[Test], Test]:
    """Run a test in new namespaces; `check` is the shell command that has to work there."""

    def wrap(test: Test) -> Test:
        @functools.wraps(test)
        def run(tmp_path: Path) -> None:
            if os.environ.get(INSIDE) == test.__name__:
                test(tmp_path.resolve())
                return
            unshare = ["unshare", *options]
            try:
                tried = subprocess.run([*unshare, "sh", "-ec", check], cwd=tmp_path, capture_output=True, text=True)
            except FileNotFoundError:
                pytest.skip("unshare(1) is not installed")
            if tried.returncode:
                pytest.skip(f"this machine forbids `unshare {' '.join(options)}` or `{check}`: {tried.stderr.strip()}")
            pytest_ = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-m", ""]
            pytest_ += ["--basetemp", str(tmp_path / "inside"), f"{__file__}::{test.__name__}"]
            environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
            done = subprocess.run(
                [*unshare, *pytest_], env=environ | {INSIDE: test.__name__}, capture_output=True, text=True,
                timeout=LIMIT_S,
            )  # fmt: skip
            assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]

        return run

    return wrap


def shell(*command: str | Path) -> None:
    subprocess.run(command, check=True, capture_output=True)


def unmount(place: Path) -> None:
    """Unmount as a user does, without force: no process may have a file open there."""

    def done() -> bool:
        return subprocess.run(["umount", place], capture_output=True).returncode == 0

    wait_for(done, f"{place} can be unmounted")


def fill(root: Path, first: int, count: int) -> None:
    for n in range(first, first + count):
        (root / f"pkg{n % 3}").mkdir(parents=True, exist_ok=True)
        (root / f"pkg{n % 3}" / f"mod{n}.py").write_text(module(n))


def change(root: Path) -> None:
    (root / "pkg0" / "mod0.py").unlink()
    (root / "pkg1" / "mod1.py").write_text(module(1, " + while_away"))
    (root / "pkg2" / "new.py").write_text(module(77))


def held(directory: Path) -> Path:
    """A file system of its own, with twelve files in `repo`, that stays mounted in another place."""
    hold = directory / "hold"
    hold.mkdir()
    shell("mount", "-t", "tmpfs", "tmpfs", hold)
    fill(hold / "repo", 0, 12)
    return hold


def assert_kept(subject: Daemon, root: Path, files: int) -> None:
    """It is said to be away, and what was indexed is still there and not called complete."""
    wait_for(lambda: subject.root(root)["watching"] == "nothing", "the root is not watched")
    found = subject.root(root)
    assert (found["state"], found["files_indexed"]) == ("gone", files)
    assert found["reason"]
    answer = subject.call("search", query="Thing5", k=5)
    assert answer["results"][0]["path"] == "pkg2/mod5.py"
    assert not answer["complete"]


def away_and_back(directory: Path, mounted: str, root: Path) -> None:
    hold, place = held(directory), directory / "place"
    place.mkdir()
    shell("mount", "--bind", hold / mounted, place)
    with daemon() as subject:
        subject.start(root).flush()
        assert subject.root(root)["files_indexed"] == 12
        unmount(place)
        assert_kept(subject, root, 12)
        change(hold / "repo")
        shell("mount", "--bind", hold / mounted, place)
        assert_as_fresh(subject, root, queries=10)
        assert subject.root(root)["files_indexed"] == 12

        # And with a start while it is away.
        unmount(place)
        wait_for(lambda: subject.root(root)["state"] == "gone", "the root is said to be gone")
        subject.stop()
        subject.start()
        assert_kept(subject, root, 12)
        fill(hold / "repo", 20, 5)
        shell("mount", "--bind", hold / mounted, place)
        assert_as_fresh(subject, root, queries=10)
        assert subject.root(root)["files_indexed"] == 17
    record("watcher: mounts that went and came back", 2)


MOUNTS = ("-m", "--propagation", "private")
MOUNTING = "mkdir m && mount -t tmpfs tmpfs m && mount --bind m m && umount m && umount m && rmdir m"


@inside(*MOUNTS, check=MOUNTING)
def test_the_root_is_a_mount_that_goes_away(tmp_path: Path) -> None:
    away_and_back(tmp_path, "repo", tmp_path / "place")


@pytest.mark.slow
@inside(*MOUNTS, check=MOUNTING)
def test_the_root_is_below_a_mount_that_goes_away(tmp_path: Path) -> None:
    away_and_back(tmp_path, ".", tmp_path / "place" / "repo")


@inside(*MOUNTS, check=MOUNTING)
def test_a_mount_inside_the_root_goes_away(tmp_path: Path) -> None:
    """The daemon serves the mounted files, not those below the mount."""
    hold, root = held(tmp_path), tmp_path / "root"
    fill(root, 30, 6)
    inner = root / "inner"
    fill(inner, 50, 3)
    with daemon() as subject:
        subject.start(root).flush()
        for _ in range(2):
            shell("mount", "--bind", hold / "repo", inner)
            assert_as_fresh(subject, root, queries=5)
            assert subject.root(root)["files_indexed"] == 18
            (inner / "pkg0" / "mod3.py").write_text(module(3, " + 1"))
            assert_as_fresh(subject, root, queries=5)
            unmount(inner)
            assert_as_fresh(subject, root, queries=5)
            assert subject.root(root)["files_indexed"] == 9
    record("watcher: mounts that went and came back", 2)


WATCHES = 40
MAX_WATCHES = Path("/proc/sys/user/max_inotify_watches")


@inside("-U", "-r", "-m", check="mkdir a b && mount --bind a b && umount b && rmdir a b")
@pytest.mark.slow
def test_a_directory_that_is_mounted_twice(tmp_path: Path) -> None:
    """One directory at two places of a root: its events come once, and name neither."""
    root = tmp_path / "repo"
    for name in ("src", "copy", "src/below"):
        (root / name).mkdir(parents=True)
    (root / "src/a.py").write_text(module(1))
    shell("mount", "--bind", root / "src", root / "copy")
    with daemon() as subject:
        subject.start(root).flush()
        assert set(subject.paths("Thing1")) == {"copy/a.py", "src/a.py"}
        for n, place in enumerate(("src", "copy", "src/below", "copy/below"), 2):
            (root / place / "a.py").write_text(module(n))
            subject.flush()
            twin = place.replace("src", "copy") if "src" in place else place.replace("copy", "src")
            assert {f"{place}/a.py", f"{twin}/a.py"} <= set(subject.paths(f"Thing{n}")), place
        shell("umount", root / "copy")
        assert_as_fresh(subject, root, queries=5)
    record("watcher: mounts that went and came back", 1)


@inside("-U", "-r", "-m", check="touch a b && mount --bind a b && umount b && rm a b")
@pytest.mark.slow
def test_a_single_file_that_is_mounted(tmp_path: Path) -> None:
    """The kernel reports its changes in the directory that it comes from, whichever name they are made under."""
    root, outside = tmp_path / "repo", tmp_path / "outside.py"
    root.mkdir()
    (root / "a.py").touch()
    outside.write_text(module(1))
    shell("mount", "--bind", outside, root / "a.py")
    with daemon() as subject:
        subject.start(root).flush()
        for n, name in enumerate((root / "a.py", outside, root / "a.py"), 1):
            name.write_text(module(n))
            subject.flush()
            assert subject.paths(f"Thing{n}") == ["a.py"], name
        shell("umount", root / "a.py")
        assert_as_fresh(subject, root, queries=5)
    record("watcher: mounts that went and came back", 1)


@inside("-U", "-r", check=f"echo {WATCHES} > {MAX_WATCHES}")
def test_the_kernel_has_no_watches_left(tmp_path: Path) -> None:
    """The limit is that of a user namespace, so the daemon meets it as a user does."""
    MAX_WATCHES.write_text(f"{WATCHES}\n")
    root = tmp_path / "repo"
    for n in range(30):
        (root / f"dir{n}").mkdir(parents=True)
        (root / f"dir{n}" / "file.py").write_text(module(n))
    with daemon("[watch]\npoll_interval_s = 1.0\nreconcile_interval_s = 60.0\n") as subject:
        subject.start(root)
        # Before the fresh daemon comes, which draws on the same limit.
        wait_for(lambda: subject.root(root)["watching"] == "events", "it is told of changes")
        assert_as_fresh(subject, root, queries=5)
        assert subject.root(root)["watching"] == "events"
        for n in range(30, 60):  # The limit is met while the tree grows.
            (root / f"dir{n}").mkdir()
            (root / f"dir{n}" / "file.py").write_text(module(n))
        assert_as_fresh(subject, root, queries=5)
        wait_for(lambda: subject.root(root)["watching"].startswith("polled"), "it says that it polls")
        wait_for(lambda: subject.root(root)["state"] != "indexing", "it has read what came")
        said = subject.root(root)
        assert said["state"] == "degraded" and "max_user_watches" in said["reason"], said
        for n in range(0, 60, 7):  # The daemon hears nothing of these.
            (root / f"dir{n}" / "file.py").write_text(module(n, " + unseen"))
        shutil.rmtree(root / "dir3")
        (root / "dir4").rename(root / "moved")
        assert_as_fresh(subject, root, queries=5)
        (root / "dir5" / "polled.py").write_text(module(90))
        wait_for(lambda: "dir5/polled.py" in subject.paths("Thing90"), "a change is found by polling")
        # From the start on, too.
        subject.stop()
        subject.start()
        assert_as_fresh(subject, root, queries=5)
        wait_for(lambda: subject.root(root)["watching"].startswith("polled"), "it polls again")
    record("watcher: no watches left in the kernel", 3)
