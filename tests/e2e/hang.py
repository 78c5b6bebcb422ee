"""Runs a daemon on a file system that can hang: while the file `$HANG_FLAG` is there, file calls below `$HANG_ROOT` do
not return, as on a network mount whose server is gone.

The flag's text names the call sites that hang (``function file:line`` of the innermost frame of regend, one a line); an
empty flag makes all of them hang. Every site that is reached is written to `$HANG_SITES`.

    python -m tests.e2e.hang python -m regend ARGUMENTS...
"""

from __future__ import annotations

import builtins
import io
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS = ("access", "listdir", "lstat", "open", "readlink", "scandir", "stat")
SOURCES = str(Path(__file__).parents[2] / "regend") + "/"
_lstat, _readlink, _open, _read = os.lstat, os.readlink, os.open, os.read


class Hangs:
    """Makes calls below one directory wait."""

    def __init__(self, root: str, flag: str, sites: str) -> None:
        self._below = (root, root + "/")
        self._flag = flag
        self._known: set[str] = set()
        self._waiting: list[tuple[str, threading.Event]] = []
        self._looking = False
        self._lock = threading.Lock()
        self._log = _open(sites, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if sites else -1

    def call(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if self._is_below(path, kwargs.get("dir_fd")):
                self.pass_by(name)
            return function(path, *args, **kwargs)

        return call

    def pass_by(self, name: str) -> None:
        """Wait here while the flag says so."""
        site = f"{name} {_site()}"
        if site not in self._known:
            self._known.add(site)
            if self._log >= 0:
                os.write(self._log, f"{site}\n".encode())
        if self._flagged(site):
            # As in a real one, the thread gets no turn until the end: another one looks at the flag.
            ended = threading.Event()
            self._waiting.append((site, ended))
            self._start()
            ended.wait()

    def _start(self) -> None:
        with self._lock:
            if not self._looking:
                self._looking = True
                threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            for waiting in tuple(self._waiting):
                site, ended = waiting
                if not self._flagged(site):
                    self._waiting.remove(waiting)
                    ended.set()
            time.sleep(0.05)

    def _is_below(self, path: Any, directory: int | None) -> bool:
        if isinstance(path, int):
            return False
        named = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
        if directory is not None and not named.startswith("/"):
            named = f"{_readlink(f'/proc/self/fd/{directory}')}/{named}"
        return named == self._below[0] or named.startswith(self._below[1])

    def _flagged(self, site: str) -> bool:
        try:
            descriptor = _open(self._flag, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            named = _read(descriptor, 65_536).decode().split("\n")
        finally:
            os.close(descriptor)
        return named == [""] or site in named


def _site() -> str:
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith(SOURCES):
            return f"{frame.f_code.co_filename.removeprefix(SOURCES)}:{frame.f_lineno}"
        frame = frame.f_back  # type: ignore[assignment]
    return "elsewhere"


def install() -> None:
    """Let file calls hang from now on."""
    hangs = Hangs(os.environ["HANG_ROOT"], os.environ["HANG_FLAG"], os.environ.get("HANG_SITES", ""))
    for name in CALLS:
        setattr(os, name, hangs.call(name, getattr(os, name)))
    builtins.open = io.open = hangs.call("open()", open)
    from watchdog.observers import inotify_c

    add_watch = inotify_c.inotify_add_watch

    def inotify_add_watch(descriptor: int, path: bytes, mask: int) -> Any:
        if hangs._is_below(path, None):
            hangs.pass_by("inotify_add_watch")
        return add_watch(descriptor, path, mask)  # type: ignore[arg-type]

    inotify_c.inotify_add_watch = inotify_add_watch  # type: ignore[assignment]


if __name__ == "__main__":
    install()
    from regend.__main__ import main
    from regend.workers import process

    process._WORKER = "tests.e2e.hang_worker"

    sys.exit(main(sys.argv[sys.argv.index("regend") + 1 :]))
