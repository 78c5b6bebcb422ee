"""Removes from the disk what a new ignore rule excludes.

The store keeps entries that no tree holds any more, because the user may switch a branch back; but a user who adds a
rule wants the files gone. So after rules were read again, and everything that follows from them is committed, the
purger removes unused entries for good if all roots of their pool ignore the path.
"""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Future

import structlog

from regend.core.pipeline import Pipeline
from regend.daemon.indexer import Indexer
from regend.daemon.roots import Roots
from regend.disk.calls import RootCalls
from regend.disk.ignore.rules import IgnoreRules
from regend.types import PoolId, RootId

SETTLE_S = 2.0
"""Time from new rules until the rescan that follows from them must be visible in the queues."""

log = structlog.get_logger(__name__)


class Purger:
    """Owned by the event loop. Rules read the disk, so it asks them in a thread of its own."""

    def __init__(self, roots: Roots, indexer: Indexer, pipeline: Pipeline, calls: RootCalls) -> None:
        self._roots = roots
        self._indexer = indexer
        self._pipeline = pipeline
        self._calls = calls
        self._versions: dict[RootId, int] = {}
        self._due_at: float | None = None
        self._running: Future[bool] | None = None

    @property
    def waits(self) -> bool:
        """A purge runs or will."""
        return self._running is not None or self._due_at is not None

    def check(self, now: float) -> None:
        """Begin a purge if one is due; call it about every second. `now`: monotonic seconds."""
        versions = {served.record.root: served.rules.version for served in self._roots.all()}
        if versions != self._versions:
            self._versions = versions
            self._due_at = now + SETTLE_S
        if self._running is not None:
            if not self._running.done():
                return
            if error := self._running.exception():
                log.warning("purge_failed", reason=str(error))
            if error or not self._running.result():
                self._due_at = now + SETTLE_S
            self._running = None
        if self._due_at is not None and now >= self._due_at and self._pipeline.is_idle():
            self._due_at = None
            self._running = self._begin()

    def _begin(self) -> Future[bool]:
        """Ask the rules of all pools whose roots are there, then let the store remove what they exclude."""
        rules: defaultdict[PoolId, list[IgnoreRules]] = defaultdict(list)
        away: set[PoolId] = set()
        for served in self._roots.all():
            rules[served.record.pool].append(served.rules)
            if self._pipeline.is_lost(served.record.root):
                away.add(served.record.pool)
        done: Future[bool] = Future()

        def decide() -> None:
            try:
                found = {(pool, path) for pool, path in self._indexer.reads.unused() if pool not in away}
                unwanted = {(pool, path) for pool, path in found if _unwanted(rules[pool], path)}
                purge = self._indexer.call(lambda store: store.purge(lambda pool, path: (pool, path) in unwanted))
                done.set_result(purge.result() if unwanted else True)
            except Exception as error:
                done.set_exception(error)

        self._calls.put("purger", decide)
        return done


def _unwanted(rules: list[IgnoreRules], path: str) -> bool:
    """Tell whether all served roots of a pool ignore the path, and there is one."""
    return bool(rules) and all(one.decide(path, is_dir=False).ignored for one in rules)
