"""The methods that ask: search, related, symbols, outline.

They read the snapshot that was current when they began, and only a `search` with `sync` waits for the indexer. The
`query_runner` decides where they run.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from regend.daemon.driver import Driver
from regend.daemon.handlers.buffers import Buffer, Buffers, PreparedBuffers
from regend.daemon.handlers.named_files import absolute, locate, locate_all
from regend.daemon.handlers.query_runner import QueryRunner
from regend.daemon.handlers.shared_search import NOT_ASKED, SharedSearch, StoreFound
from regend.daemon.handlers.status import RootStates
from regend.daemon.models import ServedModel
from regend.daemon.roots import ServedRoot
from regend.daemon.secret_scan import secret_in
from regend.disk.names import readable
from regend.errors import PathError, RootError, RpcError
from regend.limits import DEFAULT_RESULTS, MAX_OVERLAYS, MAX_PLACES, MAX_RESULTS
from regend.rpc import query_messages as rpc
from regend.rpc.connection import Connection
from regend.search.engine import Engine
from regend.search.legs.legs import Vector
from regend.search.legs.scope import is_root
from regend.search.options import RelatedOptions, SearchOptions
from regend.search.overlay import overlaid
from regend.search.query.filters import Filters
from regend.search.query.parse import parse_query
from regend.search.related import origin_of
from regend.search.results.outcome import SearchOutcome, SearchResult
from regend.sharing.sharing import Sharing
from regend.store.base import Snapshot
from regend.store.reads import Reads, StoreSnapshot
from regend.types import FIRST_TRACK, Track

SYNC_TIMEOUT_S = 5.0
_QUICK_RESULTS = 20
"""Maximum results of a query that may run on the event loop."""


@dataclass(frozen=True, slots=True)
class QueryParts:
    """Everything that the queries use.

    Attributes:
        models: by track.
        sends_queries: the first model may be given queries: it is local, or some root's text may leave the machine.
        sharing: None where no shared store is configured.
    """

    states: RootStates
    driver: Driver
    reads: Reads
    engine: Engine
    models: Sequence[ServedModel]
    sends_queries: bool
    sharing: Sharing | None


class QueryMethods:
    """The handlers, bound to one daemon."""

    def __init__(self, app: QueryParts, buffers: Buffers, runner: QueryRunner) -> None:
        self._app = app
        self._stronger = app.models[:FIRST_TRACK:-1]
        self._buffers = buffers
        self._runner = runner
        self._shared = SharedSearch(app.sharing)

    async def search(self, connection: Connection, request: rpc.SearchRequest) -> rpc.SearchResponse:
        started_at = time.perf_counter()
        app = self._app
        if request.sync:
            await app.driver.flush(wait_vectors=False, timeout_s=SYNC_TIMEOUT_S)
        query = parse_query(readable(request.query), lambda name: is_root(app.reads.snapshot, name))
        options = SearchOptions(
            query, await self._root_filter(request.root), request.path, request.lang, request.explain, request.files,
            k=_results_at_most(request), offset=request.offset, context=request.context, budget=request.budget,
            lines=request.lines, under=_places(request.under), globs=_globs(request.globs),
        )  # fmt: skip
        buffers = await self._prepared(connection, request.overlays, request.root)
        stronger = await self._by_stronger_model(options.root, query.text, buffers)
        if stronger is not None:
            strong, asked, track = stronger
            found = await self._found_for(
                strong, options.root, track, not _is_quick(options), lambda: None if secret_in(query.text) else asked
            )
            answered = replace(found, vector=None)  # It is in `strong` already.
            strong = found.on(strong)
            return await self._answer(
                started_at, buffers, lambda _: app.engine.search(strong, options, asked), found=answered
            )
        vector = await app.models[FIRST_TRACK].query_vectors.vector(query.text) if self._asks_others() else None
        found = await self._found_for(
            app.reads.snapshot,
            options.root,
            FIRST_TRACK,
            not _is_quick(options),
            lambda: self._vector_for(options, vector),
        )
        asked_by = vector if found.vector is None else found.vector
        quick = found is NOT_ASKED and _is_quick(options)
        return await self._answer(
            started_at, buffers, lambda snapshot: app.engine.search(snapshot, options, asked_by), quick, found
        )

    async def _found_for(
        self, snapshot: Snapshot, root: str, track: Track, deep: bool, vector_of: Callable[[], Vector | None]
    ) -> StoreFound:
        """Ask the shared store, if it searches some of what the query looks into."""
        served = self._app.states.roots.at(Path(root)) if root else None
        model = self._app.models[track].shared_model
        return await self._shared.find(snapshot, served.record.root if served else None, model, vector_of, deep=deep)

    def _vector_for(self, options: SearchOptions, vector: Vector | None) -> Vector | None:
        """Return the vector that the engine would make itself, but none of a secret; in a thread."""
        if secret_in(options.query.text):
            return None
        encode = self._app.models[FIRST_TRACK].query_vectors.encoded
        if vector is not None or encode is None:
            return vector
        text = self._app.engine.embedded_text(self._app.reads.snapshot, options)
        return encode(text) if text else None

    async def _by_stronger_model(
        self, root: str, text: str, buffers: PreparedBuffers
    ) -> tuple[Snapshot, Vector, Track] | None:
        """Return a snapshot with a stronger model's vectors, the query's, and the model's track.

        None where the first model must answer.

        That is while no stronger one is complete in all that is searched and answers in time, or it would have to be
        mixed with unsaved buffers, which the first one embeds.
        """
        for model in self._stronger:
            if self._by_track(model.track, root, buffers) is not None:
                vector = await model.query_vectors.vector(text)
                snapshot = self._by_track(model.track, root, buffers)
                if vector is not None and snapshot is not None:
                    return snapshot, vector, model.track
        return None

    def _by_track(self, track: Track, root: str, buffers: PreparedBuffers) -> Snapshot | None:
        """Return the current snapshot with a stronger model's vectors, for one root or (empty) for all."""
        served = self._app.states.roots.at(Path(root)) if root else None
        if buffers.files or (root and served is None):
            return None
        return self._app.reads.snapshot.by_track(track, served.record.root if served else None)

    def _asks_others(self) -> bool:
        """Return whether the query's vector comes from a worker or a server; the engine asks the built-in model itself.

        A query leaves the machine only if the user lets some root's text leave it.
        """
        return self._app.sends_queries and not self._app.engine.encodes_queries

    async def related(self, connection: Connection, request: rpc.RelatedRequest) -> rpc.SearchResponse:
        started_at = time.perf_counter()
        app = self._app
        served, path = await locate(app.states.roots, request.file, request.root, self._is_indexed)
        options = RelatedOptions(
            served.path, path, request.line, await self._filters(request),
            k=_results_at_most(request), offset=request.offset, context=request.context, budget=request.budget,
            lines=request.lines,
        )  # fmt: skip
        buffers = await self._prepared(connection, request.overlays, request.root)
        # The file itself is looked into, too, whatever the results are limited to.
        root = served.path if options.filters.root == served.path else ""
        complete = (self._by_track(model.track, root, buffers) for model in self._stronger)
        strong = next(filter(None, complete), None)
        asked = strong or app.reads.snapshot
        track = asked.track if isinstance(asked, StoreSnapshot) else FIRST_TRACK
        found = await self._found_for(asked, options.filters.root, track, True, lambda: _like(asked, options))
        strong = strong and found.on(strong)
        return await self._answer(
            started_at, buffers, lambda snapshot: app.engine.related(strong or snapshot, options),
            found=found if strong is None else replace(found, vector=None),
        )  # fmt: skip

    async def symbols(self, _: Connection, request: rpc.SymbolsRequest) -> rpc.SymbolsResponse:
        app = self._app
        filters = await self._filters(request)
        name = readable(request.name)
        kinds = tuple(filter(None, request.kind.split(",")))
        outcome = await self._runner.run(lambda snapshot: app.engine.symbols(snapshot, name, request.k, filters, kinds))
        found = tuple(
            rpc.SymbolResult(
                r.root,
                r.path,
                r.symbol.rpartition(".")[2],
                r.symbol,
                r.kind,
                r.language,
                r.start_line,
                r.end_line,
                r.snippet.partition("\n")[0],
            )
            for r in outcome.results
        )
        return rpc.SymbolsResponse(found, outcome.generation, app.states.is_complete())

    async def outline(self, _: Connection, request: rpc.OutlineRequest) -> rpc.OutlineResponse:
        app = self._app
        served, path = await locate(app.states.roots, request.file, request.root, self._is_indexed)
        outline = await self._runner.run(lambda snapshot: app.engine.outline(snapshot, served.path, path))
        found = tuple(
            rpc.OutlineSymbol(d.name, d.symbol, d.kind, d.start_line, d.end_line) for d in outline.definitions
        )
        return rpc.OutlineResponse(
            outline.root, outline.path, outline.language, found, outline.generation, app.states.is_complete()
        )

    def _is_indexed(self, served: ServedRoot, path: str) -> bool:
        snapshot, record = self._app.reads.snapshot, served.record
        return record.root in snapshot.roots and snapshot.pools[record.pool].entry_at(record.root, path) is not None

    async def _prepared(self, connection: Connection, overlays: Sequence[rpc.Overlay], root: str) -> PreparedBuffers:
        """Chunk and embed the unsaved buffers of a request."""
        if not overlays:
            return PreparedBuffers()
        if len(overlays) > MAX_OVERLAYS:
            raise RpcError(
                f"The request has {len(overlays)} overlays; send at most {MAX_OVERLAYS}.", code="invalid_params",
                data={"field": "overlays"},
            )  # fmt: skip
        buffers: list[Buffer] = []
        outside: list[str] = []
        for overlay in overlays:
            try:
                places = await locate_all(self._app.states.roots, overlay.path, root, self._is_indexed)
            except RootError:
                # An editor sends what it has changed; not all of it must be ours.
                outside.append(f"{overlay.path} is in no root, so its unsaved text is not searched.")
            else:
                if not places[0][1]:
                    raise PathError(f"{overlay.path} is a root, not a file; name the file that the text belongs to.")
                # Each of several nested roots has the file, and the request may be about any of them.
                buffers += [Buffer(served, path, overlay.text) for served, path in places]
        found = await self._buffers.prepare(connection, buffers)
        return replace(found, notes=(*found.notes, *outside))

    async def _answer(
        self,
        started_at: float,
        buffers: PreparedBuffers,
        run: Callable[[Snapshot], SearchOutcome],
        quick: bool = False,
        found: StoreFound = NOT_ASKED,
    ) -> rpc.SearchResponse:
        if buffers.files:
            outcome = await self._runner.run(lambda snapshot: run(overlaid(found.on(snapshot), buffers.files)))
        else:
            outcome = await self._runner.run(lambda snapshot: run(found.on(snapshot)), quick)
        complete = outcome.complete and self._app.states.is_complete()
        if buffers.notes or found.notes:
            outcome = replace(outcome, notes=(*outcome.notes, *buffers.notes, *found.notes))
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
            outcome.words,
        )

    async def _filters(self, request: rpc.RelatedRequest | rpc.SymbolsRequest) -> Filters:
        root = await self._root_filter(request.root)
        return Filters(root, request.path, request.lang, (), _places(request.under), _globs(request.globs))

    async def _root_filter(self, root: str) -> str:
        return (await self._app.states.roots.by_path(root)).path if root else ""


def _like(snapshot: Snapshot, options: RelatedOptions) -> Vector | None:
    """Return the vector that others are compared with, for the shared store; None for a secret or an unsaved file."""
    try:
        _, views, vector = origin_of(snapshot, options)
    except (PathError, RootError):
        return None
    return None if any(secret_in(view.text) for view in views) else vector


def _on_the_wire(result: SearchResult) -> rpc.SearchResult:
    shares = {share.name: rpc.Feature(share.value, share.contribution) for share in result.explain}
    return rpc.SearchResult(
        result.root, result.path, result.start_line, result.end_line, result.score, result.language, result.symbol,
        result.kind, result.snippet, result.snippet_line, shares or None,
        tuple(rpc.MatchedLine(*match) for match in result.matches),
        tuple(rpc.Passage(p.start_line, p.end_line, p.symbol, p.snippet, p.snippet_line) for p in result.also),
        result.unsaved,
        tuple(rpc.Copy(c.root, c.path, c.start_line, c.end_line) for c in result.copies), result.copy_count,
        result.line,
    )  # fmt: skip


def _is_quick(options: SearchOptions) -> bool:
    """Return whether the work is bounded: one look of the legs, no filter for which every file has to be
    tested, and no quoted text for which many chunks have to be read."""
    deep = options.k > _QUICK_RESULTS or options.offset or options.budget or options.files or options.context
    query = options.query
    read_through = query.inline or query.phrases or query.without_phrases or query.is_exact
    limited = options.path or options.lang or options.under or options.globs
    return not (deep or limited or read_through)


def _places(under: Sequence[str]) -> tuple[str, ...]:
    """Check the places of a request.

    Raises:
        PathError: one is not an absolute path, or not valid.
        RpcError: there are too many.
    """
    return tuple(str(absolute(place, "")) for place in _counted("under", under))


def _globs(globs: Sequence[str]) -> tuple[str, ...]:
    return tuple(map(readable, _counted("globs", globs)))


def _counted(name: str, items: Sequence[str]) -> Sequence[str]:
    if len(items) > MAX_PLACES:
        raise RpcError(
            f"The request has {len(items):,} `{name}`; send at most {MAX_PLACES}.", code="invalid_params",
            data={"field": name},
        )  # fmt: skip
    return items


def _results_at_most(request: rpc.SearchRequest | rpc.RelatedRequest) -> int:
    if request.k is not None:
        return request.k
    return MAX_RESULTS if request.budget else DEFAULT_RESULTS
