"""Which function answers which method of the socket. The server checks requests before they get here."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from regend.daemon.handlers.asking import QueryMethods
from regend.daemon.handlers.freshness import FreshnessMethods
from regend.daemon.handlers.operations import OperationMethods
from regend.daemon.handlers.roots import RootMethods
from regend.daemon.handlers.status import StatusMethod
from regend.daemon.handlers.verify import VerifyMethod
from regend.daemon.handlers.why import WhyMethod
from regend.rpc.connection import Connection, Handler


def method_table(
    queries: QueryMethods,
    roots: RootMethods,
    freshness: FreshnessMethods,
    operations: OperationMethods,
    status: StatusMethod,
    verify: VerifyMethod,
    why: WhyMethod,
) -> Mapping[str, Handler]:
    """Map each method's name to its handler; `hello`, `subscribe` and `unsubscribe` are the server's own."""
    return {
        "search": queries.search,
        "symbols": queries.symbols,
        "related": queries.related,
        "outline": queries.outline,
        "add": _to_its_end(roots.add),
        "remove": _to_its_end(roots.remove),
        "list": roots.list,
        "files": roots.files,
        "flush": freshness.flush,
        "sync": freshness.sync,
        "reindex": freshness.reindex,
        "pause": freshness.pause,
        "resume": freshness.resume,
        "verify": verify.verify,
        "why": why.why,
        "status": status.status,
        "config": operations.config,
        "stop": operations.stop,
    }


def _to_its_end(handler: Handler) -> Handler:
    """Answer to the end even if the client goes away: half of the work would leave a root in the store, not served."""
    running: set[asyncio.Future[Any]] = set()

    async def answer(connection: Connection, request: Any) -> Any:
        task = asyncio.ensure_future(handler(connection, request))
        running.add(task)
        task.add_done_callback(running.discard)
        return await asyncio.shield(task)

    return answer
