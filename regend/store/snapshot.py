"""The immutable view that queries read: implements `store.base.Snapshot` and `PoolSnapshot`.

Nothing here is changed after it was built. Its parts that the writer shares only grow (`facts`), or is append-only
beyond this view's own length (`slab`); texts come from the catalog by read connections, where rows are
content-addressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from regend.store.base import (
    ChunkConditions,
    ChunkView,
    Entry,
    FieldStatistics,
    FloatVector,
    Hit,
    KeyArray,
    LexicalQuery,
    RootRecord,
    SymbolView,
)
from regend.store.catalog.loading import distinct
from regend.store.catalog.reader import Reader
from regend.store.counts import RootStats
from regend.store.facts import LiveEntries, PoolFacts
from regend.store.lexical.index import LexicalView
from regend.store.lexical.mean_lengths import MeanLengths
from regend.store.lexical.search import containing, field_frequencies, frequency, lexical_search, passing
from regend.store.vectors.disk import DiskBase
from regend.store.vectors.file_vectors import FileVectors
from regend.store.vectors.slab import SlabView
from regend.types import DOC_ORDINAL_BITS, FIRST_TRACK, ChunkId, PoolId, RootId, Track

EXACT_SHARE = 0.1
"""Maximum share of allowed entries whose rows are scored exactly; above it, search more and filter."""

_EXACT_MIN_ENTRIES = 64
_TINY_NORM = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class PoolView:
    """One pool at one generation.

    Attributes:
        slab: the vectors that are searched.
        slabs: each track's vectors; None while these are not complete.
    """

    pool: PoolId
    entries: LiveEntries
    facts: PoolFacts
    slab: SlabView
    words: LexicalView
    slabs: tuple[SlabView | None, ...]

    def by_track(self, track: Track) -> PoolView | None:
        """Return the same pool with the track's vectors; None while these are not complete."""
        slab = self.slabs[track]
        return None if slab is None else replace(self, slab=slab)

    def lexical(self, query: LexicalQuery, limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        """Find the best documents by BM25."""
        entries = self.entries
        share = 1.0 if allow is None else len(allow) / max(1, len(entries))
        return lexical_search(self.words, query, limit, allow, share, entries.__contains__)

    def nearest(self, vector: FloatVector, limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        """Find the nearest documents by cosine."""
        slab = self.slab
        if limit <= 0 or not slab.live_count:
            return []
        if allow is None:
            # Every live key has a live document, so `limit` keys give at least `limit` documents.
            return self._hits(*slab.search(vector, limit), limit, None)
        if not allow:
            return []
        total = len(self.entries)
        if len(allow) <= max(_EXACT_MIN_ENTRIES, int(total * EXACT_SHARE)):
            return self._nearest_among(vector, limit, allow)
        fetch = int(limit * total / len(allow) * 1.3) + 16
        hits = self._hits(*slab.search(vector, fetch), limit, allow)
        if len(hits) >= limit or fetch >= slab.live_count:
            return hits
        return self._nearest_among(vector, limit, allow)

    def _nearest_among(self, vector: FloatVector, limit: int, allow: frozenset[int]) -> list[Hit]:
        keys = [self.facts.keys(entry_id) for entry_id in allow if entry_id in self.entries]
        if not keys:
            return []
        return self._hits(*self.slab.search_among(vector, distinct(np.concatenate(keys)), limit), limit, allow)

    def _hits(
        self,
        keys: KeyArray,
        scores: FloatVector,
        limit: int,
        allow: frozenset[int] | None,
    ) -> list[Hit]:
        """Return the live documents of keys that come best first."""
        entries, make = self.entries, Hit._make
        hits: list[Hit] = []
        for docs, score in zip(self.facts.docs_of(keys), np.clip(scores, -1.0, 1.0).tolist(), strict=True):
            if len(hits) >= limit and score < hits[-1].score:
                break
            for doc in docs:
                entry_id = doc >> DOC_ORDINAL_BITS
                if entry_id in entries and (allow is None or entry_id in allow):
                    hits.append(make((doc, score)))
        hits.sort(key=lambda hit: (-hit.score, hit.doc))
        return hits[:limit]

    def similarity(self, vector: FloatVector, docs: Sequence[int]) -> list[float | None]:
        """Return exact cosines; None for a document without a vector."""
        keys = self.keys(docs)
        scores, known = self.slab.scores(vector, np.array([keys.get(doc, -1) for doc in docs], np.int64))
        clipped = np.clip(scores, -1.0, 1.0).tolist()
        return [score if there else None for score, there in zip(clipped, known.tolist(), strict=True)]

    def vector(self, doc: int) -> FloatVector | None:
        """Return the unit vector of a document's chunk, or None while the store holds no such vector."""
        key = self.keys((doc,)).get(doc)
        return None if key is None else self.slab.vector(key)

    def keys(self, docs: Iterable[int]) -> dict[int, int]:
        """Return the chunk keys of those documents that are live."""
        return self.facts.keys_of_docs(docs, self.entries)

    def file_vector(self, entry_id: int, weights: Sequence[int]) -> tuple[FloatVector | None, bool]:
        """Return the mean of a live entry's chunk vectors, L2-normalised, and whether all of them were there.

        Args:
            weights: of each chunk, in order.
        """
        keys = self.facts.keys(entry_id)
        vectors, known = self.slab.gather(keys)
        mean = np.asarray(weights[: len(keys)], np.float32) @ vectors[: len(weights)]
        norm = float(np.linalg.norm(mean))
        return (mean / np.float32(norm) if norm > _TINY_NORM else None), bool(known.all())

    def passing(self, docs: Sequence[int], conditions: ChunkConditions) -> set[int]:
        """Return those of `docs` whose chunks meet the conditions."""
        return passing(self.words, docs, conditions)

    def containing(self, part: str, *, prefix: bool) -> list[int]:
        """Return the live documents with such a word; see `store.base.PoolSnapshot.containing`."""
        return containing(self.words, part, prefix=prefix, is_live=self.entries.__contains__)

    @property
    def doc_count(self) -> int:
        """Documents of the lexical index."""
        return int(self.words.searcher.num_docs)

    def docs(self, key: int) -> list[int]:
        """Return the live documents with this chunk."""
        return [doc for doc in self.facts.docs(key) if doc >> DOC_ORDINAL_BITS in self.entries]

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return about how many chunks hold each term; see `store.base.PoolSnapshot.frequencies`."""
        is_live = self.entries.__contains__
        return [frequency(self.words, term, is_live) for term in terms]

    def entry_at(self, root: RootId, path: str) -> Entry | None:
        """Return the root's entry at this path."""
        for entry_id in self.facts.entries_of_path.get(path, ()):
            entry = self.entries.get(entry_id)
            if entry is not None and root in entry.roots:
                return entry
        return None

    def blob_key(self, entry_id: int) -> int | None:
        """Return the catalog's key of a live entry's blob."""
        return self.facts.blob_of_entry.get(entry_id) if entry_id in self.entries else None

    def entries_of_blob(self, blob_key: int) -> list[int]:
        """Return the live entries with this blob."""
        return [e for e in self.facts.entries_of_blob.get(blob_key, ()) if e in self.entries]


@dataclass(frozen=True, slots=True)
class TrackState:
    """Progress of a track.

    Attributes:
        serving: pools that it can serve.
        lacking: chunks that it still has to embed.
        forgone: chunks that it will not embed.
        file_vectors: those that are known, of this model.
    """

    model_id: str
    serving: frozenset[PoolId]
    lacking: int
    forgone: int
    file_vectors: FileVectors


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class StoreSnapshot:
    """All pools at one generation.

    Attributes:
        stats: per root, for `status`.
        mean_lengths: of the lexical fields, as far as they were asked for.
        tracks: progress of each.
        track: whose vectors are searched.
    """

    generation: int
    complete: bool
    roots: Mapping[RootId, RootRecord]
    pools: Mapping[PoolId, PoolView]
    stats: Mapping[RootId, RootStats]
    reader: Reader
    mean_lengths: MeanLengths
    tracks: tuple[TrackState, ...]
    track: Track = FIRST_TRACK

    @property
    def model_id(self) -> str:
        return self.tracks[self.track].model_id

    @property
    def file_vectors(self) -> FileVectors:
        """Those that are known, of this model."""
        return self.tracks[self.track].file_vectors

    def by_track(self, track: Track, root: RootId | None) -> StoreSnapshot | None:
        """Return this snapshot with the track's vectors, for queries of one root, or of all (None).

        None unless every pool that the query may look into is complete in it: cosines of two models do not compare.
        """
        if track >= len(self.tracks):
            return None
        asked = self.pools if root is None else {self.roots[root].pool} & self.pools.keys()
        views = dict(self.pools)
        for pool in asked:
            view = views[pool].by_track(track)
            if view is None:
                return None
            views[pool] = view
        return replace(self, pools=views, track=track)

    def on_disk(self, root: RootId | None) -> dict[PoolId, DiskBase]:
        """Return the pools, of one root or all, whose vectors stay on disk, because a shared store searches them."""
        asked = self.pools if root is None else {self.roots[root].pool} & self.pools.keys()
        bases = {pool: self.pools[pool].slab.base for pool in asked}
        return {pool: base for pool, base in bases.items() if isinstance(base, DiskBase)}

    def slab_of(self, root: RootId) -> SlabView | None:
        """Return the vectors of the pool of a root."""
        record = self.roots.get(root)
        return self.pools[record.pool].slab if record is not None and record.pool in self.pools else None

    def with_found(self, vector: FloatVector, found: Mapping[PoolId, Sequence[ChunkId]]) -> StoreSnapshot:
        """Return this snapshot for one query, for whose vector a shared store found these chunks of pools on disk."""
        views = dict(self.pools)
        for pool, base in self.on_disk(None).items():
            keys = np.array(list(self.reader.keys_of(found.get(pool, ())).values()), np.int64)
            slab = replace(views[pool].slab, base=base.answered(keys, vector))
            views[pool] = replace(views[pool], slab=slab)
        return replace(self, pools=views)

    def languages(self, root: RootId) -> Mapping[str, int]:
        """Return how many indexed files of the root are in each language."""
        stats = self.stats.get(root)
        return {} if stats is None else stats.languages

    def chunks(self, docs: Sequence[int]) -> list[ChunkView]:
        """Return chunks in the order of `docs`, without documents that no longer exist."""
        places: list[tuple[int, int, int]] = []
        for doc in docs:
            blob_key = self._blob_key(doc >> DOC_ORDINAL_BITS)
            if blob_key is not None:
                places.append((doc, blob_key, doc & ((1 << DOC_ORDINAL_BITS) - 1)))
        return self.reader.chunks(places)

    def copies(self, docs: Sequence[int]) -> dict[int, list[int]]:
        """Return the documents with the same chunk; see `store.base.Snapshot.copies`."""
        keys: dict[int, int] = {}
        for pool in self.pools.values():
            keys |= pool.keys(docs)
        asked = distinct(np.fromiter(keys.values(), np.int64, len(keys)))
        counts = sum((pool.facts.counts_of(asked) for pool in self.pools.values()), np.zeros(len(asked), np.int64))
        # Nearly every chunk has one document only.
        found = {key: self._docs(key) for key in asked[counts > 1].tolist()}
        return {doc: found[key] for doc, key in keys.items() if len(found.get(key, ())) > 1} if found else {}

    def docs_with(self, chunks: Sequence[ChunkId]) -> dict[ChunkId, list[int]]:
        """Return the live documents with each chunk; see `store.base.Snapshot.docs_with`."""
        keys = self.reader.keys_of(chunks)
        return {chunk: docs for chunk, key in keys.items() if (docs := self._docs(key))}

    def _docs(self, key: int) -> list[int]:
        return [doc for pool in self.pools.values() for doc in pool.docs(key)]

    def file_vector(self, entry: Entry) -> FloatVector | None:
        """Return the vector of a whole file; see `store.base.Snapshot.file_vector`."""
        pool = self.pools.get(entry.pool)
        blob_key = None if pool is None else pool.blob_key(entry.entry_id)
        if pool is None or blob_key is None:
            return None
        found = self.file_vectors.get(blob_key)
        if found is None:
            found, whole = pool.file_vector(entry.entry_id, self.reader.token_counts(blob_key))
            if found is not None and whole:
                self.file_vectors.put(blob_key, found)
        return found

    def make_file_vectors(self) -> Iterator[None]:
        """Make the vectors of files that have no vector yet, one a step, while there is room for them."""
        for pool in self.pools.values():
            for entry in pool.entries.values() if pool.slab.live_count else ():
                if self.file_vectors.full:
                    return
                blob_key = pool.blob_key(entry.entry_id)
                if blob_key is not None and blob_key not in self.file_vectors:
                    self.file_vector(entry)
                    yield

    def outline(self, entry: Entry, within: str = "") -> list[SymbolView]:
        """Return definitions of the entry's blob; see `store.base.Snapshot.outline`."""
        blob_key = self._blob_key(entry.entry_id)
        return [] if blob_key is None else self.reader.outline(entry.entry_id, blob_key, within)

    def symbols(
        self, name: str, limit: int, *, prefix: bool = True, within: Callable[[int], bool] | None = None
    ) -> list[SymbolView]:
        """Find definitions by name; see `store.base.Snapshot.symbols`."""
        entries = self._entries_of_blob
        if within is None:
            return self.reader.symbols(name, limit, entries, prefix)
        return self.reader.symbols(name, limit, lambda blob: list(filter(within, entries(blob))), prefix)

    def statistics(self, pool: PoolId, terms: Sequence[str]) -> FieldStatistics:
        """Return the statistics that BM25 needs; see `store.base.Snapshot.statistics`."""
        view = self.pools[pool]
        lengths = self.mean_lengths.of(pool, view.doc_count, view.entries, self._lexical_lengths)
        return FieldStatistics(view.doc_count, lengths, {term: field_frequencies(view.words, term) for term in terms})

    def _lexical_lengths(self, entry_id: int, ordinal: int) -> tuple[int, int] | None:
        blob_key = self._blob_key(entry_id)
        return None if blob_key is None else self.reader.lexical_lengths(blob_key, ordinal)

    def _blob_key(self, entry_id: int) -> int | None:
        for pool in self.pools.values():
            blob_key = pool.blob_key(entry_id)
            if blob_key is not None:
                return blob_key
        return None

    def _entries_of_blob(self, blob_key: int) -> list[int]:
        return [entry_id for pool in self.pools.values() for entry_id in pool.entries_of_blob(blob_key)]
