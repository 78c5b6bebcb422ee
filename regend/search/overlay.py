"""Overlays: files as an editor holds them, unsaved, laid over a snapshot for one query. Nothing is ever stored.

An overlay replaces the file at its path in its root, if there is one; other roots keep theirs. Its chunks are found by
words, by meaning and by symbols like all others. The caller chunks and embeds the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from regend.chunking.tokens import lexical_tokens
from regend.search.bm25 import Scorer
from regend.store.base import (
    ChunkConditions,
    ChunkView,
    Entry,
    FieldStatistics,
    FloatVector,
    Hit,
    LexicalQuery,
    PoolSnapshot,
    RootRecord,
    Snapshot,
    SymbolView,
    split_qualified,
)
from regend.types import (
    DOC_ORDINAL_BITS,
    Chunk,
    ChunkedFile,
    ChunkId,
    PoolId,
    RootId,
    Symbol,
    doc_id,
)

FIRST_OVERLAY_ID = 1 << 40
"""Smallest entry id of an overlay; the catalog does not count that far."""


@dataclass(frozen=True, slots=True)
class OverlayFile:
    """An unsaved file, chunked.

    Attributes:
        vectors: by chunk, float32 [dim], L2-normalised; a chunk may lack its own.
    """

    root: RootId
    path: str
    file: ChunkedFile
    vectors: Mapping[ChunkId, FloatVector]


def is_overlay(entry_id: int) -> bool:
    """Return whether an entry is an overlay's."""
    return entry_id >= FIRST_OVERLAY_ID


def overlaid(snapshot: Snapshot, files: Sequence[OverlayFile]) -> Snapshot:
    """Return the snapshot with these files in it, or itself where all of them are as indexed."""
    by_pool: dict[PoolId, list[tuple[OverlayFile, Entry | None]]] = {}
    for file in {(file.root, file.path): file for file in files}.values():
        record = snapshot.roots.get(file.root)
        if record is None:
            continue
        indexed = snapshot.pools[record.pool].entry_at(file.root, file.path)
        if indexed is None or indexed.blob != file.file.blob:
            by_pool.setdefault(record.pool, []).append((file, indexed))
    return OverlaidSnapshot(snapshot, by_pool) if by_pool else snapshot


class _Document:
    """A chunk of an overlay."""

    __slots__ = ("chunk", "kinds", "terms", "vector")

    def __init__(self, chunk: Chunk, symbols: Sequence[Symbol], path: str, vector: FloatVector | None) -> None:
        self.chunk = chunk
        self.vector = vector
        self.kinds = {s.kind for s in symbols if chunk.start_line <= s.start_line <= chunk.end_line} | {chunk.kind}
        texts = (chunk.lexical, lexical_tokens(chunk.symbol), lexical_tokens(path))
        self.terms = [Counter(text.split()) for text in texts]

    def holds(self, term: str) -> bool:
        return any(term in field for field in self.terms)

    def has_word(self, part: str, *, prefix: bool) -> bool:
        words = (word for field in self.terms for word in field)
        return any(word.startswith(part) if prefix else part in word for word in words)

    def meets(self, conditions: ChunkConditions) -> bool:
        return (
            all(map(self.holds, conditions.words))
            and not any(map(self.holds, conditions.without))
            and (not conditions.kinds or not conditions.kinds.isdisjoint(self.kinds))
            and conditions.without_kinds.isdisjoint(self.kinds)
            and (not conditions.pieces or conditions.fit(self.terms[0]))
        )


class _Entries(Mapping[int, Entry]):
    """A pool's live entries, some of them replaced or hidden, and more besides."""

    def __init__(self, base: Mapping[int, Entry], changed: dict[int, Entry | None]) -> None:
        self._base = base
        self._changed = changed

    def __getitem__(self, entry_id: int) -> Entry:
        found = self._changed[entry_id] if entry_id in self._changed else self._base[entry_id]
        if found is None:
            raise KeyError(entry_id)
        return found

    def __iter__(self) -> Iterator[int]:
        yield from (entry_id for entry_id in self._base if entry_id not in self._changed)
        yield from (entry_id for entry_id, entry in self._changed.items() if entry is not None)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class OverlaidPool:
    """Implements `PoolSnapshot` over another one."""

    def __init__(
        self,
        base: PoolSnapshot,
        files: Sequence[tuple[int, OverlayFile, Entry | None]],
        statistics: Callable[[Sequence[str]], FieldStatistics],
    ) -> None:
        self.pool = base.pool
        self.doc_count = base.doc_count
        self._base = base
        self._statistics = statistics
        self.documents: dict[int, _Document] = {}
        self._places: dict[tuple[RootId, str], Entry] = {}
        self._hidden_docs = 0
        changed: dict[int, Entry | None] = {}
        for entry_id, overlay, indexed in files:
            file = overlay.file
            if indexed is not None:
                earlier = changed.get(indexed.entry_id) or indexed
                left = earlier.roots - {overlay.root}
                changed[indexed.entry_id] = replace(earlier, roots=left) if left else None
                self._hidden_docs += indexed.chunk_count
            entry = Entry(
                entry_id,
                self.pool,
                overlay.path,
                file.blob,
                file.language,
                frozenset({overlay.root}),
                len(file.chunks),
                file.degraded_reason,
            )
            changed[entry_id] = self._places[overlay.root, overlay.path] = entry
            for chunk in file.chunks:
                vector = overlay.vectors.get(chunk.chunk_id)
                document = _Document(chunk, file.symbols, overlay.path, vector)
                self.documents[doc_id(entry_id, chunk.ordinal)] = document
        self._changed = changed
        self.entries: Mapping[int, Entry] = _Entries(base.entries, changed)

    def lexical(self, query: LexicalQuery, limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        """Find chunks by BM25; overlays count as if they were indexed."""
        hits = self._kept(self._base.lexical(query, limit + self._hidden_docs, self._below(allow)))
        scorer = Scorer(query, self._statistics)
        for doc, document in self._allowed(allow):
            score = scorer.score(document.terms)
            if (score > 0.0 or (query.conditions.sifted and query.conditions.pieces)) and document.meets(
                query.conditions
            ):
                hits.append(Hit(doc, score))
        return _best(hits, limit)

    def nearest(self, vector: FloatVector, limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        """Find chunks by cosine."""
        hits = self._kept(self._base.nearest(vector, limit + self._hidden_docs, self._below(allow)))
        for doc, document in self._allowed(allow):
            if document.vector is not None:
                hits.append(Hit(doc, float(np.clip(vector @ document.vector, -1.0, 1.0))))
        return _best(hits, limit)

    def similarity(self, vector: FloatVector, docs: Sequence[int]) -> list[float | None]:
        """Return exact cosines."""
        indexed = [doc for doc in docs if doc not in self.documents]
        cosines = dict(zip(indexed, self._base.similarity(vector, indexed), strict=True))
        for doc in docs:
            document = self.documents.get(doc)
            if document is not None:
                own = document.vector
                cosines[doc] = None if own is None else float(np.clip(vector @ own, -1.0, 1.0))
        return [cosines[doc] for doc in docs]

    def vector(self, doc: int) -> FloatVector | None:
        """Return the vector of a document's chunk."""
        document = self.documents.get(doc)
        return self._base.vector(doc) if document is None else document.vector

    def passing(self, docs: Sequence[int], conditions: ChunkConditions) -> set[int]:
        """Return those of `docs` whose chunks meet the conditions."""
        own = {doc for doc in docs if doc in self.documents and self.documents[doc].meets(conditions)}
        return own | self._base.passing([doc for doc in docs if doc not in self.documents], conditions)

    def containing(self, part: str, *, prefix: bool) -> list[int]:
        """Return the documents with such a word; see `store.base.PoolSnapshot.containing`."""
        docs = self._base.containing(part, prefix=prefix)
        own = [doc for doc, document in self.documents.items() if document.has_word(part, prefix=prefix)]
        return [doc for doc in docs if doc >> DOC_ORDINAL_BITS in self.entries] + own

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return about how many chunks hold each term."""
        return [self._held(*pair) for pair in zip(terms, self._base.frequencies(terms), strict=True)]

    def _held(self, term: str, count: int) -> int:
        """Return about how many chunks hold a term that so many indexed ones hold, which may all be hidden."""
        own = sum(document.holds(term) for document in self.documents.values())
        if own or not 0 < count <= self._hidden_docs:
            return count or own
        return count if self.lexical(LexicalQuery((term,)), 1) else 0

    def entry_at(self, root: RootId, path: str) -> Entry | None:
        """Return the entry that the root has at this path."""
        own = self._places.get((root, path))
        return self._base.entry_at(root, path) if own is None else own

    def _below(self, allow: frozenset[int] | None) -> frozenset[int] | None:
        """Return what the base is limited to: the allowed entries that it knows and that are not hidden."""
        if allow is None:
            return None
        return frozenset(e for e in allow if e not in self._changed or (e in self.entries and not is_overlay(e)))

    def _kept(self, hits: list[Hit]) -> list[Hit]:
        return [hit for hit in hits if hit.doc >> DOC_ORDINAL_BITS in self.entries]

    def _allowed(self, allow: frozenset[int] | None) -> Iterator[tuple[int, _Document]]:
        for doc, document in self.documents.items():
            if allow is None or doc >> DOC_ORDINAL_BITS in allow:
                yield doc, document


def _best(hits: list[Hit], limit: int) -> list[Hit]:
    hits.sort(key=lambda hit: (-hit.score, hit.doc))
    return hits[:limit]


class OverlaidSnapshot:
    """Implements `Snapshot` over another one."""

    def __init__(self, base: Snapshot, by_pool: Mapping[PoolId, Sequence[tuple[OverlayFile, Entry | None]]]) -> None:
        self.generation = base.generation
        self.complete = base.complete
        self.model_id = base.model_id
        self.roots: Mapping[RootId, RootRecord] = base.roots
        self._base = base
        self._files: dict[int, OverlayFile] = {}
        self._documents: dict[int, _Document] = {}
        pools = dict(base.pools)
        for pool, files in by_pool.items():
            numbered = [(FIRST_OVERLAY_ID + len(self._files) + n, *pair) for n, pair in enumerate(files)]
            self._files.update((entry_id, file) for entry_id, file, _ in numbered)
            own = OverlaidPool(base.pools[pool], numbered, partial(base.statistics, pool))
            self._documents |= own.documents
            pools[pool] = own
        self.pools: Mapping[PoolId, PoolSnapshot] = pools

    def languages(self, root: RootId) -> Mapping[str, int]:
        """Return how many indexed files of the root are in each language; unsaved files count as they are on disk."""
        return self._base.languages(root)

    def chunks(self, docs: Sequence[int]) -> list[ChunkView]:
        """Return chunks in the order of `docs`; a doc that no longer exists is left out."""
        views = {view.doc: view for view in self._base.chunks([doc for doc in docs if doc not in self._documents])}
        for doc in docs:
            if doc in self._documents:
                c = self._documents[doc].chunk
                views[doc] = ChunkView(
                    doc, c.chunk_id, c.start_line, c.end_line, c.symbol, c.kind, c.token_count, c.text, c.outline
                )
        return [views[doc] for doc in docs if doc in views]

    def copies(self, docs: Sequence[int]) -> dict[int, list[int]]:
        """Return the documents with the same chunk; see `Snapshot.copies`."""
        same = self._base.copies([doc for doc in docs if doc not in self._documents])
        found = {doc: self._live(group) for doc, group in same.items()}
        found.update((doc, group) for doc in docs if (group := self._own_copies.get(doc)) is not None)
        return {doc: group for doc, group in found.items() if len(group) > 1}

    def docs_with(self, chunks: Sequence[ChunkId]) -> dict[ChunkId, list[int]]:
        """Return the live documents with each chunk."""
        found = {chunk: self._live(docs) for chunk, docs in self._base.docs_with(chunks).items()}
        asked = set(chunks)
        for doc, document in self._documents.items():
            if document.chunk.chunk_id in asked:
                found.setdefault(document.chunk.chunk_id, []).append(doc)
        return {chunk: docs for chunk, docs in found.items() if docs}

    @cached_property
    def _own_copies(self) -> dict[int, list[int]]:
        """For each document with a chunk of an overlay all documents with it."""
        chunks = {document.chunk.chunk_id for document in self._documents.values()}
        return {doc: docs for docs in self.docs_with(list(chunks)).values() for doc in docs}

    def _live(self, docs: Sequence[int]) -> list[int]:
        return [doc for doc in docs if self._is_live(doc >> DOC_ORDINAL_BITS)]

    def _is_live(self, entry_id: int) -> bool:
        return any(entry_id in pool.entries for pool in self.pools.values())

    def file_vector(self, entry: Entry) -> FloatVector | None:
        """Return the vector of a whole file."""
        overlay = self._files.get(entry.entry_id)
        if overlay is None:
            return self._base.file_vector(entry)
        pairs = [(chunk.token_count, overlay.vectors.get(chunk.chunk_id)) for chunk in overlay.file.chunks]
        known = [count * vector for count, vector in pairs if vector is not None]
        norm = float(np.linalg.norm(np.sum(known, axis=0))) if known else 0.0
        return np.asarray(np.sum(known, axis=0) / norm, np.float32) if norm > 0.0 else None

    def outline(self, entry: Entry, within: str = "") -> list[SymbolView]:
        """Return definitions of the entry's file; see `Snapshot.outline`."""
        if not is_overlay(entry.entry_id):
            return self._base.outline(entry, within)
        views = self._symbols_of(entry.entry_id)
        views = [view for view in views if not within or view.path.startswith(within + ".")]
        return sorted(views, key=lambda view: (view.start_line, -view.end_line))

    def symbols(
        self, name: str, limit: int, *, prefix: bool = True, within: Callable[[int], bool] | None = None
    ) -> list[SymbolView]:
        """Return definitions by name; see `Snapshot.symbols`."""

        def counts(entry_id: int) -> bool:
            return (within is None or within(entry_id)) and self._is_live(entry_id)

        found = self._base.symbols(name, limit, prefix=prefix, within=counts)
        for entry_id in self._files:
            if counts(entry_id):
                found += self._symbols_of(entry_id)
        last = 2 if prefix else 1
        ranked = [(rank, view) for view in found if (rank := _match_rank(view, name)) <= last]
        ranked.sort(key=lambda pair: (pair[0], pair[1].entry_id, pair[1].start_line))
        return [view for _, view in ranked[:limit]]

    def statistics(self, pool: PoolId, terms: Sequence[str]) -> FieldStatistics:
        """Return the statistics of the index; a few chunks more or less make no difference."""
        return self._base.statistics(pool, terms)

    def _symbols_of(self, entry_id: int) -> list[SymbolView]:
        symbols = self._files[entry_id].file.symbols
        return [SymbolView(entry_id, s.name, s.path, s.kind, s.start_line, s.end_line) for s in symbols]


def _match_rank(view: SymbolView, name: str) -> int:
    """Return 0 for an exact match, 1 but for case, 2 by prefix, 3 for none; a dotted name may match the path's end."""
    path = view.path or view.name
    if name in (view.name, path) or path.endswith("." + name):
        return 0
    folded, wanted = path.casefold(), name.casefold()
    if view.name.casefold() == wanted or ("." + folded).endswith("." + wanted):
        return 1
    qualifier, bare = split_qualified(wanted)
    enclosing = "." + folded.rpartition(".")[0]
    begins = view.name.casefold().startswith(bare)
    return 2 if begins and (not qualifier or enclosing.endswith("." + qualifier)) else 3
