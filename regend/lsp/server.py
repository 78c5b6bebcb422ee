"""`regenctl lsp`: search for editors that speak the Language Server Protocol, over all roots and languages at once.

It is no language server: it adds what such servers cannot do, and leaves to them what they do better. So a file's
symbols are given only if the user asks for them.
"""

from __future__ import annotations

import logging
import sys
from typing import Any, BinaryIO, cast
from urllib.parse import unquote, urlsplit

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path

from regend import __version__
from regend.errors import RegendError
from regend.mcp.link import Link

MAX_SYMBOLS = 100
INVALID_PARAMS = -32602
REQUEST_FAILED = -32803
"""Error code of LSP: the request was right, but cannot be answered."""
_OF_LSP = frozenset(("workDoneToken", "partialResultToken"))
"""Members of a request's parameters that are not for the daemon."""
_KINDS = {
    "class": lsp.SymbolKind.Class, "constant": lsp.SymbolKind.Constant, "enum": lsp.SymbolKind.Enum,
    "field": lsp.SymbolKind.Field, "function": lsp.SymbolKind.Function, "interface": lsp.SymbolKind.Interface,
    "key": lsp.SymbolKind.Key, "macro": lsp.SymbolKind.Function, "method": lsp.SymbolKind.Method,
    "module": lsp.SymbolKind.Module, "namespace": lsp.SymbolKind.Namespace, "section": lsp.SymbolKind.String,
    "struct": lsp.SymbolKind.Struct, "test": lsp.SymbolKind.Function, "trait": lsp.SymbolKind.Interface,
    "type": lsp.SymbolKind.Class,
}  # fmt: skip
"""Kinds as editors know them; any other is a variable."""


def serve(socket: str | None, document_symbols: bool) -> int:
    """Serve an editor on standard input and output until it says goodbye; return the exit status."""
    logging.getLogger("pygls.protocol.json_rpc").addFilter(_is_unexpected)
    made = server(Link(socket, name="lsp"), document_symbols)
    made.start_io(stdout=cast("BinaryIO", _Output(sys.stdout.buffer)))
    return 0


def _is_unexpected(record: logging.LogRecord) -> bool:
    """Return whether a record tells of more than an error that is the answer to a request."""
    return not (record.exc_info and isinstance(record.exc_info[1], JsonRpcException))


class _Output:
    """Standard output for pygls, which closes it and then writes late answers; owns whether it still takes some."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._is_open = True

    def write(self, data: bytes) -> None:
        """Send a message while an editor reads."""
        if self._is_open:
            try:
                self._stream.write(data)
                self._stream.flush()
            except BrokenPipeError:  # The end of standard input, which ends the server, follows.
                self._is_open = False

    def flush(self) -> None:
        """Leave all as it is: `write` sends each message."""

    def close(self) -> None:
        """Drop what comes later; standard output stays open for the program's own end."""
        self._is_open = False


def server(link: Link, document_symbols: bool) -> LanguageServer:
    """Return a server whose questions go to the daemon; each is asked in a thread."""
    made = LanguageServer("regend", __version__, text_document_sync_kind=lsp.TextDocumentSyncKind.None_)

    @made.feature(lsp.WORKSPACE_SYMBOL)
    @made.thread()
    def workspace_symbol(params: lsp.WorkspaceSymbolParams) -> list[lsp.WorkspaceSymbol]:
        if not params.query.strip():
            return []
        found = _asked(link, "symbols", name=params.query, k=MAX_SYMBOLS)["symbols"]
        return [
            lsp.WorkspaceSymbol(
                name=symbol["qualified"], kind=_kind(symbol), container_name=symbol["path"],
                location=lsp.Location(_uri(symbol), _range(symbol)),
            )
            for symbol in found
        ]  # fmt: skip

    @made.feature("regend/search")
    @made.thread()
    def search(params: Any) -> dict[str, Any]:
        return _with_uris(_asked(link, "search", **_given(params)))

    @made.feature("regend/related")
    @made.thread()
    def related(params: Any) -> dict[str, Any]:
        given = _given(params)
        uri = given.pop("uri", None)
        if not isinstance(uri, str) or "file" in given:
            raise _failed("`regend/related` needs the `uri` of a file, and takes no `file`.", INVALID_PARAMS)
        return _with_uris(_asked(link, "related", file=_path(uri), **given))

    if document_symbols:

        @made.feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
        @made.thread()
        def document_symbol(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
            return _nested(_asked(link, "outline", file=_path(params.text_document.uri))["symbols"])

    return made


def _asked(link: Link, method: str, /, **params: Any) -> dict[str, Any]:
    try:
        return link.call(method, **params)
    except RegendError as error:
        raise _failed(str(error), REQUEST_FAILED) from error


def _failed(message: str, code: int) -> JsonRpcException:
    return JsonRpcException(message, code)


def _given(params: Any) -> dict[str, Any]:
    """Return the members of a request's parameters; null means left out. The daemon refuses those it does not know."""
    members = _plain(params)
    members = members if isinstance(members, dict) else {}
    return {name: value for name, value in members.items() if value is not None and name not in _OF_LSP}


def _plain(value: Any) -> Any:
    """Return a JSON value as it was before pygls made named tuples of its objects."""
    if hasattr(value, "_asdict"):
        return {name: _plain(item) for name, item in value._asdict().items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _with_uris(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the socket's answer, each result with a `uri` and a `range` as editors have them."""
    results = [{**r, "uri": _uri(r), "range": _range(r)} for r in answer["results"]]
    return {**answer, "results": results}


def _uri(place: dict[str, Any]) -> str:
    return from_fs_path(f"{place['root'].rstrip('/')}/{place['path']}") or ""


def _path(uri: str) -> str:
    """Return the path of a file's URI; other URIs are given to the daemon as they are, which refuses them."""
    try:
        parts = urlsplit(uri)
    except ValueError:  # Such as brackets around what is no address.
        return uri
    return unquote(parts.path, errors="surrogateescape") if parts.scheme == "file" else uri


def _range(place: dict[str, Any]) -> lsp.Range:
    """Return the lines from the first to the end of the last; editors count from 0."""
    return lsp.Range(lsp.Position(place["start_line"] - 1, 0), lsp.Position(place["end_line"], 0))


def _kind(symbol: dict[str, Any]) -> lsp.SymbolKind:
    return _KINDS.get(symbol["kind"], lsp.SymbolKind.Variable)


def _nested(symbols: list[dict[str, Any]]) -> list[lsp.DocumentSymbol]:
    """Return the definitions of a file, each with those that lie in it."""
    top: list[lsp.DocumentSymbol] = []
    enclosing: list[tuple[lsp.DocumentSymbol, list[lsp.DocumentSymbol]]] = []
    for symbol in symbols:
        lines = _range(symbol)
        children: list[lsp.DocumentSymbol] = []
        made = lsp.DocumentSymbol(symbol["name"], _kind(symbol), lines, lines, children=children)
        while enclosing and enclosing[-1][0].range.end.line < lines.end.line:
            enclosing.pop()
        (enclosing[-1][1] if enclosing else top).append(made)
        enclosing.append((made, children))
    return top
