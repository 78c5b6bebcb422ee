"""Watches all roots: answers barriers, looks after each root in turn, and notices roots whose file system hangs.

One thread supervises and makes no file call on a root: those run in the root's own lane (`root`), so a file system that
does not answer holds up its own root only. A root that cannot be watched is polled, visibly; a root that is gone is
reported lost, never as empty.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from regend.config import WatchConfig
from regend.core.events import Event
from regend.disk.calls import RootCalls
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.linked import LinkedFiles
from regend.disk.repository import RootIdentity
from regend.types import RootId
from regend.watch.barrier import Barriers
from regend.watch.mounts import Mounts
from regend.watch.place import WatchHealth, WatchLimitError, WatchSystem
from regend.watch.root import Shared, WatchedRoot

_IS_LINUX: bool = sys.platform == "linux"
if _IS_LINUX:  # With this module: a watchdog that does not fit ends the daemon's start, not one of its threads later.
    from regend.watch.inotify import InotifySystem
else:
    from regend.watch.observer import ObserverSystem

BARRIER_LIMIT_S = 2.0
"""Maximum wait of a barrier for a watch before it falls back to a rescan. A guess: a lane that is two whole seconds
behind has so much to report that a rescan costs no more."""
CHECKS_PER_S = 16
"""Maximum roots that are looked after in a second: with more, each has its turn less often."""
_STILL_S = 3.0
"""Delay of a check that means that this process stood still, and the calls in progress with it."""
_STOP_LIMIT_S = 2.0
"""How long `stop` waits for the roots' lanes, which a hung file system may hold."""
_log = structlog.get_logger(__name__)
WatchFactory = Callable[[WatchConfig, Path, Callable[[str], None], Callable[[str], None]], WatchSystem]
"""Makes the watches from the configuration, the cookie directory, and what to call with the name of a cookie that was
seen, and with the reason why all watches failed."""


def default_watches(
    config: WatchConfig, cookie_dir: Path, cookie: Callable[[str], None], failed: Callable[[str], None]
) -> WatchSystem:
    """Make the watches that fit this operating system."""
    if _IS_LINUX:
        return InotifySystem(config.max_watches, config.storm_paths, cookie_dir, cookie, failed)
    return ObserverSystem()


class Watcher:
    """Owns all watches. Every method may be called from any thread and returns at once, except `stop`.

    Args:
        post: takes events, from several threads; it must not block.
        cookie_dir: an empty directory of our own for barriers.
        calls: runs the file calls on roots.
        factory: makes the watches (tests inject faults here).

    Attributes:
        linked: the names of files that have several; scans fill it.
    """

    def __init__(
        self,
        post: Callable[[Event], None],
        config: WatchConfig,
        cookie_dir: Path,
        calls: RootCalls,
        factory: WatchFactory = default_watches,
    ) -> None:
        self.linked = LinkedFiles()
        self.poll_interval_s = config.poll_interval_s
        self._calls = calls
        self._barriers = Barriers(cookie_dir)
        self._system = factory(config, cookie_dir, self._cookie_seen, self._failed)
        self._mounts = Mounts()
        self._shared = Shared(config, calls, self._barriers, self._mounts, self._system, post, self.linked)
        self._roots: dict[RootId, WatchedRoot] = {}
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._check_waits = False
        self._cookies_due = False
        self._checked_at = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="regend-watch", daemon=True)
        self._thread.start()

    def add(self, root: RootId, identity: RootIdentity, rules: IgnoreRules, is_lost: bool = False) -> None:
        """Begin to watch a root. Once its whole tree is watched, a `RescanNeeded` covers what changed meanwhile.

        Args:
            is_lost: the core was told that the root is lost, and is told `RootFound` when the root answers.
        """
        entry = WatchedRoot(self._shared, root, identity, rules)
        with self._lock:
            self._roots[root] = entry
        entry.in_turn(entry.come_back if is_lost else entry.start)

    def remove(self, root: RootId) -> None:
        """Stop watching a root; nothing is posted for it any more."""
        with self._lock:
            entry = self._roots.pop(root, None)
        if entry is not None:
            entry.retire()
        self.linked.forget(root)

    def look_again(self, root: RootId) -> None:
        """Take a root for lost, as the core does, and post `RootFound` once its directory is seen."""
        entry = self._roots.get(root)
        if entry is not None:
            entry.in_turn(entry.come_back)

    def stop(self) -> None:
        """Stop everything and wait for the threads that no file system holds."""
        with self._lock:
            entries = list(self._roots.values())
            self._roots.clear()
        hung, ended = self._calls.hung(), threading.Semaphore(0)
        for entry in entries:
            entry.retire()
            self._calls.put(entry.root, ended.release)
        until = time.monotonic() + _STOP_LIMIT_S
        for _ in range(sum(entry.root not in hung for entry in entries)):
            ended.acquire(timeout=max(0.0, until - time.monotonic()))
        self._jobs.put(None)
        self._thread.join(_STOP_LIMIT_S)
        self._system.close()
        self._mounts.close()

    def health(self, root: RootId) -> WatchHealth:
        """Report how a root is observed; an unknown root counts as lost."""
        entry = self._roots.get(root)
        return WatchHealth("lost", "the root is not watched", 0) if entry is None else entry.health()

    def identity(self, root: RootId) -> RootIdentity | None:
        """Return the root's identity as last seen; it changes when a lost root is found again."""
        entry = self._roots.get(root)
        return entry.identity if entry else None

    def mount_of(self, path: Path) -> str:
        """Return the mount point of the file system that holds `path`, by name; empty if unknown."""
        return self._mounts.over(path)

    def check(self, now: float, paused_s: float = 0.0) -> None:
        """Look after all roots; to be called about every second, or less often while nothing happens.

        Args:
            now: monotonic seconds.
            paused_s: how long the caller meant to wait since the last check.
        """
        if not self._check_waits:
            self._check_waits = True
            self._jobs.put(partial(self._check_all, now, paused_s))

    def barrier(self, token: int, done: Callable[[int], None]) -> None:
        """Call `done(token)` once, after every event that the kernel queued before now has been posted.

        A root whose watch cannot prove that (polled, starting, lost, overflowed, late) is rescanned instead: its
        `RescanNeeded` is posted before `done`. A root that hangs is left out. `done` is called from any thread.
        """
        self._jobs.put(partial(self._begin, token, done))

    # The supervising thread.

    def _run(self) -> None:
        while True:
            deadline = self._barriers.next_deadline()
            try:
                job = self._jobs.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                self._expire()
                continue
            if job is None:
                return
            try:
                job()
            except Exception:
                # One job's surprise must not end the supervision.
                _log.exception("watch_job_failed")

    def _entries(self) -> list[WatchedRoot]:
        with self._lock:
            return list(self._roots.values())

    def _begin(self, token: int, done: Callable[[int], None]) -> None:
        """Open a barrier: let each root look at itself, then write the cookie."""
        entries = [entry for entry in self._entries() if not entry.hung]
        name = self._barriers.begin(token, done, {entry.root for entry in entries}, BARRIER_LIMIT_S)
        for entry in entries:
            entry.in_turn(partial(entry.look, name))
        if not self._barriers.write(name):
            for entry in entries:
                entry.in_turn(partial(entry.rescan_instead, name))
        self._barriers.settle(name)

    def _expire(self) -> None:
        hung = self._calls.hung()
        for name, late in self._barriers.overdue():
            for root in late:
                entry = self._roots.get(root)
                if entry is None:
                    self._barriers.passed(root, name)
                elif root in hung:
                    entry.hang()
                else:
                    _log.warning("watch_barrier_late", root=str(entry.identity.path))
                    entry.rescan_instead(name)
            self._barriers.settle(name)

    def _check_all(self, now: float, paused_s: float) -> None:
        self._check_waits = False
        self._cookies_due |= self._barriers.prepare()
        if self._cookies_due:
            try:
                self._system.watch_cookies()
                self._cookies_due = False
            except (OSError, WatchLimitError) as error:  # Barriers rescan meanwhile; the next check tries again.
                _log.warning("cookies_not_watched", reason=str(error))
        before, self._checked_at = self._checked_at, time.monotonic()
        if self._checked_at - before > _STILL_S + paused_s:
            self._calls.forgive()
        hung, entries = self._calls.hung(), self._entries()
        for entry in entries:
            if entry.root in hung:
                entry.hang()
            elif entry.hung and not entry.checking:
                entry.checking = True
                entry.in_turn(entry.come_back)
            elif now >= entry.check_at and not entry.checking:
                entry.checking, entry.check_at = True, now + len(entries) // CHECKS_PER_S
                entry.in_turn(partial(entry.check, now))

    # The inotify reader, which must not wait.

    def _cookie_seen(self, name: str) -> None:
        for root in self._barriers.waiting(name):
            entry = self._roots.get(root)
            if entry is not None:
                entry.in_turn(partial(entry.answer, name))

    def _failed(self, reason: str) -> None:
        for entry in self._entries():
            entry.in_turn(partial(entry.troubled, entry.watch, reason))
