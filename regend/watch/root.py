"""One watched root: starts its watch, notices what no event tells, polls what cannot be watched.

All of this runs in the root's lane (`disk.calls`), where a file system that hangs holds up nothing else. Each failure
ends in a rescan, never in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from regend.config import WatchConfig
from regend.core.events import Event, PathChanged, RescanNeeded, RootFound, RootLost
from regend.disk.calls import RootCalls
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.linked import LinkedFiles
from regend.disk.repository import RootIdentity, identify, marker_of
from regend.errors import RegendError
from regend.types import RootId
from regend.watch.barrier import Barriers
from regend.watch.mounts import Mount, Mounts
from regend.watch.place import (
    RootWatch,
    WatchHealth,
    WatchLimitError,
    WatchOutlets,
    WatchPlace,
    WatchState,
    WatchSystem,
    describe_absence,
    is_plausible,
)

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Shared:
    """The parts that all roots share."""

    config: WatchConfig
    calls: RootCalls
    barriers: Barriers
    mounts: Mounts
    system: WatchSystem
    post: Callable[[Event], None]
    linked: LinkedFiles


@dataclass(slots=True, eq=False)
class WatchedRoot:
    """One root. Only its lane changes it, except what the supervising thread sets: `active`, `hung`, `checking`.

    Attributes:
        polled: places that are looked at every `poll_interval_s`, with the reason; ``""`` is the whole root.
        retry_at, retry_s: when to try again to watch a root that could not be watched, and the pause before it.
        check_at: when the next check is due (monotonic seconds, as all times here).
        hung: its file system does not answer; the core was told that the root is lost.
        checking: a check waits or runs.
    """

    shared: Shared
    root: RootId
    identity: RootIdentity
    rules: IgnoreRules
    state: WatchState = "starting"
    reason: str = ""
    watch: RootWatch | None = None
    polled: Mapping[str, str] = field(default_factory=dict)
    poll_at: float | None = None
    retry_at: float | None = None
    retry_s: float = 0.0
    reconcile_at: float | None = None
    check_at: float = 0.0
    active: bool = True
    hung: bool = False
    checking: bool = False
    mounts: frozenset[Mount] = frozenset()

    # Any thread.

    def health(self) -> WatchHealth:
        """Report how the root is observed."""
        watch = self.watch
        if self.hung:
            return WatchHealth("hung", "its file system does not answer", 0)
        watches, unwatched = (0, {}) if watch is None else (watch.watch_count, dict(watch.unwatched))
        return WatchHealth(self.state, self.reason, watches, self.polled, unwatched)

    def emit(self, event: Event) -> None:
        """Post an event, unless the root was removed; a hint for a file is one for all its names."""
        if not self.active:
            return
        self.shared.post(event)
        if isinstance(event, PathChanged):
            place = f"{self.identity.path}/{event.path}"
            for root, path in self.shared.linked.others(self.root, event.path, place):
                self.shared.post(PathChanged(root, path))

    def rescan_instead(self, name: str | None) -> None:
        """Rescan the root, so that it no longer holds up a barrier (None: any)."""
        self.emit(RescanNeeded(self.root))
        self.shared.barriers.passed(self.root, name)

    def in_turn(self, job: Callable[[], None]) -> None:
        """Run a job in the root's lane. If it raises, the watch is taken for broken."""
        self.shared.calls.put(self.root, lambda: self._do(job))

    def retire(self) -> None:
        """Stop watching; nothing is posted any more."""
        self.active = False
        self.shared.barriers.passed(self.root, None)
        self.shared.calls.put(self.root, self._halt)

    def hang(self) -> None:
        """Hold a root whose file system does not answer: nothing waits for it, and nothing is concluded."""
        if not self.hung:
            _log.warning("root_hangs", root=str(self.identity.path))
            self.hung = True
            self.emit(RootLost(self.root))
        self.shared.barriers.passed(self.root, None)

    # The root's lane.

    def _do(self, job: Callable[[], None]) -> None:
        if not self.active:
            return
        watch = self.watch
        try:
            job()
        except WatchLimitError as error:
            self.troubled(watch, str(error))
        except Exception as error:
            _log.exception("watch_job_failed", root=str(self.identity.path))
            self.troubled(watch, f"it failed: {error!r}")

    def start(self) -> None:
        """Watch, or else poll. Posts the rescan that covers the time before."""
        self._halt()
        # Before the new watch is visible: while its tree is watched in part, no barrier may rely on it.
        self.state = "starting"
        self._see_mounts()
        place = WatchPlace(self.root, self.identity, self.rules)
        outlets = WatchOutlets(
            self.emit,
            lambda call: self.in_turn(lambda: call() if self.watch is watch else None),
            lambda: self.in_turn(lambda: self._root_moved(watch)),
        )
        try:
            watch = self.shared.system.watch(place, outlets)
            self.watch = watch
            watch.start()
        except WatchLimitError as error:
            self._poll(str(error), self.shared.config.reconcile_interval_s)
        except OSError as error:
            if self._is_elsewhere():
                self._examine()
            else:
                reason = f"watching failed: {error.strerror or error}"
                self._poll(reason, self.shared.config.poll_interval_s)
        else:
            self.retry_s = 0.0
            self.state, self.reason = ("polling", self.polled[""]) if "" in self.polled else ("watching", "")
            self.rescan_instead(None)

    def look(self, name: str) -> None:
        """Find out what no event tells before a barrier passes; the cookie vouches for the rest."""
        if self._is_elsewhere():
            self._examine()
        elif not self._follow_mounts() and not self._follow_rules():
            watch = self.watch
            if watch is not None and self.state == "watching" and watch.ordered and watch.alive:
                for place in {**self.polled, **watch.unwatched}:
                    self.emit(RescanNeeded(self.root, place))
                return
        self.rescan_instead(name)

    def answer(self, name: str) -> None:
        """Pass a barrier: its cookie was seen, and all that came before it was dealt with."""
        if self.watch is not None and self.watch.ordered and self.watch.alive:
            self.shared.barriers.passed(self.root, name)

    def troubled(self, watch: RootWatch | None, reason: str) -> None:
        """Deal with a watch that stopped: its root may be gone, or there are too few watches."""
        if self.active and self.watch is watch and self.state != "lost":
            self._examine()
            if self.watch is watch:
                self._poll(reason, self.shared.config.reconcile_interval_s)

    def come_back(self) -> None:
        """Serve a root again whose file system answers again."""
        self.checking = self.hung = False
        self._halt()
        self.state = "lost"
        self._examine()

    def check(self, now: float) -> None:
        """Look for what no event tells."""
        self.checking = False
        self._examine()
        if self.state == "lost":
            return
        if not self._follow_mounts() and not self._follow_rules():
            self._reconcile(now)
        if self.watch is None:
            self._try_again(now)
        elif self.watch.alive:
            self.watch.check_busy()
        else:
            self._restart()
        self._poll_places(now)

    # Within.

    def _halt(self) -> None:
        watch, self.watch = self.watch, None
        if watch is not None:
            watch.stop()

    def _poll(self, reason: str, longest_s: float) -> None:
        """Poll a root that cannot be watched; try again after pauses that grow to `longest_s`."""
        _log.warning("watch_degraded_to_polling", root=str(self.identity.path), reason=reason)
        self._halt()
        self.state, self.reason, self.polled, self.poll_at = "polling", reason, {"": reason}, None
        self.retry_s = min(longest_s, self.retry_s * 2 or self.shared.config.poll_interval_s)
        self.retry_at = None
        self.rescan_instead(None)

    def _try_again(self, now: float) -> None:
        if self.retry_at is None:
            self.retry_at = now + self.retry_s
        elif now >= self.retry_at:
            self.start()

    def _root_moved(self, watch: RootWatch) -> None:
        """Deal with a root whose directory went away, or was another for a moment."""
        if self.watch is watch:
            self._examine()
            if self.watch is watch and not watch.alive:
                self._restart()

    def _restart(self) -> None:
        _log.warning("watch_restarted", root=str(self.identity.path))
        self.rules.refresh()
        self.start()

    def _reconcile(self, now: float) -> None:
        interval_s = self.shared.config.reconcile_interval_s
        if self.reconcile_at is not None and now >= self.reconcile_at:
            self.reconcile_at = None
            self.rules.refresh()
            self._resync()
        if self.reconcile_at is None:
            self.reconcile_at = now + interval_s

    def _poll_places(self, now: float) -> None:
        """Look at the places that are polled, if it is time, and try to watch those that could not be watched."""
        watch = self.watch
        unwatched = dict(watch.unwatched) if watch is not None else {}
        if not self.polled and not unwatched:
            self.poll_at = None
        elif self.poll_at is None or now >= self.poll_at:
            if self.poll_at is not None:
                for place in {**self.polled, **unwatched}:
                    self.emit(RescanNeeded(self.root, place))
            if watch is not None:
                for place in unwatched:
                    watch.resync(place)
            self.poll_at = now + self.shared.config.poll_interval_s

    def _see_mounts(self) -> None:
        path, mounts = self.identity.path, self.shared.mounts
        self.mounts = mounts.below(path)
        unreported = mounts.unreported(path)
        self.polled = {at: why for at, why in unreported.items() if not at or not self.rules.decide(at, True).ignored}

    def _follow_mounts(self) -> bool:
        """Follow file systems that were mounted below the root or went; return whether there were any."""
        if self.state == "lost" or self.shared.mounts.below(self.identity.path) == self.mounts:
            return False
        self.rules.refresh()
        if self.watch is not None:
            self._see_mounts()
        self._resync()
        return True

    def _follow_rules(self) -> bool:
        """Follow rules that changed outside of the tree; return whether they did."""
        if self.state == "lost" or not self.rules.refresh_if_outside_changed():
            return False
        self._resync()
        return True

    def _resync(self) -> None:
        if self.watch is not None:
            self.watch.resync("")
        self.emit(RescanNeeded(self.root))

    def _is_elsewhere(self) -> bool:
        """Tell whether the root's directory went away, is another one, or came back."""
        marker = marker_of(self.identity.path)
        return marker is not None if self.state == "lost" else marker != self.identity.marker

    def _examine(self) -> None:
        """Compare the root's directory with the one that was added, and report a root that is gone or back."""
        path = self.identity.path
        marker = marker_of(path)
        lost_now = self.state != "lost" and marker != self.identity.marker
        if lost_now or self.state == "lost":
            self.state, self.reason = "lost", describe_absence(path)
        if lost_now:
            _log.warning("root_lost", root=str(path), reason=self.reason)
            self.emit(RootLost(self.root))
            self._halt()
        if self.state == "lost" and marker is not None and is_plausible(path, marker, self.identity.marker):
            try:
                self.identity = identify(path)
            except RegendError as error:
                self.reason = str(error)
            else:
                _log.info("root_found", root=str(path))
                self.rules.refresh()
                self.state = "starting"
                self.emit(RootFound(self.root))
                self.start()
                return
        if lost_now:
            self.rescan_instead(None)
