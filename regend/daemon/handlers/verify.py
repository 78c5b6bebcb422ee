"""`verify`: compare the index with the disk by reading every file again, and let what differs be indexed again.

What repairs is the ordinary way of a change, so there is no second notion of what is right: the trees before and after
are compared, and the difference is what had been wrong.
"""

from __future__ import annotations

import asyncio
import time

from regend.core import events as ev
from regend.daemon.parts import Parts
from regend.rpc import operation_messages as rpc
from regend.types import RootId

MAX_NAMED = 100
Listing = dict[str, tuple[bytes | None, str]]


async def verify_index(app: Parts, timeout_s: float) -> rpc.VerifyResponse:
    """Check pages, then files.

    Raises:
        RpcError: it took longer than `timeout_s` (code ``timeout``); it goes on in the background.
        StoreError: the catalog cannot be read.
    """
    started_at = time.perf_counter()
    async_run, reads = asyncio.get_running_loop().run_in_executor, app.indexer.reads
    damage = await async_run(app.queries, reads.check_pages)
    # Known changes first, so that they do not count as differences.
    await app.driver.flush(wait_vectors=False, timeout_s=timeout_s)
    served = app.roots.all()
    roots = [one.record.root for one in served if not app.driver.pipeline.is_lost(one.record.root)]
    before = await async_run(app.queries, _listings, app, roots)
    for root in roots:
        app.driver.send(ev.RescanNeeded(root, rehash=True))
    await app.driver.flush(wait_vectors=True, timeout_s=max(0.0, timeout_s - (time.perf_counter() - started_at)))
    after = await async_run(app.queries, _listings, app, roots)
    paths = {one.record.root: one.path for one in served}
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


def _listings(app: Parts, roots: list[RootId]) -> dict[RootId, Listing]:
    return {root: app.indexer.reads.listing(root) for root in roots}


def _difference(before: tuple[bytes | None, str] | None, after: tuple[bytes | None, str] | None) -> str:
    if before is None:
        return "it was missing in the index"
    if after is None:
        return "it was in the index, but is not on disk"
    return "its content was another one"
