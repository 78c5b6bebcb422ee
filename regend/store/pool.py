"""One pool in memory: facts, live entries, slab and lexical index. Owned by the index thread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np

from regend.store.base import Entry, KeyArray
from regend.store.catalog.loading import distinct
from regend.store.counts import RootCounts
from regend.store.facts import LiveEntryWriter, PoolFacts, facts_of
from regend.store.lexical.index import LexicalIndex
from regend.store.snapshot import PoolView
from regend.store.vectors.track import ModelTrack, PoolTrack
from regend.types import DOC_ORDINAL_BITS, FIRST_TRACK, PoolId, RootId

_FORGET_MIN = 1_000
_NO_KEYS: KeyArray = np.empty(0, np.int64)


class Pool:
    """Mutable state of one pool."""

    def __init__(self, pool: PoolId, lexical_dir: Path, tracks: Iterable[ModelTrack], owner: str = "") -> None:
        self.pool = pool
        self.facts = PoolFacts()
        self.live = LiveEntryWriter()
        self.tracks = [PoolTrack(track) for track in tracks]
        self.slab = self.tracks[FIRST_TRACK].slab
        self.lexical = LexicalIndex(lexical_dir, owner)
        self.pending_of_entry: dict[int, int] = {}
        self.doc_count = 0

    def is_live(self, entry_id: int) -> bool:
        return self.live.get(entry_id) is not None

    def has_live(self, key: int) -> bool:
        """Return whether a live entry holds this chunk."""
        return any(self.is_live(doc >> DOC_ORDINAL_BITS) for doc in self.facts.docs(key))

    def live_keys(self) -> KeyArray:
        """Return the chunks of live entries, ascending."""
        return distinct(np.concatenate([_NO_KEYS, *(self.facts.keys(e.entry_id) for e in self.live.values())]))

    def set_roots(self, entry: Entry, roots: frozenset[RootId], counts: dict[RootId, RootCounts]) -> None:
        """Change which roots hold an entry; it lives while any root does. Its facts must be known."""
        before = self.live.get(entry.entry_id)
        old = frozenset() if before is None else before.roots
        chunk_count = len(self.facts.keys(entry.entry_id))
        if before is None and roots:
            self.doc_count += chunk_count
            self.pending_of_entry[entry.entry_id] = self._count_pending(entry.entry_id)
        pending = self.pending_of_entry.get(entry.entry_id, 0)
        for step, changed in ((1, roots - old), (-1, old - roots)):
            for root in changed:
                counts[root].chunks += step * chunk_count
                counts[root].pending += step * pending
                counts[root].languages[entry.language] += step
        if before is not None and not roots:
            self.doc_count -= chunk_count
            self.pending_of_entry.pop(entry.entry_id, None)
        self.live.set(entry.entry_id, replace(entry, roots=roots) if roots else None)

    def _count_pending(self, entry_id: int) -> int:
        keys = self.facts.keys(entry_id)
        return len(keys) - int(self.slab.holds(keys).sum())

    def count_loaded(self, counts: dict[RootId, RootCounts]) -> None:
        """Count the live entries that were read from the catalog, once slab and facts are loaded."""
        entries = self.live.values()
        keys = [self.facts.keys(entry.entry_id) for entry in entries]
        lacking = np.append(0, np.cumsum(~self.slab.holds(np.concatenate([_NO_KEYS, *keys]))))
        ends = np.cumsum([0, *map(len, keys)])
        for entry, own, pending in zip(entries, keys, np.diff(lacking[ends]).tolist(), strict=True):
            self.doc_count += len(own)
            self.pending_of_entry[entry.entry_id] = pending
            for root in entry.roots:
                counts[root].chunks += len(own)
                counts[root].pending += pending
                counts[root].languages[entry.language] += 1

    def count_vectors(self, keys: KeyArray, counts: dict[RootId, RootCounts]) -> None:
        """Count these chunks as embedded; until now they lacked vectors. Call after the slab got them."""
        for docs in self.facts.docs_of(keys):
            for doc in docs:
                entry = self.live.get(doc >> DOC_ORDINAL_BITS)
                if entry is not None and self.pending_of_entry.get(entry.entry_id, 0):
                    self.pending_of_entry[entry.entry_id] -= 1
                    for root in entry.roots:
                        counts[root].pending -= 1

    def forget_dead(self, *, at_once: bool = False) -> bool:
        """Drop facts of dead entries once they are the majority; held snapshots keep the old facts."""
        if not at_once and len(self.facts.blob_of_entry) < 2 * len(self.live) + _FORGET_MIN:
            return False
        self.facts = facts_of(self.live.values(), self.facts.blob_of_entry, self.facts.keys_of_blob)
        return True

    def view(self) -> PoolView:
        """Return the pool as it is now, immutable."""
        slab = self.slab.view()
        slabs = (slab, *(track.serving() for track in self.tracks[1:]))
        return PoolView(self.pool, self.live.publish(), self.facts, slab, self.lexical.view(), slabs)
