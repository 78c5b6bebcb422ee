"""Watch one root with inotify, through watchdog's `InotifyFD`.

watchdog's own recursive observer is not used on Linux: it watches ignored directories, its default mask makes its own
walk overflow the queue, and a directory moved away keeps its old path (design 8). `InotifyFD` is its lower half: one
kernel instance, one reader thread, callbacks for each watch. The walk, the mask and the map of paths are ours.

The order makes it lossless: a directory is watched before it is listed, and hinted after both, so that the scan for the
hint finds all that was written before the watch. All hints of one read are posted before the thread reads again, or
answers a cookie.
"""

from __future__ import annotations

import errno
import itertools
import os
import threading
import time
from collections.abc import Callable

import structlog

from regend.core.events import PathChanged, RescanNeeded, RootBusy
from regend.disk.names import is_utf8
from regend.errors import ConfigError
from regend.watch.place import WatchBudget, WatchLimitError, WatchOutlets, WatchPlace

try:
    from watchdog.observers.inotify_c import (
        DEFAULT_EVENT_BUFFER_SIZE,
        CallbackId,
        InotifyConstants,
        InotifyEvent,
        InotifyFD,
        Mask,
        WatchDescriptor,
    )
except ImportError as error:
    from importlib.metadata import version

    raise ConfigError(
        f"The installed watchdog {version('watchdog')} does not fit ({str(error).partition(' (')[0]}); run "
        "`pip install 'watchdog>=7,<8'`."
    ) from error

_C = InotifyConstants
_PLACE = _C.IN_ONLYDIR | _C.IN_DONT_FOLLOW
_NAMES = _C.IN_CREATE | _C.IN_DELETE | _C.IN_MOVED_FROM | _C.IN_MOVED_TO
_SELF = _C.IN_DELETE_SELF | _C.IN_MOVE_SELF
TREE_MASK = Mask(_PLACE | _C.IN_EXCL_UNLINK | _NAMES | _SELF | _C.IN_MODIFY | _C.IN_ATTRIB | _C.IN_CLOSE_WRITE)
COOKIE_MASK = Mask(_PLACE | _C.IN_CREATE)
GIT_MASK = Mask(_PLACE | _NAMES)
BURST_HINTS = 64
BURST_WINDOW_S = 0.1
BURST_PAUSE_S = 0.004
"""After this many hints within the window the reader lets events gather before each read. At 100,000 events a second,
more than a disk gives, 400 gather: a fortieth of the kernel's default queue."""
_GONE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM))
_EXHAUSTED = {
    errno.ENOSPC: "inotify watch limit reached (fs.inotify.max_user_watches)",
    errno.EMFILE: "inotify instance limit reached (fs.inotify.max_user_instances)",
    errno.ENFILE: "the system has no file descriptors left",
    errno.ENOMEM: "no kernel memory left for watches",
}
_log = structlog.get_logger(__name__)


class _Reader(InotifyFD):
    """watchdog's reader thread, which reports before it blocks and when it fails."""

    def __init__(self, before_read: Callable[[], None], failed: Callable[[str], None]) -> None:
        super().__init__()
        self.name = "regend-inotify"
        self._before_read = before_read
        self._failed = failed

    def read_events(self, *, event_buffer_size: int = DEFAULT_EVENT_BUFFER_SIZE) -> list[InotifyEvent]:
        self._before_read()
        return super().read_events(event_buffer_size=event_buffer_size)

    def run(self) -> None:
        try:
            super().run()
        except WatchLimitError as error:
            self._failed(str(error))
        except Exception as error:
            _log.exception("watch_reader_failed")
            self._failed(f"the reader failed: {error!r}")


class InotifyRoot:
    """Owns the watches of one root. Started and stopped by the supervising thread, fed by its reader thread."""

    ordered = True
    """A cookie arrives after every older event."""

    def __init__(self, place: WatchPlace, budget: WatchBudget, outlets: WatchOutlets, storm_paths: int) -> None:
        self._root = place.root
        self._top = place.identity.path
        self._git_dir = place.identity.git_dir
        self._cookie_dir = place.cookie_dir
        self._rules = place.rules
        self._budget = budget
        self._out = outlets
        self._storm_paths = storm_paths
        self._lock = threading.RLock()
        self._ids = itertools.count()
        self._reader: _Reader | None = None
        self._path_of: dict[WatchDescriptor, str] = {}
        self._wd_of: dict[str, WatchDescriptor] = {}
        self._id_of: dict[WatchDescriptor, CallbackId] = {}
        self._cookie_wd: WatchDescriptor | None = None
        self._git_wd: WatchDescriptor | None = None
        self._busy = False
        # Only the reader thread touches these.
        self._burst = 0
        self._burst_at = 0.0
        self._hints: dict[str, None] = {}
        self._dirty: set[str] = set()

    @property
    def alive(self) -> bool:
        """The reader thread runs, and the root directory that it watches was not deleted.

        A new directory in the root's place may have the same inode, so its marker alone does not tell.
        """
        return self._reader is not None and self._reader.is_alive() and "" in self._wd_of

    @property
    def watch_count(self) -> int:
        """Watches held, those on the git and cookie directories included."""
        return len(self._id_of)

    def start(self) -> None:
        """Watch the whole tree; returns once all of it is watched.

        Raises:
            WatchLimitError: there are no watches left.
            FileNotFoundError: the root is gone.
        """
        try:
            self._reader = _Reader(self._before_read, self._out.trouble)
        except OSError as error:
            raise WatchLimitError(_EXHAUSTED.get(error.errno or 0, str(error))) from error
        self._reader.start()
        self.watch_cookies()
        if self._git_dir is not None:
            self._git_wd = self._add(str(self._git_dir), GIT_MASK)
        if self._watch("") is None:
            raise FileNotFoundError(errno.ENOENT, "root is gone", str(self._top))
        self._walk("")
        self.check_busy()

    def stop(self) -> None:
        """Give all watches back; no event is posted once this returned."""
        self._set_busy(False)
        reader = self._reader
        if reader is not None:
            reader.stop()
            if reader is not threading.current_thread():
                reader.join(10.0)
        with self._lock:
            self._budget.give(len(self._id_of))
            for table in (self._path_of, self._wd_of, self._id_of):
                table.clear()

    def watch_cookies(self) -> None:
        """Watch the cookie directory (also after it was replaced)."""
        self._cookie_wd = self._add(str(self._cookie_dir), COOKIE_MASK)

    def check_busy(self) -> None:
        """Look whether git holds its index lock, and report a difference."""
        if self._git_dir is not None:
            self._set_busy(os.path.lexists(self._git_dir / "index.lock"))

    def resync(self, directory: str) -> None:
        """Make the watches below `directory` equal to the directories that exist there and are not ignored."""
        with self._lock:
            seen: set[str] = set()
            if not self._rules.decide(directory, True).ignored and self._watch(directory) is not None:
                seen.add(directory)
                self._walk(directory, seen)
            self._unwatch_below(directory, keep=seen)

    # Called by watchdog in the reader thread.

    def on_event(self, event: InotifyEvent) -> None:
        """Take one event of one watch."""
        if event.wd == self._cookie_wd:
            self._flush()
            self._out.cookie(os.fsdecode(event.name))
        elif event.wd == self._git_wd:
            if event.name == b"index.lock":
                self._flush()
                self._set_busy(event.is_create or event.is_moved_to)
        else:
            directory = self._path_of.get(event.wd)
            if directory is not None:
                self._tree_event(directory, event)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        """Forget a watch that the kernel dropped because its directory is gone."""
        with self._lock:
            self._forget(wd)

    def on_queue_overflow(self) -> None:
        """Compare everything after events were lost, then answer the cookies that are there: theirs may be, too."""
        _log.warning("watch_queue_overflowed", root=str(self._top))
        self._hints.clear()
        self._dirty.clear()
        self._rules.refresh()
        self.resync("")
        # Listed before the rescan is posted: a later cookie vouches for later writes, and has an event of its own.
        try:
            cookies = [file.name for file in self._cookie_dir.iterdir()]
        except OSError:
            cookies = []
        self._out.post(RescanNeeded(self._root))
        self.check_busy()
        for cookie in cookies:
            self._out.cookie(cookie)

    def _tree_event(self, directory: str, event: InotifyEvent) -> None:
        if not event.name:
            if directory == "":
                if event.is_delete_self or event.is_move_self or event.mask & _C.IN_UNMOUNT:
                    if not event.is_move_self:
                        self.on_watch_deleted(event.wd)
                    # Another directory may be there already, with its files written: before any cookie, look.
                    self._out.post(RescanNeeded(self._root))
                    self._out.root_moved()
                elif event.is_attrib:
                    self._dirty.add("")
            return
        name = os.fsdecode(event.name)
        path = f"{directory}/{name}" if directory else name
        if self._rules.is_rule_file(path):
            self._dirty.add(self._rules.invalidate(path))
        if event.mask & _C.IN_ISDIR:
            self._directory_event(directory, path, event)
        elif not self._rules.decide(path, False).ignored:
            self._hint(directory, path)

    def _directory_event(self, parent: str, path: str, event: InotifyEvent) -> None:
        self._rules.invalidate(path)
        with self._lock:
            if event.is_moved_from:
                self._unwatch_below(path, keep=set())
            elif event.is_delete:
                # The entries below it were deleted before it, and reported.
                self._unwatch(path)
            elif self._rules.decide(path, True).ignored:
                return
            elif is_utf8(path) and self._watch(path) is not None:
                self._walk(path)
        if not self._rules.decide(path, True).ignored:
            self._hint(parent, path)

    def _hint(self, parent: str, path: str) -> None:
        if is_utf8(path):
            self._hints[path] = None
        else:
            # No event can carry such a name; the scanner reports it when it looks at the directory.
            self._dirty.add(parent)

    def _before_read(self) -> None:
        self._flush()
        reader = self._reader
        if self._burst > BURST_HINTS and reader is not None:
            # Reading a storm event by event would post each path several times.
            reader.stopped_event.wait(BURST_PAUSE_S)

    def _flush(self) -> None:
        """Post the hints that were collected."""
        if self._hints:
            now = time.monotonic()
            if now - self._burst_at > BURST_WINDOW_S:
                self._burst, self._burst_at = 0, now
            self._burst += len(self._hints)
        else:
            self._burst = 0
        while self._dirty:
            directory = min(self._dirty, key=len)
            below = directory + "/"
            self._dirty = {d for d in self._dirty if directory != "" and d != directory and not d.startswith(below)}
            self.resync(directory)
            self._out.post(RescanNeeded(self._root, directory))
        if len(self._hints) > self._storm_paths:
            self._out.post(RescanNeeded(self._root))
        else:
            for path in self._hints:
                self._out.post(PathChanged(self._root, path))
        self._hints.clear()

    def _set_busy(self, busy: bool) -> None:
        with self._lock:
            if busy != self._busy:
                self._busy = busy
                self._out.post(RootBusy(self._root, busy))

    # The map of watches; the caller holds the lock, except for `_add` and `_walk` at the start.

    def _walk(self, top: str, seen: set[str] | None = None) -> None:
        """Watch what is below a watched directory; with `seen`, also check the watches that are there."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            try:
                with os.scandir(self._top / path) as entries:
                    names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            except OSError:
                # Gone, or unreadable: its parent's watch tells when that changes, and the scanner reports it.
                continue
            for name in names:
                child = f"{path}/{name}" if path else name
                if self._rules.decide(child, True).ignored or not is_utf8(name):
                    continue
                if seen is None and child in self._wd_of:
                    continue
                if self._watch(child) is not None:
                    waiting.append(child)
                    if seen is not None:
                        seen.add(child)

    def _watch(self, path: str) -> WatchDescriptor | None:
        """Watch one directory of the tree; None when it is not there or may not be read."""
        with self._lock:
            wd = self._add(os.path.join(self._top, path) if path else str(self._top), TREE_MASK)  # noqa: PTH118
            if wd is None:
                return None
            known = self._path_of.get(wd)
            if known is not None and known != path:
                # The directory was moved here, and the event that says so is still to come.
                del self._wd_of[known]
            stale = self._wd_of.get(path)
            if stale is not None and stale != wd:
                self._remove(stale)
            self._path_of[wd] = path
            self._wd_of[path] = wd
            return wd

    def _add(self, path: str, mask: Mask) -> WatchDescriptor | None:
        reader = self._reader
        assert reader is not None
        with self._lock:
            id_ = CallbackId(next(self._ids))
            try:
                wd = reader.add_callback(os.fsencode(path), mask, self, id_)
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    raise WatchLimitError(_EXHAUSTED[error.errno]) from error
                if error.errno in _GONE:
                    return None
                raise
            if wd == -1:
                # watchdog files a directory that may not be read under -1.
                reader.remove_callbacks([(wd, id_)])
                return None
            old = self._id_of.get(wd)
            if old is not None:
                reader.remove_callbacks([(wd, old)])
            else:
                try:
                    self._budget.take()
                except WatchLimitError:
                    reader.remove_callbacks([(wd, id_)])
                    raise
            self._id_of[wd] = id_
            return wd

    def _unwatch(self, path: str) -> None:
        wd = self._wd_of.get(path)
        if wd is not None:
            self._remove(wd)

    def _unwatch_below(self, directory: str, keep: set[str]) -> None:
        below = f"{directory}/" if directory else ""
        for path in [p for p in self._wd_of if (p == directory or p.startswith(below)) and p not in keep]:
            self._unwatch(path)

    def _remove(self, wd: WatchDescriptor) -> None:
        reader = self._reader
        id_ = self._id_of.get(wd)
        self._forget(wd)
        if reader is not None and id_ is not None:
            reader.remove_callbacks([(wd, id_)])

    def _forget(self, wd: WatchDescriptor) -> None:
        if self._id_of.pop(wd, None) is not None:
            self._budget.give(1)
        path = self._path_of.pop(wd, None)
        if path is not None and self._wd_of.get(path) == wd:
            del self._wd_of[path]
