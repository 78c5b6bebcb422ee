"""What a document of the lexical index is: its fields, and how one is made of the catalog's rows."""

from __future__ import annotations

import sqlite3
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tantivy import Document, Schema, SchemaBuilder

from regend.chunking.tokens import lexical_tokens
from regend.store.catalog.textcodec import unpack
from regend.types import doc_id

_FIELDS = ("body", "symbol", "path")


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


def chunk_kinds(chunks: Iterable[tuple[str, int, int]], definitions: Iterable[tuple[int, str]]) -> Iterator[str]:
    """The `kinds` of each of a file's chunks.

    Args:
        chunks: kind, first and last line of each.
        definitions: first line and kind of each, in any order.
    """
    ordered = sorted(definitions)
    lines = [line for line, _ in ordered]
    for kind, first, last in chunks:
        inside = ordered[bisect_left(lines, first) : bisect_right(lines, last)]
        yield " ".join(sorted({kind, *(found for _, found in inside)}))


def build_schema() -> Schema:
    """The index schema; raise `files.FORMAT_VERSION` with every change."""
    builder = SchemaBuilder()
    for name in _FIELDS:
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
    """The documents of these entries, streamed."""
    for entry_id in entry_ids:
        rows = connection.execute(
            "SELECT e.path, b.ordinal, b.symbol, b.kind, b.start_line, b.end_line, c.lexical FROM entries e "
            "JOIN blob_chunks b USING (blob_key) JOIN chunks c USING (chunk_key) WHERE e.entry_id = ? "
            "ORDER BY b.ordinal",
            (entry_id,),
        ).fetchall()
        path = lexical_tokens(rows[0][0]) if rows else ""
        definitions = connection.execute(
            "SELECT s.start_line, s.kind FROM entries e JOIN symbols s USING (blob_key) WHERE e.entry_id = ?",
            (entry_id,),
        ).fetchall()
        kinds_of = chunk_kinds(((kind, first, last) for _, _, _, kind, first, last, _ in rows), definitions)
        for (_, ordinal, symbol, *_, lexical), kinds in zip(rows, kinds_of, strict=True):
            yield LexicalDoc(entry_id, ordinal, unpack(lexical), lexical_tokens(symbol), path, kinds)
