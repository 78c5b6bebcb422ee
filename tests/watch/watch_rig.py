"""A watcher on real directories, and what it has posted so far."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from regend.config import WatchConfig
from regend.core.events import Event, PathChanged, RescanNeeded
from regend.disk.calls import RootCalls
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.repository import identify
from regend.types import RootId
from regend.watch.inotify import InotifyRoot, InotifySystem
from regend.watch.place import WatchBudget
from regend.watch.watcher import Watcher, WatchFactory, default_watches

DEADLINE_S = 20.0
ROOT = RootId(1)


def wait_for(condition: Callable[[], object], what: str) -> None:
    """Wait until the condition holds, at most `DEADLINE_S`."""
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.005)


class Rig:
    """Collects events. `covered` asks the only question that matters: would the pipeline look at this path?"""

    def __init__(self, config: WatchConfig, cookie_dir: Path, factory: WatchFactory) -> None:
        self.events: list[Event] = []
        self.gate = threading.Event()
        self.gate.set()
        self.calls = RootCalls()
        self.watcher = Watcher(self._post, config, cookie_dir, self.calls, factory)
        self.tokens = 0

    def _post(self, event: Event) -> None:
        self.gate.wait(DEADLINE_S)
        self.events.append(event)

    def add(self, top: Path, root: RootId = ROOT, user_patterns: tuple[str, ...] = ()) -> IgnoreRules:
        identity = identify(top)
        rules = IgnoreRules(identity.path, user_patterns)
        self.watcher.add(root, identity, rules)
        return rules

    def watch(self, top: Path, root: RootId = ROOT) -> IgnoreRules:
        """Add, wait until it is watched, and forget the events of the start."""
        rules = self.add(top, root)
        wait_for(lambda: self.watcher.health(root).state == "watching", "watching")
        self.barrier()
        self.events.clear()
        return rules

    def barrier(self) -> None:
        """Pass a barrier: whatever was done before is reported when this returns."""
        self.tokens += 1
        passed: list[int] = []
        self.watcher.barrier(self.tokens, passed.append)
        wait_for(lambda: passed, "barrier")
        assert passed == [self.tokens]

    def covered(self, path: str, root: RootId = ROOT) -> bool:
        for event in list(self.events):
            if isinstance(event, PathChanged | RescanNeeded) and event.root == root:
                scope = event.path
                if scope in ("", path) or path.startswith(scope + "/"):
                    return True
        return False

    def paths(self, root: RootId = ROOT) -> set[str]:
        return {e.path for e in list(self.events) if isinstance(e, PathChanged) and e.root == root}

    def rescans(self, root: RootId = ROOT) -> list[str]:
        return [e.path for e in list(self.events) if isinstance(e, RescanNeeded) and e.root == root]

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in list(self.events)]


def inner(made: Rig) -> InotifyRoot:
    watch = made.watcher._roots[ROOT].watch
    assert isinstance(watch, InotifyRoot)
    return watch


def watched_directories(made: Rig) -> set[str]:
    return set(inner(made)._wd_of)


def check(made: Rig, now: float) -> None:
    """Run one check to its end."""
    made.watcher.check(now)
    wait_for(lambda: not made.watcher._check_waits, "the check taken up")
    taken, done = threading.Event(), threading.Event()
    made.watcher._jobs.put(taken.set)
    wait_for(taken.is_set, "the check handed out")
    made.calls.put(ROOT, done.set)
    wait_for(done.is_set, "the check done")


def budget(made: Rig) -> WatchBudget:
    system = made.watcher._system
    assert isinstance(system, InotifySystem)
    return system.budget


def state(made: Rig) -> str:
    return made.watcher.health(ROOT).state


@contextmanager
def rig(cookie_dir: Path, config: WatchConfig | None = None, factory: WatchFactory = default_watches) -> Iterator[Rig]:
    made = Rig(config or WatchConfig(), cookie_dir, factory)
    try:
        yield made
    finally:
        made.gate.set()
        made.watcher.stop()
        made.calls.close()
