"""Watch the roots: report what may have changed, and notice when nothing can be reported any more.

One supervising thread starts, checks, restarts and stops the watches; each watch has its own reader thread. They all
post hints and touch nothing else. A root that cannot be watched is polled, visibly; a root that is gone is reported
lost, never as empty.
"""

from __future__ import annotations

import queue
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from regend.config import WatchConfig
from regend.core.events import Event, RescanNeeded, RootFound, RootLost
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.repository import RootIdentity, identify, marker_of
from regend.errors import RegendError
from regend.types import RootId
from regend.watch.barrier import Barriers
from regend.watch.mounts import Mount, Mounts
from regend.watch.place import (
    RootWatch,
    WatchBudget,
    WatchHealth,
    WatchLimitError,
    WatchOutlets,
    WatchPlace,
    WatchState,
    is_plausible,
)

_IS_LINUX: bool = sys.platform == "linux"
if _IS_LINUX:  # With this module: a watchdog that does not fit ends the daemon's start, not one of its threads later.
    from regend.watch.inotify import InotifyRoot
else:
    from regend.watch.observer import ObserverRoot

BARRIER_LIMIT_S = 2.0
"""Maximum wait of a barrier for a watch before it falls back to a rescan. A guess: a reader thread that is a whole
second behind has so much to report that a rescan costs no more."""
_STOP_LIMIT_S = 2.0
"""How long `stop` waits for the supervising thread, which a hung file system may hold."""
_log = structlog.get_logger(__name__)
WatchFactory = Callable[[WatchPlace, WatchBudget, WatchOutlets, int], RootWatch]


@dataclass(slots=True)
class _Watched:
    """One root. Only the supervising thread changes it, except `active`."""

    root: RootId
    identity: RootIdentity
    rules: IgnoreRules
    state: WatchState = "starting"
    reason: str = ""
    watch: RootWatch | None = None
    poll_at: float | None = None
    reconcile_at: float | None = None
    active: bool = True
    mounts: frozenset[Mount] = frozenset()


def default_watch(place: WatchPlace, budget: WatchBudget, outlets: WatchOutlets, storm_paths: int) -> RootWatch:
    """Make the watch that fits this operating system."""
    if _IS_LINUX:
        return InotifyRoot(place, budget, outlets, storm_paths)
    return ObserverRoot(place, outlets)


class Watcher:
    """Owns all watches. Every method may be called from any thread and returns at once, except `stop`.

    Args:
        post: takes events, from several threads; it must not block.
        cookie_dir: an empty directory of our own for barriers.
        factory: makes the watch of a root (tests inject faults here).
    """

    def __init__(
        self,
        post: Callable[[Event], None],
        config: WatchConfig,
        cookie_dir: Path,
        factory: WatchFactory = default_watch,
    ) -> None:
        self._post = post
        self._config = config
        self._factory = factory
        self._cookie_dir = cookie_dir
        self._barriers = Barriers(cookie_dir)
        self._budget = WatchBudget(config.max_watches)
        self._mounts = Mounts()
        self._roots: dict[RootId, _Watched] = {}
        self._lock = threading.Lock()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._check_waits = False
        self._thread = threading.Thread(target=self._run, name="regend-watch", daemon=True)
        self._thread.start()

    def add(self, root: RootId, identity: RootIdentity, rules: IgnoreRules) -> None:
        """Begin to watch a root. Once its whole tree is watched, a `RescanNeeded` covers what changed meanwhile."""
        entry = _Watched(root, identity, rules)
        with self._lock:
            self._roots[root] = entry
        self._jobs.put(lambda: self._start(entry))

    def remove(self, root: RootId) -> None:
        """Stop watching a root; nothing is posted for it any more."""
        with self._lock:
            entry = self._roots.pop(root, None)
        if entry is not None:
            self._retire(entry)

    def stop(self) -> None:
        """Stop everything and wait for the threads."""
        with self._lock:
            entries = list(self._roots.values())
            self._roots.clear()
        for entry in entries:
            self._retire(entry)
        self._jobs.put(None)
        self._thread.join(_STOP_LIMIT_S)
        self._mounts.close()

    def _retire(self, entry: _Watched) -> None:
        entry.active = False
        self._barriers.rescanned(entry.root, None)
        self._jobs.put(lambda: self._halt(entry))

    def health(self, root: RootId) -> WatchHealth:
        """Report how a root is observed; an unknown root counts as lost."""
        entry = self._roots.get(root)
        if entry is None:
            return WatchHealth("lost", "the root is not watched", 0)
        watch = entry.watch
        return WatchHealth(entry.state, entry.reason, watch.watch_count if watch else 0)

    def identity(self, root: RootId) -> RootIdentity | None:
        """Return the root's identity as last seen; it changes when a lost root is found again."""
        entry = self._roots.get(root)
        return entry.identity if entry else None

    def check(self, now: float) -> None:
        """Look after all roots; to be called about every second.

        Args:
            now: monotonic seconds.
        """
        if not self._check_waits:
            self._check_waits = True
            self._jobs.put(lambda: self._check_all(now))

    def barrier(self, token: int, done: Callable[[int], None]) -> None:
        """Call `done(token)` once, after every event that the kernel queued before now has been posted.

        A root whose watch cannot prove that (polled, starting, lost, overflowed, late) is rescanned instead: its
        `RescanNeeded` is posted before `done`. `done` is called from any thread, possibly before this returns.
        """
        with self._lock:
            entries = list(self._roots.values())
        watched: list[_Watched] = []
        unwatched: list[_Watched] = []
        moved: list[_Watched] = []
        for entry in entries:
            watch = entry.watch
            marker = marker_of(entry.identity.path)
            if (
                marker != entry.identity.marker
                or (entry.state == "lost" and marker is not None)
                or self._remounted(entry)
            ):
                moved.append(entry)
            elif entry.state != "watching" or watch is None or not watch.ordered or not watch.alive:
                unwatched.append(entry)
            else:
                watched.append(entry)
        by_cookie = {entry.root for entry in watched}
        by_rescan = {entry.root for entry in (*unwatched, *moved)}
        name = self._barriers.begin(token, done, by_cookie, by_rescan, BARRIER_LIMIT_S)
        for entry in moved:
            self._jobs.put(lambda entry=entry: self._examine_for(entry, name))  # type: ignore[misc]
        for entry in unwatched:
            self._rescan_instead(entry, name)
        if not self._barriers.write(name):
            for entry in watched:
                self._rescan_instead(entry, name)
        self._barriers.settle(name)
        self._jobs.put(lambda: None)  # Wakes the supervising thread, so that it learns of a new deadline.

    # Everything below runs in the supervising thread, unless it says otherwise.

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
                # One root's surprise must not end the supervision of the others.
                _log.exception("watch_job_failed")

    def _expire(self) -> None:
        for name, late in self._barriers.overdue():
            for root in late:
                entry = self._roots.get(root)
                if entry is not None:
                    _log.warning("watch_barrier_late", root=str(entry.identity.path))
                    self._rescan_instead(entry, name)
                else:
                    self._barriers.rescanned(root, name)
            self._barriers.settle(name)

    def _rescan_instead(self, entry: _Watched, name: str | None) -> None:
        """Rescan the root, so that it no longer holds up the barrier. Any thread."""
        self._emit(entry, RescanNeeded(entry.root))
        self._barriers.rescanned(entry.root, name)

    def _examine_for(self, entry: _Watched, name: str) -> None:
        self._examine(entry)
        self._follow_mounts(entry)
        self._rescan_instead(entry, name)

    def _remounted(self, entry: _Watched) -> bool:
        """Tell whether other file systems are mounted below the root now. Any thread."""
        return entry.state == "watching" and self._mounts.below(entry.identity.path) != entry.mounts

    def _follow_mounts(self, entry: _Watched) -> None:
        if self._remounted(entry):
            mounts = self._mounts.below(entry.identity.path)
            entry.rules.refresh()
            self._resync(entry)
            entry.mounts = mounts  # Last: until then no barrier may rely on the watches.

    def _emit(self, entry: _Watched, event: Event) -> None:
        """Post an event of a root that was not removed. Any thread."""
        if entry.active:
            self._post(event)

    def _start(self, entry: _Watched) -> None:
        """Watch, or else poll. Posts the rescan that covers the time before."""
        if not entry.active:
            return
        remote = self._mounts.remote_at(entry.identity.path)
        if remote:
            self._poll(entry, f"changes on a {remote} file system are not reported here")
            return
        self._halt(entry)
        # Before the new watch is visible: while its tree is watched in part, no barrier may rely on it.
        entry.state = "starting"
        entry.mounts = self._mounts.below(entry.identity.path)
        place = WatchPlace(entry.root, entry.identity, entry.rules, self._cookie_dir)
        outlets = WatchOutlets(
            lambda event: self._emit(entry, event),
            lambda name: self._barriers.cookie_seen(entry.root, name),
            lambda reason: self._jobs.put(lambda: self._troubled(entry, watch, reason)),
            lambda: self._jobs.put(lambda: self._root_moved(entry, watch)),
        )
        watch = self._factory(place, self._budget, outlets, self._config.storm_paths)
        entry.watch = watch
        try:
            watch.start()
        except WatchLimitError as error:
            self._poll(entry, str(error))
        except OSError as error:
            if marker_of(entry.identity.path) != entry.identity.marker:
                self._examine(entry)
            else:
                self._poll(entry, f"watching failed: {error}")
        else:
            # In this order: a barrier that still finds "starting" rescans by itself, and one that finds "watching" must
            # not be answered for the watch that this one replaces.
            self._rescan_instead(entry, None)
            entry.state, entry.reason = "watching", ""

    def _halt(self, entry: _Watched) -> None:
        watch, entry.watch = entry.watch, None
        if watch is not None:
            watch.stop()

    def _poll(self, entry: _Watched, reason: str) -> None:
        _log.warning("watch_degraded_to_polling", root=str(entry.identity.path), reason=reason)
        self._halt(entry)
        entry.state, entry.reason, entry.poll_at = "polling", reason, None
        self._rescan_instead(entry, None)

    def _troubled(self, entry: _Watched, watch: RootWatch, reason: str) -> None:
        """Deal with a watch that stopped: its root may be gone, or there are too few watches."""
        if entry.active and entry.watch is watch:
            self._examine(entry)
            if entry.watch is watch:
                self._poll(entry, reason)

    def _root_moved(self, entry: _Watched, watch: RootWatch) -> None:
        """Deal with a root whose directory went away, or was another for a moment."""
        if entry.active and entry.watch is watch:
            self._examine(entry)
            if entry.watch is watch and not watch.alive:
                self._restart(entry)

    def _restart(self, entry: _Watched) -> None:
        _log.warning("watch_restarted", root=str(entry.identity.path))
        entry.rules.refresh()
        self._start(entry)

    def _check_all(self, now: float) -> None:
        self._check_waits = False
        if self._barriers.prepare():
            for entry in list(self._roots.values()):
                if entry.watch is not None:
                    entry.watch.watch_cookies()
        for entry in list(self._roots.values()):
            self._check(entry, now)

    def _check(self, entry: _Watched, now: float) -> None:
        self._examine(entry)
        if entry.state == "lost":
            return
        self._follow_mounts(entry)
        if entry.rules.refresh_if_outside_changed():
            self._resync(entry)
        if entry.reconcile_at is None:
            entry.reconcile_at = now + self._config.reconcile_interval_s
        elif now >= entry.reconcile_at:
            entry.reconcile_at = now + self._config.reconcile_interval_s
            if entry.state == "polling":
                # Watches may have become free.
                self._start(entry)
            else:
                entry.rules.refresh()
                self._resync(entry)
        if entry.state == "polling":
            if entry.poll_at is not None and now >= entry.poll_at:
                self._emit(entry, RescanNeeded(entry.root))
            if entry.poll_at is None or now >= entry.poll_at:
                entry.poll_at = now + self._config.poll_interval_s
        elif entry.watch is not None:
            if entry.watch.alive:
                entry.watch.check_busy()
            else:
                self._restart(entry)

    def _resync(self, entry: _Watched) -> None:
        if entry.watch is not None:
            try:
                entry.watch.resync("")
            except WatchLimitError as error:
                self._poll(entry, str(error))
                return
        self._emit(entry, RescanNeeded(entry.root))

    def _examine(self, entry: _Watched) -> None:
        """Compare the root's directory with the one that was added, and report a root that is gone or back."""
        path = entry.identity.path
        marker = marker_of(path)
        lost_now = entry.state != "lost" and marker != entry.identity.marker
        if lost_now:
            _log.warning("root_lost", root=str(path))
            entry.state, entry.reason = "lost", "the root directory is gone, or another one is in its place"
            self._emit(entry, RootLost(entry.root))
            self._halt(entry)
        if entry.state == "lost" and marker is not None and is_plausible(path, marker, entry.identity.marker):
            try:
                entry.identity = identify(path)
            except RegendError as error:
                entry.reason = str(error)
            else:
                _log.info("root_found", root=str(path))
                entry.rules.refresh()
                entry.state = "starting"
                self._emit(entry, RootFound(entry.root))
                self._start(entry)
                return
        if lost_now:
            self._rescan_instead(entry, None)
