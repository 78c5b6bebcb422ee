"""The documents of the lexical index: their fields, and the one function that builds them."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tantivy import Document, Schema, SchemaBuilder

from regend.chunking.tokens import lexical_tokens
from regend.store.catalog.textcodec import unpack
from regend.types import doc_id

FIELDS = ("body", "symbol", "path")
ChunkFields = tuple[int, str, str, int, int, str]
"""A chunk's ordinal, symbol, kind, first and last line, and its text as tokens."""


@dataclass(frozen=True, slots=True)
class LexicalDoc:
    """One chunk occurrence, its fields as space-separated lower-case tokens.

    Attributes:
        kinds: the chunk's kind and those of the definitions that begin in it.
    """

    entry_id: int
    ordinal: int
    body: str
    symbol: str
    path: str
    kinds: str = ""


def docs_of_entry(
    entry_id: int, path: str, chunks: Iterable[ChunkFields], definitions: Iterable[tuple[int, str]]
) -> Iterator[LexicalDoc]:
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
        yield LexicalDoc(entry_id, ordinal, body, lexical_tokens(symbol), path, kinds)


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


def document_of(doc: LexicalDoc) -> Document:
    """Return the document as tantivy takes it."""
    document = Document()
    document.add_text("body", doc.body)
    document.add_text("symbol", doc.symbol)
    document.add_text("path", doc.path)
    document.add_text("kind", doc.kinds)
    document.add_unsigned("entry", doc.entry_id)
    document.add_unsigned("doc", doc_id(doc.entry_id, doc.ordinal))
    return document


def lexical_docs(connection: sqlite3.Connection, entry_ids: Sequence[int]) -> Iterator[LexicalDoc]:
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
        yield from docs_of_entry(entry_id, path, ((*row[:5], unpack(row[5])) for row in rows), definitions)
