"""Values that several packages share: names for things, and what a worker reports about a file.

Everything here is immutable and knows nothing about IO. The words are those of ``docs/architecture.md``.
"""

from __future__ import annotations

import enum
import hashlib
import zlib
from dataclasses import dataclass
from typing import NamedTuple, NewType

RootId = NewType("RootId", int)
PoolId = NewType("PoolId", int)
BlobId = NewType("BlobId", bytes)
"""16 bytes: names a file's content together with its language, marks and the chunker version (see `blob_id`)."""
ChunkId = NewType("ChunkId", bytes)
"""16 bytes: names the text that is embedded (see `chunk_id`)."""

Track = NewType("Track", int)
"""Numbers the models that make vectors: the first is there from the start, each further one is stronger."""
FIRST_TRACK = Track(0)
STAGES = ("embed", "upgrade")
"""Names in `status` for the embedding of each track."""

DOC_ORDINAL_BITS = 16
MAX_CHUNKS_PER_BLOB = 1 << DOC_ORDINAL_BITS


GENERATED = "generated"
"""Reason for which a file is skipped by its name, or ranked behind others by what its first lines say."""


class Lane(enum.IntEnum):
    """Order in which waiting work is taken up. Queries enter no queue of the pipeline, only the embedder's."""

    QUERY = 0
    EDIT = 1
    BULK = 2


class StatSig(NamedTuple):
    """Result of `stat` when a file was read; equal signatures mean "surely unchanged".

    `UNSURE` (all zero) never equals a real signature. It is stored when the file was written so recently
    that a later write could carry the same timestamps.
    """

    mtime_ns: int
    ctime_ns: int
    size_bytes: int
    inode: int


UNSURE = StatSig(0, 0, 0, 0)


class Change(NamedTuple):
    """A commit and the files that it changed.

    Attributes:
        subject: the first line of its message.
        paths: the files that it changed, relative to the root, with ``/``.
    """

    subject: str
    paths: tuple[str, ...]


class Declared(NamedTuple):
    """The language and the marks that `.gitattributes` gives a file, whatever its name and its text say.

    Attributes:
        language: the name as written there, or empty.
        marks: ``detectable documentation generated vendored``, those that are said, in order and with spaces between
            them; with a ``-`` before each that is denied.
    """

    language: str = ""
    marks: str = ""

    def sign(self, sig: StatSig) -> StatSig:
        """Return the signature of a file of which this is said, so that it changes when other things are said.

        The inode stays: it finds the other names of a file.
        """
        if self == NOT_DECLARED or sig == UNSURE:
            return sig
        return sig._replace(ctime_ns=sig.ctime_ns ^ zlib.crc32(f"{self.language} {self.marks}".encode()))


NOT_DECLARED = Declared()


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a blob, the unit of retrieval.

    Attributes:
        chunk_id: `chunk_id(symbol, text, outline)`; equal texts under equal symbols share one vector.
        ordinal: position in the blob, from 0, in order of `start_line`.
        start_line: first line, 1-based.
        end_line: last line, inclusive.
        symbol: path of the enclosing definition, such as ``Outer.method``; empty at file level.
        kind: ``function``, ``class``, ``method``, …, ``section``, ``key``, ``block`` or ``window``.
        token_count: estimated model tokens of the embedded text.
        text: the source lines, without the final newline.
        lexical: what the lexical leg indexes of text and outline: lower-case tokens, identifiers both whole and split,
            separated by single spaces.
        outline: signatures of what the definition at the chunk's head has in other chunks, a line each; empty for most.
    """

    chunk_id: ChunkId
    ordinal: int
    start_line: int
    end_line: int
    symbol: str
    kind: str
    token_count: int
    text: str
    lexical: str
    outline: str = ""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition in a blob.

    Attributes:
        name: the bare name, such as ``method``.
        path: the qualified name, such as ``Outer.method``.
        kind: ``class function method interface struct enum trait type module constant variable field section key …``.
        start_line: first line of the definition, 1-based.
        end_line: last line, inclusive.
    """

    name: str
    path: str
    kind: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class ChunkedFile:
    """Result of reading one file in a worker, hashed from the very bytes that were chunked.

    Attributes:
        blob: `blob_id` of those bytes.
        sig: the signature taken before reading and equal after it, else `UNSURE`.
        language: language name, such as ``python``; ``text`` where no grammar fits.
        skip_reason: why there are no chunks (``binary``, ``too_large``, …), or empty.
        degraded_reason: why the chunks are worth less: `GENERATED`, or why line windows were used instead of syntax
            (``parse_timeout``, …); after it, and a space, the marks that are declared of the file; or empty.
    """

    blob: BlobId
    sig: StatSig
    language: str
    line_count: int
    chunks: tuple[Chunk, ...]
    symbols: tuple[Symbol, ...]
    skip_reason: str = ""
    degraded_reason: str = ""


@dataclass(frozen=True, slots=True)
class PackedFile:
    """A `ChunkedFile` on its way from a worker to the store, packed by `chunking.packing`; its own fields as there.

    Attributes:
        chunk_count: chunks in it.
        rows: of `chunking.packing.Rows`; empty without chunks and definitions.
        model_id: the model that made the vectors, or empty.
        vectors: float16 [chunk_count, dim], little-endian, rows L2-normalised; empty where chunks are embedded later.
    """

    blob: BlobId
    sig: StatSig
    language: str
    line_count: int
    chunk_count: int
    rows: bytes
    skip_reason: str = ""
    degraded_reason: str = ""
    model_id: str = ""
    vectors: bytes = b""

    @property
    def size_bytes(self) -> int:
        """Memory that it takes while it waits."""
        return len(self.rows) + len(self.vectors)


def blob_id(content: bytes, language: str, chunker_version: int, marks: str = "") -> BlobId:
    """Name a file's content: BLAKE2b-128 keyed by what else its chunks depend on, salted by its marks (RFC 7693)."""
    key = f"{chunker_version}:{language}".encode()[:64]
    salt = hashlib.blake2b(marks.encode(), digest_size=16).digest() if marks else b""
    return BlobId(hashlib.blake2b(content, digest_size=16, key=key, salt=salt).digest())


def embedded_text(symbol: str, text: str, outline: str = "") -> str:
    """Join the text that is embedded for a chunk: its symbol path on a line of its own, its source, its outline."""
    return "\n".join(filter(None, (symbol, text, outline)))


def chunk_id(symbol: str, text: str, outline: str = "") -> ChunkId:
    """Name a chunk by the hash of the text that is embedded."""
    raw = embedded_text(symbol, text, outline).encode("utf-8", "surrogatepass")
    return ChunkId(hashlib.blake2b(raw, digest_size=16).digest())


def doc_id(entry_id: int, ordinal: int) -> int:
    """Number one indexed occurrence of a chunk by its pool entry and its position in the blob. Fits 63 bits."""
    return entry_id << DOC_ORDINAL_BITS | ordinal


LONG_RUN = "…"
"""Stands in the index for a run that is too long for a word: a search for a piece of a word must read such texts."""
