"""Watch one root with watchdog's own observer, where there is no inotify (FSEvents on macOS, kqueue on the BSDs).

These report a whole tree at once, so ignored directories cannot be left out: their events are dropped here instead.
Nothing orders a cookie after older events, so a barrier falls back to a rescan. The code is tested on Linux against
watchdog's inotify observer; it was never run on macOS.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import MappingProxyType

from watchdog import events
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from regend.core.events import PathChanged, RescanNeeded, RootBusy
from regend.disk.names import is_utf8
from regend.watch.place import WatchLimitError, WatchOutlets, WatchPlace

_WANTED: list[type[events.FileSystemEvent]] = [
    events.DirCreatedEvent, events.DirDeletedEvent, events.DirMovedEvent, events.FileAttribEvent,
    events.FileClosedEvent, events.FileCreatedEvent, events.FileDeletedEvent, events.FileModifiedEvent,
    events.FileMovedEvent,
]  # fmt: skip
"""All events but "opened" and "closed without write", which our own reading causes."""


class ObserverRoot(events.FileSystemEventHandler):
    """One root under a watchdog observer of its own."""

    ordered = False
    """A cookie proves nothing about older events."""

    def __init__(
        self, place: WatchPlace, outlets: WatchOutlets, observer: Callable[[], BaseObserver] = Observer
    ) -> None:
        super().__init__()
        self._root = place.root
        self._top = str(place.identity.path)
        self._git_dir = place.identity.git_dir
        self._rules = place.rules
        self._out = outlets
        self._observer = observer()
        self._busy = False

    @property
    def alive(self) -> bool:
        """The dispatcher and every emitter run; `Observer.is_alive` alone does not tell."""
        return self._observer.is_alive() and all(emitter.is_alive() for emitter in self._observer.emitters)

    unwatched: Mapping[str, str] = MappingProxyType({})
    """Nothing: the system watches a whole tree or none of it."""

    @property
    def watch_count(self) -> int:
        """Streams held, whatever they cost the system."""
        return len(self._observer.emitters)

    def start(self) -> None:
        """Begin to watch.

        Raises:
            WatchLimitError: the system has no watches left.
            FileNotFoundError: the root is gone.
        """
        try:
            self._observer.schedule(self, self._top, recursive=True, event_filter=_WANTED)
            self._observer.start()
        except FileNotFoundError:
            raise
        except OSError as error:
            raise WatchLimitError(f"the system gave no watch: {error}") from error
        self.check_busy()

    def stop(self) -> None:
        """Stop watching."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(10.0)

    def resync(self, directory: str) -> None:
        """Leave the watch as it is: it covers the whole tree."""

    def check_busy(self) -> None:
        """Look whether git holds its index lock, and report a difference."""
        busy = self._git_dir is not None and os.path.lexists(self._git_dir / "index.lock")
        if busy != self._busy:
            self._busy = busy
            self._out.post(RootBusy(self._root, busy))

    def dispatch(self, event: events.FileSystemEvent) -> None:
        """Turn an event into hints for its source and its destination."""
        self.check_busy()
        for path in (event.src_path, event.dest_path):
            if path:
                self._changed(os.fsdecode(path), event.is_directory)

    def _changed(self, absolute: str, is_dir: bool) -> None:
        if absolute == self._top:
            if not os.path.isdir(absolute):  # noqa: PTH112
                self._out.root_moved()
            return
        if not absolute.startswith(self._top + "/"):
            return
        path = absolute[len(self._top) + 1 :]
        if self._rules.is_rule_file(path):
            self._out.post(RescanNeeded(self._root, self._rules.invalidate(path)))
        elif is_dir:
            self._rules.invalidate(path)
        if self._rules.decide(path, is_dir).ignored:
            return
        if is_utf8(path):
            self._out.post(PathChanged(self._root, path))
        else:
            parent = path.rpartition("/")[0]
            self._out.post(RescanNeeded(self._root, parent if is_utf8(parent) else ""))


class ObserverSystem:
    """Gives each root an observer of its own."""

    def watch(self, place: WatchPlace, outlets: WatchOutlets) -> ObserverRoot:
        return ObserverRoot(place, outlets)

    def watch_cookies(self) -> None:
        """Ignore cookies, which are not used here."""

    def close(self) -> None:
        """Keep nothing: the observers end with their roots."""
