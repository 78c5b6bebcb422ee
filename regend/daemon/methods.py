"""What each method of the socket does: one function each. Requests are checked before they get here.

Queries run in query threads on the snapshot that was current when they began; nothing here waits for the indexer but
`flush`, `sync` and a `search` that asks for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar, cast

from regend.core import events as ev
from regend.daemon import status
from regend.daemon.connection import Connection, Handler
from regend.daemon.parts import Parts
from regend.daemon.roots import ServedRoot
from regend.daemon.why import explain_file
from regend.errors import PathError, RootError
from regend.rpc import schema as rpc
from regend.rpc.queries import DEFAULT_RESULTS, MAX_RESULTS
from regend.search.filters import Filters, split_filters
from regend.search.results import RelatedOptions, SearchOptions, SearchOutcome, SearchResult
from regend.store.base import Snapshot

SYNC_TIMEOUT_S = 5.0
_T = TypeVar("_T")


class Methods:
    """The handlers, bound to one daemon."""

    def __init__(self, app: Parts) -> None:
        self._app = app

    def handlers(self) -> Mapping[str, Handler]:
        """By method name; `hello`, `subscribe` and `unsubscribe` are the server's own."""
        own: dict[str, Callable[[Connection, Any], Any]] = {
            "search": self.search,
            "symbols": self.symbols,
            "related": self.related,
            "outline": self.outline,
            "status": self.status,
            "files": self.files,
            "flush": self.flush,
            "sync": self.sync,
            "add": self.add,
            "remove": self.remove,
            "list": self.list,
            "reindex": self.reindex,
            "pause": self.pause,
            "resume": self.resume,
            "why": self.why,
            "config": self.config,
            "stop": self.stop,
        }
        return cast(Mapping[str, Handler], own)

    # -- queries ---------------------------------------------------------------------------------------------------

    async def search(self, _: Connection, request: rpc.SearchRequest) -> rpc.SearchResponse:
        started_at = time.perf_counter()
        app = self._app
        if request.sync:
            await app.driver.flush(wait_vectors=False, timeout_s=SYNC_TIMEOUT_S)
        options = SearchOptions(
            request.query, _results_at_most(request), self._root_filter(request.root), request.path, request.lang,
            request.explain, request.context, request.offset, request.files, request.budget,
        )  # fmt: skip
        text = split_filters(request.query).text
        vector = await app.query_vectors.vector(text) if self._may_embed_queries() else None
        return await self._answer(started_at, lambda snapshot: app.engine.search(snapshot, options, vector))

    def _may_embed_queries(self) -> bool:
        """A query leaves the machine only if the user lets some root's text leave it."""
        return self._app.provider.info.local or bool(self._app.config.embedding.remote_roots)

    async def related(self, _: Connection, request: rpc.RelatedRequest) -> rpc.SearchResponse:
        started_at = time.perf_counter()
        app = self._app
        served, path = self._locate(request.file, request.root)
        options = RelatedOptions(
            served.path, path, request.line, Filters(self._root_filter(request.root), request.path, request.lang),
            _results_at_most(request), request.offset, request.context, request.budget,
        )  # fmt: skip
        return await self._answer(started_at, lambda snapshot: app.engine.related(snapshot, options))

    async def symbols(self, _: Connection, request: rpc.SymbolsRequest) -> rpc.SymbolsResponse:
        app = self._app
        filters = Filters(self._root_filter(request.root), request.path, request.lang)
        outcome = await self._query(lambda snapshot: app.engine.symbols(snapshot, request.name, request.k, filters))
        found = tuple(
            rpc.SymbolResult(
                r.root, r.path, r.symbol.rpartition(".")[2], r.symbol, r.kind, r.language, r.start_line, r.end_line
            )
            for r in outcome.results
        )
        return rpc.SymbolsResponse(found, outcome.generation, status.is_complete(app))

    async def outline(self, _: Connection, request: rpc.OutlineRequest) -> rpc.OutlineResponse:
        app = self._app
        served, path = self._locate(request.file, request.root)
        outline = await self._query(lambda snapshot: app.engine.outline(snapshot, served.path, path))
        found = tuple(
            rpc.OutlineSymbol(d.name, d.symbol, d.kind, d.start_line, d.end_line) for d in outline.definitions
        )
        return rpc.OutlineResponse(outline.root, outline.path, outline.language, found, outline.generation)

    async def _query(self, run: Callable[[Snapshot], _T]) -> _T:
        snapshot = self._app.indexer.store.snapshot
        with self._app.times.timed("query"):
            return await asyncio.get_running_loop().run_in_executor(self._app.queries, run, snapshot)

    async def _answer(self, started_at: float, run: Callable[[Snapshot], SearchOutcome]) -> rpc.SearchResponse:
        outcome = await self._query(run)
        complete = outcome.complete and status.is_complete(self._app)
        took_ms = round((time.perf_counter() - started_at) * 1e3, 3)
        return rpc.SearchResponse(
            tuple(_on_the_wire(result) for result in outcome.results),
            outcome.generation,
            complete,
            took_ms,
            outcome.notes,
            outcome.next_offset,
            outcome.tokens,
            {name: rpc.Stage(outcome.stage_ms[name], cpu_ms) for name, cpu_ms in outcome.cpu_ms.items()} or None,
        )

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
        path = Path(request.path)
        if not path.is_absolute():
            raise PathError(f"{request.path!r} is not an absolute path; give one that begins with `/`.")
        served = await self._app.add_root(path, request.force)
        return rpc.AddResponse(served.path, served.record.pool_key, status.root_status(self._app, served).state)

    async def remove(self, _: Connection, request: rpc.RootRequest) -> rpc.RootResponse:
        served = self._app.roots.by_path(request.path)
        await self._app.remove_root(served)
        return rpc.RootResponse(served.path)

    async def list(self, _: Connection, request: rpc.Empty) -> rpc.ListResponse:
        roots = status.root_statuses(self._app)
        return rpc.ListResponse(tuple(rpc.ListedRoot(r.path, r.pool, r.state, r.files_indexed) for r in roots))

    async def files(self, _: Connection, request: rpc.FilesRequest) -> rpc.FilesResponse:
        served = self._app.roots.by_path(request.root)
        store = self._app.indexer.store
        state = cast(Any, request.state)
        rows = await asyncio.to_thread(store.files, served.record.root, state, request.limit, request.after)
        listed = tuple(
            rpc.ListedFile(r.path, r.state, r.reason or r.degraded_reason, r.language, r.chunk_count) for r in rows
        )
        return rpc.FilesResponse(listed, rows[-1].path if len(rows) == request.limit else "")

    async def reindex(self, _: Connection, request: rpc.RootRequest) -> rpc.RootResponse:
        served = self._app.roots.by_path(request.path)
        self._app.driver.send(ev.RescanNeeded(served.record.root, rehash=True))
        return rpc.RootResponse(served.path)

    async def why(self, _: Connection, request: rpc.WhyRequest) -> rpc.WhyResponse:
        path = _absolute(request.file, request.root)
        return await asyncio.to_thread(explain_file, self._app, path)

    # -- operations ------------------------------------------------------------------------------------------------

    async def status(self, _: Connection, request: rpc.Empty) -> rpc.StatusResponse:
        return status.full_status(self._app)

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

    # -- places ----------------------------------------------------------------------------------------------------

    def _root_filter(self, root: str) -> str:
        return self._app.roots.by_path(root).path if root else ""

    def _locate(self, file: str, root: str) -> tuple[ServedRoot, str]:
        """The root and relative path of a file that a client named."""
        path = _absolute(file, root)
        found = self._app.roots.containing(path)
        if found is None:
            found = self._app.roots.containing(path.resolve())
        if found is None:
            raise RootError(f"{path} is in no root; add one that holds it with `regenctl add DIR`.")
        return found


def _absolute(file: str, root: str) -> Path:
    if "\0" in file or "\0" in root:
        raise PathError("The path holds a NUL character, which no file name can; correct it.")
    path = Path(root, file) if root else Path(file)
    if not path.is_absolute():
        raise PathError(f"{file!r} is not an absolute path; give one, or name the root it is in.")
    return Path(*(_normal(path.parts)))


def _normal(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Without `.` and `..`, by name: what lies outside of a root must not look as if it were inside."""
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:-1] if len(kept) > 1 else kept
        elif part != ".":
            kept.append(part)
    return tuple(kept)


def _ms_since(started_at: float) -> float:
    return round((time.perf_counter() - started_at) * 1e3, 3)


def _on_the_wire(result: SearchResult) -> rpc.SearchResult:
    shares = {share.name: rpc.Feature(share.value, share.contribution) for share in result.explain}
    return rpc.SearchResult(
        result.root, result.path, result.start_line, result.end_line, result.score, result.language, result.symbol,
        result.kind, result.snippet, result.snippet_line, shares or None,
        tuple(rpc.MatchedLine(*match) for match in result.matches),
        tuple(rpc.Passage(p.start_line, p.end_line, p.symbol, p.snippet, p.snippet_line) for p in result.also),
    )  # fmt: skip


def _results_at_most(request: rpc.SearchRequest | rpc.RelatedRequest) -> int:
    if request.k is not None:
        return request.k
    return MAX_RESULTS if request.budget else DEFAULT_RESULTS
