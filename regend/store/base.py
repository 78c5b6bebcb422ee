"""Protocols of the store: what the index thread writes and what a query reads.

A `Snapshot` is immutable: one generation's trees, lexical searcher and vectors, published whole. Any thread may read
it. It must never block on, lock, or be changed by the writer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from regend.types import LONG_RUN, BlobId, ChunkId, PoolId, RootId

FloatMatrix = npt.NDArray[np.float32]
HalfMatrix = npt.NDArray[np.float16]
FloatVector = npt.NDArray[np.float32]
KeyArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
NO_THREAD_PAUSE_S = 10.0
"""Pause after the system refused a thread for background work."""


class Hit(NamedTuple):
    """One candidate: `doc` as in `types.doc_id`, and its score (BM25 at least 0; cosine from -1 to 1)."""

    doc: int
    score: float


@dataclass(frozen=True, slots=True)
class RootRecord:
    """A root as stored.

    Attributes:
        path: absolute real path.
        marker: ``device:inode`` of the directory when it was added or last confirmed.
        pool_key: what makes roots share a pool: the real path of the git common directory, or the root's own path.
    """

    root: RootId
    path: str
    pool: PoolId
    pool_key: str
    marker: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One (path, blob) of a pool and the roots whose trees hold it now. Worktrees share entries.

    Attributes:
        chunk_count: chunks of the blob.
        marks: words that its first lines (`GENERATED`) and `.gitattributes` (`Declared`) say of it, among others.
    """

    entry_id: int
    pool: PoolId
    path: str
    blob: BlobId
    language: str
    roots: frozenset[RootId]
    chunk_count: int = 0
    marks: str = ""


@dataclass(frozen=True, slots=True)
class ChunkView:
    """A chunk as a query shows it; see `types.Chunk`."""

    doc: int
    chunk: ChunkId
    start_line: int
    end_line: int
    symbol: str
    kind: str
    token_count: int
    text: str
    outline: str = ""


@dataclass(frozen=True, slots=True)
class SymbolView:
    """A definition as a query shows it; `entry_id` says where."""

    entry_id: int
    name: str
    path: str
    kind: str
    start_line: int
    end_line: int


@dataclass(frozen=True, slots=True)
class ChunkConditions:
    """Conditions that a chunk must meet to count. Words are tokens as `chunking.tokens` makes them.

    Attributes:
        words: each occurs in the chunk's text, symbol or path.
        without: none occurs in its text, symbol or path.
        kinds: one of them is the chunk's own kind or that of a definition that begins in it; empty: any.
        without_kinds: none of them is.
        pieces: of each group, one piece is in a word of the chunk's text, or the text may hold it elsewhere.
        sifted: the caller filters the hits further, by what the index does not know, so it needs more of them.
    """

    words: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    kinds: frozenset[str] = frozenset()
    without_kinds: frozenset[str] = frozenset()
    pieces: tuple[frozenset[str], ...] = ()
    sifted: bool = False

    def __bool__(self) -> bool:
        return bool(self.words or self.without or self.kinds or self.without_kinds or self.pieces)

    def fit(self, words: Collection[str]) -> bool:
        """Tell whether a chunk whose text has these words meets `pieces`."""
        return all(
            LONG_RUN in words or any(piece in word for word in words for piece in group) for group in self.pieces
        )


NO_CONDITIONS = ChunkConditions()


@dataclass(frozen=True, slots=True)
class LexicalQuery:
    """Terms in the lexical leg's own form, and how much each field counts.

    Attributes:
        terms: lower-case tokens as `chunking.tokens` makes them; repeated terms count once.
        body: boost of the chunk's text field.
        symbol: boost of the symbol path field.
        path: boost of the file path field.
        conditions: that each chunk must meet; they do not change scores. If they are sifted, chunks that meet `pieces`
            need not hold a term.
    """

    terms: tuple[str, ...]
    body: float = 1.0
    symbol: float = 1.0
    path: float = 1.0
    conditions: ChunkConditions = NO_CONDITIONS


@dataclass(frozen=True, slots=True)
class FieldStatistics:
    """Statistics of a pool by which BM25 scores a text that is not in it. Fields are text, symbol and path.

    Attributes:
        doc_count: documents.
        mean_lengths: tokens in each field, on average; estimated from a sample.
        frequencies: term -> documents that hold it in each field.
    """

    doc_count: int
    mean_lengths: tuple[float, float, float]
    frequencies: Mapping[str, tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class GarbageLimits:
    """How much may stay unused.

    Attributes:
        max_unused_bytes: text and vectors of unused blobs, and vectors of models that are not in use, roughly.
        max_age_s: what has been unused for longer is removed.
        min_age_s: what has been unused for less time stays.
    """

    max_unused_bytes: int = 1_000_000_000
    max_age_s: int = 30 * 86_400
    min_age_s: int = 60


class Elsewhere(Protocol):
    """Which roots a shared store searches by meaning, so that their vectors stay on disk. Any thread may ask."""

    def has(self, root_path: str) -> bool:
        """Return whether the store searches a root."""
        ...

    def changes(self, root_path: str) -> int:
        """Return how often the answer of `held` may have changed; 0 while it is not known."""
        ...

    def held(self, root_path: str, model_id: str, dim: int, chunks: Sequence[ChunkId]) -> set[ChunkId]:
        """Return those of `chunks` that the store finds for the root."""
        ...


class PoolSnapshot(Protocol):
    """One pool at one generation.

    `entries` holds live entries only. `allow` in the searches is a set of entry ids to which the answer is
    limited; None means all live entries. Results are sorted by score descending, then doc ascending, and never name a
    dead entry.
    """

    @property
    def pool(self) -> PoolId: ...

    @property
    def entries(self) -> Mapping[int, Entry]: ...

    @property
    def doc_count(self) -> int:
        """Documents of the lexical index."""

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return for each term about how many of the pool's chunks hold it in text, symbol or path; 0 is certain.

        Chunks of deleted files may be counted for a while, but a term that only few of them hold counts nothing.
        """
        ...

    def lexical(self, query: LexicalQuery, limit: int, allow: frozenset[int] | None = None) -> list[Hit]: ...

    def nearest(self, vector: FloatVector, limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        """Search by cosine. `vector`: float32 [dim], L2-normalised. Empty while the pool has no vectors."""
        ...

    def similarity(self, vector: FloatVector, docs: Sequence[int]) -> list[float | None]:
        """Return the exact cosine of `vector` with each doc's chunk; None where the chunk has no vector yet."""
        ...

    def vector(self, doc: int) -> FloatVector | None: ...

    def passing(self, docs: Sequence[int], conditions: ChunkConditions) -> set[int]:
        """Return those of `docs` whose chunks meet the conditions."""
        ...

    def containing(self, part: str, *, prefix: bool) -> list[int]:
        """Return the live documents with a word that begins with `part` or, not `prefix`, holds it, in any order.

        Args:
            part: folded. Words are those of text, symbol and path.
        """
        ...

    def entry_at(self, root: RootId, path: str) -> Entry | None: ...


class Snapshot(Protocol):
    """All pools at one generation."""

    @property
    def generation(self) -> int: ...

    @property
    def complete(self) -> bool:
        """Whether no live chunk lacks a vector of `model_id`."""
        ...

    @property
    def model_id(self) -> str: ...

    @property
    def roots(self) -> Mapping[RootId, RootRecord]: ...

    @property
    def pools(self) -> Mapping[PoolId, PoolSnapshot]: ...

    def languages(self, root: RootId) -> Mapping[str, int]:
        """Return how many indexed files of the root are in each language."""
        ...

    def chunks(self, docs: Sequence[int]) -> list[ChunkView]:
        """Return chunks in the order of `docs`, without documents that no longer exist."""
        ...

    def copies(self, docs: Sequence[int]) -> Mapping[int, Sequence[int]]:
        """Return for each of `docs` whose chunk others have, too, all live documents with that chunk, itself included.

        All pools count.
        """
        ...

    def docs_with(self, chunks: Sequence[ChunkId]) -> Mapping[ChunkId, Sequence[int]]:
        """Return the live documents with each of these chunks, without chunks that no document has."""
        ...

    def file_vector(self, entry: Entry) -> FloatVector | None:
        """Return the mean of a file's chunk vectors, weighted by their tokens, L2-normalised.

        None while no chunk has a vector, and where the vectors cancel out.
        """
        ...

    def outline(self, entry: Entry, within: str = "") -> list[SymbolView]:
        """Return all definitions of the entry's blob in order of lines.

        Args:
            within: qualified name of a definition; only those in it are wanted.
        """
        ...

    def symbols(
        self, name: str, limit: int, *, prefix: bool = True, within: Callable[[int], bool] | None = None
    ) -> list[SymbolView]:
        """Find definitions in live entries: exact name first, then ignoring case, then by prefix; by entry and line.

        A dotted `name` matches the end of the qualified path.

        Args:
            prefix: False leaves out those that only begin with the name, which are expensive to find.
            within: entry id -> whether its definitions count; None counts all.
        """
        ...

    def statistics(self, pool: PoolId, terms: Sequence[str]) -> FieldStatistics:
        """Return the statistics of one pool, for these terms."""
        ...


_QUALIFIED = re.compile(r"(.*[^.])\.(.+)", re.DOTALL)


def split_qualified(name: str) -> tuple[str, str]:
    """Return what qualifies a dotted name, if anything does, and its last part, which may begin with a dot itself."""
    match = _QUALIFIED.fullmatch(name)
    return (match[1], match[2]) if match else ("", name)
