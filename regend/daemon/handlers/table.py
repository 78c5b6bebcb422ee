"""Which function answers which method of the socket. The server checks requests before they get here."""

from __future__ import annotations

from collections.abc import Mapping

from regend.daemon.handlers.asking import QueryMethods
from regend.daemon.handlers.freshness import FreshnessMethods
from regend.daemon.handlers.operations import OperationMethods
from regend.daemon.handlers.roots import RootMethods
from regend.daemon.handlers.status import StatusMethod
from regend.daemon.handlers.verify import VerifyMethod
from regend.daemon.handlers.why import WhyMethod
from regend.rpc.connection import Handler


def method_table(
    queries: QueryMethods,
    roots: RootMethods,
    freshness: FreshnessMethods,
    operations: OperationMethods,
    status: StatusMethod,
    verify: VerifyMethod,
    why: WhyMethod,
) -> Mapping[str, Handler]:
    """Return the handlers by method name; `hello`, `subscribe` and `unsubscribe` are the server's own."""
    return {
        "search": queries.search,
        "symbols": queries.symbols,
        "related": queries.related,
        "outline": queries.outline,
        "add": roots.add,
        "remove": roots.remove,
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
