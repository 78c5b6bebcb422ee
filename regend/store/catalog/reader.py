"""Reads of the catalog from any thread: one read connection per thread, in no transaction for longer than a call.

Rows that are found by blob or chunk key are content-addressed and immutable, so an old snapshot may read them; garbage
collection leaves alone what a snapshot of the last minute may ask for.
"""

from __future__ import annotations

import sqlite3
import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from regend.chunking.packing import decompress, split_text
from regend.chunking.tokens import lexical_tokens
from regend.errors import StoreError
from regend.store.base import ChunkView, SymbolView, split_qualified
from regend.store.catalog.schema import MODEL_SHIFT, open_reader
from regend.types import BlobId, ChunkId, PoolId, RootId, chunk_id

_ENOUGH_SYMBOLS = 1_000
_MOST_SYMBOL_ROWS = 100_000
"""Rows that are read for one name; most of them may be of files that are gone, or of other roots."""
_PLACES_AT_ONCE = 128
"""Three values each; SQLite takes 999 in older builds."""
_RECENT_CHARS = 8_000_000
"""Characters of chunks kept in memory. On twelve repositories 61 to 95 % of what 80 questions read had been read
before."""
_RECENT_OVERHEAD = 400
"""Bytes of a chunk in memory beside its text."""
_LAST_CODE_POINT = "\U0010ffff"


@dataclass(frozen=True, slots=True)
class FileRow:
    """One path as the catalog knows it.

    Attributes:
        state: ``indexed`` or ``skipped``.
        reason: why it is skipped, or empty.
        chunk_count: chunks of its blob.
        degraded_reason: why line windows were used, or empty.
    """

    path: str
    state: Literal["indexed", "skipped"]
    reason: str
    blob: BlobId | None
    language: str
    chunk_count: int
    degraded_reason: str


class RecentChunks:
    """Chunks that were read lately: questions about one matter read the same ones, and rows never change.

    Two generations, of which the older one is dropped when the younger one is full. Any thread may use it.
    """

    def __init__(self, most_chars: int = _RECENT_CHARS) -> None:
        self._most = most_chars // 2
        self._chars = 0
        self._young: dict[int, ChunkView] = {}
        self._old: dict[int, ChunkView] = {}

    def get(self, doc: int) -> ChunkView | None:
        """Return the chunk, if it was read lately."""
        found = self._young.get(doc)
        if found is None:
            found = self._old.get(doc)
            if found is not None:
                self.put(found)
        return found

    def put(self, view: ChunkView) -> None:
        """Keep a chunk for some time."""
        self._chars += len(view.text) + _RECENT_OVERHEAD
        if self._chars > self._most:
            self._old, self._young, self._chars = self._young, {}, 0
        self._young[view.doc] = view

    def clear(self) -> None:
        """Give the memory back."""
        self._old, self._young, self._chars = {}, {}, 0


class Reader:
    """Read side of the catalog; safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._recent = RecentChunks()
        self._local = threading.local()
        self._closed = False

    @property
    def connection(self) -> sqlite3.Connection:
        """Return this thread's connection, opened on first use and closed with the thread.

        Raises:
            StoreError: the store was closed.
        """
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if self._closed:
            raise StoreError("The store is closed; ask the daemon that runs now.")
        if found is None:
            found = self._local.connection = open_reader(self._path)
        return found

    def close(self) -> None:
        """Refuse further reads and close this thread's connection; others close with their threads."""
        self._closed = True
        self._recent.clear()
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is not None:
            found.close()
            self._local.connection = None

    def chunks(self, places: Sequence[tuple[int, int, int]]) -> list[ChunkView]:
        """Return the chunks at `(doc, blob_key, ordinal)`, in order, without those that no longer exist."""
        get = self._recent.get
        known = {place[0]: get(place[0]) for place in places}
        lacking = [place for place in places if known[place[0]] is None]
        for first in range(0, len(lacking), _PLACES_AT_ONCE):
            for found in self._read(lacking[first : first + _PLACES_AT_ONCE]):
                known[found.doc] = found
                self._recent.put(found)
        return [view for place in places if (view := known[place[0]]) is not None]

    def _read(self, places: Sequence[tuple[int, int, int]]) -> Iterator[ChunkView]:
        """Read chunks, `_PLACES_AT_ONCE` at most.

        One statement for all of them takes half as long as one for each: 4 µs a chunk, and 6 µs to inflate its text.
        """
        # CROSS JOIN fixes the order, so that SQLite looks up each place by its key.
        rows = self.connection.execute(
            "WITH wanted(doc, blob_key, ordinal) AS (VALUES "
            + ",".join(["(?,?,?)"] * len(places))
            + ") SELECT w.doc, c.chunk, b.start_line, b.end_line, b.symbol, b.kind, c.token_count, c.text "
            "FROM wanted w CROSS JOIN blob_chunks b ON b.blob_key = w.blob_key AND b.ordinal = w.ordinal "
            "CROSS JOIN chunks c ON c.chunk_key = b.chunk_key",
            [value for place in places for value in place],
        )
        for doc, chunk, start, end, symbol, kind, tokens, packed in rows.fetchall():
            text, outline = split_text(decompress(packed), symbol, start, end)
            yield ChunkView(doc, chunk, start, end, symbol, kind, tokens, text, outline)

    def keys_of(self, chunks: Sequence[ChunkId]) -> dict[ChunkId, int]:
        """Return the keys of the chunks that are stored."""
        found: dict[ChunkId, int] = {}
        for first in range(0, len(chunks), _PLACES_AT_ONCE):
            asked = chunks[first : first + _PLACES_AT_ONCE]
            marks = ",".join("?" * len(asked))
            find = f"SELECT chunk, chunk_key FROM chunks WHERE chunk IN ({marks})"  # noqa: S608 - marks only.
            found.update((ChunkId(chunk), key) for chunk, key in self.connection.execute(find, asked).fetchall())
        return found

    def chunk_ids(self, keys: Sequence[int]) -> dict[int, ChunkId]:
        """Return the hashes of stored chunks, by key; a few hundred at most."""
        find = f"SELECT chunk_key, chunk FROM chunks WHERE chunk_key IN ({','.join('?' * len(keys))})"  # noqa: S608
        return {key: ChunkId(chunk) for key, chunk in self.connection.execute(find, keys).fetchall()}

    def vector_rows(self, model: int, keys: Sequence[int]) -> list[tuple[int, bytes]]:
        """Return chunk keys with their stored vectors of a model; a few hundred at most."""
        find = f"SELECT vector_key, vector FROM vectors WHERE vector_key IN ({','.join('?' * len(keys))})"  # noqa: S608
        rows = self.connection.execute(find, [model << MODEL_SHIFT | key for key in keys]).fetchall()
        return [(key & ((1 << MODEL_SHIFT) - 1), vector) for key, vector in rows]

    def token_counts(self, blob_key: int) -> list[int]:
        """Return the token count of each of a blob's chunks, in order."""
        rows = self.connection.execute(
            "SELECT c.token_count FROM blob_chunks b JOIN chunks c USING (chunk_key) WHERE b.blob_key = ? "
            "ORDER BY b.ordinal",
            (blob_key,),
        )
        return [count for (count,) in rows.fetchall()]

    def lexical_lengths(self, blob_key: int, ordinal: int) -> tuple[int, int] | None:
        """Return how many tokens of text and of symbol were indexed for a chunk; None where it does not exist."""
        row = self.connection.execute(
            "SELECT c.lexical, b.symbol FROM blob_chunks b JOIN chunks c USING (chunk_key) "
            "WHERE b.blob_key = ? AND b.ordinal = ?",
            (blob_key, ordinal),
        ).fetchone()
        return None if row is None else (len(decompress(row[0]).split()), len(lexical_tokens(row[1]).split()))

    def outline(self, entry_id: int, blob_key: int, within: str = "") -> list[SymbolView]:
        """Return the definitions of a blob in order of lines; those in one of them only, where that is named."""
        rows = self.connection.execute(
            "SELECT name, path, kind, start_line, end_line FROM symbols WHERE blob_key = ? "
            "AND substr(path, 1, ?) = ? ORDER BY start_line, end_line DESC, ordinal",
            (blob_key, len(within) + 1 if within else 0, within + "." if within else ""),
        ).fetchall()
        return [SymbolView(entry_id, *row) for row in rows]

    def symbols(
        self, name: str, limit: int, entries_of_blob: Callable[[int], list[int]], prefix: bool = True
    ) -> list[SymbolView]:
        """Find definitions by name: exact, then ignoring case, then by prefix; in each by entry, then line.

        Args:
            entries_of_blob: live entries of a blob that count.
            prefix: False leaves out those that only begin with the name.

        A dotted name matches the end of the qualified path. Reading ends with the first thousand that fit exactly:
        10,000 equal names took 50 ms, more than any caller can use.
        """
        if not name or limit <= 0 or not _is_utf8(name):
            return []
        _, bare = split_qualified(name)
        folded_name, folded_bare, suffix = name.casefold(), bare.casefold(), f".{name}"
        enough = max(_ENOUGH_SYMBOLS, limit)
        exact: list[_Found] = []
        equal: list[_Found] = []
        for row, entries in self._symbol_rows("folded IN (?, ?)", (folded_bare, folded_name), entries_of_blob):
            own, path = row[1], row[2]
            if own == name or path == name or path.endswith(suffix):
                exact += _spread(row, entries)
                if len(exact) >= enough:
                    break
            elif len(equal) >= enough:
                continue
            elif own.casefold() == folded_name or f".{path.casefold()}".endswith(f".{folded_name}"):
                equal += _spread(row, entries)
        found = sorted(exact) + sorted(equal)
        if prefix and len(found) < limit:
            known = set(found)
            longer: list[_Found] = []
            qualifier = folded_name[: len(folded_name) - len(folded_bare)].rstrip(".")
            span = (folded_bare, folded_bare + _LAST_CODE_POINT)
            for row, entries in self._symbol_rows("folded >= ? AND folded < ?", span, entries_of_blob):
                # The qualifier before a dotted prefix must be the end of the enclosing path.
                enclosing = f".{row[2].casefold()}".removesuffix(f".{row[1].casefold()}")
                if not qualifier or enclosing.endswith(f".{qualifier}"):
                    longer += _spread(row, entries)
                    if len(longer) >= enough:
                        break
            found += sorted(set(longer).difference(known))
        return [
            SymbolView(entry, own, path, kind, first, last) for entry, first, last, path, own, kind in found[:limit]
        ]

    def _symbol_rows(
        self, condition: str, values: Sequence[str], entries_of_blob: Callable[[int], list[int]]
    ) -> Iterator[tuple[_SymbolRow, list[int]]]:
        """Yield rows that count and their entries, by folded name, then age, until the caller stops."""
        cursor = self.connection.execute(
            "SELECT blob_key, name, path, kind, start_line, end_line FROM symbols "  # noqa: S608 - constant conditions
            f"WHERE {condition} ORDER BY folded, blob_key, ordinal LIMIT ?",
            (*values, _MOST_SYMBOL_ROWS),
        )
        blob_key, entries = -1, list[int]()
        try:
            for row in cursor:
                if row[0] != blob_key:
                    blob_key, entries = row[0], entries_of_blob(row[0])
                if entries:
                    yield row, entries
        finally:
            cursor.close()

    def texts(self, chunks: Sequence[ChunkId]) -> list[str]:
        """Return the texts to embed for these chunks, in order; a deleted chunk has an empty text."""
        execute = self.connection.execute
        rows = (execute("SELECT text FROM chunks WHERE chunk = ?", (chunk,)).fetchone() for chunk in chunks)
        return ["" if row is None else decompress(row[0]) for row in rows]

    def chunks_in(self, root: RootId, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        """Return those of `chunks` that a file of the root's tree has."""
        found = set[ChunkId]()
        for first in range(0, len(chunks), _PLACES_AT_ONCE):
            asked = chunks[first : first + _PLACES_AT_ONCE]
            marks = ",".join("?" * len(asked))
            rows = self.connection.execute(
                f"SELECT c.chunk FROM chunks c WHERE c.chunk IN ({marks}) AND EXISTS ("  # noqa: S608 - marks only.
                "SELECT 1 FROM blob_chunks b JOIN entries e USING (blob_key) "
                "JOIN trees t ON t.root = ? AND t.path = e.path AND t.entry_id = e.entry_id "
                "WHERE b.chunk_key = c.chunk_key)",
                (*asked, root),
            )
            found.update(ChunkId(chunk) for (chunk,) in rows.fetchall())
        return found

    def embedded_chunks(self, root: RootId, model_id: str, dim: int) -> set[ChunkId]:
        """Return all chunks of a root's tree that have a vector of the model: 0.5 s for 100,000."""
        rows = self.connection.execute(
            "SELECT DISTINCT c.chunk FROM trees t JOIN entries e USING (entry_id) JOIN blob_chunks b USING (blob_key) "
            "JOIN chunks c USING (chunk_key) JOIN models m ON m.model_id = ? AND m.dim = ? "
            "JOIN vectors v ON v.vector_key = (m.model << ? | c.chunk_key) WHERE t.root = ?",
            (model_id, dim, MODEL_SHIFT, root),
        )
        return {ChunkId(chunk) for (chunk,) in rows.fetchall()}

    def vectors(self, chunks: Sequence[ChunkId], model_id: str, dim: int) -> list[tuple[ChunkId, bytes]]:
        """Return the stored vectors (float16 [dim], little endian) of those of `chunks` that have one of the model."""
        found: list[tuple[ChunkId, bytes]] = []
        for first in range(0, len(chunks), _PLACES_AT_ONCE):
            asked = chunks[first : first + _PLACES_AT_ONCE]
            marks = ",".join("?" * len(asked))
            rows = self.connection.execute(
                "SELECT c.chunk, v.vector FROM chunks c JOIN models m ON m.model_id = ? AND m.dim = ? "  # noqa: S608
                f"JOIN vectors v ON v.vector_key = (m.model << ? | c.chunk_key) WHERE c.chunk IN ({marks})",
                (model_id, dim, MODEL_SHIFT, *asked),
            )
            found += [(ChunkId(chunk), vector) for chunk, vector in rows.fetchall() if len(vector) == 2 * dim]
        return found

    _FILES = (
        "SELECT t.path, CASE WHEN t.entry_id IS NULL THEN 'skipped' ELSE 'indexed' END, t.reason, t.blob, "
        "coalesce(b.language, ''), coalesce(b.chunk_count, 0), coalesce(b.degraded_reason, '') "
        "FROM trees t LEFT JOIN blobs b ON b.blob = t.blob "
    )

    def file(self, root: RootId, path: str) -> FileRow | None:
        """Return one path of a root, or None where the catalog does not know it."""
        row = self.connection.execute(f"{self._FILES} WHERE t.root = ? AND t.path = ?", (root, path)).fetchone()
        return None if row is None else FileRow(*row)

    def chunk_lines(self, root: RootId, path: str) -> list[tuple[ChunkId, int, int]]:
        """Return the chunks of one path in order, each with its first and last line."""
        rows = self.connection.execute(
            "SELECT c.chunk, bc.start_line, bc.end_line FROM trees t JOIN blobs b ON b.blob = t.blob "
            "JOIN blob_chunks bc ON bc.blob_key = b.blob_key JOIN chunks c ON c.chunk_key = bc.chunk_key "
            "WHERE t.root = ? AND t.path = ? AND t.entry_id IS NOT NULL ORDER BY bc.ordinal",
            (root, path),
        )
        return [(ChunkId(chunk), first, last) for chunk, first, last in rows.fetchall()]

    def listing(self, root: RootId) -> dict[str, tuple[bytes | None, str]]:
        """Return `path -> (blob, reason)` of a root's whole tree."""
        rows = self.connection.execute("SELECT path, blob, reason FROM trees WHERE root = ?", (root,))
        return {path: (blob, reason) for path, blob, reason in rows.fetchall()}

    def unused(self) -> list[tuple[PoolId, str]]:
        """Return the pools and paths of entries that no tree holds."""
        rows = self.connection.execute("SELECT pool, path FROM entries WHERE unused_utc IS NOT NULL")
        return [(PoolId(pool), path) for pool, path in rows.fetchall()]

    def check_pages(self) -> str:
        """Return the first damage that SQLite finds in the pages; empty if there is no damage."""
        try:
            (finding,) = self.connection.execute("PRAGMA quick_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            return str(error)
        return "" if finding == "ok" else str(finding)

    def check_content(self) -> str:
        """Return the first blob or chunk whose content does not match its name; empty if all match."""
        try:
            short = self.connection.execute(
                "SELECT b.blob_key FROM blobs b WHERE b.chunk_count != "
                "(SELECT count(*) FROM blob_chunks bc JOIN chunks c USING (chunk_key) WHERE bc.blob_key = b.blob_key)"
            ).fetchone()
            if short is not None:
                return f"blob {short[0]} lacks chunks"
            last = -1
            while rows := self.connection.execute(
                "SELECT chunk_key, chunk, text FROM chunks WHERE chunk_key > ? ORDER BY chunk_key LIMIT ?",
                (last, _CHECKED_AT_ONCE),
            ).fetchall():
                last = rows[-1][0]
                for key, chunk, text in rows:
                    if chunk_id("", decompress(text)) != chunk:
                        return f"the text of chunk {key} is not the one that it is named by"
        except (sqlite3.DatabaseError, zlib.error, UnicodeDecodeError, TypeError) as error:
            return f"{type(error).__name__} in the texts of chunks"
        return ""

    def files(self, root: RootId, state: Literal["indexed", "skipped", ""], limit: int, after: str) -> list[FileRow]:
        """Return up to `limit` paths of a root in order, beyond `after`."""
        only = {"indexed": "AND t.entry_id IS NOT NULL", "skipped": "AND t.entry_id IS NULL", "": ""}[state]
        rows = self.connection.execute(
            f"{self._FILES} WHERE t.root = ? AND t.path > ? {only} ORDER BY t.path LIMIT ?", (root, after, limit)
        )
        return [FileRow(*row) for row in rows.fetchall()]


_CHECKED_AT_ONCE = 1_000
_SymbolRow = tuple[int, str, str, str, int, int]
"""Blob key, name, path, kind, first and last line."""
_Found = tuple[int, int, int, str, str, str]
"""Entry id, first and last line, path, name, kind: definitions that match equally well are listed in this order."""


def _spread(row: _SymbolRow, entries: list[int]) -> list[_Found]:
    """Return the definition in each of these entries."""
    _, name, path, kind, first, last = row
    return [(entry_id, first, last, path, name, kind) for entry_id in entries]


def _is_utf8(name: str) -> bool:
    """Return whether SQLite accepts the name. No definition's name has the surrogates that stand for other bytes."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
