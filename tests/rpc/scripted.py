"""A real `RpcServer` on a real socket, with handlers that answer from a small fixed table.

It answers the whole schema, so that clients can be tested without a daemon. `ROOT` and the two files in it are made up.
"""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from regend.errors import PathError, RootError, RpcError
from regend.rpc import operation_messages as ops
from regend.rpc import query_messages as asks
from regend.rpc.listen import open_listener
from regend.rpc.schema import METHODS
from regend.rpc.server import Connection, Handler, RpcServer, ServerLimits

ROOT = "/src/app"
DEADLINE_S = 5.0


@dataclass
class Script:
    """The facts that the handlers answer with, and the requests that they saw."""

    generation: int = 7
    paused: bool = False
    roots: list[str] = field(default_factory=lambda: [ROOT])
    pending: int = 0
    held_back: tuple[str, ...] = ()
    differing: int = 0
    damage: str = ""
    seen: list[Any] = field(default_factory=list)
    status_extra: dict[str, Any] = field(default_factory=dict)
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def handlers(self) -> Mapping[str, Handler]:
        names = [name for name in METHODS if name not in ("hello", "subscribe", "unsubscribe")]
        return {name: self._record(getattr(self, f"on_{name}")) for name in names}

    def _record(self, handler: Handler) -> Handler:
        async def call(connection: Connection, request: Any) -> Any:
            self.seen.append(request)
            return await handler(connection, request)

        return call

    def _known(self, root: str) -> str:
        if root and root not in self.roots:
            raise RootError(f"{root} is not a root; add it with `regenctl add {root}`.")
        return root

    async def on_search(self, _: Connection, request: asks.SearchRequest) -> asks.SearchResponse:
        self._known(request.root)
        explain = {"bm25": asks.Feature(12.5, 0.5), "cosine": asks.Feature(0.75, 0.25)} if request.explain else None
        results = (
            asks.SearchResult(
                ROOT, "core/debounce.py", 10, 12, 0.75, "python", "Debouncer.push", "method",
                "def push(self, path, now):\n    due = now + self.quiet_s\n    self._due[path] = due", 10, explain,
            ),
            asks.SearchResult(ROOT, "README.md", 1, 2, 0.25, "markdown", "", "section", "# App\nQuiet.", 1, explain),
        )  # fmt: skip
        if request.budget:
            also = asks.Passage(20, 24, "Debouncer.pop", "def pop(self):\n    return self._due.popitem()", 20)
            copies = tuple(asks.Copy(root, path, 10, 12) for root, path in ((ROOT, "old/x.py"), ("/src/lib", "y.py")))
            matches = (asks.MatchedLine(15, "    self.push(path)"),)
            results = (replace(results[0], also=(also,), matches=matches, copies=copies, copy_count=7),)
        if request.lang:
            results = tuple(r for r in results if r.language == request.lang)
        if request.query == "nothing":
            results = ()
        notes = () if results else ("No file matches.",)
        page = results[request.offset : request.offset + (request.k or 10)]
        more = request.offset + len(page) < len(results)
        return asks.SearchResponse(
            page, self.generation, True, 0.5, notes, request.offset + len(page) if more else None,
            180 if request.budget else 0, {"legs": asks.Stage(0.5, 0.25)} if request.explain else None,
        )  # fmt: skip

    async def on_related(self, connection: Connection, request: asks.RelatedRequest) -> asks.SearchResponse:
        if not request.file.startswith(ROOT):
            raise PathError(f"{request.file} is outside of all roots; add one with `regenctl add`.")
        return await self.on_search(connection, asks.SearchRequest("related", k=request.k))

    async def on_symbols(self, _: Connection, request: asks.SymbolsRequest) -> asks.SymbolsResponse:
        found = asks.SymbolResult(ROOT, "core/debounce.py", "push", "Debouncer.push", "method", "python", 10, 12)
        return asks.SymbolsResponse((found,) if request.name == "push" else (), self.generation, True)

    async def on_outline(self, _: Connection, request: asks.OutlineRequest) -> asks.OutlineResponse:
        symbols = (
            asks.OutlineSymbol("Debouncer", "Debouncer", "class", 5, 30),
            asks.OutlineSymbol("push", "Debouncer.push", "method", 10, 12),
        )
        return asks.OutlineResponse(ROOT, "core/debounce.py", "python", symbols, self.generation)

    async def on_status(self, _: Connection, request: ops.Empty) -> ops.StatusResponse:
        roots = tuple(
            ops.RootStatus(
                path, path, "indexing" if self.pending else "ready", 120, 3, {"too_large": 1, "binary": 2}, 900,
                self.pending, self.generation, not self.pending, "events", "",
            )
            for path in self.roots
        )  # fmt: skip
        return ops.StatusResponse(
            version="0.1.0", pid=4242, uptime_s=3725.0, model={"id": "hash-256", "dim": 256}, roots=roots,
            queues={"chunk": 4, "embed": 0},
            stages={"chunk": {"count": 120, "p50_ms": 1.5, "p95_ms": 9.0, "max_ms": 80.0}},
            workers=(ops.WorkerStatus(4243, "busy", 52_428_800, 120),), memory={"rss_bytes": 104_857_600},
            counters={"embedded_chunks": 900}, shared={}, generation=self.generation, complete=not self.pending,
            paused=self.paused, mode="pipeline", socket="/run/regend.sock", state_dir="/state/regend",
            held_back=self.held_back,
        )  # fmt: skip

    async def on_files(self, _: Connection, request: ops.FilesRequest) -> ops.FilesResponse:
        self._known(request.root)
        every = [
            ops.ListedFile("README.md", "indexed", "", "markdown", 1),
            ops.ListedFile("core/debounce.py", "indexed", "", "python", 9),
            ops.ListedFile("logo.png", "skipped", "binary", "", 0),
        ]
        files = [f for f in every if request.state in ("", f.state) and f.path > request.after]
        page = files[: request.limit]
        return ops.FilesResponse(tuple(page), page[-1].path if len(files) > len(page) else "")

    async def on_flush(self, _: Connection, request: ops.FlushRequest) -> ops.FlushResponse:
        if self.pending:
            await asyncio.sleep(request.timeout_s)
            raise RpcError(f"Not everything was searchable within {request.timeout_s:g} s.", code="timeout")
        failed = (ops.FailedPath(ROOT, "bad.py", "worker_crashed"),)
        return ops.FlushResponse(self.generation, True, failed, 12.0)

    async def on_sync(self, _: Connection, request: ops.SyncRequest) -> ops.SyncResponse:
        return ops.SyncResponse(self.generation, 3.0)

    async def on_add(self, _: Connection, request: ops.AddRequest) -> ops.AddResponse:
        self.roots.append(request.path)
        return ops.AddResponse(request.path, request.path, "scanning")

    async def on_remove(self, _: Connection, request: ops.RemoveRequest) -> ops.RootResponse:
        gone = self._known(request.path)
        self.roots = [root for root in self.roots if root != gone]
        return ops.RootResponse(request.path)

    async def on_reindex(self, _: Connection, request: ops.ReindexRequest) -> ops.RootResponse:
        return ops.RootResponse(self._known(request.path))

    async def on_list(self, _: Connection, request: ops.Empty) -> ops.ListResponse:
        return ops.ListResponse(tuple(ops.ListedRoot(path, path, "ready", 120) for path in self.roots))

    async def on_verify(self, _: Connection, request: ops.VerifyRequest) -> ops.VerifyResponse:
        found = tuple(ops.FailedPath(ROOT, f"{n}.py", "its content was different") for n in range(self.differing))
        return ops.VerifyResponse(self.damage, 20, found, 0, 12.0)

    async def on_pause(self, _: Connection, request: ops.Empty) -> ops.PausedResponse:
        self.paused = True
        return ops.PausedResponse(True)

    async def on_resume(self, _: Connection, request: ops.Empty) -> ops.PausedResponse:
        self.paused = False
        return ops.PausedResponse(False)

    async def on_why(self, _: Connection, request: ops.WhyRequest) -> ops.WhyResponse:
        rule = ops.IgnoreRule(f"{ROOT}/.gitignore", 3, "*.log")
        return ops.WhyResponse("a.log", ROOT, "ignored", "A rule excludes it.", rule, "", 0, "")

    async def on_config(self, _: Connection, request: ops.Empty) -> ops.ConfigResponse:
        return ops.ConfigResponse({"watch": {"quiet_ms": 40}, "ignore": {"patterns": ["*.min.js"]}})

    async def on_stop(self, _: Connection, request: ops.Empty) -> ops.StopResponse:
        self.stopped.set()
        return ops.StopResponse(True)


@contextlib.contextmanager
def short_directory() -> Iterator[Path]:
    """A private directory whose path leaves room for a socket's name."""
    path = Path(tempfile.mkdtemp(prefix="rg"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.asynccontextmanager
async def serving(
    path: Path, handlers: Mapping[str, Handler], limits: ServerLimits | None = None, **options: Any
) -> AsyncIterator[RpcServer]:
    """Serve in this event loop."""
    listener = open_listener(path, {})
    server = RpcServer(handlers, version="0.1.0", limits=limits, pid=4242, **options)
    await server.start(listener.sock)
    try:
        yield server
    finally:
        await server.close(1.0)
        listener.close()


class ServerThread:
    """Serves in a thread of its own, for synchronous clients and other processes; a context manager."""

    def __init__(self, path: Path, script: Script | None = None, **options: Any) -> None:
        self.path = path
        self.script = script or Script()
        self.server: RpcServer | None = None
        self._options = options
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._serve()))
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    async def _serve(self) -> None:
        self._loop, self._end = asyncio.get_running_loop(), asyncio.Event()
        handlers = self._options.pop("handlers", None) or self.script.handlers()
        async with serving(self.path, handlers, **self._options) as self.server:
            self._ready.set()
            await self._end.wait()

    def __enter__(self) -> ServerThread:
        self._thread.start()
        assert self._ready.wait(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Close the server and join its thread."""
        if self._loop is not None and self._end is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(DEADLINE_S)
        assert not self._thread.is_alive()

    def run(self, function: Any, *args: Any) -> None:
        """Call a function in the server's loop."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(function, *args)


def wire(message: object) -> Any:
    """A response dataclass as the map it is on the wire."""
    return msgspec.to_builtins(message)
