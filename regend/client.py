"""The client for Python programs: questions with typed answers and typed errors.

::

    import regend

    with regend.Client() as client:
        for result in client.search("where are retries limited", under=".").results:
            print(result.file, result.line, result.symbol)

`import regend` loads nothing of this; the first use of `regend.Client` does. `regend.rpc.client` has the bare
connection, `regend.rpc.aio` the one for asyncio, and docs/rpc.md every method and field.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from regend.errors import ConnectionLostError, DaemonNotRunningError, PathError, ProtocolError, RegendError
from regend.rpc.client import DEFAULT_TIMEOUT_S
from regend.rpc.client import Client as Connection
from regend.rpc.operation_messages import (
    AddResponse,
    FlushResponse,
    ListedRoot,
    ListResponse,
    RootResponse,
    WhyResponse,
)
from regend.rpc.query_messages import OutlineResponse, SearchResponse, SearchResult, SymbolResult, SymbolsResponse

__all__ = [
    "AddResponse", "Client", "ConnectionLostError", "DaemonNotRunningError", "FlushResponse", "ListedRoot",
    "OutlineResponse", "ProtocolError", "RegendError", "RootResponse", "SearchResponse", "SearchResult", "SymbolResult",
    "SymbolsResponse", "WhyResponse",
]  # fmt: skip

Place = str | os.PathLike[str]
_T = TypeVar("_T")


class Client:
    """A connection to the daemon, made at the first question. Not for use by several threads at once.

    Use it as a context manager, or call `close`. After the daemon went away, the next question connects again.

    Args:
        socket: the daemon's socket; None for the usual place (`$REGEND_SOCKET`, else the runtime directory).
        timeout_s: maximum seconds that connecting, or an answer, may take.
        name: the caller's name, for the daemon's log.

    Every method may raise:
        DaemonNotRunningError: no daemon listens on the socket.
        ConnectionLostError: the daemon went away before it answered.
        RootError: a place is in no root, or a root is not known.
        RegendError: the base of all errors; `code` is the stable word of docs/rpc.md, `str(error)` a sentence.
    """

    def __init__(self, socket: Place | None = None, timeout_s: float = DEFAULT_TIMEOUT_S, name: str = "python") -> None:
        self._socket = None if socket is None else Path(socket)
        self._timeout_s = timeout_s
        self._name = name
        self._connection: Connection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; a later question makes another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def search(
        self,
        query: str,
        *,
        k: int | None = None,
        under: Place | Iterable[Place] = (),
        globs: str | Iterable[str] = (),
        lang: str = "",
        files: bool = False,
        sync: bool = False,
        explain: bool = False,
        context: int = 0,
        lines: int = 0,
        offset: int = 0,
        budget: int = 0,
        overlays: Mapping[Place, str] | None = None,
    ) -> SearchResponse:
        """Rank places in code by words and by meaning.

        Args:
            query: words, an identifier, a path or a question; it may hold filters, see docs/queries.md.
            k: maximum number of results; None for 10, or as many as fit into `budget`.
            under: files and directories to search in; none for all roots.
            globs: on paths relative to their root; one that begins with ``!`` excludes.
            lang: a language such as ``python``.
            files: give one result for each file.
            sync: include every write that finished before the call.
            explain: say what each ranking feature contributed.
            context: lines of the file on either side of each snippet.
            lines: maximum lines of each snippet; 0 for the usual 12.
            offset: results to skip: `next_offset` of the page before.
            budget: tokens into which the best passages are packed; 0 for the usual snippets.
            overlays: unsaved texts of files, by path.

        Raises:
            QueryError: the query has nothing to search for.
            FilterError: a filter or a glob cannot be used.
        """
        return self._ask(
            SearchResponse, "search", query=query, k=k, under=_places(under), globs=_texts(globs), lang=lang,
            files=files, sync=sync, explain=explain, context=context, lines=lines, offset=offset, budget=budget,
            overlays=[{"path": _absolute(path), "text": text} for path, text in (overlays or {}).items()],
        )  # fmt: skip

    def related(
        self,
        file: Place,
        line: int = 0,
        *,
        k: int | None = None,
        under: Place | Iterable[Place] = (),
        globs: str | Iterable[str] = (),
        lang: str = "",
        context: int = 0,
        lines: int = 0,
        offset: int = 0,
        budget: int = 0,
    ) -> SearchResponse:
        """Rank places like the one at a line, or files like a file.

        Args:
            line: 1-based; 0 compares the whole file with other files. For the others see `search`.

        Raises:
            PathError: the file is not indexed.
        """
        return self._ask(
            SearchResponse, "related", file=_absolute(file), line=line, k=k, under=_places(under),
            globs=_texts(globs), lang=lang, context=context, lines=lines, offset=offset, budget=budget,
        )  # fmt: skip

    def symbols(
        self,
        name: str,
        *,
        k: int = 20,
        under: Place | Iterable[Place] = (),
        globs: str | Iterable[str] = (),
        lang: str = "",
        kind: str = "",
    ) -> SymbolsResponse:
        """Find definitions by name, or by the dotted end of one; `kind` may list several, with commas."""
        return self._ask(
            SymbolsResponse, "symbols", name=name, k=k, under=_places(under), globs=_texts(globs), lang=lang, kind=kind
        )

    def outline(self, file: Place) -> OutlineResponse:
        """List the definitions of a file.

        Raises:
            PathError: the file is not indexed.
        """
        return self._ask(OutlineResponse, "outline", file=_absolute(file))

    def why(self, file: Place) -> WhyResponse:
        """Say whether a file is indexed, and if not, which rule or error says so."""
        return self._ask(WhyResponse, "why", file=_absolute(file))

    def roots(self) -> tuple[ListedRoot, ...]:
        """List the roots, by path."""
        return self._ask(ListResponse, "list").roots

    def add(self, directory: Place, *, force: bool = False) -> AddResponse:
        """Add a root and start to index it; `flush` waits for that.

        Raises:
            PathError: it is not a directory that can be read.
            RootError: it is a root already, or refused.
        """
        return self._ask(AddResponse, "add", path=_absolute(directory), force=force)

    def remove(self, directory: Place, *, forget: bool = False) -> RootResponse:
        """Remove a root; with `forget`, delete everything that only this root used."""
        return self._ask(RootResponse, "remove", path=_absolute(directory), forget=forget)

    def flush(self, timeout_s: float = 60.0) -> FlushResponse:
        """Wait until everything that was written before the call is searchable.

        Raises:
            RpcError: with code ``timeout``: it is not yet.
        """
        return self._ask(FlushResponse, "flush", timeout_s=timeout_s)

    def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Call any method of docs/rpc.md, and return its answer as it is on the wire."""
        if self._connection is None:
            connection = Connection(self._socket, self._timeout_s, self._name)
            connection.connect()
            self._connection = connection
        try:
            return self._connection.call(method, **params)
        except BaseException:  # Ctrl-C, too.
            if not self._connection.is_open:
                self._connection = None
            raise

    def _ask(self, answer: type[_T], method: str, **params: Any) -> _T:
        found = self.call(method, **{name: value for name, value in params.items() if value is not None})
        try:
            return msgspec.convert(found, answer)
        except msgspec.ValidationError as error:
            breach = f"The answer to `{method}` has another form: {error}; is the daemon of another version?"
            raise ProtocolError(breach) from error


def _absolute(place: Place) -> str:
    path = os.fspath(place)
    if not path:  # As an unset variable is, which must not mean the working directory.
        raise PathError("The path is empty; name a file or directory, such as `.`.")
    try:
        return os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111 - links are the daemon's.
    except OSError as error:
        raise PathError(
            f"{path} is a relative path, and the working directory cannot be found ({error.strerror}); give the path "
            "from the root on."
        ) from error


def _places(under: Place | Iterable[Place]) -> list[str]:
    return list(map(_absolute, [under] if isinstance(under, str | os.PathLike) else under))


def _texts(globs: str | Iterable[str]) -> list[str]:
    return [globs] if isinstance(globs, str) else list(globs)
