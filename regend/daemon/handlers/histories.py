"""The histories of the roots' repositories, by which files are ranked: read in the background, kept for the last asked.

A history is read when its root is first served or asked about. Whoever asks later has it looked at again, as a commit
may have come; a `flush` waits for that.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from regend.daemon.roots import Roots
from regend.disk.calls import RootCalls
from regend.disk.history import changes_of, head_of
from regend.disk.remotes import TIMEOUT_S
from regend.errors import RegendError
from regend.search.ranking.history import History
from regend.types import RootId

MOST_KEPT = 16
_AGAIN_S = 2.0
"""Least time between two looks at the same repository."""
_FLUSH_S = 1.0
"""How long a `flush` waits for histories; a large repository's takes longer, and comes later."""
log = structlog.get_logger(__name__)


class Histories:
    """Owned by the event loop, but for `of`.

    Args:
        changed: called when the history of a root is another one.
    """

    def __init__(self, roots: Roots, calls: RootCalls, changed: Callable[[], None]) -> None:
        self._roots = roots
        self._calls = calls
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        self._known: dict[RootId, tuple[str, History]] = {}
        self._looked_at: dict[RootId, float] = {}
        self._asked_at: dict[RootId, float] = {}
        self._looking: dict[RootId, asyncio.Task[None]] = {}

    def of(self, root: RootId) -> History | None:
        """Return a root's history as far as it is known by now, and have it looked at again. Any thread."""
        known = self._known.get(root)
        self._asked_at[root] = time.monotonic()
        if time.monotonic() - self._looked_at.get(root, float("-inf")) > _AGAIN_S:
            try:
                self._loop.call_soon_threadsafe(self.look, root)
            except RuntimeError:
                pass  # The event loop has ended.
        return None if known is None else known[1]

    def look(self, root: RootId) -> None:
        """Begin to look at a root's history, unless that is being done."""
        if root not in self._looking:
            self._looked_at[root] = time.monotonic()
            task = self._looking[root] = asyncio.ensure_future(self._look(root))
            task.add_done_callback(lambda _: self._looking.pop(root, None))

    async def settle(self) -> None:
        """Look at the histories that are kept and at those of new roots; wait for them, but not long."""
        new = [one.record.root for one in self._roots.all() if one.record.root not in self._looked_at]
        # Where there is no room, who asks has it read.
        for root in [*self._known, *new[: MOST_KEPT - len(self._known)]]:
            self.look(root)
        # A look that takes longer, as on a file system that does not answer, is waited for once.
        earliest = time.monotonic() - _FLUSH_S
        young = [task for root, task in self._looking.items() if self._looked_at[root] > earliest]
        if young:
            await asyncio.wait(young, timeout=_FLUSH_S)

    def close(self) -> None:
        """Stop looking."""
        for task in self._looking.values():
            task.cancel()

    async def _look(self, root: RootId) -> None:
        served = self._roots.get(root)
        if served is None:
            self._known.pop(root, None)
            return
        path, before = Path(served.path), self._known.get(root, ("", None))[0]
        try:
            found = await self._calls.ask(
                ("history", root), lambda: _read(path, before), served.path, limit_s=2 * TIMEOUT_S
            )
        except (OSError, RegendError) as error:
            log.warning("history_not_read", root=served.path, reason=str(error))
            return
        if found is not None:
            self._known.pop(root, None)  # So that the newest stands last.
            self._known[root] = found
            while len(self._known) > MOST_KEPT:
                del self._known[min(self._known, key=lambda one: self._asked_at.get(one, 0.0))]
            self._changed()


def _read(path: Path, before: str) -> tuple[str, History] | None:
    """Return the commit and the history up to it; None where nothing changed."""
    commit = head_of(path)
    return None if commit == before else (commit, History(changes_of(path, commit)))
