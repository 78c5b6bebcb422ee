"""Messages of the methods that look after the daemon and its roots. On the wire each is a map with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regend.rpc.codec import PROTOCOL_VERSION
from regend.rpc.fields import Checked, wire

MAX_LISTED = 10_000
"""The largest page of `files`."""
MAX_WAIT_S = 3_600.0
"""The longest a `flush` or `sync` may be asked to wait."""
TOPICS = ("progress", "index", "state")
"""What a connection may subscribe to."""


@dataclass(frozen=True, slots=True)
class Empty(Checked):
    """No parameters."""


# --- hello ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class HelloRequest(Checked):
    client: str = wire("the client's name, for the daemon's log", "")
    protocol: int = wire("the protocol version the client speaks", PROTOCOL_VERSION)
    errors: str = wire(
        "`map` as described above, or `text`: the error slot is the string `code: message`, "
        "which is all that Neovim's `rpcrequest` can show",
        "map",
        choices=("map", "text"),
    )


@dataclass(frozen=True, slots=True)
class HelloResponse:
    server: str = wire("always `regend`")
    version: str = wire("the daemon's version")
    protocol: int = wire("the protocol version the daemon speaks")
    pid: int = wire("the daemon's process id")
    capabilities: tuple[str, ...] = wire("the methods it answers, sorted")


# --- freshness --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FlushRequest(Checked):
    timeout_s: float = wire("how long to wait at most", 60.0, low=0, high=MAX_WAIT_S)


@dataclass(frozen=True, slots=True)
class FailedPath:
    root: str = wire("absolute path of the root")
    path: str = wire("relative to the root, with `/`")
    reason: str = wire("why it is not indexed")


@dataclass(frozen=True, slots=True)
class FlushResponse:
    generation: int = wire("at which everything written before the call is searchable")
    complete: bool = wire("false while chunks still lack a vector")
    failed: tuple[FailedPath, ...] = wire("what could not be indexed; each is a `FailedPath`")
    took_ms: float = wire("how long the call waited")


@dataclass(frozen=True, slots=True)
class SyncRequest(Checked):
    timeout_s: float = wire("how long to wait at most", 5.0, low=0, high=MAX_WAIT_S)


@dataclass(frozen=True, slots=True)
class SyncResponse:
    generation: int = wire("at which everything written before the call is searchable by words")
    took_ms: float = wire("how long the call waited")


@dataclass(frozen=True, slots=True)
class VerifyRequest(Checked):
    timeout_s: float = wire("how long it may take; every file is read again", 600.0, low=0, high=MAX_WAIT_S)


@dataclass(frozen=True, slots=True)
class VerifyResponse:
    damage: str = wire(
        "what the check of the catalog's pages, and of the chunks in it, found: the next start puts the catalog aside "
        "and indexes the roots anew; empty if they are sound"
    )
    files: int = wire("how many files the index knows now")
    differing: tuple[FailedPath, ...] = wire(
        "files whose entry was not what is on disk, at most 100, each a `FailedPath`; they have been indexed again. "
        "What changed while the check ran may be among them"
    )
    more: int = wire("how many further files differed")
    took_ms: float = wire("how long the call took")


# --- roots and files --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddRequest(Checked):
    path: str = wire("absolute path of a directory")
    force: bool = wire("add it although it looks too large or unsuited, such as a home directory", False)


@dataclass(frozen=True, slots=True)
class AddResponse:
    root: str = wire("its absolute real path")
    pool: str = wire("what it shares its index with: the git common directory, or its own path")
    state: str = wire("as in `status`")


@dataclass(frozen=True, slots=True)
class RemoveRequest(Checked):
    path: str = wire("absolute path of a root")
    forget: bool = wire(
        "answer only when no byte of what the root alone used is left on disk; else its text and vectors are kept "
        "for a while, so that adding it again costs nothing",
        False,
    )


@dataclass(frozen=True, slots=True)
class RootRequest(Checked):
    path: str = wire("absolute path of a root")


@dataclass(frozen=True, slots=True)
class RootResponse:
    root: str = wire("the absolute path of the root")


@dataclass(frozen=True, slots=True)
class ListedRoot:
    path: str = wire("absolute path")
    pool: str = wire("what it shares its index with")
    state: str = wire("as in `status`")
    files_indexed: int = wire("files that are searchable now")


@dataclass(frozen=True, slots=True)
class ListResponse:
    roots: tuple[ListedRoot, ...] = wire("by path; each is a `ListedRoot`")


@dataclass(frozen=True, slots=True)
class FilesRequest(Checked):
    root: str = wire("absolute path of a root")
    state: str = wire("`indexed` or `skipped`; empty for both", "", choices=("", "indexed", "skipped"))
    limit: int = wire("files at most in this page", 1_000, low=1, high=MAX_LISTED)
    after: str = wire("list paths that sort after this one: the previous page's `next`", "")


@dataclass(frozen=True, slots=True)
class ListedFile:
    path: str = wire("relative to the root, with `/`")
    state: str = wire("`indexed` or `skipped`")
    reason: str = wire("why it was skipped, or why it was chunked by lines only; else empty")
    language: str = wire("language name, if known")
    chunks: int = wire("number of chunks")


@dataclass(frozen=True, slots=True)
class FilesResponse:
    files: tuple[ListedFile, ...] = wire("by path; each is a `ListedFile`")
    next: str = wire("give it as `after` for the next page; empty on the last")


@dataclass(frozen=True, slots=True)
class PausedResponse:
    paused: bool = wire("whether indexing is paused now; queries are answered all the same")


@dataclass(frozen=True, slots=True)
class WhyRequest(Checked):
    file: str = wire("absolute path, or relative to `root`")
    root: str = wire("absolute path of the root that a relative `file` is in", "")


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    source: str = wire("the file the rule is in, or the name of a built-in list")
    line: int = wire("its line there, 1-based; 0 for built-in rules")
    pattern: str = wire("the pattern")


WHY_STATES = ("indexed", "skipped", "ignored", "quarantined", "pending", "missing", "outside")


@dataclass(frozen=True, slots=True)
class WhyResponse:
    path: str = wire("relative to the root, with `/`; absolute when outside of all roots")
    root: str = wire("absolute path of the root; empty when outside")
    state: str = wire(" ".join(f"`{state}`" for state in WHY_STATES), choices=WHY_STATES)
    reason: str = wire("one sentence")
    rule: IgnoreRule | None = wire("the `IgnoreRule` that decided, or null")  # noqa: RUF009 - wire() makes a field.
    language: str = wire("language name, if known")
    chunks: int = wire("number of chunks")
    degraded: str = wire("why it was chunked by lines and not by syntax; else empty")


# --- operations -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class RootStatus:
    path: str = wire("absolute path")
    pool: str = wire("what it shares its index with")
    state: str = wire("`scanning`, `indexing`, `ready`, `paused`, `degraded` or `gone`")
    files_indexed: int = wire("files that are searchable now")
    files_skipped: int = wire("files that are not, on purpose or for an error")
    skipped_by_reason: Mapping[str, int] = wire("the same by reason")
    chunks: int = wire("live chunks")
    pending: int = wire("paths known to need work")
    generation: int = wire("of its last commit")
    complete: bool = wire("nothing pending and no chunk without a vector")
    watching: str = wire("how changes are noticed, such as `events` or `polling`")
    reason: str = wire("why `state` is not `ready`; else empty")


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    pid: int = wire("its process id")
    state: str = wire("`idle`, `busy` or `starting`")
    rss_bytes: int = wire("resident memory")
    items: int = wire("work items done since it started")


@dataclass(frozen=True, slots=True)
class StatusResponse:
    version: str = wire("the daemon's version")
    pid: int = wire("its process id")
    uptime_s: float = wire("seconds since it started")
    model: Mapping[str, Any] = wire("the embedding model: `id`, `dim` and what else is known of it")
    roots: tuple[RootStatus, ...] = wire("by path; each is a `RootStatus`")
    queues: Mapping[str, int] = wire("waiting items by queue")
    stages: Mapping[str, Mapping[str, float]] = wire("by stage: `count`, `p50_ms`, `p95_ms`, `max_ms`")
    workers: tuple[WorkerStatus, ...] = wire("each is a `WorkerStatus`")
    memory: Mapping[str, int] = wire("`rss_bytes` of the daemon, and parts of it where known")
    counters: Mapping[str, int] = wire(
        "totals since the start; `embedded_chunks` counts every text given to an embedder for the index"
    )
    generation: int = wire("of the current snapshot")
    complete: bool = wire("true when every root is")
    paused: bool = wire("whether the user paused indexing")
    socket: str = wire("path of this socket")
    state_dir: str = wire("path of the state directory")
    held_back: tuple[str, ...] = wire("what holds bulk indexing back now, as sentences; empty while nothing does", ())


@dataclass(frozen=True, slots=True)
class ConfigResponse:
    config: Mapping[str, Any] = wire("the effective configuration, as in `docs/configuration.md`")


@dataclass(frozen=True, slots=True)
class SubscribeRequest(Checked):
    topics: tuple[str, ...] = wire("see Notifications", choices=TOPICS)


@dataclass(frozen=True, slots=True)
class UnsubscribeRequest(Checked):
    topics: tuple[str, ...] = wire("topics to leave; empty for all", (), choices=TOPICS)


@dataclass(frozen=True, slots=True)
class SubscribedResponse:
    subscribed: tuple[str, ...] = wire("all topics of this connection now, sorted")


@dataclass(frozen=True, slots=True)
class StopResponse:
    stopping: bool = wire("always true; the connection closes once the daemon has stopped")


# --- notifications ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    root: str = wire("absolute path of the root")
    state: str = wire("as in `status`")
    files_indexed: int = wire("files that are searchable now")
    pending: int = wire("paths known to need work")
    generation: int = wire("of its last commit")
    complete: bool = wire("nothing pending and no chunk without a vector")


@dataclass(frozen=True, slots=True)
class IndexEvent:
    root: str = wire("absolute path of the root")
    generation: int = wire("of the new snapshot")
    complete: bool = wire("no chunk without a vector")
    paths: tuple[str, ...] = wire("changed paths, relative to the root; at most 100")
    more: int = wire("how many further paths changed")


@dataclass(frozen=True, slots=True)
class StateEvent:
    root: str = wire("absolute path of the root; empty for the daemon itself")
    state: str = wire("as in `status`; `removed` for a root that was removed, `stopping` for the daemon")
    reason: str = wire("why; empty if there is nothing to say")
