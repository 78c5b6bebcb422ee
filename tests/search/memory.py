"""A small store in memory with the semantics of `regend.store.base`, for tests of the search alone.

Known limits: one chunk per blank-line paragraph, BM25 without caching, exact vectors by hashed tokens.
`test_contract.py` runs the same checks against it and the real store.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from regend.chunking.tokens import lexical_tokens
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
from regend.types import MAX_CHUNKS_PER_BLOB, BlobId, Chunk, ChunkId, PoolId, RootId, Symbol, blob_id, chunk_id, doc_id

DIM = 64


def hashed_vector(text: str) -> npt.NDArray[np.float32]:
    """float32 [DIM], L2-normalised: signed hashes of the text's tokens."""
    vector = np.zeros(DIM, dtype=np.float32)
    for token in lexical_tokens(text).split():
        digest = zlib.crc32(token.encode())
        vector[digest % DIM] += 1.0 if digest & 0x8000_0000 else -1.0
    norm = float(np.linalg.norm(vector))
    if norm == 0.0:
        vector[0] = norm = 1.0
    return vector / np.float32(norm)


@dataclass
class MemoryPool:
    pool: PoolId
    chunks: dict[int, list[Chunk]]
    entries: Mapping[int, Entry]
    vectors: Mapping[ChunkId, npt.NDArray[np.float32]]
    symbols: Mapping[int, list[Symbol]]

    @property
    def doc_count(self) -> int:
        return len(self._docs(None))

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        held = [set().union(*self._fields(doc)) for doc in self._docs(None)]
        return [sum(term in words for words in held) for term in terms]

    def lexical(self, query: LexicalQuery, limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        docs = {d: self._fields(d) for d in self._docs(None)}
        average = [max(1.0, sum(sum(f[i].values()) for f in docs.values()) / max(1, len(docs))) for i in range(3)]
        hits = []
        for doc, fields in docs.items():
            score = 0.0
            for i, boost in enumerate((query.body, query.symbol, query.path)):
                for term in set(query.terms):
                    found = sum(1 for other in docs.values() if other[i][term])
                    count = fields[i][term]
                    idf = math.log(1 + (len(docs) - found + 0.5) / (found + 0.5))
                    norm = 0.25 + 0.75 * sum(fields[i].values()) / average[i]
                    score += boost * idf * count * 2.2 / (count + 1.2 * norm)
            allowed = allow is None or doc >> 16 in allow
            if (
                (score > 0 or (query.conditions.sifted and query.conditions.pieces))
                and allowed
                and self.passing([doc], query.conditions)
            ):
                hits.append(Hit(doc, score))
        return sorted(hits, key=lambda h: (-h.score, h.doc))[:limit]

    def nearest(self, vector: npt.NDArray[np.float32], limit: int, allow: frozenset[int] | None = None) -> list[Hit]:
        docs = self._docs(allow)
        known = [(d, s) for d, s in zip(docs, self.similarity(vector, docs), strict=True) if s is not None]
        return sorted((Hit(d, s) for d, s in known), key=lambda h: (-h.score, h.doc))[:limit]

    def similarity(self, vector: npt.NDArray[np.float32], docs: Sequence[int]) -> list[float | None]:
        found = [self.vector(doc) for doc in docs]
        return [None if other is None else float(vector @ other) for other in found]

    def vector(self, doc: int) -> npt.NDArray[np.float32] | None:
        entry_id, ordinal = split_doc_id(doc)
        return self.vectors.get(self.chunks[entry_id][ordinal].chunk_id)

    def passing(self, docs: Sequence[int], conditions: ChunkConditions) -> set[int]:
        return {doc for doc in docs if self._passes(doc, conditions)}

    def containing(self, part: str, *, prefix: bool) -> list[int]:
        words = {doc: set().union(*self._fields(doc)) for doc in self._docs(None)}
        return [d for d, held in words.items() if any(w.startswith(part) if prefix else part in w for w in held)]

    def _passes(self, doc: int, conditions: ChunkConditions) -> bool:
        entry_id, ordinal = split_doc_id(doc)
        chunk = self.chunks[entry_id][ordinal]
        words = set().union(*self._fields(doc))
        kinds = {s.kind for s in self.symbols[entry_id] if chunk.start_line <= s.start_line <= chunk.end_line}
        kinds.add(chunk.kind)
        return (
            words.issuperset(conditions.words)
            and words.isdisjoint(conditions.without)
            and (not conditions.kinds or not kinds.isdisjoint(conditions.kinds))
            and kinds.isdisjoint(conditions.without_kinds)
            and conditions.fit(self._fields(doc)[0])
        )

    def entry_at(self, root: RootId, path: str) -> Entry | None:
        return next((e for e in self.entries.values() if e.path == path and root in e.roots), None)

    def _docs(self, allow: frozenset[int] | None) -> list[int]:
        return [doc_id(e, i) for e in self.entries if allow is None or e in allow for i in range(len(self.chunks[e]))]

    def _fields(self, doc: int) -> tuple[Counter[str], Counter[str], Counter[str]]:
        entry_id, ordinal = split_doc_id(doc)
        chunk = self.chunks[entry_id][ordinal]
        texts = (chunk.lexical, lexical_tokens(chunk.symbol), lexical_tokens(self.entries[entry_id].path))
        body, symbol, path = (Counter(text.split()) for text in texts)
        return body, symbol, path


@dataclass
class MemoryStore:
    """A snapshot that tests write to directly."""

    generation: int = 1
    complete: bool = True
    model_id: str = "hashed-test"
    roots: dict[RootId, RootRecord] = field(default_factory=dict)
    pools: dict[PoolId, PoolSnapshot] = field(default_factory=dict)
    _entries: dict[PoolId, dict[int, Entry]] = field(default_factory=dict)
    _chunks: dict[int, list[Chunk]] = field(default_factory=dict)
    _symbols: dict[int, list[Symbol]] = field(default_factory=dict)
    _vectors: dict[ChunkId, npt.NDArray[np.float32]] = field(default_factory=dict)

    def add_root(self, path: str, pool: int = 1) -> RootId:
        root, pool_id = RootId(len(self.roots) + 1), PoolId(pool)
        self.roots[root] = RootRecord(root, path, pool_id, path, "0:0")
        entries = self._entries.setdefault(pool_id, {})
        self.pools[pool_id] = MemoryPool(pool_id, self._chunks, entries, self._vectors, self._symbols)
        return root

    def put(self, root: RootId, path: str, text: str, language: str = "python", vectors: bool = True) -> Entry:
        """Index one file for one root, replacing what was there."""
        chunks, symbols = split_source(text)
        self.generation += 1
        pool = self.roots[root].pool
        entries = self._entries[pool]
        blob = blob_id(text.encode(), language, 1)
        for entry_id, old in list(entries.items()):
            if old.path == path and root in old.roots:
                self._replace(entries, entry_id, old, old.roots - {root})
        for entry_id, entry in entries.items():
            if entry.path == path and entry.blob == blob:
                return self._replace(entries, entry_id, entry, entry.roots | {root})
        entry_id = len(self._chunks) + 1
        self._chunks[entry_id], self._symbols[entry_id] = chunks, symbols
        if vectors:
            self._vectors.update((c.chunk_id, hashed_vector(f"{c.symbol}\n{c.text}")) for c in chunks)
        entries[entry_id] = Entry(entry_id, pool, path, BlobId(blob), language, frozenset({root}), len(chunks))
        return entries[entry_id]

    @staticmethod
    def _replace(entries: dict[int, Entry], entry_id: int, old: Entry, roots: frozenset[RootId]) -> Entry:
        entry = Entry(entry_id, old.pool, old.path, old.blob, old.language, roots, old.chunk_count)
        if roots:
            entries[entry_id] = entry
        else:
            del entries[entry_id]
        return entry

    def languages(self, root: RootId) -> Counter[str]:
        entries = (entry for entries in self._entries.values() for entry in entries.values())
        return Counter(entry.language for entry in entries if root in entry.roots)

    def chunks(self, docs: Sequence[int]) -> list[ChunkView]:
        views = []
        for doc in docs:
            entry_id, ordinal = split_doc_id(doc)
            live = any(entry_id in entries for entries in self._entries.values())
            if live and ordinal < len(self._chunks[entry_id]):
                c = self._chunks[entry_id][ordinal]
                views.append(
                    ChunkView(doc, c.chunk_id, c.start_line, c.end_line, c.symbol, c.kind, c.token_count, c.text)
                )
        return views

    def copies(self, docs: Sequence[int]) -> dict[int, list[int]]:
        entries = [entry for entries in self._entries.values() for entry in entries]
        names = {doc_id(e, n): c.chunk_id for e in entries for n, c in enumerate(self._chunks[e])}
        found = {doc: [other for other, name in names.items() if name == names[doc]] for doc in docs if doc in names}
        return {doc: same for doc, same in found.items() if len(same) > 1}

    def docs_with(self, chunks: Sequence[ChunkId]) -> dict[ChunkId, list[int]]:
        entries = [entry for entries in self._entries.values() for entry in entries]
        found: dict[ChunkId, list[int]] = {}
        for entry in entries:
            for n, chunk in enumerate(self._chunks[entry]):
                if chunk.chunk_id in chunks:
                    found.setdefault(chunk.chunk_id, []).append(doc_id(entry, n))
        return found

    def file_vector(self, entry: Entry) -> npt.NDArray[np.float32] | None:
        chunks = self._chunks[entry.entry_id]
        known = [(chunk.token_count, self._vectors.get(chunk.chunk_id)) for chunk in chunks]
        mean = sum((count * vector for count, vector in known if vector is not None), np.zeros(DIM, np.float32))
        norm = float(np.linalg.norm(mean))
        return None if norm == 0.0 else np.asarray(mean / norm, np.float32)

    def outline(self, entry: Entry, within: str = "") -> list[SymbolView]:
        found = [s for s in self._symbols[entry.entry_id] if not within or s.path.startswith(within + ".")]
        return [SymbolView(entry.entry_id, s.name, s.path, s.kind, s.start_line, s.end_line) for s in found]

    def statistics(self, pool: PoolId, terms: Sequence[str]) -> FieldStatistics:
        own = self.pools[pool]
        assert isinstance(own, MemoryPool)
        docs = [own._fields(doc) for doc in own._docs(None)]
        body, symbol, path = (max(1.0, sum(d[i].total() for d in docs) / max(1, len(docs))) for i in range(3))
        held = {term: tuple(sum(term in doc[i] for doc in docs) for i in range(3)) for term in terms}
        return FieldStatistics(len(docs), (body, symbol, path), held)  # type: ignore[arg-type]

    def symbols(
        self, name: str, limit: int, *, prefix: bool = True, within: Callable[[int], bool] | None = None
    ) -> list[SymbolView]:
        ranked = []
        for entries in self._entries.values():
            for entry in entries.values():
                for view in self.outline(entry) if within is None or within(entry.entry_id) else []:
                    of = view.path if "." in name else view.name
                    if of == name or ("." in name and of.endswith("." + name)):
                        tier = 0
                    elif of.casefold() == name.casefold():
                        tier = 1
                    elif prefix and of.casefold().startswith(name.casefold()):
                        tier = 2
                    else:
                        continue
                    ranked.append((tier, view.entry_id, view.start_line, view))
        return [view for *_, view in sorted(ranked, key=lambda row: row[:3])][:limit]


_KINDS = {"def": "function", "class": "class", "namespace": "module", "##": "section"}


def split_source(text: str) -> tuple[list[Chunk], list[Symbol]]:
    """Blank-line paragraphs as chunks; ``def``, ``class``, ``namespace`` and ``##`` lines at any depth as symbols."""
    lines = text.rstrip("\n").split("\n")
    chunks: list[Chunk] = []
    symbols: list[Symbol] = []
    owner = ""
    start = 0
    for end in range(len(lines) + 1):
        if end < len(lines) and lines[end].strip():
            continue
        body = lines[start:end]
        if any(line.strip() for line in body):
            symbol, kind = "", "block"
            for number, line in enumerate(body, start + 1):
                word, _, rest = line.strip().partition(" ")
                if word in _KINDS:
                    name, given, _ = rest.partition("(")
                    name = name.strip() if given else name.split(":")[0].strip()
                    nested = line.startswith(" ") and owner
                    owner = name if word == "class" and not nested else owner
                    path = f"{owner}.{name}" if nested else name
                    last = end if nested else _block_end(lines, number)
                    symbols.append(Symbol(name, path, _KINDS[word], number, last))
                    symbol, kind = (symbol, kind) if symbol else (path, symbols[-1].kind)
            source = "\n".join(body)
            tokens = lexical_tokens(source)
            ident = chunk_id(symbol, source)
            size = len(tokens.split())
            chunks.append(Chunk(ident, len(chunks), start + 1, end, symbol, kind, size, source, tokens))
        start = end + 1
    return chunks, symbols


def _block_end(lines: list[str], first: int) -> int:
    """Last line of the block that a top-level definition on line `first` opens."""
    last = first
    for number in range(first + 1, len(lines) + 1):
        line = lines[number - 1]
        if line.strip() and not line.startswith(" "):
            break
        last = number if line.strip() else last
    return last


def split_doc_id(doc: int) -> tuple[int, int]:
    """Return `(entry_id, ordinal)`, the inverse of `doc_id`."""
    return divmod(doc, MAX_CHUNKS_PER_BLOB)


class MemoryCorpus:
    """`MemoryStore` behind the surface that `stored.StoredCorpus` has too."""

    def __init__(self) -> None:
        self.snapshot = MemoryStore()
        self.add_root = self.snapshot.add_root
        self.put = self.snapshot.put

    def fill(self, root: RootId, files: Sequence[tuple[str, str, str]], vectors: bool = True) -> None:
        for path, text, language in files:
            self.put(root, path, text, language, vectors)
