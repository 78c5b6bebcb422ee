"""The seam between the watcher and a root's watch, the same on every operating system."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from regend.core.events import Event
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.repository import RootIdentity
from regend.errors import RootError
from regend.types import RootId

WatchState = Literal["watching", "polling", "starting", "lost", "hung"]


class WatchLimitError(RootError):
    """There are no watches left; the root is polled instead."""

    code = "watch_limit"


class WatchBudget:
    """Counts how many directories are watched; shared by all roots, so it locks."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._used = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Count one watch.

        Raises:
            WatchLimitError: it would be one too many.
        """
        with self._lock:
            if self._used >= self._limit:
                raise WatchLimitError(f"watch budget of {self._limit} is used up; raise `watch.max_watches`")
            self._used += 1

    def give(self, count: int) -> None:
        """Give watches back."""
        with self._lock:
            self._used -= count


@dataclass(frozen=True, slots=True)
class WatchHealth:
    """How one root is observed now.

    Attributes:
        reason: why it is not watched; empty while it is.
        watches: watches held for it.
        polled: places where not all changes are reported, with the reason; ``""`` is the whole root.
        unwatched: directories that could not be watched, with the reason.
    """

    state: WatchState
    reason: str
    watches: int
    polled: Mapping[str, str] = field(default_factory=dict)
    unwatched: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WatchPlace:
    """The root to watch."""

    root: RootId
    identity: RootIdentity
    rules: IgnoreRules


@dataclass(frozen=True, slots=True)
class WatchOutlets:
    """Where a watch of a root reports.

    Attributes:
        post: hints for the pipeline; any thread.
        in_turn: runs a function in the root's lane, where file calls may take as long as they like; any thread. If the
            function raises, the watch is taken for broken.
        root_moved: the root directory was deleted, moved or unmounted; another may be in its place.
    """

    post: Callable[[Event], None]
    in_turn: Callable[[Callable[[], None]], None]
    root_moved: Callable[[], None]


class RootWatch(Protocol):
    """The watch of one root. Its methods are called in the root's lane, its attributes are read in any thread.

    Attributes:
        ordered: what is reported in turn after a cookie was seen comes after every older event.
        unwatched: directories that could not be watched, with the reason.
    """

    ordered: bool

    @property
    def alive(self) -> bool: ...
    @property
    def watch_count(self) -> int: ...
    @property
    def unwatched(self) -> Mapping[str, str]: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def resync(self, directory: str) -> None: ...
    def check_busy(self) -> None: ...


class WatchSystem(Protocol):
    """Makes the watches of all roots. Its methods are called by the supervising thread, except `watch`."""

    def watch(self, place: WatchPlace, outlets: WatchOutlets) -> RootWatch:
        """Return a root's watch, which was not started yet; in the root's lane."""

    def watch_cookies(self) -> None:
        """Watch the cookie directory (also after it was replaced)."""

    def close(self) -> None:
        """Give everything back."""


def is_plausible(path: Path, marker: str, lost: str) -> bool:
    """Tell whether the directory now at `path` is the root again.

    An empty one on another device is the mount point of a file system that is not mounted.
    """
    if marker.partition(":")[0] == lost.partition(":")[0]:
        return True
    try:
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def describe_absence(path: Path) -> str:
    """Say in a clause what is at the path of a lost root."""
    if path.is_dir():
        if path.is_symlink():
            return "it is a symbolic link now, which the next start of the daemon follows"
        return "another directory is in its place"
    return "it is not a directory now" if os.path.lexists(path) else "it does not exist now"
