"""Adds roots to, and removes them from, `Roots`, the store, the pipeline and the watcher."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import structlog

from regend.core import events as ev
from regend.daemon.driver import Driver
from regend.daemon.indexer import Indexer
from regend.daemon.roots import RootCandidate, Roots, ServedRoot
from regend.disk.calls import RootCalls
from regend.errors import RootError
from regend.store.base import RootRecord
from regend.store.reads import Reads
from regend.store.store import Store
from regend.types import RootId, Track
from regend.watch.watcher import Watcher

ADD_LIMIT_S = 10.0
"""How long the file system of a directory that is to be added may take to answer."""
log = structlog.get_logger(__name__)


class Admission:
    """Adds and removes roots, one at a time; used on the event loop.

    Args:
        remote_paths: real paths of the roots whose text may leave the machine; None where no model is remote.
        last_track: of the strongest model, which is the one that may be remote.
    """

    def __init__(
        self,
        roots: Roots,
        indexer: Indexer,
        driver: Driver,
        watcher: Watcher,
        calls: RootCalls,
        remote_paths: frozenset[str] | None,
        last_track: Track,
    ) -> None:
        self._roots = roots
        self._indexer = indexer
        self._driver = driver
        self._watcher = watcher
        self._calls = calls
        self._remote_paths = remote_paths
        self._last_track = last_track
        self._lock = asyncio.Lock()

    async def recall(self) -> None:
        """Serve the roots of the store again, also those whose file systems do not answer.

        A root in whose path links have come moves to where they lead. It is removed from its old place, where it would
        be searched but neither listed nor removed.
        """
        records = self._indexer.reads.roots()
        for record, candidate in zip(records, await asyncio.gather(*map(self._recall, records)), strict=True):
            path = candidate.identity.path
            if str(path) != record.path:
                log.warning("root_moved", root=record.path, to=str(path))
                await asyncio.wrap_future(self._indexer.call(partial(Store.remove_root, root=record.root)))
            if self._roots.at(path) is None:
                await self._admit(candidate)

    async def add(self, path: Path, force: bool) -> ServedRoot:
        """Serve a directory; a root that is served already stays as it is.

        Raises:
            RegendError: it cannot be served, see `Roots.prepare`.
        """
        async with self._lock:
            place = self._watcher.mount_of(path) or "/"
            candidate = await self._calls.ask(place, partial(self._roots.prepare, path, force), place, ADD_LIMIT_S)
            return self._roots.at(candidate.identity.path) or await self._admit(candidate)

    async def remove(self, served: ServedRoot) -> None:
        """Stop serving a root and drop what only it used.

        Raises:
            RootError: another request has removed it.
        """
        root = served.record.root
        async with self._lock:
            if self._roots.get(root) is None:
                raise RootError(f"{served.path} was removed already.")
            self._watcher.remove(root)
            self._driver.send(ev.RootRemoved(root))
            self._roots.remove(root)
            await asyncio.wrap_future(self._indexer.call(lambda store: store.remove_root(root)))
        log.info("root_removed", root=served.path)

    async def _recall(self, record: RootRecord) -> RootCandidate:
        try:
            return await self._calls.ask(record.root, partial(self._roots.recall, record), record.path)
        except RootError as error:
            log.warning("root_does_not_answer", root=record.path, reason=str(error))
            return self._roots.unseen(record)

    async def _admit(self, candidate: RootCandidate) -> ServedRoot:
        identity = candidate.identity

        def load(store: Store) -> tuple[RootRecord, ev.RootAdded]:
            record = store.add_root(str(identity.path), identity.pool_key, identity.marker)
            remote = roots_at(store.reads, self._remote_paths)
            if remote is not None:
                store.embed_only(remote, self._last_track)
            files, blobs = store.tree(record.root), store.pool_blobs(record.pool)
            return record, ev.RootAdded(record.root, record.pool, files, blobs)

        record, added = await asyncio.wrap_future(self._indexer.call(load))
        served = self._roots.add(record, candidate)
        self._driver.send(added)
        if not candidate.is_seen:
            self._driver.send(ev.RootLost(added.root))
        self._watcher.add(added.root, identity, candidate.rules, is_lost=not candidate.is_seen)
        log.info("root_added", root=served.path, files=len(added.files))
        return served


def roots_at(reads: Reads, paths: frozenset[str] | None) -> frozenset[RootId] | None:
    """Return the store's roots at these real paths; None for None."""
    return None if paths is None else frozenset(record.root for record in reads.roots() if record.path in paths)
