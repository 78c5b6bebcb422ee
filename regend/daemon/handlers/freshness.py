"""The methods that concern freshness: flush, sync, reindex, pause, resume. Only flush and sync wait for the indexer."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

from regend.core import events as ev
from regend.core.modes import Mode
from regend.daemon.driver import Driver
from regend.daemon.handlers.histories import Histories
from regend.daemon.roots import Roots
from regend.rpc import operation_messages as rpc
from regend.rpc.connection import Connection


@dataclass(frozen=True, slots=True)
class FreshnessMethods:
    """Answers these methods on the event loop."""

    roots: Roots
    driver: Driver
    histories: Histories

    async def flush(self, _: Connection, request: rpc.FlushRequest) -> rpc.FlushResponse:
        started_at = time.perf_counter()
        done = await self.driver.flush(wait_vectors=True, timeout_s=request.timeout_s)
        await self.histories.settle()
        failed = tuple(
            rpc.FailedPath(served.path, path, reason)
            for root, path, reason in done.failed
            if (served := self.roots.get(root)) is not None
        )
        return rpc.FlushResponse(done.generation, done.complete, failed, _ms_since(started_at))

    async def sync(self, _: Connection, request: rpc.SyncRequest) -> rpc.SyncResponse:
        started_at = time.perf_counter()
        done = await self.driver.flush(wait_vectors=False, timeout_s=request.timeout_s)
        return rpc.SyncResponse(done.generation, _ms_since(started_at))

    async def reindex(self, _: Connection, request: rpc.ReindexRequest) -> rpc.RootResponse:
        served = await self.roots.by_path(request.path)
        self.driver.send(ev.RescanNeeded(served.record.root, rehash=True, mode=cast(Mode | None, request.mode or None)))
        return rpc.RootResponse(served.path)

    async def pause(self, _: Connection, request: rpc.Empty) -> rpc.PausedResponse:
        self.driver.send(ev.PauseRequested(True))
        return rpc.PausedResponse(True)

    async def resume(self, _: Connection, request: rpc.Empty) -> rpc.PausedResponse:
        self.driver.send(ev.PauseRequested(False))
        return rpc.PausedResponse(False)


def _ms_since(started_at: float) -> float:
    return round((time.perf_counter() - started_at) * 1e3, 3)
