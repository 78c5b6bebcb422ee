"""Permanent facts of a pool's entries, and which entries are live.

That entry 7 is path ``a.py`` with blob 3, and that its chunk 2 is chunk key 41, never changes, because entry ids are
never reused. Such facts sit in plain dicts that only grow, so all snapshots share them and publishing copies none of
them. The set of live entries does change, so it is a layered map. A reader filters facts by its own snapshot's entries.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from math import isqrt

import numpy as np

from regend.store.base import Entry, KeyArray
from regend.types import DOC_ORDINAL_BITS, doc_id

_MIN_OVERLAY = 256
_MIN_TAIL = 2_048
_TAIL_SHARE = 8
_NO_KEYS: KeyArray = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class LiveEntries(Mapping[int, Entry]):
    """Immutable map entry id -> live entry: a large base shared by many versions, and a small overlay."""

    _base: dict[int, Entry]
    _overlay: dict[int, Entry | None]
    _count: int

    def __getitem__(self, entry_id: int) -> Entry:
        found = self.get(entry_id)
        if found is None:
            raise KeyError(entry_id)
        return found

    def get(self, entry_id: int, default: Entry | None = None) -> Entry | None:  # type: ignore[override]
        overlay = self._overlay
        if overlay and entry_id in overlay:
            found = overlay[entry_id]
            return default if found is None else found
        return self._base.get(entry_id, default)

    def __contains__(self, entry_id: object) -> bool:
        overlay = self._overlay
        if overlay and entry_id in overlay:
            return overlay[entry_id] is not None
        return entry_id in self._base

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        overlay = self._overlay
        if not overlay:
            yield from self._base
            return
        for entry_id in self._base:
            if entry_id not in overlay:
                yield entry_id
        for entry_id, entry in overlay.items():
            if entry is not None:
                yield entry_id


class LiveEntryWriter:
    """Mutable side of `LiveEntries`. Owned by the index thread."""

    def __init__(self) -> None:
        self._base: dict[int, Entry] = {}
        self._overlay: dict[int, Entry | None] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def get(self, entry_id: int) -> Entry | None:
        if entry_id in self._overlay:
            return self._overlay[entry_id]
        return self._base.get(entry_id)

    def load(self, entries: Iterable[Entry]) -> None:
        """Start over with these entries."""
        self._base = {entry.entry_id: entry for entry in entries}
        self._overlay = {}
        self._count = len(self._base)

    def set(self, entry_id: int, entry: Entry | None) -> None:
        """Make an entry live (or change its roots), or dead (None)."""
        self._count += (entry is not None) - (self.get(entry_id) is not None)
        self._overlay[entry_id] = entry

    def publish(self) -> LiveEntries:
        """Return the map as it is now. Copies the overlay, and the base once the overlay outgrows its square root."""
        if len(self._overlay) > _MIN_OVERLAY + 8 * isqrt(len(self._base)):
            merged = {**self._base, **self._overlay}
            self._base = {entry_id: entry for entry_id, entry in merged.items() if entry is not None}
            self._overlay = {}
        return LiveEntries(self._base, dict(self._overlay), self._count)

    def values(self) -> list[Entry]:
        """Return all live entries."""
        return [entry for entry in {**self._base, **self._overlay}.values() if entry is not None]


@dataclass(frozen=True, slots=True)
class KeyDocs:
    """The documents of each chunk key: sorted arrays, and a small tail of what came since they were sorted.

    A dict takes 170 bytes a chunk, the arrays 16.

    Attributes:
        keys: int64 [n], ascending; a key occurs once for each of its documents.
        docs: int64 [n], in the order of `keys`.
        tail: key -> further documents; it only grows.
    """

    keys: KeyArray
    docs: KeyArray
    tail: dict[int, tuple[int, ...]]

    def find(self, keys: KeyArray) -> list[tuple[int, ...]]:
        """Return the documents of each key, in the order in which they came."""
        count = len(self.docs)
        if not count:
            return [self.tail.get(key, ()) for key in keys.tolist()]
        first, last = np.searchsorted(self.keys, keys, "left"), np.searchsorted(self.keys, keys, "right")
        found: list[tuple[int, ...]] = list(zip(self.docs[np.minimum(first, count - 1)].tolist()))
        for at in np.flatnonzero(last - first != 1).tolist():
            found[at] = tuple(self.docs[first[at] : last[at]].tolist())
        if self.tail:
            tail = self.tail
            for at, key in enumerate(keys.tolist()):
                if key in tail:
                    found[at] = (*found[at], *tail[key])
        return found

    def counts(self, keys: KeyArray) -> KeyArray:
        """Return how many documents each key has (int64 [n])."""
        found = np.searchsorted(self.keys, keys, "right") - np.searchsorted(self.keys, keys, "left")
        if self.tail:
            tail = self.tail.get
            found += np.fromiter((len(tail(key, ())) for key in keys.tolist()), np.int64, len(keys))
        return found

    def sorted(self) -> KeyDocs:
        """Return the same with an empty tail."""
        pairs = [(key, doc) for key, docs in self.tail.items() for doc in docs]
        added = np.array(pairs, np.int64).reshape(-1, 2)
        return key_docs(np.concatenate((self.keys, added[:, 0])), np.concatenate((self.docs, added[:, 1])))


def key_docs(keys: KeyArray, docs: KeyArray) -> KeyDocs:
    """Sort these keys and the document of each."""
    order = np.argsort(keys, kind="stable")
    return KeyDocs(keys[order], docs[order], {})


class PoolFacts:
    """Grow-only facts of one pool. Written by the index thread, read by all: every write is one assignment."""

    def __init__(self) -> None:
        self._docs = KeyDocs(_NO_KEYS, _NO_KEYS, {})
        self.keys_of_blob: dict[int, KeyArray] = {}
        """blob key -> chunk keys in order."""
        self.blob_of_entry: dict[int, int] = {}
        self.entries_of_blob: dict[int, tuple[int, ...]] = {}
        self.entries_of_path: dict[str, tuple[int, ...]] = {}

    def add(self, entry_id: int, path: str, blob_key: int, keys: KeyArray) -> None:
        """Record an entry; harmless when known."""
        if entry_id in self.blob_of_entry:
            return
        tail = self._docs.tail
        for doc, key in enumerate(keys.tolist(), doc_id(entry_id, 0)):
            tail[key] = (*tail.get(key, ()), doc)
        if len(tail) > max(_MIN_TAIL, len(self._docs.docs) // _TAIL_SHARE):
            self._docs = self._docs.sorted()
        self._name(entry_id, path, blob_key, keys)

    def _name(self, entry_id: int, path: str, blob_key: int, keys: KeyArray) -> None:
        self.keys_of_blob.setdefault(blob_key, keys)
        self.entries_of_blob[blob_key] = (*self.entries_of_blob.get(blob_key, ()), entry_id)
        self.entries_of_path[path] = (*self.entries_of_path.get(path, ()), entry_id)
        # Last, because it is what readers start from.
        self.blob_of_entry[entry_id] = blob_key

    def docs(self, key: int) -> tuple[int, ...]:
        """Return every document that has, or had, this chunk."""
        return self._docs.find(np.array([key], np.int64))[0]

    def docs_of(self, keys: KeyArray) -> list[tuple[int, ...]]:
        """Return for each of `keys` (int64 [n]) every document that has, or had, this chunk."""
        return self._docs.find(keys)

    def counts_of(self, keys: KeyArray) -> KeyArray:
        """Return how many documents have, or had, each of these chunks (int64 [n])."""
        return self._docs.counts(keys)

    def load(self, entries: Iterable[Entry], blob_of_entry: Mapping[int, int], keys_of: Mapping[int, KeyArray]) -> None:
        """Begin with these entries."""
        keys, docs = [_NO_KEYS], [_NO_KEYS]
        for entry in entries:
            blob_key = blob_of_entry[entry.entry_id]
            held = keys_of.get(blob_key, _NO_KEYS)
            keys.append(held)
            docs.append(np.arange(len(held), dtype=np.int64) + doc_id(entry.entry_id, 0))
            self._name(entry.entry_id, entry.path, blob_key, held)
        self._docs = key_docs(np.concatenate(keys), np.concatenate(docs))

    def keys(self, entry_id: int) -> KeyArray:
        """Return the chunk keys of a known entry, in order (int64 [n])."""
        return self.keys_of_blob[self.blob_of_entry[entry_id]]

    def keys_of_docs(self, docs: Iterable[int], live: Container[int]) -> dict[int, int]:
        """Return the chunk key of each document that is known and whose entry is live."""
        blob_of, keys_of, ordinals = self.blob_of_entry.get, self.keys_of_blob, (1 << DOC_ORDINAL_BITS) - 1
        found: dict[int, int] = {}
        for doc in docs:
            entry_id = doc >> DOC_ORDINAL_BITS
            blob_key = blob_of(entry_id)
            if blob_key is not None and entry_id in live:
                keys = keys_of[blob_key]
                if doc & ordinals < len(keys):
                    found[doc] = keys.item(doc & ordinals)
        return found


def facts_of(
    entries: Iterable[Entry], blob_of_entry: Mapping[int, int], keys_of_blob: Mapping[int, KeyArray]
) -> PoolFacts:
    """Collect the facts of these entries only, at opening and to forget entries that died long ago."""
    facts = PoolFacts()
    facts.load(entries, blob_of_entry, keys_of_blob)
    return facts
