"""The seam between the watcher and a root's watch, the same on every operating system."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from regend.core.events import Event
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.repository import RootIdentity
from regend.errors import RootError
from regend.types import RootId

WatchState = Literal["watching", "polling", "starting", "lost"]


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
    """

    state: WatchState
    reason: str
    watches: int


@dataclass(frozen=True, slots=True)
class WatchPlace:
    """The root to watch, and the directory where cookies appear."""

    root: RootId
    identity: RootIdentity
    rules: IgnoreRules
    cookie_dir: Path


@dataclass(frozen=True, slots=True)
class WatchOutlets:
    """Where a watch reports; called from its own threads.

    Attributes:
        post: hints for the pipeline.
        cookie: the name of a cookie seen, after everything older was posted.
        trouble: the watch stopped and cannot go on as it is, and why.
        root_moved: the root directory was deleted, moved or unmounted; another may be in its place.
    """

    post: Callable[[Event], None]
    cookie: Callable[[str], None]
    trouble: Callable[[str], None]
    root_moved: Callable[[], None]


class RootWatch(Protocol):
    """The watch of one root."""

    ordered: bool

    @property
    def alive(self) -> bool: ...
    @property
    def watch_count(self) -> int: ...
    def start(self) -> None: ...
    def stop(self) -> None: ...
    def watch_cookies(self) -> None: ...
    def resync(self, directory: str) -> None: ...
    def check_busy(self) -> None: ...


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
