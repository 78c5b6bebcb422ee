"""When watching fails it shows, loses nothing, and heals: overflow, no watches left, a root gone, a dead thread."""

from __future__ import annotations

import errno
import os
import random
import shutil
import threading
import time
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyEvent, InotifyFD, Mask, WatchDescriptor, inotify_add_watch

from regend.config import WatchConfig
from regend.core.events import PathChanged, RescanNeeded, RootBusy, RootFound, RootLost
from regend.disk.repository import marker_of
from regend.types import RootId
from regend.watch.instance import Inotify
from regend.watch.observer import ObserverSystem
from tests.disk.ignore_zoo import bare_git_dir
from tests.watch.watch_rig import DEADLINE_S, ROOT, budget, check, inner, rig, state, wait_for, watched_directories


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "src" / "deep").mkdir(parents=True)
    (made / "src" / "a.py").write_text("a")
    return made


def test_real_overflow_becomes_a_rescan(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    overflow(tmp_path, top, monkeypatch)


def test_a_lane_that_is_far_behind_compares_the_root(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regend.watch.inotify.MAX_WAITING", 100)
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        made.gate.clear()  # The lane blocks in its first post, and the events after it wait.
        for n in range(300):
            (top / f"f{n}").touch()
        (top / "late").mkdir()
        made.gate.set()
        made.barrier()
        assert "" in made.rescans() and "late" in watched_directories(made)
        assert inner(made)._waiting == []


def overflow(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue_length = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        deliver = inner(made).deliver

        def late(events: list[InotifyEvent]) -> None:
            made.gate.wait(DEADLINE_S)
            deliver(events)

        monkeypatch.setattr(inner(made), "deliver", late)
        monkeypatch.setattr("regend.watch.inotify.MAX_WAITING", 10 * queue_length)
        made.gate.clear()  # The reader thread blocks with its first events, as if the machine were that slow.
        (top / "src/a.py").write_text("first")
        for n in range(queue_length // 2 + 2_500):
            (top / f"f{n}").touch()  # Two events each: created, closed. The reader may have taken one buffer.
        (top / "late").mkdir()
        (top / "late/.gitignore").write_text("x\n")
        made.gate.set()
        made.barrier()
        assert "" in made.rescans()
        assert "late" in watched_directories(made), "a directory whose event was lost is watched"
        made.events.clear()
        (top / "late/f").touch()
        made.barrier()
        assert made.paths() == {"late/f"}


def test_storm_of_files_is_covered(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        for n in range(3_000):
            (top / "src" / f"f{n}").write_text("x")
        made.barrier()
        hinted = made.paths()
        assert all(path in hinted or made.covered(path) for path in (f"src/f{n}" for n in range(3_000)))


def test_backlog_collapses_to_rescans(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies", WatchConfig(storm_paths=100)) as made:
        made.watch(top)
        made.gate.clear()  # The reader thread blocks in its first post while the others pile up.
        for n in range(3_000):
            (top / "src" / f"f{n}").touch()
        made.gate.set()
        made.barrier()
        assert "" in made.rescans()
        assert len(made.events) < 1_000


def test_budget_exhausted_polls_visibly_and_heals(tmp_path: Path, top: Path) -> None:
    config = WatchConfig(max_watches=6, poll_interval_s=5.0, reconcile_interval_s=60.0)
    with rig(tmp_path / "cookies", config) as made:
        made.watch(top)
        for n in range(10):
            (top / f"d{n}").mkdir()
        wait_for(lambda: state(made) == "polling", "polling")
        assert "max_watches" in made.watcher.health(ROOT).reason
        assert made.watcher.health(ROOT).watches == 0 and budget(made)._used == 1, "that on the cookies"
        assert "" in made.rescans()

        check(made, 100.0)
        made.events.clear()
        check(made, 104.0)
        assert made.events == []
        check(made, 105.0)
        assert made.events == [RescanNeeded(ROOT)]

        made.events.clear()
        (top / "d1/new").touch()
        made.barrier()
        assert made.covered("d1/new"), "a polled root is rescanned before a barrier passes"

        for n in range(10):
            shutil.rmtree(top / f"d{n}")
        check(made, 106.0)  # A second try failed just now, so the next comes after twice the pause.
        check(made, 116.0)
        assert state(made) == "watching" and made.watcher.health(ROOT).reason == ""


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.ENOMEM])
def test_kernel_refuses_watches(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    original = Inotify.add_callback
    calls = iter(range(100))

    def add_callback(self: Inotify, *arguments: object) -> object:
        if next(calls) >= 3:
            raise OSError(number, "injected")
        return original(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Inotify, "add_callback", add_callback)
    with rig(tmp_path / "cookies") as made:
        made.add(top)
        wait_for(lambda: state(made) == "polling", "polling")
        assert made.watcher.health(ROOT).reason
        wait_for(lambda: made.events == [RescanNeeded(ROOT)], "a rescan")


def test_kernel_refuses_an_instance(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise OSError(errno.EMFILE, "injected")

    monkeypatch.setattr(InotifyFD, "_create_inotify_fd", staticmethod(refuse))
    with rig(tmp_path / "cookies") as made:
        made.add(top)
        wait_for(lambda: state(made) == "polling", "polling")
        assert "instance limit" in made.watcher.health(ROOT).reason


def test_root_deleted_and_recreated(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        shutil.rmtree(top)
        wait_for(lambda: state(made) == "lost", "lost")
        assert RootLost(ROOT) in made.events
        made.barrier()

        (top / "src").mkdir(parents=True)
        made.barrier()
        assert RootFound(ROOT) in made.events and state(made) == "watching"
        identity = made.watcher.identity(ROOT)
        assert identity is not None and identity.marker == marker_of(top)
        made.events.clear()
        (top / "src/b.py").touch()
        made.barrier()
        assert made.covered("src/b.py")


def test_root_recreated_at_once_with_the_same_inode(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        shutil.rmtree(top)
        top.mkdir()
        (top / "first.py").touch()
        made.barrier()
        assert made.covered("first.py")
        made.events.clear()
        (top / "second.py").touch()
        made.barrier()
        assert made.covered("second.py")

        def watched_again() -> bool:
            made.watcher.check(time.monotonic())  # As the daemon does each second; a root that was lost is found so.
            watch = made.watcher._roots[ROOT].watch
            return state(made) == "watching" and watch is not None and watch.alive

        wait_for(watched_again, "watched again")


def test_root_replaced_at_random_moments(tmp_path: Path) -> None:
    """A barrier always reports what was written before it, whatever root-level upheaval is still being noticed."""
    seed = 11
    rng = random.Random(seed)
    for round_ in range(25):
        top = tmp_path / f"{round_}" / "tree"
        (top / "src").mkdir(parents=True)
        with rig(tmp_path / f"{round_}" / "cookies") as made:
            made.watch(top)
            for step in range(6):
                made.events.clear()
                roll = rng.random()
                if roll < 0.4:
                    shutil.rmtree(top)
                    (top / "src").mkdir(parents=True)
                elif roll < 0.6:
                    top.rename(tmp_path / f"{round_}" / f"away{step}")
                    top.mkdir()
                (top / f"f{step}").write_text("x")
                made.barrier()
                assert made.covered(f"f{step}") or RootFound(ROOT) in made.events, (seed, round_, step, made.events)


@pytest.mark.parametrize(
    ("place", "how"),
    [(place, "deleted") for place in ("tree", "tree/src", "tree/src/deep", "tree/.git", "cookies")]
    + [("tree/src", "moved away"), ("tree/src/deep", "moved away")],
)
def test_directory_replaced_before_its_new_watch_is_known(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch, place: str, how: str
) -> None:
    """The kernel says that a watch is gone, and only then learns the thread that asked for it of that watch.

    The new directory may have the inode number of the old one, as it has here, so nothing else tells.
    """
    monkeypatch.setattr("regend.disk.repository._marker", lambda found: f"{found.st_dev}:1")
    if place == "tree/.git":  # Elsewhere it would be compared, and so help.
        bare_git_dir(top / ".git")
    target, spare, calls = tmp_path / place, tmp_path / "spare", []

    def add_watch(descriptor: int, path: bytes, mask: Mask) -> WatchDescriptor:
        wd = inotify_add_watch(descriptor, path, mask)
        if path == os.fsencode(target) and not calls:
            calls.append(wd)
            shutil.copytree(target, spare)
            if how == "deleted":
                shutil.rmtree(target)
            else:
                target.rename(tmp_path / "away")
            shutil.copytree(spare, target)
            time.sleep(0.1)  # The reader thread takes the events of a watch that it does not know.
        return wd

    monkeypatch.setattr("regend.watch.instance.inotify_add_watch", add_watch)
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        for step in range(2):
            written = [f"{directory}f{step}" for directory in ("", "src/", "src/deep/")]
            for path in written:
                (top / path).touch()
            made.barrier()
            assert calls and set(made.events) == {PathChanged(ROOT, path) for path in written}
            if place == "tree/.git":
                (top / ".git/index.lock").touch()
                wait_for(lambda: RootBusy(ROOT, True) in made.events, "the root is busy")
                (top / ".git/index.lock").unlink()
                wait_for(lambda: RootBusy(ROOT, False) in made.events, "the root is idle")
            made.events.clear()


def test_directory_replaced_before_its_second_watch_is_known(
    tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One watch serves two roots. It goes while it is known for one of them only."""
    monkeypatch.setattr("regend.disk.repository._marker", lambda found: f"{found.st_dev}:1")
    inotifies, calls, handled = list[Inotify](), list[WatchDescriptor](), threading.Event()
    handle_event = Inotify.handle_event

    def handle(self: Inotify, event: InotifyEvent) -> None:
        handle_event(self, event)
        if event.is_ignored and event.wd in calls:
            handled.set()

    def add_watch(descriptor: int, path: bytes, mask: Mask) -> WatchDescriptor:
        wd = inotify_add_watch(descriptor, path, mask)
        if inotifies and path == os.fsencode(top / "src") and not calls:
            calls.append(wd)
            shutil.rmtree(top / "src")
            (top / "src").mkdir()
            assert handled.wait(DEADLINE_S)
        return wd

    monkeypatch.setattr(Inotify, "handle_event", handle)
    monkeypatch.setattr("regend.watch.instance.inotify_add_watch", add_watch)
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        inotifies.append(inner(made)._inotify)
        made.watch(top / "src", RootId(2))
        assert calls
        made.events.clear()
        (top / "src/f").touch()
        made.barrier()
        assert made.paths() == {"src/f"} and made.paths(RootId(2)) == {"f"}


def test_root_renamed_away_and_back(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        top.rename(tmp_path / "away")
        wait_for(lambda: state(made) == "lost", "lost")
        assert "RootFound" not in made.kinds()
        (tmp_path / "away").rename(top)
        check(made, 1.0)
        assert made.kinds().index("RootLost") < made.kinds().index("RootFound")
        assert state(made) == "watching"


def test_root_replaced_by_a_link_is_lost(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        top.rename(tmp_path / "away")
        top.symlink_to(tmp_path / "away")
        check(made, 1.0)
        assert state(made) == "lost" and "RootFound" not in made.kinds()


def test_dead_reader_is_replaced(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        reader = inner(made)._inotify
        reader.stop()
        reader.join(10)
        (top / "src/unseen.py").touch()
        check(made, 1.0)
        assert state(made) == "watching" and made.covered("src/unseen.py")
        made.events.clear()
        (top / "src/seen.py").touch()
        made.barrier()
        assert made.paths() == {"src/seen.py"}


def test_failing_handler_degrades_to_polling(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with rig(tmp_path / "cookies") as made:
        rules = made.watch(top)

        def fail(path: str, is_dir: bool) -> object:
            raise ZeroDivisionError

        monkeypatch.setattr(rules, "decide", fail)
        (top / "src/a.py").write_text("x")
        wait_for(lambda: state(made) == "polling", "polling")
        assert "ZeroDivisionError" in made.watcher.health(ROOT).reason and "" in made.rescans()


def test_reconcile_is_periodic(tmp_path: Path, top: Path) -> None:
    with rig(tmp_path / "cookies", WatchConfig(reconcile_interval_s=600)) as made:
        made.watch(top)
        for now in (0.0, 300.0, 599.0):
            check(made, now)
        assert made.events == []
        check(made, 600.0)
        assert made.events == [RescanNeeded(ROOT)]


def test_stop_ends_every_thread(tmp_path: Path, top: Path) -> None:
    before = set(threading.enumerate())
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
    wait_for(lambda: set(threading.enumerate()) <= before, "threads ended")


def test_observer_hints_and_filters(tmp_path: Path, top: Path) -> None:
    """The watch for systems without inotify, driven by watchdog's own observer."""
    (top / ".gitignore").write_text("ignored/\n")
    (top / "ignored").mkdir()
    with rig(tmp_path / "cookies", factory=lambda *_: ObserverSystem()) as made:
        made.add(top)
        wait_for(lambda: state(made) == "watching" and made.events, "started")
        made.events.clear()
        (top / "ignored/f").touch()
        (top / "src/a.py").rename(top / "src/z.py")
        wait_for(lambda: {"src/a.py", "src/z.py"} <= made.paths(), "both names")
        assert "ignored/f" not in made.paths()
        (top / "src/.gitignore").write_text("deep\n")
        wait_for(lambda: "src" in made.rescans(), "a rescan for the rules")
        made.events.clear()
        made.barrier()
        assert RescanNeeded(ROOT) in made.events, "no order here, so a barrier rescans"
        shutil.rmtree(top)
        wait_for(lambda: check(made, 1.0) is None and state(made) == "lost", "lost")


def test_unknown_root_counts_as_lost(tmp_path: Path) -> None:
    with rig(tmp_path / "cookies") as made:
        assert made.watcher.health(RootId(9)).state == "lost"
        made.watcher.remove(RootId(9))
