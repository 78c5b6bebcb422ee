"""Watch one root with inotify: the walk, the mask and the map of paths.

watchdog's own recursive observer is not used on Linux: it watches ignored directories, its default mask makes its own
walk overflow the queue, and a directory moved away keeps its old path (design 8). `instance` has its lower half.

The order makes it lossless: a directory is watched before it is listed, and hinted after both, so that the scan for the
hint finds all that was written before the watch. All hints of one read are posted before the next read, or a cookie, is
dealt with.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from regend.core.events import PathChanged, RescanNeeded, RootBusy
from regend.disk.calls import progress
from regend.disk.names import is_utf8
from regend.watch.instance import GIT_MASK, NAMES, TREE_MASK, Constants, Inotify
from regend.watch.place import WatchBudget, WatchLimitError, WatchOutlets, WatchPlace

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import CallbackId, InotifyEvent, Mask, WatchDescriptor

MAX_WAITING = 20_000
"""Maximum events that wait for a root's lane; a root with more is compared as a whole."""
_GONE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EACCES, errno.EPERM))
_log = structlog.get_logger(__name__)


class InotifyRoot:
    """Owns the watches of one root."""

    ordered = True
    """A cookie arrives after every older event."""

    def __init__(self, place: WatchPlace, inotify: Inotify, outlets: WatchOutlets, storm_paths: int) -> None:
        self._root = place.root
        self._top = place.identity.path
        self._git_dir: Path | None = None
        self._rules = place.rules
        self._inotify = inotify
        self._out = outlets
        self._storm_paths = storm_paths
        self._paths_of: defaultdict[WatchDescriptor, set[str]] = defaultdict(set)
        self._wd_of: dict[str, WatchDescriptor] = {}
        self._id_of: dict[WatchDescriptor, CallbackId] = {}
        self._git_wd: WatchDescriptor | None = None
        self._unwatched: dict[str, str] = {}
        self._busy = False
        self._hints: dict[str, None] = {}
        self._dirty: set[str] = set()
        self._lock = threading.Lock()
        self._waiting: list[InotifyEvent] = []
        self._called = False
        self._overflowed = False

    @property
    def alive(self) -> bool:
        """The reader thread runs, and the root directory that it watches was not deleted.

        A new directory in the root's place may have the same inode, so its marker alone does not tell.
        """
        return self._inotify.is_alive() and "" in self._wd_of

    @property
    def watch_count(self) -> int:
        """Watches held, that on the git directory included."""
        return len(self._id_of)

    @property
    def unwatched(self) -> Mapping[str, str]:
        return self._unwatched

    def start(self) -> None:
        """Watch the whole tree; returns once all of it is watched.

        Raises:
            WatchLimitError: there are no watches left.
            FileNotFoundError: the root is gone.
        """
        self._watch_git()
        if not self._watch(""):
            raise FileNotFoundError(errno.ENOENT, self._unwatched.get("", "root is gone"), str(self._top))
        self._walk("")
        self.check_busy()

    def stop(self) -> None:
        """Give all watches back; no event is posted once this returned."""
        self._set_busy(False)
        for watch in self._id_of.items():
            self._inotify.remove(watch)
        self._inotify.forget(self)
        for table in (self._paths_of, self._wd_of, self._id_of):
            table.clear()

    def check_busy(self) -> None:
        """Look whether git holds its index lock, and report a difference."""
        if self._git_dir is not None:
            self._set_busy(os.path.lexists(self._git_dir / "index.lock"))

    def resync(self, directory: str) -> None:
        """Make the watches below `directory` equal to the directories that exist there and are not ignored."""
        seen: set[str] = set()
        self._forget_unwatched(directory)
        if not self._rules.decide(directory, True).ignored and self._watch(directory):
            seen.add(directory)
            self._walk(directory, seen)
        self._unwatch_below(directory, keep=seen)
        if directory == "":
            self._watch_git()  # Last: it may have been watched as a part of the tree.

    def deliver(self, events: list[InotifyEvent]) -> None:
        """Take events from the reader thread, and deal with them in turn."""
        with self._lock:
            self._waiting += events
            if len(self._waiting) > MAX_WAITING or any(event.is_queue_overflow for event in events):
                self._waiting.clear()
                self._overflowed = True
            if self._called:
                return
            self._called = True
        self._out.in_turn(self._take)

    # In the root's lane.

    def _take(self) -> None:
        """Deal with all events that wait."""
        with self._lock:
            events, self._waiting = self._waiting, []
            overflowed, self._called, self._overflowed = self._overflowed, False, False
        if overflowed:
            self._compare()
        for event in events:
            if event.is_ignored:
                self._forget(event.wd)
            elif event.wd == self._git_wd and event.name == b"index.lock" and event.mask & NAMES:
                self._flush()
                self._set_busy(event.is_create or event.is_moved_to)
            else:
                for directory in sorted(self._paths_of.get(event.wd, ())):
                    self._tree_event(directory, event)
        self._flush()

    def _compare(self) -> None:
        """Compare everything after events were lost."""
        _log.warning("watch_events_lost", root=str(self._top))
        self._hints.clear()
        self._dirty.clear()
        self._rules.refresh()
        self.resync("")
        self._out.post(RescanNeeded(self._root))
        self.check_busy()

    def _tree_event(self, directory: str, event: InotifyEvent) -> None:
        if not event.name:
            if directory == "":
                if event.is_delete_self or event.is_move_self or event.mask & Constants.IN_UNMOUNT:
                    if not event.is_move_self:
                        self._forget(event.wd)
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
        if event.mask & Constants.IN_ISDIR:
            self._directory_event(directory, path, event)
        elif not self._rules.decide(path, False).ignored:
            self._hint(directory, path)

    def _directory_event(self, parent: str, path: str, event: InotifyEvent) -> None:
        self._rules.invalidate(path)
        if event.is_moved_from or event.is_delete:
            self._forget_unwatched(path)
        is_ignored = self._rules.decide(path, True).ignored
        if event.is_delete:
            # The entries below it were deleted before it, and reported.
            self._unwatch(path)
        else:
            if event.is_moved_from or (event.is_moved_to and path in self._wd_of):
                self._unwatch_below(path, keep=set())
            # Also where a directory went away: two that change places leave another one there.
            if not is_ignored and is_utf8(path) and self._watch(path):
                self._walk(path)
        if not self._rules.decide(path, True).ignored:
            self._hint(parent, path)

    def _hint(self, parent: str, path: str) -> None:
        if is_utf8(path):
            self._hints[path] = None
        else:
            # No event can carry such a name; the scanner reports it when it looks at the directory.
            self._dirty.add(parent)

    def _flush(self) -> None:
        """Post the hints that were collected."""
        while self._dirty:
            directory = min(self._dirty, key=len)
            self._dirty = {path for path in self._dirty if not _covers(directory, path)}
            self.resync(directory)
            self._out.post(RescanNeeded(self._root, directory))
        if len(self._hints) > self._storm_paths:
            self._out.post(RescanNeeded(self._root))
        else:
            for path in self._hints:
                self._out.post(PathChanged(self._root, path))
        self._hints.clear()

    def _set_busy(self, busy: bool) -> None:
        if busy != self._busy:
            self._busy = busy
            self._out.post(RootBusy(self._root, busy))

    # The map of watches.

    def _walk(self, top: str, seen: set[str] | None = None) -> None:
        """Watch what is below a watched directory; with `seen`, also check the watches that are there."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            progress()
            try:
                with os.scandir(self._top / path) as entries:
                    listed = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
            except OSError as error:
                # Gone, or unreadable: its parent's watch tells when that changes, and the scanner reports it. After any
                # other error (no descriptor is left, say) what lies below is not watched.
                if error.errno not in _GONE:
                    self._unwatched = {**self._unwatched, path: error.strerror or str(error)}
                continue
            if self._rules.settle(path, (name for name, _ in listed)).ignored and path:
                # git put its data there after the rules were asked, and before the watch could tell.
                self._unwatch(path)
                continue
            for name in [name for name, is_dir in listed if is_dir]:
                child = f"{path}/{name}" if path else name
                if self._rules.decide(child, True).ignored or not is_utf8(name):
                    continue
                if seen is None and child in self._wd_of:
                    continue
                if self._watch(child):
                    waiting.append(child)
                    if seen is not None:
                        seen.add(child)

    def _watch_git(self) -> None:
        """Watch the git directory that the root has now, because git's lock lies there."""
        git_dir = self._rules.git_dir
        if git_dir == self._git_dir and self._git_wd in self._id_of:
            return
        if self._git_wd is not None:
            self._forget(self._git_wd)
        self._git_dir, self._git_wd = git_dir, None
        if git_dir is not None:
            self._git_wd = self._add(git_dir, GIT_MASK)

    def _watch(self, path: str) -> bool:
        """Watch one directory of the tree; return False when it is not there or cannot be watched."""
        try:
            wd = self._add(os.path.join(self._top, path) if path else self._top, TREE_MASK)  # noqa: PTH118
        except WatchLimitError:
            raise
        except OSError as error:
            self._unwatched = {**self._unwatched, path: error.strerror or str(error)}
            return False
        self._forget_unwatched(path)
        if wd is None:
            return False
        if (stale := self._wd_of.get(path)) is not None and stale != wd:
            self._unwatch(path)
        # Two paths: the directory was moved, and the event that says so is still to come; or it is mounted twice.
        self._paths_of[wd].add(path)
        self._wd_of[path] = wd
        return True

    def _add(self, path: Path | str, mask: Mask) -> WatchDescriptor | None:
        """Watch a directory; None when it is not there or may not be read."""
        try:
            wd, id_ = self._inotify.add(path, mask, self)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise
        if (old := self._id_of.get(wd)) is not None:
            self._inotify.remove((wd, old))
        self._id_of[wd] = id_
        return wd

    def _forget_unwatched(self, directory: str) -> None:
        """Forget what could not be watched there; other threads read the table, so it is replaced."""
        if self._unwatched:
            self._unwatched = {path: why for path, why in self._unwatched.items() if not _covers(directory, path)}

    def _unwatch(self, path: str) -> None:
        wd = self._wd_of.pop(path, None)
        if wd is not None:
            self._paths_of[wd].discard(path)
            if not self._paths_of[wd]:
                self._forget(wd)

    def _unwatch_below(self, directory: str, keep: set[str]) -> None:
        for path in [path for path in self._wd_of if path not in keep and _covers(directory, path)]:
            self._unwatch(path)

    def _forget(self, wd: WatchDescriptor) -> None:
        """Give a watch back, or note that the kernel has dropped it."""
        if (id_ := self._id_of.pop(wd, None)) is not None:
            self._inotify.remove((wd, id_))
        for path in self._paths_of.pop(wd, ()):
            if self._wd_of.get(path) == wd:
                del self._wd_of[path]


def _covers(directory: str, path: str) -> bool:
    return directory in ("", path) or path.startswith(directory + "/")


class InotifySystem:
    """Owns the instance that the watches of all roots share, and makes a new one where it failed.

    Args:
        cookie, failed: see `Inotify`; called by the reader thread.
    """

    def __init__(
        self, max_watches: int, storm_paths: int, cookie_dir: Path,
        cookie: Callable[[str], None], failed: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.budget = WatchBudget(max_watches)
        self._storm_paths = storm_paths
        self._cookie_dir = cookie_dir
        self._cookie = cookie
        self._failed = failed
        self._lock = threading.Lock()
        self._inotify: Inotify | None = None

    def watch(self, place: WatchPlace, outlets: WatchOutlets) -> InotifyRoot:
        """Return the watch of a root.

        Raises:
            WatchLimitError: the system gives no instance.
        """
        return InotifyRoot(place, self._instance(), outlets, self._storm_paths)

    def watch_cookies(self) -> None:
        with self._lock:
            inotify = self._inotify
        if inotify is not None and inotify.is_alive():
            inotify.watch_cookies()

    def close(self) -> None:
        with self._lock:
            inotify, self._inotify = self._inotify, None
        if inotify is not None:
            inotify.stop()
            inotify.join(10.0)

    def _instance(self) -> Inotify:
        with self._lock:
            if self._inotify is None or not self._inotify.is_alive():
                inotify = Inotify(self._cookie_dir, self.budget, self._cookie, self._failed)
                try:
                    inotify.watch_cookies()
                except OSError as error:
                    inotify.stop()
                    raise WatchLimitError(f"the cookie directory cannot be watched: {error.strerror}") from error
                except WatchLimitError:
                    inotify.stop()
                    raise
                self._inotify = inotify
            return self._inotify
