"""Barriers: proof that everything the kernel had queued before a moment has been posted.

A file made in the cookie directory is reported after all older events of every root. A barrier is passed when each root
has either reported its cookie or been told to rescan instead.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from regend.types import RootId


@dataclass(slots=True)
class _Barrier:
    token: int
    done: Callable[[int], None]
    roots: set[RootId]
    deadline: float


class Barriers:
    """Owns the barriers in progress and the cookie files."""

    def __init__(self, cookie_dir: Path) -> None:
        self._dir = cookie_dir
        self._lock = threading.Lock()
        self._count = 0
        self._open: dict[str, _Barrier] = {}
        self.prepare()

    def prepare(self) -> bool:
        """Make the cookie directory and clear the cookies of a killed daemon; return True when it had to be made."""
        missing = not self._dir.is_dir()
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._open:
            for stale in self._dir.glob("cookie-*"):
                _remove(stale)
        return missing

    def begin(self, token: int, done: Callable[[int], None], roots: Set[RootId], limit_s: float) -> str:
        """Open a barrier that waits for these roots; nothing is written yet.

        Returns:
            The cookie's name.
        """
        with self._lock:
            self._count += 1
            name = f"cookie-{os.getpid()}-{self._count}"
            self._open[name] = _Barrier(token, done, set(roots), time.monotonic() + limit_s)
        return name

    def write(self, name: str) -> bool:
        """Write the cookie; return False when that failed and no watch will report it."""
        try:
            os.close(os.open(self._dir / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError:
            return False
        return True

    def passed(self, root: RootId, name: str | None) -> None:
        """Note that the root reported the cookie, was told to rescan, or is gone (None: for every open barrier)."""
        self._drop(name, {root})

    def settle(self, name: str) -> None:
        """Pass the barrier if it waits for no root."""
        self._drop(name)

    def waiting(self, name: str) -> frozenset[RootId]:
        """Return the roots that a barrier waits for."""
        with self._lock:
            barrier = self._open.get(name)
            return frozenset(barrier.roots) if barrier is not None else frozenset()

    def overdue(self) -> list[tuple[str, set[RootId]]]:
        """List the barriers whose time is up, and their roots that have not reported."""
        now = time.monotonic()
        with self._lock:
            return [(name, set(b.roots)) for name, b in self._open.items() if b.deadline <= now]

    def _drop(self, name: str | None, roots: Set[RootId] = frozenset()) -> None:
        passed: list[_Barrier] = []
        with self._lock:
            for key in [name] if name is not None else list(self._open):
                barrier = self._open.get(key)
                if barrier is not None:
                    barrier.roots -= roots
                    if not barrier.roots:
                        passed.append(barrier)
                        del self._open[key]
                        _remove(self._dir / key)
        for barrier in passed:
            barrier.done(barrier.token)

    def next_deadline(self) -> float | None:
        """Return when the next barrier is overdue (monotonic seconds)."""
        with self._lock:
            return min((barrier.deadline for barrier in self._open.values()), default=None)


def _remove(cookie: Path) -> None:
    """Remove a cookie; if that fails, the barrier passes all the same, and the next start clears the file."""
    try:
        cookie.unlink(missing_ok=True)
    except OSError:
        pass
