"""The documents of the lexical index: their fields, and the one function that builds them."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence

from tantivy import Document, Schema, SchemaBuilder

from regend.chunking.tokens import lexical_tokens
from regend.store.catalog.textcodec import unpack
from regend.types import ChunkedFile, doc_id

FIELDS = ("body", "symbol", "path")
ChunkFields = tuple[int, str, str, int, int, str]
"""A chunk's ordinal, symbol, kind, first and last line, and its text as tokens."""


def _docs_of_entry(
    entry_id: int, path: str, chunks: Iterable[ChunkFields], definitions: Iterable[tuple[int, str]]
) -> Iterator[Document]:
    """Build the documents of one entry.

    Args:
        chunks: those of its blob.
        definitions: first line and kind of each, in any order.
    """
    path = lexical_tokens(path)
    ordered = sorted(definitions)
    lines = [line for line, _ in ordered]
    for ordinal, symbol, kind, first, last, body in chunks:
        inside = ordered[bisect_left(lines, first) : bisect_right(lines, last)]
        kinds = " ".join(sorted({kind, *(found for _, found in inside)}))
        yield document(entry_id, ordinal, body, lexical_tokens(symbol), path, kinds)


def build_schema() -> Schema:
    """Return the index schema; raise `files.FORMAT_VERSION` with every change."""
    builder = SchemaBuilder()
    for name in FIELDS:
        # No phrase queries are asked, so positions would only cost space and commit time.
        builder.add_text_field(name, tokenizer_name="whitespace", index_option="freq")
    builder.add_text_field("kind", tokenizer_name="whitespace", index_option="basic")
    builder.add_unsigned_field("entry", indexed=True)
    builder.add_unsigned_field("doc", fast=True)
    return builder.build()


def document(entry_id: int, ordinal: int, body: str, symbol: str, path: str, kinds: str = "") -> Document:
    """Build the document of one chunk occurrence.

    Args:
        body, symbol, path: space-separated lower-case tokens.
        kinds: the chunk's kind and those of the definitions that begin in it.
    """
    made = Document()
    made.add_text("body", body)
    made.add_text("symbol", symbol)
    made.add_text("path", path)
    made.add_text("kind", kinds)
    made.add_unsigned("entry", entry_id)
    made.add_unsigned("doc", doc_id(entry_id, ordinal))
    return made


def lexical_docs(connection: sqlite3.Connection, entry_ids: Sequence[int]) -> Iterator[Document]:
    """Stream the documents of these entries from the catalog."""
    for entry_id in entry_ids:
        rows = connection.execute(
            "SELECT b.ordinal, b.symbol, b.kind, b.start_line, b.end_line, c.lexical, e.path FROM entries e "
            "JOIN blob_chunks b USING (blob_key) JOIN chunks c USING (chunk_key) WHERE e.entry_id = ? "
            "ORDER BY b.ordinal",
            (entry_id,),
        ).fetchall()
        definitions = connection.execute(
            "SELECT s.start_line, s.kind FROM entries e JOIN symbols s USING (blob_key) WHERE e.entry_id = ?",
            (entry_id,),
        ).fetchall()
        path = rows[0][-1] if rows else ""
        yield from _docs_of_entry(entry_id, path, ((*row[:5], unpack(row[5])) for row in rows), definitions)


def born_docs(
    connection: sqlite3.Connection, born: Iterable[tuple[int, str, ChunkedFile | None]]
) -> Iterator[Document]:
    """Stream the documents of entries that a commit brought to life.

    Args:
        born: entry id, path, and the file if this very commit brought its chunks; others are read from the catalog.
    """
    for entry_id, path, file in born:
        if file is None:
            yield from lexical_docs(connection, (entry_id,))
            continue
        chunks = ((n, c.symbol, c.kind, c.start_line, c.end_line, c.lexical) for n, c in enumerate(file.chunks))
        definitions = ((symbol.start_line, symbol.kind) for symbol in file.symbols)
        yield from _docs_of_entry(entry_id, path, chunks, definitions)
