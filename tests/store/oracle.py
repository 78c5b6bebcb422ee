"""A store in plain dicts: what any sequence of operations must lead to."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from regend.core.commands import DeleteFile, Op, PutFile, SkipFile, TouchFile
from regend.store.base import LexicalQuery
from regend.store.store import Store
from regend.types import ChunkedFile, ChunkId, PoolId, RootId
from tests.store.root_export import export_of
from tests.store.samples import chunked, put, put_vectors, sig, vector_of

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta"]
PATHS = ["a.py", "b.py", "pkg/c.py", "pkg/d.py", "e.py"]
FILES = [
    chunked([f"{word} {number} shared", f"{other} common text"])
    for number, (word, other) in enumerate(zip(WORDS, WORDS[2:] + WORDS[:2], strict=True))
] + [chunked(["alpha 0 shared"] * 3), chunked([]), chunked(["binary"], skip_reason="binary")]


@dataclass
class Oracle:
    """`trees`: root -> path -> file, or the reason why it is skipped."""

    trees: dict[RootId, dict[str, ChunkedFile | str]] = field(default_factory=dict)
    vectors: set[ChunkId] = field(default_factory=set)
    seen: set[ChunkId] = field(default_factory=set)

    def do(self, op: Op) -> None:
        match op:
            case PutFile():
                file = next(file for file in FILES if file.blob == op.blob)
                self.seen.update(chunk.chunk_id for chunk in file.chunks)
                self.trees[op.root][op.path] = file.skip_reason or file
            case SkipFile():
                self.trees[op.root][op.path] = op.reason
            case DeleteFile():
                self.trees[op.root].pop(op.path, None)
            case TouchFile():
                pass
            case _:
                self.vectors.update(set(op.chunks) & self.seen)

    def indexed(self, root: RootId) -> dict[str, ChunkedFile]:
        return {path: file for path, file in self.trees[root].items() if isinstance(file, ChunkedFile)}

    def live_chunks(self) -> set[ChunkId]:
        return {c.chunk_id for root in self.trees for file in self.indexed(root).values() for c in file.chunks}


def random_op(oracle: Oracle, rng: random.Random) -> Op:
    root, path = rng.choice(sorted(oracle.trees)), rng.choice(PATHS)
    kind = rng.random()
    if kind < 0.5:
        return put(root, path, rng.choice(FILES), rng.randrange(100))
    if kind < 0.65:
        return DeleteFile(root, path)
    if kind < 0.7:
        return SkipFile(root, path, sig(1), None, "too_large")
    if kind < 0.75:
        return TouchFile(root, path, sig(rng.randrange(100)))
    chunks = [chunk.chunk_id for file in FILES for chunk in file.chunks]
    return put_vectors(sorted(set(rng.sample(chunks, rng.randrange(1, 5)))))


def check(store: Store, oracle: Oracle) -> None:
    """Everything that a user could see of the store equals the oracle."""
    snapshot = store.reads.snapshot
    assert set(snapshot.roots) == set(oracle.trees)
    lacking = oracle.live_chunks() - oracle.vectors
    assert snapshot.complete == (not lacking)
    assert {pending.chunk for pending in store.unembedded(1000, frozenset()).chunks} == lacking
    live = {entry_id for pool in snapshot.pools.values() for entry_id in pool.entries}
    stored = store._connection.execute("SELECT entry_id FROM entries WHERE unused_utc IS NULL").fetchall()
    assert {entry_id for (entry_id,) in stored} == live
    for root, tree in oracle.trees.items():
        indexed = oracle.indexed(root)
        assert {path: blob for path, blob, _ in export_of(store, root).tree if _ == ""} == {
            path: file.blob.hex() for path, file in indexed.items()
        }
        skipped = {path: reason for path, reason in tree.items() if isinstance(reason, str)}
        assert {path: reason for path, _, reason in export_of(store, root).tree if reason} == skipped
        stats = store.reads.root_stats(root)
        chunks = [chunk.chunk_id for file in indexed.values() for chunk in file.chunks]
        assert (stats.files_indexed, stats.files_skipped) == (len(indexed), len(skipped))
        assert stats.chunks == len(chunks)
        assert stats.pending_vectors == sum(chunk in lacking for chunk in chunks)
        assert set(store.tree(root)) == set(tree)
        pool = snapshot.pools[snapshot.roots[root].pool]
        for path in PATHS:
            entry = pool.entry_at(root, path)
            assert (entry and entry.blob) == (indexed[path].blob if path in indexed else None)
    for pool_id in snapshot.pools:
        check_pool(store, oracle, pool_id)


def check_pool(store: Store, oracle: Oracle, pool_id: PoolId) -> None:
    snapshot = store.reads.snapshot
    pool = snapshot.pools[pool_id]
    roots = [root for root, record in snapshot.roots.items() if record.pool == pool_id]
    # One entry per (path, blob), however many roots hold it.
    expected = {(path, file.blob): file for root in roots for path, file in oracle.indexed(root).items()}
    assert {(entry.path, entry.blob) for entry in pool.entries.values()} == set(expected)
    assert len(pool.entries) == len(expected)
    for entry in pool.entries.values():
        holders = {r for r in roots if oracle.indexed(r).get(entry.path) == expected[entry.path, entry.blob]}
        assert entry.roots == holders

    def places(docs: list[int]) -> list[tuple[str, bytes, int]]:
        return sorted((pool.entries[d >> 16].path, pool.entries[d >> 16].blob, d & 0xFFFF) for d in docs)

    for word in (*WORDS, "common"):
        wanted = [
            (path, blob, chunk.ordinal)
            for (path, blob), file in expected.items()
            for chunk in file.chunks
            if word in chunk.lexical.split() or word in chunk.symbol.lower().split(".")
        ]
        hits = pool.lexical(LexicalQuery((word,)), 1000)
        assert places([hit.doc for hit in hits]) == sorted(wanted), word
    embedded = [
        (path, blob, chunk.ordinal)
        for (path, blob), file in expected.items()
        for chunk in file.chunks
        if chunk.chunk_id in oracle.vectors
    ]
    query = vector_of(FILES[0].chunks[0].chunk_id)
    near = pool.nearest(query, 1000)
    assert places([hit.doc for hit in near]) == sorted(embedded)
    assert pool.nearest(query, 2) == near[:2]
    views = snapshot.chunks([hit.doc for hit in near])
    assert [view.doc for view in views] == [hit.doc for hit in near]
    for hit, view in zip(near, views, strict=True):
        assert abs(hit.score - float(vector_of(view.chunk) @ query)) < 1e-3
