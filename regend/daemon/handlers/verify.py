"""Answers `verify`: compares the index with the disk by reading every file again, and indexes again what differs.

A difference is repaired like an ordinary change, so there is no second notion of what is right: the trees before and
after are compared, and where they differ the index was wrong.
"""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from regend.core import events as ev
from regend.daemon.driver import Driver
from regend.daemon.roots import Roots
from regend.rpc import operation_messages as rpc
from regend.rpc.connection import Connection
from regend.store.reads import Reads
from regend.types import RootId

MAX_NAMED = 100
Listing = dict[str, tuple[bytes | None, str]]


@dataclass(frozen=True, slots=True)
class VerifyMethod:
    """Answers `verify`."""

    roots: Roots
    driver: Driver
    reads: Reads
    threads: ThreadPoolExecutor

    async def verify(self, _: Connection, request: rpc.VerifyRequest) -> rpc.VerifyResponse:
        """Check the catalog's pages, then the files.

        Raises:
            RpcError: it took longer than the request allows (code ``timeout``); it continues in the background.
            StoreError: the catalog cannot be read.
        """
        started_at = time.perf_counter()
        in_thread = asyncio.get_running_loop().run_in_executor
        damage = await in_thread(self.threads, self.reads.check_pages)
        # Known changes first, so that they do not count as differences.
        await self.driver.flush(wait_vectors=True, timeout_s=request.timeout_s)
        paths = {served.record.root: served.path for served in self.roots.all()}
        roots = [root for root in paths if not self.driver.pipeline.is_lost(root)]
        before = await in_thread(self.threads, self._listings, roots)
        for root in roots:
            self.driver.send(ev.RescanNeeded(root, rehash=True))
        left_s = request.timeout_s - (time.perf_counter() - started_at)
        await self.driver.flush(wait_vectors=True, timeout_s=max(0.0, left_s))
        after = await in_thread(self.threads, self._listings, roots)
        differing = [
            rpc.FailedPath(paths[root], path, _difference(before[root].get(path), after[root].get(path)))
            for root in roots
            for path in sorted(before[root].keys() | after[root].keys())
            if before[root].get(path) != after[root].get(path)
        ]
        return rpc.VerifyResponse(
            damage,
            sum(len(listing) for listing in after.values()),
            tuple(differing[:MAX_NAMED]),
            max(0, len(differing) - MAX_NAMED),
            round((time.perf_counter() - started_at) * 1e3, 3),
        )

    def _listings(self, roots: list[RootId]) -> dict[RootId, Listing]:
        return {root: self.reads.listing(root) for root in roots}


def _difference(before: tuple[bytes | None, str] | None, after: tuple[bytes | None, str] | None) -> str:
    if before is None:
        return "it was missing in the index"
    if after is None:
        return "it was in the index, but is not on disk"
    return "its content was different"
