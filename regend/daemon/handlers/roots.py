"""The methods that concern roots: add, remove, list, files."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from regend.daemon.admission import Admission
from regend.daemon.handlers.histories import Histories
from regend.daemon.handlers.status import RootStates
from regend.daemon.indexer import Indexer
from regend.daemon.roots import check_path
from regend.disk.names import printable_name
from regend.errors import PathError
from regend.rpc import operation_messages as rpc
from regend.rpc.connection import Connection
from regend.store.store import Store
from regend.types import PoolId

_PURGE_PAUSE_S = 0.2


@dataclass(frozen=True, slots=True)
class RootMethods:
    """Answers these methods on the event loop."""

    admission: Admission
    states: RootStates
    indexer: Indexer
    histories: Histories

    async def add(self, _: Connection, request: rpc.AddRequest) -> rpc.AddResponse:
        check_path(request.path)
        path = Path(request.path)
        if not path.is_absolute():
            raise PathError(f"{request.path!r} is not an absolute path; give one that begins with `/`.")
        served = await self.admission.add(path, request.force)
        self.histories.look(served.record.root)
        return rpc.AddResponse(served.path, served.record.pool_key, self.states.of(served).state)

    async def remove(self, _: Connection, request: rpc.RemoveRequest) -> rpc.RootResponse:
        served = await self.states.roots.by_path(request.path)
        await self.admission.remove(served)
        if request.forget:
            await self._forget(served.record.pool)
        return rpc.RootResponse(served.path)

    async def list(self, _: Connection, request: rpc.Empty) -> rpc.ListResponse:
        listed = tuple(rpc.ListedRoot(r.path, r.pool, r.state, r.files_indexed) for r in self.states.all())
        return rpc.ListResponse(listed)

    async def files(self, _: Connection, request: rpc.FilesRequest) -> rpc.FilesResponse:
        served = await self.states.roots.by_path(request.root)
        state = cast(Any, request.state)
        after = printable_name(request.after)  # As it was listed.
        rows = await asyncio.to_thread(self.states.reads.files, served.record.root, state, request.limit, after)
        listed = tuple(
            rpc.ListedFile(r.path, r.state, r.reason or r.degraded_reason, r.language, r.chunk_count) for r in rows
        )
        return rpc.FilesResponse(listed, rows[-1].path if len(rows) == request.limit else "")

    async def _forget(self, pool: PoolId) -> None:
        """Remove from the disk the entries of the pool that no tree holds."""

        def purge(store: Store) -> bool:
            return store.purge(lambda found, _: found == pool)

        while not await asyncio.wrap_future(self.indexer.call(purge)):  # noqa: ASYNC110 - there is no event.
            await asyncio.sleep(_PURGE_PAUSE_S)  # A vector index is being built from entries of the pool.
