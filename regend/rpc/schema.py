"""Every method of the socket: its request, its response, its errors. The wire contract, and nothing else.

On the wire each message is a MessagePack map with the keys of its dataclass. `docs/rpc.md` is generated from this
module (`python -m tests.reference_tables`) and compared with it by a test. `regenctl` does not import it: building the
classes takes longer than its whole start-up may.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regend.rpc import operation_messages as ops
from regend.rpc import query_messages as asks


@dataclass(frozen=True, slots=True)
class Method:
    """A method: its messages, its purpose, and the errors that it may return besides those of every method."""

    name: str
    request: type
    response: type
    doc: str
    errors: tuple[str, ...] = ()


ERRORS: Mapping[str, str] = {
    "method_not_found": "any method: the daemon does not know it; `hello` lists those it knows",
    "invalid_params": "any method: the named parameter is unknown, missing, of the wrong type or out of range",
    "internal_error": "any method: a bug; the daemon's log has the details",
    "unsupported_protocol": "`hello`: the daemon does not speak the client's protocol version; `data` has the daemon's",
    "root_error": "the root is unknown, already added, refused or gone",
    "path_error": "the path is outside of all roots, missing, of the wrong kind, or not readable",
    "timeout": "`flush`, `verify`: the work did not finish in time; it continues in the background",
    "not_synced": "`sync`, and `search` with `sync`: the newest writes could not be read in time",
    "query_error": "the query contains nothing to search for, or an expression that is not one",
    "filter_error": "a filter, glob or limit is not valid",
    "store_error": "the state directory cannot be used",
    "embedding_error": "the embedding provider returned no usable vector",
    "stopping": "the daemon is shutting down",
}
"""When each error code is returned. A code of `regend.errors` that is not listed may occur, too."""


_PLACE = ("root_error", "path_error")
_METHODS = (
    Method("hello", ops.HelloRequest, ops.HelloResponse, "Agree on the protocol; optional.", ("unsupported_protocol",)),
    Method(
        "search", asks.SearchRequest, asks.SearchResponse, "Rank chunks by words and meaning.",
        ("query_error", "filter_error", "root_error", "path_error", "not_synced"),
    ),
    Method(
        "symbols", asks.SymbolsRequest, asks.SymbolsResponse, "Find definitions by name.",
        ("query_error", "filter_error", "root_error", "path_error"),
    ),
    Method(
        "related", asks.RelatedRequest, asks.SearchResponse, "Rank chunks by similarity to the chunk at a line.",
        ("path_error", "filter_error", "root_error"),
    ),
    Method(
        "outline", asks.OutlineRequest, asks.OutlineResponse, "List a file's definitions.",
        ("path_error", "root_error"),
    ),
    Method("status", ops.Empty, ops.StatusResponse, "Report what is indexed, what is not and why, and current work."),
    Method("files", ops.FilesRequest, ops.FilesResponse, "List a root's files page by page.", _PLACE),
    Method("flush", ops.FlushRequest, ops.FlushResponse, "Wait until earlier writes are searchable.", ("timeout",)),
    Method(
        "sync", ops.SyncRequest, ops.SyncResponse, "Wait until earlier writes are searchable by words.",
        ("not_synced",),
    ),
    Method("add", ops.AddRequest, ops.AddResponse, "Add a root and start to index it.", ("path_error", "root_error")),
    Method(
        "remove", ops.RemoveRequest, ops.RootResponse, "Remove a root; with `forget`, delete all its data.", _PLACE,
    ),
    Method("list", ops.Empty, ops.ListResponse, "List the roots."),
    Method("reindex", ops.ReindexRequest, ops.RootResponse, "Read every file of a root again.", _PLACE),
    Method(
        "verify", ops.VerifyRequest, ops.VerifyResponse,
        "Compare the index with the disk, and index again what differs.",
        ("timeout", "store_error"),
    ),
    Method("pause", ops.Empty, ops.PausedResponse, "Stop indexing; queries are still answered."),
    Method("resume", ops.Empty, ops.PausedResponse, "Resume indexing."),
    Method(
        "why", ops.WhyRequest, ops.WhyResponse,
        "Say whether a file is indexed, and if not, which rule or error says so.",
        ("path_error",),
    ),
    Method("config", ops.Empty, ops.ConfigResponse, "Show the effective configuration."),
    Method("subscribe", ops.SubscribeRequest, ops.SubscribedResponse, "Start notifications on this connection."),
    Method("unsubscribe", ops.UnsubscribeRequest, ops.SubscribedResponse, "Stop notifications on this connection."),
    Method("stop", ops.Empty, ops.StopResponse, "Shut the daemon down."),
)  # fmt: skip
METHODS: Mapping[str, Method] = {method.name: method for method in _METHODS}

NOTIFICATIONS: Mapping[str, type] = {
    "progress": ops.ProgressEvent,
    "index": ops.IndexEvent,
    "state": ops.StateEvent,
}
"""Payload of the notifications of each topic."""
