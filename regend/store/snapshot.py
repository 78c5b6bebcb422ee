"""The immutable view that queries read: implements `store.base.Snapshot` and `PoolSnapshot`.

Nothing here is changed after it was built. What it shares with the writer only grows (`facts`), or is append-only
beyond this view's own length (`slab`); texts come from the catalog by read connections, where rows are
content-addressed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from regend.store.base import (
    ChunkConditions,
    ChunkView,
    Entry,
    FieldStatistics,
    Hit,
    LexicalQuery,
    PoolSnapshot,
    RootRecord,
    SymbolView,
)
from regend.store.catalog.reader import Reader
from regend.store.counts import RootStats
from regend.store.facts import LiveEntries, PoolFacts
from regend.store.lexical.index import LexicalView
from regend.store.lexical.mean_lengths import MeanLengths
from regend.store.lexical.search import field_frequencies, frequency, lexical_search, passing
from regend.store.vectors.file_vectors import FileVectors
from regend.store.vectors.slab import SlabView
from regend.types import DOC_ORDINAL_BITS, PoolId, RootId

EXACT_SHARE = 0.1
"""Where at most this share of the entries is allowed, their rows are scored exactly; else oversample and filter."""

_EXACT_MIN_ENTRIES = 64
_TINY_NORM = 1e-6


class PoolView:
    """One pool at one generation."""

    __slots__ = ("_facts", "_lexical", "_slab", "_stronger", "entries", "pool")

    def __init__(
        self,
        pool: PoolId,
        entries: LiveEntries,
        facts: PoolFacts,
        slab: SlabView,
        lexical: LexicalView,
        stronger: SlabView | None = None,
    ) -> None:
        self.pool = pool
        self.entries: Mapping[int, Entry] = entries
        self._facts = facts
        self._slab = slab
        self._lexical = lexical
        self._stronger = stronger

    def upgraded(self) -> PoolView | None:
        """The same pool with the stronger model's vectors; None while these are not complete."""
        if self._stronger is None:
            return None
        entries, lexical = self.entries, self._lexical
        assert isinstance(entries, LiveEntries)
        return PoolView(self.pool, entries, self._facts, self._stronger, lexical)

    @property
    def vector_count(self) -> int:
        """Vectors that may be found."""
        return self._slab.live_count

    def lexical(self, query: LexicalQuery, limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        """The best documents by BM25."""
        entries = self.entries
        share = 1.0 if allow is None else len(allow) / max(1, len(entries))
        return lexical_search(self._lexical, query, limit, allow, share, entries.__contains__)

    def nearest(self, vector: npt.NDArray[np.float32], limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        """The nearest documents by cosine."""
        slab = self._slab
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

    def _nearest_among(self, vector: npt.NDArray[np.float32], limit: int, allow: frozenset[int]) -> list[Hit]:
        keys = [self._facts.keys(entry_id) for entry_id in allow if entry_id in self.entries]
        if not keys:
            return []
        return self._hits(*self._slab.search_among(vector, np.unique(np.concatenate(keys)), limit), limit, allow)

    def _hits(
        self,
        keys: npt.NDArray[np.int64],
        scores: npt.NDArray[np.float32],
        limit: int,
        allow: frozenset[int] | None,
    ) -> list[Hit]:
        """Live documents of keys that come best first."""
        docs_of_key, entries, make = self._facts.docs_of_key, self.entries, Hit._make
        hits: list[Hit] = []
        for key, score in zip(keys.tolist(), np.clip(scores, -1.0, 1.0).tolist(), strict=True):
            found = docs_of_key.get(key)
            if found is None:
                continue
            if len(hits) >= limit and score < hits[-1].score:
                break
            if isinstance(found, int):
                entry_id = found >> DOC_ORDINAL_BITS
                if entry_id in entries and (allow is None or entry_id in allow):
                    hits.append(make((found, score)))
                continue
            for doc in found:
                entry_id = doc >> DOC_ORDINAL_BITS
                if entry_id in entries and (allow is None or entry_id in allow):
                    hits.append(make((doc, score)))
        hits.sort(key=lambda hit: (-hit.score, hit.doc))
        return hits[:limit]

    def similarity(self, vector: npt.NDArray[np.float32], docs: Sequence[int]) -> list[float | None]:
        """Exact cosines."""
        keys = [self._key(doc) for doc in docs]
        scores, known = self._slab.scores(vector, np.array([-1 if key is None else key for key in keys], np.int64))
        clipped = np.clip(scores, -1.0, 1.0).tolist()
        return [score if there else None for score, there in zip(clipped, known.tolist(), strict=True)]

    def vector(self, doc: int) -> npt.NDArray[np.float32] | None:
        """The unit vector of a document's chunk, or None while it has none."""
        key = self._key(doc)
        return None if key is None else self._slab.vector(key)

    def _key(self, doc: int) -> int | None:
        """The chunk key of a live document."""
        return self._facts.key_of_doc(doc) if doc >> DOC_ORDINAL_BITS in self.entries else None

    def file_vector(self, entry_id: int, weights: Sequence[int]) -> tuple[npt.NDArray[np.float32] | None, bool]:
        """The mean of a live entry's chunk vectors, L2-normalised, and whether all of them were there.

        Args:
            weights: of each chunk, in order.
        """
        keys = self._facts.keys(entry_id)
        vectors, known = self._slab.gather(keys)
        mean = np.asarray(weights[: len(keys)], np.float32) @ vectors[: len(weights)]
        norm = float(np.linalg.norm(mean))
        return (mean / np.float32(norm) if norm > _TINY_NORM else None), bool(known.all())

    def passing(self, docs: Sequence[int], conditions: ChunkConditions) -> set[int]:
        """Those of `docs` whose chunks meet the conditions."""
        return passing(self._lexical, docs, conditions)

    def frequency(self, term: str) -> int:
        """About how many documents hold the term; 0 only where none does."""
        return frequency(self._lexical, term)

    def field_frequencies(self, term: str) -> tuple[int, int, int]:
        """How many documents hold the term in text, symbol and path."""
        return field_frequencies(self._lexical, term)

    @property
    def doc_count(self) -> int:
        """Documents of the lexical index."""
        return int(self._lexical.searcher.num_docs)

    def entry_at(self, root: RootId, path: str) -> Entry | None:
        """What the root has at this path."""
        for entry_id in self._facts.entries_of_path.get(path, ()):
            entry = self.entries.get(entry_id)
            if entry is not None and root in entry.roots:
                return entry
        return None

    def blob_key(self, entry_id: int) -> int | None:
        """The catalog's key of a live entry's blob."""
        return self._facts.blob_of_entry.get(entry_id) if entry_id in self.entries else None

    def entries_of_blob(self, blob_key: int) -> list[int]:
        """Live entries with this blob."""
        return [e for e in self._facts.entries_of_blob.get(blob_key, ()) if e in self.entries]


@dataclass(frozen=True, slots=True)
class UpgradeState:
    """How far a stronger model is.

    Attributes:
        serving: pools that it serves.
        lacking: chunks that it still has to embed.
        forgone: chunks that it will not embed.
        file_vectors: those that are known, of this model.
    """

    model_id: str
    serving: frozenset[PoolId]
    lacking: int
    forgone: int
    file_vectors: FileVectors


@dataclass(slots=True)
class StoreSnapshot:
    """All pools at one generation. Never changed; not `frozen` because the protocol's attributes are plain ones.

    Attributes:
        views: the same pools as `pools`, by their own type.
        stats: per root, for `status`.
        file_vectors: those that are known, of this model.
        mean_lengths: of the lexical fields, as far as they were asked for.
        upgrade: how far the stronger model is, None where there is none.
    """

    generation: int
    complete: bool
    model_id: str
    roots: Mapping[RootId, RootRecord]
    pools: Mapping[PoolId, PoolSnapshot]
    views: Mapping[PoolId, PoolView]
    stats: Mapping[RootId, RootStats]
    reader: Reader
    file_vectors: FileVectors
    mean_lengths: MeanLengths
    upgrade: UpgradeState | None = None

    def upgraded(self, root: RootId | None) -> StoreSnapshot | None:
        """This snapshot with the stronger model's vectors, for queries of one root, or of all (None).

        None unless every pool that the query may look into is complete in it: cosines of two models do not compare.
        """
        if self.upgrade is None:
            return None
        asked = self.views if root is None else {self.roots[root].pool} & self.views.keys()
        views = dict(self.views)
        for pool in asked:
            view = views[pool].upgraded()
            if view is None:
                return None
            views[pool] = view
        upgrade = self.upgrade
        return replace(
            self, model_id=upgrade.model_id, views=views, pools=dict(views), file_vectors=upgrade.file_vectors
        )

    def chunks(self, docs: Sequence[int]) -> list[ChunkView]:
        """In the order of `docs`; a doc that no longer exists is left out."""
        places: list[tuple[int, int, int]] = []
        for doc in docs:
            blob_key = self._blob_key(doc >> DOC_ORDINAL_BITS)
            if blob_key is not None:
                places.append((doc, blob_key, doc & ((1 << DOC_ORDINAL_BITS) - 1)))
        return self.reader.chunks(places)

    def file_vector(self, entry: Entry) -> npt.NDArray[np.float32] | None:
        """What a file is about as a whole; see `store.base.Snapshot.file_vector`."""
        pool = self.views.get(entry.pool)
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
        """Make the vectors of files that have none yet, one a step, as long as there is room for them."""
        for pool in self.views.values():
            for entry in pool.entries.values() if pool.vector_count else ():
                if self.file_vectors.full:
                    return
                blob_key = pool.blob_key(entry.entry_id)
                if blob_key is not None and blob_key not in self.file_vectors:
                    self.file_vector(entry)
                    yield

    def outline(self, entry: Entry) -> list[SymbolView]:
        """All definitions of the entry's blob in order of lines."""
        blob_key = self._blob_key(entry.entry_id)
        return [] if blob_key is None else self.reader.outline(entry.entry_id, blob_key)

    def symbols(
        self, name: str, limit: int, *, prefix: bool = True, within: Callable[[int], bool] | None = None
    ) -> list[SymbolView]:
        """Definitions by name; see `store.base.Snapshot.symbols`."""
        entries = self._entries_of_blob
        if within is None:
            return self.reader.symbols(name, limit, entries, prefix)
        return self.reader.symbols(name, limit, lambda blob: list(filter(within, entries(blob))), prefix)

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """About how many chunks hold each term; see `store.base.Snapshot.frequencies`."""
        pools = list(self.views.values())
        return [sum(pool.frequency(term) for pool in pools) for term in terms]

    def statistics(self, pool: PoolId, terms: Sequence[str]) -> FieldStatistics:
        """What BM25 has to know of a pool; see `store.base.Snapshot.statistics`."""
        view = self.views[pool]
        lengths = self.mean_lengths.of(pool, view.doc_count, view.entries, self.reader.lexical_lengths, self._blob_key)
        return FieldStatistics(view.doc_count, lengths, {term: view.field_frequencies(term) for term in terms})

    def _blob_key(self, entry_id: int) -> int | None:
        for pool in self.views.values():
            blob_key = pool.blob_key(entry_id)
            if blob_key is not None:
                return blob_key
        return None

    def _entries_of_blob(self, blob_key: int) -> list[int]:
        return [entry_id for pool in self.views.values() for entry_id in pool.entries_of_blob(blob_key)]
