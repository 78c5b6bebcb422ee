"""Messages of the methods that control the daemon and its roots. On the wire each is a map with the same keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from regend.fields import Checked, declare
from regend.limits import MAX_LISTED, MAX_WAIT_S, MODES
from regend.rpc.codec import PROTOCOL_VERSION

TOPICS = ("progress", "index", "state")
"""Topics to which a connection may subscribe."""


@dataclass(frozen=True, slots=True)
class Empty(Checked):
    """No parameters."""


@dataclass(frozen=True, slots=True)
class HelloRequest(Checked):
    client: str = declare("the client's name, for the daemon's log", "")
    protocol: int = declare("the protocol version the client speaks", PROTOCOL_VERSION)
    errors: str = declare(
        "`map` as described above, or `text`: the error slot is the string `code: message`, "
        "which is all that Neovim's `rpcrequest` can show",
        "map",
        choices=("map", "text"),
    )


@dataclass(frozen=True, slots=True)
class HelloResponse:
    server: str = declare("always `regend`")
    version: str = declare("the daemon's version")
    protocol: int = declare("the protocol version the daemon speaks")
    pid: int = declare("the daemon's process id")
    capabilities: tuple[str, ...] = declare("the methods it answers, sorted")


@dataclass(frozen=True, slots=True)
class FlushRequest(Checked):
    timeout_s: float = declare("maximum time to wait", 60.0, low=0, high=MAX_WAIT_S)


@dataclass(frozen=True, slots=True)
class FailedPath:
    root: str = declare("absolute path of the root")
    path: str = declare("relative to the root, with `/`")
    reason: str = declare("why it is not indexed")


@dataclass(frozen=True, slots=True)
class FlushResponse:
    generation: int = declare("generation at which everything written before the call is searchable")
    complete: bool = declare("false while chunks still lack a vector, or a root or directory could not be looked at")
    failed: tuple[FailedPath, ...] = declare("files and places that could not be indexed; each is a `FailedPath`")
    took_ms: float = declare("how long the call waited")


@dataclass(frozen=True, slots=True)
class SyncRequest(Checked):
    timeout_s: float = declare("maximum time to wait", 5.0, low=0, high=MAX_WAIT_S)


@dataclass(frozen=True, slots=True)
class SyncResponse:
    generation: int = declare("generation at which everything written before the call is searchable by words")
    took_ms: float = declare("how long the call waited")


@dataclass(frozen=True, slots=True)
class VerifyRequest(Checked):
    timeout_s: float = declare("how long it may take; every file is read again", 600.0, low=0, high=MAX_WAIT_S)


@dataclass(frozen=True, slots=True)
class VerifyResponse:
    damage: str = declare(
        "damage that the check of the catalog's pages and chunks found; the next start puts the catalog aside and "
        "indexes the roots again; empty without damage"
    )
    files: int = declare("how many files the index knows now")
    differing: tuple[FailedPath, ...] = declare(
        "files whose entry differed from the disk, at most 100, each a `FailedPath`; the daemon has indexed them "
        "again; files that changed during the check may be among them"
    )
    more: int = declare("how many further files differed")
    took_ms: float = declare("how long the call took")


@dataclass(frozen=True, slots=True)
class AddRequest(Checked):
    path: str = declare("absolute path of a directory")
    force: bool = declare("add it even if it looks too large or unsuited, such as a home directory", False)


@dataclass(frozen=True, slots=True)
class AddResponse:
    root: str = declare("its absolute real path")
    pool: str = declare("the pool whose index it shares: a git common directory, or its own path")
    state: str = declare("as in `status`")


@dataclass(frozen=True, slots=True)
class RemoveRequest(Checked):
    path: str = declare("absolute path of a root")
    forget: bool = declare(
        "before the answer, delete everything that only this root used; otherwise its text and vectors are kept for a "
        "while, so that it costs nothing to add it again",
        False,
    )


@dataclass(frozen=True, slots=True)
class RootRequest(Checked):
    path: str = declare("absolute path of a root")


@dataclass(frozen=True, slots=True)
class ReindexRequest(Checked):
    path: str = declare("absolute path of a root")
    mode: str = declare(
        "how files are indexed until nothing waits; every mode gives the same index; empty: as configured",
        "",
        choices=("", *MODES),
    )


@dataclass(frozen=True, slots=True)
class RootResponse:
    root: str = declare("the absolute path of the root")


@dataclass(frozen=True, slots=True)
class ListedRoot:
    path: str = declare("absolute path")
    pool: str = declare("the pool whose index it shares")
    state: str = declare("as in `status`")
    files_indexed: int = declare("files that are searchable now")


@dataclass(frozen=True, slots=True)
class ListResponse:
    roots: tuple[ListedRoot, ...] = declare("by path; each is a `ListedRoot`")


@dataclass(frozen=True, slots=True)
class FilesRequest(Checked):
    root: str = declare("absolute path of a root")
    state: str = declare("`indexed` or `skipped`; empty for both", "", choices=("", "indexed", "skipped"))
    limit: int = declare("maximum files in this page", 1_000, low=1, high=MAX_LISTED)
    after: str = declare("list paths that sort after this one: the previous page's `next`", "")


@dataclass(frozen=True, slots=True)
class ListedFile:
    path: str = declare("relative to the root, with `/`")
    state: str = declare("`indexed` or `skipped`")
    reason: str = declare("why it was skipped, or why it was chunked by lines only; else empty")
    language: str = declare("language name, if known")
    chunks: int = declare("number of chunks")


@dataclass(frozen=True, slots=True)
class FilesResponse:
    files: tuple[ListedFile, ...] = declare("by path; each is a `ListedFile`")
    next: str = declare("give it as `after` for the next page; empty on the last")


@dataclass(frozen=True, slots=True)
class PausedResponse:
    paused: bool = declare("whether indexing is paused now; queries are still answered")


@dataclass(frozen=True, slots=True)
class WhyRequest(Checked):
    file: str = declare("absolute path, or relative to `root`")
    root: str = declare("absolute path of the root that a relative `file` is in", "")


@dataclass(frozen=True, slots=True)
class IgnoreRule:
    source: str = declare("the file the rule is in, or the name of a built-in list")
    line: int = declare("its line there, 1-based; 0 for built-in rules")
    pattern: str = declare("the pattern")


WHY_STATES = ("indexed", "skipped", "ignored", "quarantined", "pending", "missing", "outside")


@dataclass(frozen=True, slots=True)
class WhyResponse:
    path: str = declare("relative to the root, with `/`; absolute when outside of all roots")
    root: str = declare("absolute path of the root; empty when outside")
    state: str = declare(" ".join(f"`{state}`" for state in WHY_STATES), choices=WHY_STATES)
    reason: str = declare("a sentence, and one for each line of `.gitattributes` that holds for the file")
    rule: IgnoreRule | None = declare("the `IgnoreRule` that decided, or would but for git; or null")  # noqa: RUF009 - declare() makes a field.
    language: str = declare("language name, if known")
    chunks: int = declare("number of chunks")
    degraded: str = declare("`generated`, or why it was chunked by lines and not by syntax; else empty")


@dataclass(frozen=True, slots=True)
class RootStatus:
    path: str = declare("absolute path")
    pool: str = declare("the pool whose index it shares")
    state: str = declare("`scanning`, `indexing`, `ready`, `paused`, `degraded`, `hung` or `gone`")
    files_indexed: int = declare("files that are searchable now")
    files_skipped: int = declare("files that are not searchable, on purpose or because of an error")
    skipped_by_reason: Mapping[str, int] = declare("number of skipped files by reason")
    chunks: int = declare("live chunks")
    pending: int = declare("paths known to need work")
    generation: int = declare("generation of its last commit")
    complete: bool = declare("true if nothing is pending and every chunk has a vector")
    watching: str = declare("how changes are noticed, such as `events` or `polled every 5 s`")
    reason: str = declare("why `state` is not `ready`; else empty")


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    pid: int = declare("its process id")
    state: str = declare("`idle`, `busy` or `starting`")
    rss_bytes: int = declare("resident memory")
    items: int = declare("work items done since it started")


@dataclass(frozen=True, slots=True)
class HotFile:
    root: str = declare("absolute path of the root")
    path: str = declare("relative to the root, with `/`")
    next_look_s: float = declare("seconds until it is read next, unless a flush or `sync` asks for it before")


@dataclass(frozen=True, slots=True)
class StatusResponse:
    version: str = declare("the daemon's version")
    pid: int = declare("its process id")
    uptime_s: float = declare("seconds since it started")
    model: Mapping[str, Any] = declare("the embedding model: `id`, `dim` and further facts")
    roots: tuple[RootStatus, ...] = declare("by path; each is a `RootStatus`")
    queues: Mapping[str, int] = declare("waiting items by queue")
    stages: Mapping[str, Mapping[str, float]] = declare("by stage: `count`, `p50_ms`, `p95_ms`, `max_ms`")
    workers: tuple[WorkerStatus, ...] = declare("each is a `WorkerStatus`")
    memory: Mapping[str, int] = declare("`rss_bytes` of the daemon, and parts of it where known")
    counters: Mapping[str, int] = declare(
        "totals since the start; `embedded_chunks` counts every text given to an embedder for the index"
    )
    generation: int = declare("generation of the current snapshot")
    complete: bool = declare("true if every root is complete")
    paused: bool = declare("whether the user paused indexing")
    mode: str = declare("how files are indexed now: `sequential`, `parallel` or `pipeline`")
    socket: str = declare("path of this socket")
    state_dir: str = declare("path of the state directory")
    shared: Mapping[str, Any] = declare(
        "the shared store: its address, its errors, totals of vectors reused and pushed and of queries that it "
        "answered, and by root the pool, how many chunks wait to be sent (`waiting`) and for how long (`lag_s`), how "
        "long the tree's lease runs (`lease_s`), where it is searched (`search`: `here`, `store`, or `comparing` "
        "until that is known) and how many vectors are `in_memory`; empty where none is configured",
    )
    held_back: tuple[str, ...] = declare(
        "sentences that say why indexing or vectors are held back now, or why no worker can be started; empty if they "
        "are not",
        (),
    )
    http: str = declare(
        "where the HTTP gateway serves, such as `http://127.0.0.1:7433`; empty while it does not run", ""
    )
    hot_files: tuple[HotFile, ...] = declare(
        "changed files that wait because they change without end, soonest first, at most 100; each is a `HotFile`", ()
    )


@dataclass(frozen=True, slots=True)
class ConfigResponse:
    config: Mapping[str, Any] = declare("the effective configuration, as in `docs/configuration.md`")


@dataclass(frozen=True, slots=True)
class SubscribeRequest(Checked):
    topics: tuple[str, ...] = declare("see Notifications", choices=TOPICS)


@dataclass(frozen=True, slots=True)
class UnsubscribeRequest(Checked):
    topics: tuple[str, ...] = declare("topics to leave; empty for all", (), choices=TOPICS)


@dataclass(frozen=True, slots=True)
class SubscribedResponse:
    subscribed: tuple[str, ...] = declare("all topics of this connection now, sorted")


@dataclass(frozen=True, slots=True)
class StopResponse:
    stopping: bool = declare("always true; the connection closes once the daemon has stopped")


@dataclass(frozen=True, slots=True)
class ProgressEvent:
    root: str = declare("absolute path of the root")
    state: str = declare("as in `status`")
    files_indexed: int = declare("files that are searchable now")
    pending: int = declare("paths known to need work")
    generation: int = declare("generation of its last commit")
    complete: bool = declare("true if nothing is pending and every chunk has a vector")


@dataclass(frozen=True, slots=True)
class IndexEvent:
    root: str = declare("absolute path of the root")
    generation: int = declare("generation of the new snapshot")
    complete: bool = declare("true if every chunk has a vector")
    paths: tuple[str, ...] = declare("changed paths, relative to the root; at most 100")
    more: int = declare("how many further paths changed")


@dataclass(frozen=True, slots=True)
class StateEvent:
    root: str = declare("absolute path of the root; empty for the daemon itself")
    state: str = declare("as in `status`; `removed` for a root that was removed, `stopping` for the daemon")
    reason: str = declare("why the state changed; empty without a reason")
