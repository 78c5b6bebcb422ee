"""The documents of the lexical index: their fields, and the one function that builds them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence

from tantivy import Document, Schema, SchemaBuilder

from regend.chunking.packing import Rows, Words, decompress, words_of
from regend.chunking.tokens import lexical_tokens
from regend.types import doc_id

FIELDS = ("body", "symbol", "path")


def _docs_of_entry(entry_id: int, path: str, words: Iterable[Words]) -> Iterator[Document]:
    """Build the documents of one entry, of all of its chunks' words in order."""
    path = lexical_tokens(path)
    for ordinal, (body, symbol, kinds) in enumerate(words):
        yield document(entry_id, ordinal, body, symbol, path, kinds)


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
        words = words_of(((*row[:5], decompress(row[5])) for row in rows), definitions)
        yield from _docs_of_entry(entry_id, path, words)


def born_docs(connection: sqlite3.Connection, born: Iterable[tuple[int, str, Rows | None]]) -> Iterator[Document]:
    """Stream the documents of entries that a commit brought to life.

    Args:
        born: entry id, path, and the rows if this very commit brought the chunks; others are read from the catalog.
    """
    for entry_id, path, rows in born:
        if rows is None:
            yield from lexical_docs(connection, (entry_id,))
        else:
            yield from _docs_of_entry(entry_id, path, rows.words)
