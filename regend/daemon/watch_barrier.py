"""Barriers: proof that everything the kernel had queued before a moment has been posted.

A file made in the cookie directory is reported to every root's watch after all older events of that watch. A barrier is
passed when each root has either reported its cookie or been told to rescan instead.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from regend.types import RootId


@dataclass(slots=True)
class _Barrier:
    token: int
    done: Callable[[int], None]
    waiting: set[RootId]
    deadline: float


class Barriers:
    """Owns the barriers under way and the cookie files."""

    def __init__(self, cookie_dir: Path) -> None:
        self._dir = cookie_dir
        self._lock = threading.Lock()
        self._count = 0
        self._open: dict[str, _Barrier] = {}
        self.prepare()

    def prepare(self) -> bool:
        """Make the cookie directory and clear what a killed daemon left; True when it had to be made."""
        missing = not self._dir.is_dir()
        self._dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._open:
            for stale in self._dir.glob("cookie-*"):
                stale.unlink(missing_ok=True)
        return missing

    def begin(self, token: int, done: Callable[[int], None], roots: set[RootId], limit_s: float) -> str:
        """Open a barrier that waits for `roots`; nothing is written yet. Returns its cookie's name."""
        with self._lock:
            self._count += 1
            name = f"cookie-{os.getpid()}-{self._count}"
            self._open[name] = _Barrier(token, done, set(roots), time.monotonic() + limit_s)
        return name

    def write(self, name: str) -> bool:
        """Put the cookie down; False when that failed and no watch will report it."""
        try:
            os.close(os.open(self._dir / name, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        except OSError:
            return False
        return True

    def arrive(self, root: RootId, name: str | None) -> None:
        """A root reported the cookie (None: it stands for all of them); passes the barriers that waited for it last."""
        passed: list[_Barrier] = []
        with self._lock:
            for key in [name] if name is not None else list(self._open):
                barrier = self._open.get(key)
                if barrier is None:
                    continue
                barrier.waiting.discard(root)
                if not barrier.waiting:
                    passed.append(self._close(key))
        for barrier in passed:
            barrier.done(barrier.token)

    def settle(self, name: str) -> None:
        """Pass a barrier that waits for nobody."""
        with self._lock:
            barrier = self._open.get(name)
            if barrier is None or barrier.waiting:
                return
            self._close(name)
        barrier.done(barrier.token)

    def waiting(self, name: str) -> set[RootId]:
        """The roots that a barrier still waits for."""
        with self._lock:
            barrier = self._open.get(name)
            return set(barrier.waiting) if barrier else set()

    def overdue(self) -> list[tuple[str, set[RootId]]]:
        """Barriers whose time is up, and the roots that have not reported."""
        now = time.monotonic()
        with self._lock:
            return [(name, set(barrier.waiting)) for name, barrier in self._open.items() if barrier.deadline <= now]

    def next_deadline(self) -> float | None:
        """When the next barrier is overdue (monotonic seconds)."""
        with self._lock:
            return min((barrier.deadline for barrier in self._open.values()), default=None)

    def _close(self, name: str) -> _Barrier:
        barrier = self._open.pop(name)
        (self._dir / name).unlink(missing_ok=True)
        return barrier
