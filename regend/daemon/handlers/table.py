"""What each method of the socket does: one function each. Requests are checked before they get here.

Those that ask are in `queries`. Nothing here waits for the indexer but `flush` and `sync`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from regend.core import events as ev
from regend.daemon.handlers import status
from regend.daemon.handlers.named_files import absolute
from regend.daemon.handlers.queries import QueryMethods
from regend.daemon.handlers.verify import verify_index
from regend.daemon.handlers.why import explain_file
from regend.daemon.parts import Parts
from regend.daemon.roots import check_path
from regend.disk.names import printable_name
from regend.errors import PathError
from regend.rpc import schema as rpc
from regend.rpc.connection import Connection, Handler
from regend.store.store import Store
from regend.types import PoolId
from regend.workers.rss import rss_bytes

_PURGE_PAUSE_S = 0.2


class Methods:
    """The handlers, bound to one daemon."""

    def __init__(self, app: Parts) -> None:
        self._app = app

    def handlers(self) -> Mapping[str, Handler]:
        """By method name; `hello`, `subscribe` and `unsubscribe` are the server's own."""
        queries = QueryMethods(self._app)
        own: dict[str, Callable[[Connection, Any], Any]] = {
            "search": queries.search,
            "symbols": queries.symbols,
            "related": queries.related,
            "outline": queries.outline,
            "status": self.status,
            "files": self.files,
            "flush": self.flush,
            "sync": self.sync,
            "add": self.add,
            "remove": self.remove,
            "list": self.list,
            "reindex": self.reindex,
            "verify": self.verify,
            "pause": self.pause,
            "resume": self.resume,
            "why": self.why,
            "config": self.config,
            "stop": self.stop,
        }
        return cast(Mapping[str, Handler], own)

    # -- freshness -------------------------------------------------------------------------------------------------

    async def flush(self, _: Connection, request: rpc.FlushRequest) -> rpc.FlushResponse:
        started_at = time.perf_counter()
        done = await self._app.driver.flush(wait_vectors=True, timeout_s=request.timeout_s)
        failed = []
        for root, path, reason in done.failed:
            served = self._app.roots.get(root)
            if served is not None:
                failed.append(rpc.FailedPath(served.path, path, reason))
        return rpc.FlushResponse(done.generation, done.complete, tuple(failed), _ms_since(started_at))

    async def sync(self, _: Connection, request: rpc.SyncRequest) -> rpc.SyncResponse:
        started_at = time.perf_counter()
        done = await self._app.driver.flush(wait_vectors=False, timeout_s=request.timeout_s)
        return rpc.SyncResponse(done.generation, _ms_since(started_at))

    # -- roots -----------------------------------------------------------------------------------------------------

    async def add(self, _: Connection, request: rpc.AddRequest) -> rpc.AddResponse:
        check_path(request.path)
        path = Path(request.path)
        if not path.is_absolute():
            raise PathError(f"{request.path!r} is not an absolute path; give one that begins with `/`.")
        served = await self._app.add_root(path, request.force)
        return rpc.AddResponse(served.path, served.record.pool_key, status.root_status(self._app, served).state)

    async def remove(self, _: Connection, request: rpc.RemoveRequest) -> rpc.RootResponse:
        served = await self._app.roots.by_path(request.path)
        await self._app.remove_root(served)
        if request.forget:
            await self._forget(served.record.pool)
        return rpc.RootResponse(served.path)

    async def _forget(self, pool: PoolId) -> None:
        """Take off the disk what no tree of the pool names any more."""

        def purge(store: Store) -> bool:
            return store.purge(lambda found, _: found == pool)

        while not await asyncio.wrap_future(self._app.indexer.call(purge)):  # noqa: ASYNC110 - there is no event.
            await asyncio.sleep(_PURGE_PAUSE_S)  # A vector index is being built of what is to go.

    async def list(self, _: Connection, request: rpc.Empty) -> rpc.ListResponse:
        roots = status.root_statuses(self._app)
        return rpc.ListResponse(tuple(rpc.ListedRoot(r.path, r.pool, r.state, r.files_indexed) for r in roots))

    async def files(self, _: Connection, request: rpc.FilesRequest) -> rpc.FilesResponse:
        served = await self._app.roots.by_path(request.root)
        store = self._app.indexer.store
        state = cast(Any, request.state)
        after = printable_name(request.after)  # As it was listed.
        rows = await asyncio.to_thread(store.files, served.record.root, state, request.limit, after)
        listed = tuple(
            rpc.ListedFile(r.path, r.state, r.reason or r.degraded_reason, r.language, r.chunk_count) for r in rows
        )
        return rpc.FilesResponse(listed, rows[-1].path if len(rows) == request.limit else "")

    async def reindex(self, _: Connection, request: rpc.RootRequest) -> rpc.RootResponse:
        served = await self._app.roots.by_path(request.path)
        self._app.driver.send(ev.RescanNeeded(served.record.root, rehash=True))
        return rpc.RootResponse(served.path)

    async def verify(self, _: Connection, request: rpc.VerifyRequest) -> rpc.VerifyResponse:
        return await verify_index(self._app, request.timeout_s)

    async def why(self, _: Connection, request: rpc.WhyRequest) -> rpc.WhyResponse:
        path = absolute(request.file, request.root)
        return await asyncio.to_thread(explain_file, self._app, path)

    # -- operations ------------------------------------------------------------------------------------------------

    async def status(self, _: Connection, request: rpc.Empty) -> rpc.StatusResponse:
        return status.full_status(self._app, await asyncio.to_thread(rss_bytes))

    async def pause(self, _: Connection, request: rpc.Empty) -> rpc.PausedResponse:
        self._app.driver.send(ev.PauseRequested(True))
        return rpc.PausedResponse(True)

    async def resume(self, _: Connection, request: rpc.Empty) -> rpc.PausedResponse:
        self._app.driver.send(ev.PauseRequested(False))
        return rpc.PausedResponse(False)

    async def config(self, _: Connection, request: rpc.Empty) -> rpc.ConfigResponse:
        return rpc.ConfigResponse(asdict(self._app.config))

    async def stop(self, _: Connection, request: rpc.Empty) -> rpc.StopResponse:
        self._app.stop()
        return rpc.StopResponse(True)


def _ms_since(started_at: float) -> float:
    return round((time.perf_counter() - started_at) * 1e3, 3)
