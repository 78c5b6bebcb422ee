"""One inotify instance for all roots, through watchdog's `InotifyFD`: its descriptor, reader thread and budget.

A user has few instances (128 by default), so all roots share one. The reader thread makes no file call: it hands the
events of each root to that root's lane, in order, and the cookies after them. So a cookie comes after all that the
kernel had queued before it, for every root.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import structlog

from regend.errors import ConfigError
from regend.watch.place import WatchBudget, WatchLimitError

try:
    from watchdog.observers.inotify_c import (
        CallbackId,
        InotifyConstants,
        InotifyEvent,
        InotifyFD,
        Mask,
        Watch,
        WatchDescriptor,
        inotify_add_watch,
    )
except ImportError as error:
    from importlib.metadata import version

    raise ConfigError(
        f"The installed watchdog {version('watchdog')} does not fit ({str(error).partition(' (')[0]}); run "
        "`pip install 'watchdog>=7,<8'`."
    ) from error

Constants = _C = InotifyConstants
_PLACE = _C.IN_ONLYDIR | _C.IN_DONT_FOLLOW
NAMES = _C.IN_CREATE | _C.IN_DELETE | _C.IN_MOVED_FROM | _C.IN_MOVED_TO
_SELF = _C.IN_DELETE_SELF | _C.IN_MOVE_SELF
TREE_MASK = Mask(_PLACE | _C.IN_EXCL_UNLINK | NAMES | _SELF | _C.IN_MODIFY | _C.IN_ATTRIB | _C.IN_CLOSE_WRITE)
GIT_MASK = Mask(_PLACE | NAMES)
COOKIE_MASK = Mask(_PLACE | _C.IN_CREATE)
BURST_EVENTS = 64
BURST_PAUSE_S = 0.004
"""After this many events in one read the reader lets events gather before the next. At 100,000 events a second, more
than a disk gives, 400 gather: a fortieth of the kernel's default queue."""
_EXHAUSTED = {
    errno.ENOSPC: "inotify watch limit reached (fs.inotify.max_user_watches)",
    errno.EMFILE: "inotify instance limit reached (fs.inotify.max_user_instances)",
    errno.ENFILE: "the system has no file descriptors left",
    errno.ENOMEM: "no kernel memory left for watches",
}
log = structlog.get_logger(__name__)


class EventSink(Protocol):
    """Takes the events of one root; called by the reader thread, so it must not make file calls."""

    def deliver(self, events: list[InotifyEvent]) -> None:
        """Take events in the kernel's order; ``IN_IGNORED`` says that a watch is gone, ``IN_Q_OVERFLOW`` that events
        were lost."""


class Inotify(InotifyFD):
    """The instance and its reader thread.

    Raises:
        WatchLimitError: the system gives no instance.
    """

    def __init__(
        self, cookie_dir: Path, budget: WatchBudget, cookie: Callable[[str], None], failed: Callable[[str], None]
    ) -> None:
        try:
            super().__init__()
        except OSError as error:
            raise WatchLimitError(_EXHAUSTED.get(error.errno or 0, str(error))) from error
        self.name = "regend-inotify"
        self._cookie_dir = cookie_dir
        self._budget = budget
        self._cookie = cookie
        self._failed = failed
        self._ids = itertools.count()
        self._gone = 0  # Watches of the kernel that went, or may have.
        self._cookies: tuple[WatchDescriptor, CallbackId] | None = None
        self._callbacks: dict[EventSink | None, _Callback] = {}
        self._collected: dict[EventSink, list[InotifyEvent]] = {}
        self._unanswered: list[str] = []
        try:
            self.start()
        except (RuntimeError, MemoryError) as error:
            self.close()
            raise WatchLimitError(f"the thread that reads events cannot be started ({error})") from error

    def watch_cookies(self) -> None:
        """Watch the cookie directory (also after it was replaced).

        Raises:
            WatchLimitError: there are no watches left.
        """
        before, self._cookies = self._cookies, self.add(self._cookie_dir, COOKIE_MASK, None)
        if before is not None:
            self.remove(before)

    def add(self, path: Path | str, mask: Mask, sink: EventSink | None) -> tuple[WatchDescriptor, CallbackId]:
        """Watch a directory for a root, or for cookies; one directory may be watched several times.

        The events of it are those that any of its watches asks for.

        Raises:
            WatchLimitError: there are no watches left.
            OSError: the directory cannot be watched.
        """
        self._budget.take()
        try:
            id_ = CallbackId(next(self._ids))
            # One callback for all watches of a root: watchdog reports an overflow once for each callback.
            callback = self._callbacks.setdefault(sink, _Callback(self, sink))
            wd = self.add_callback(os.fsencode(path), Mask(mask | _C.IN_MASK_ADD), callback, id_)
        except OSError as error:
            self._budget.give(1)
            if error.errno in _EXHAUSTED:
                raise WatchLimitError(_EXHAUSTED[error.errno]) from error
            raise
        return wd, id_

    def remove(self, watch: tuple[WatchDescriptor, CallbackId]) -> None:
        """Give a watch back, also one that the kernel has dropped."""
        self._budget.give(1)
        with self._lock:
            if watch[0] in self._watch_for_wd:
                self._gone += 1
                self._remove_callback(*watch)

    def forget(self, sink: EventSink) -> None:
        """Forget a root that has given all its watches back."""
        self._callbacks.pop(sink, None)

    def add_callback(self, path: bytes, mask: Mask, callback: _Callback, id_: CallbackId) -> WatchDescriptor:  # type: ignore[override]
        # Without the lock, which the reader takes: the file system may hang.
        while True:
            gone = self._gone
            wd = inotify_add_watch(self._inotify_fd, path, mask)
            if wd == -1:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number), os.fsdecode(path))
            with self._lock:
                if self._gone != gone:
                    continue  # It may be gone already: taken away with another root's, or its directory was deleted.
                self._watch_for_wd.setdefault(wd, Watch(wd, mask, path)).callbacks[id_] = callback
                return wd

    def handle_event(self, event: InotifyEvent) -> None:
        if event.is_ignored or event.is_queue_overflow:
            with self._lock:
                self._gone += 1
        super().handle_event(event)

    def collect(self, sink: EventSink | None, event: InotifyEvent) -> None:
        """Keep an event for its root until the end of the read, or answer a cookie; in the reader thread."""
        if sink is not None:
            self._collected.setdefault(sink, []).append(event)
            return
        if event.is_queue_overflow:
            # The events of these may be lost, too. Listed before any root is told: a later cookie vouches for later
            # writes, and has an event of its own.
            self._unanswered = _names(self._cookie_dir)
        elif event.name:
            self._hand_over()
            self._cookie(os.fsdecode(event.name))

    def run(self) -> None:
        try:
            while self.should_keep_running():
                events = self.read_events()
                for event in events:
                    self.handle_event(event)
                self._hand_over()
                if len(events) > BURST_EVENTS:
                    # Reading a storm event by event would report each path several times.
                    self.stopped_event.wait(BURST_PAUSE_S)
        except Exception as error:
            log.exception("watch_reader_failed")
            self._is_reading = False  # Or `close` would leave the descriptors to this thread.
            self.close()
            self._budget.give(self._cookies is not None)
            self._failed(f"the reader failed: {error!r}")

    def _hand_over(self) -> None:
        collected, self._collected = self._collected, {}
        for sink, events in collected.items():
            sink.deliver(events)
        names, self._unanswered = self._unanswered, []
        for name in names:
            self._cookie(name)


class _Callback:
    """Passes watchdog's calls in the reader thread on."""

    __slots__ = ("_inotify", "_sink")

    def __init__(self, inotify: Inotify, sink: EventSink | None) -> None:
        self._inotify = inotify
        self._sink = sink

    def on_event(self, event: InotifyEvent) -> None:
        self._inotify.collect(self._sink, event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        if self._sink is not None:
            self._inotify.collect(self._sink, InotifyEvent(wd, _C.IN_IGNORED, 0, b""))

    def on_queue_overflow(self) -> None:
        self._inotify.collect(self._sink, InotifyEvent(WatchDescriptor(-1), _C.IN_Q_OVERFLOW, 0, b""))


def _names(directory: Path) -> list[str]:
    try:
        return [file.name for file in directory.iterdir()]
    except OSError:
        return []
