"""One line on a terminal that says how far indexing has come; elsewhere, only what holds indexing back."""

from __future__ import annotations

import sys
from time import monotonic

from regend.cli.terminal import duration_text, printable
from regend.errors import RegendError, count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from types import TracebackType
    from typing import Any, Self

INTERVAL_S = 0.2
"""Time between two looks at the status."""
_BUSY = frozenset(("scanning", "indexing"))
_MIN_ESTIMATE_S = 1.0
_BAR = 20


class Progress:
    """Shows the pending files of some roots, and estimates the time that they take; owns the line until it is left.

    Args:
        roots: paths of the roots; empty for all.
    """

    def __init__(self, roots: Iterable[str] = ()) -> None:
        self._roots = frozenset(roots)
        self._is_shown = sys.stderr.isatty()
        self._began: tuple[float, int] | None = None
        self._said: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.clear()

    def update(self, status: Mapping[str, Any]) -> None:
        """Show the roots of a `status` answer, and say once what holds indexing back: the wait may have no end."""
        for reason in status.get("held_back", ()):
            if reason not in self._said:
                self._said.add(reason)
                self.clear()
                print(f"regenctl waits: {printable(reason)}", file=sys.stderr)
        if not self._is_shown:
            return
        roots = [root for root in status["roots"] if not self._roots or root["path"] in self._roots]
        done = sum(root["files_indexed"] + root["files_skipped"] for root in roots)
        pending = sum(root["pending"] for root in roots)
        now = monotonic()
        if self._began is None:
            self._began = now, done
        began_at, began = self._began
        text = f"{done:,} of {count_text(done + pending, 'file')}"
        if any(root["state"] == "scanning" for root in roots):
            text = f"looking through the files, {done + pending:,} so far"
        elif now - began_at >= _MIN_ESTIMATE_S and done > began and pending:
            text += f", about {duration_text(pending * (now - began_at) / (done - began) + 0.5)} left"
        share = done / (done + pending) if done + pending else 0.0
        bar = "█" * int(share * _BAR)
        self._draw(f"{bar:░<{_BAR}} {text}")

    def clear(self) -> None:
        """Remove the line."""
        if self._is_shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()

    def _draw(self, text: str) -> None:
        sys.stderr.write(f"\r\x1b[K{printable(text)[: _width() - 1]}")
        sys.stderr.flush()


def is_busy(root: Mapping[str, Any]) -> bool:
    """Say whether files of a root are still to be read; vectors may be missing when they are not."""
    return root["state"] in _BUSY


def remaining(status: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each cause that holds indexing back, and for each root with work to do."""
    return [printable(reason) for reason in status.get("held_back", ())] + [
        f"{printable(root['path'])}: {root['reason'] or root['state']}"
        for root in status["roots"]
        if root["pending"] or not root["complete"]
    ]


class Watched:
    """Polls the status on a connection and in a thread of its own while the caller waits for another answer."""

    def __init__(self, socket: str, progress: Progress) -> None:
        from threading import Event, Thread

        self._socket = socket
        self._progress = progress
        self._ended = Event()
        self._thread = Thread(target=self._poll, daemon=True)

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(1.0)
        self._progress.clear()

    def _poll(self) -> None:
        from regend.rpc.client import Client

        try:
            with Client(self._socket, name="progress") as daemon:
                while not self._ended.wait(INTERVAL_S):
                    self._progress.update(daemon.call("status"))
        except RegendError:
            return  # The caller's own connection says what is wrong.


def _width() -> int:
    import os

    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except OSError:
        return 80
