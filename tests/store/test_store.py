"""One commit after another changes the store: sharing, counts, pending vectors, and refused operations."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import pytest

from regend.chunking.chunker import chunk_content
from regend.config import LimitConfig
from regend.core.commands import Commit, DeleteFile, PutVectors, SkipFile, TouchFile
from regend.core.events import FileState, FileVersion
from regend.embedding.base import ModelInfo
from regend.errors import RootError, StoreError
from regend.store.base import LexicalQuery, Snapshot
from regend.store.store import Store, open_store
from regend.types import RootId, StatSig, Symbol, Track, blob_id, chunk_id
from tests.store.samples import DIM, MODEL, apply, chunked, put, put_vectors, sig, vector_of

A = chunked(["alpha one", "beta two", "gamma three"])
B = chunked(["delta four", "beta two"])


def words(store: Store, *terms: str) -> list[tuple[str, str]]:
    """`(path, symbol)` of what the words find."""
    found = []
    for pool in store.reads.snapshot.pools.values():
        hits = pool.lexical(LexicalQuery(terms), 100)
        views = {view.doc: view for view in store.reads.snapshot.chunks([hit.doc for hit in hits])}
        found += [(pool.entries[hit.doc >> 16].path, views[hit.doc].symbol) for hit in hits]
    return sorted(found)


def test_a_file_is_found_by_words_and_then_by_vector(store: Store) -> None:
    root = store.add_root("/r", "/r", "1:2").root
    pending = apply(store, put(root, "src/a.py", A))
    assert pending == [chunk.chunk_id for chunk in A.chunks]
    assert words(store, "beta") == [("src/a.py", "Outer.beta")]
    assert words(store, "src") == [("src/a.py", f"Outer.{name}") for name in ("alpha", "beta", "gamma")]
    snapshot: Snapshot = store.reads.snapshot
    (pool,) = snapshot.pools.values()
    beta = A.chunks[1]
    assert pool.nearest(vector_of(beta.chunk_id), 5) == []
    assert not snapshot.complete
    apply(store, put_vectors(pending))
    snapshot = store.reads.snapshot
    (pool,) = snapshot.pools.values()
    assert snapshot.complete
    best = pool.nearest(vector_of(beta.chunk_id), 5)
    assert len(best) == 3
    (view,) = snapshot.chunks([best[0].doc])
    assert (view.chunk, view.text, view.kind, view.token_count) == (beta.chunk_id, "beta two", "method", 2)
    assert (view.start_line, view.end_line) == (11, 20)
    assert best[0].score == pytest.approx(1.0, abs=1e-3)
    scores = pool.similarity(vector_of(beta.chunk_id), [hit.doc for hit in best])
    assert scores == pytest.approx([hit.score for hit in best])
    vector = pool.vector(best[0].doc)
    assert vector is not None
    assert np.allclose(vector, vector_of(beta.chunk_id), atol=1e-3)


def test_a_rename_embeds_nothing_and_moves_the_words(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put_vectors(apply(store, put(root, "old.py", A))))
    apply(store, put_vectors([chunk.chunk_id for chunk in A.chunks]))
    assert apply(store, put(root, "new.py", A, known=True), DeleteFile(root, "old.py")) == []
    assert words(store, "beta") == [("new.py", "Outer.beta")]
    assert words(store, "old") == []
    assert store.reads.snapshot.complete
    (pool,) = store.reads.snapshot.pools.values()
    assert len(pool.nearest(vector_of(A.chunks[0].chunk_id), 10)) == 3
    assert pool.entry_at(root, "old.py") is None
    entry = pool.entry_at(root, "new.py")
    assert entry is not None
    assert (entry.blob, entry.roots, entry.language) == (A.blob, frozenset({root}), "python")


def test_a_second_root_of_the_pool_shares_entries(store: Store) -> None:
    first = store.add_root("/one", "/git", "").root
    apply(store, put_vectors(apply(store, put(first, "a.py", A))))
    apply(store, put_vectors([chunk.chunk_id for chunk in A.chunks]))
    second = store.add_root("/two", "/git", "")
    assert store.pool_blobs(second.pool) == {A.blob}
    docs = store.reads.snapshot.pools[second.pool].lexical(LexicalQuery(("beta",)), 10)
    assert apply(store, put(second.root, "a.py", A, known=True)) == []
    pool = store.reads.snapshot.pools[second.pool]
    assert pool.lexical(LexicalQuery(("beta",)), 10) == docs
    assert [entry.roots for entry in pool.entries.values()] == [{first, second.root}]
    assert apply(store, put(second.root, "a.py", B)) == [B.chunks[0].chunk_id]
    entries = store.reads.snapshot.pools[second.pool].entries.values()
    assert [entry.roots for entry in entries] == [{first}, {second.root}]
    store.remove_root(first)
    assert words(store, "beta") == [("a.py", "Outer.beta")]
    assert words(store, "gamma") == []


def test_another_pool_embeds_nothing_that_any_pool_has(store: Store) -> None:
    first = store.add_root("/one", "/one", "").root
    apply(store, put_vectors(apply(store, put(first, "a.py", A))))
    second = store.add_root("/two", "/two", "")
    assert apply(store, put(second.root, "b.py", A)) == []
    assert len(store.reads.snapshot.pools[second.pool].nearest(vector_of(A.chunks[0].chunk_id), 9)) == 3
    # Only a pool in which the chunk is live gets its vector, and both do.
    pending = apply(store, put(first, "c.py", B), put(second.root, "c.py", B))
    assert pending == [B.chunks[0].chunk_id]
    apply(store, put_vectors(pending))
    for pool in store.reads.snapshot.pools.values():
        assert len(pool.nearest(vector_of(pending[0]), 9)) == 5


def test_counts_follow_every_change(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    skip = SkipFile(root, "big.bin", sig(3), None, "too_large")
    binary = chunked(["x"], skip_reason="binary")
    apply(store, put(root, "a.py", A), put(root, "b.py", B), skip, put(root, "c.bin", binary))
    stats = store.reads.root_stats(root)
    assert (stats.files_indexed, stats.files_skipped, stats.chunks, stats.pending_vectors) == (2, 2, 5, 5)
    assert stats.skipped_by_reason == {"binary": 1, "too_large": 1}
    apply(store, put_vectors([B.chunks[1].chunk_id]))
    assert store.reads.root_stats(root).pending_vectors == 3
    apply(store, put(root, "big.bin", B), DeleteFile(root, "a.py"))
    stats = store.reads.root_stats(root)
    assert (stats.files_indexed, stats.files_skipped, stats.chunks, stats.pending_vectors) == (2, 1, 4, 2)
    assert store.reads.root_stats(RootId(99)).files_indexed == 0


def test_a_known_skipped_blob_makes_the_file_skipped(store: Store) -> None:
    record = store.add_root("/r", "/r", "")
    binary = chunked(["x"], skip_reason="binary")
    apply(store, put(record.root, "one.bin", binary))
    assert binary.blob in store.pool_blobs(record.pool)
    apply(store, put(record.root, "two.bin", binary, known=True))
    row = store.reads.file_row(record.root, "two.bin")
    assert row is not None
    assert (row.state, row.reason, row.blob, row.chunk_count) == ("skipped", "binary", binary.blob, 0)
    assert words(store, "two") == []


def test_a_blob_that_is_not_held_is_missing(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    committed = store.apply(Commit(7, (put(root, "a.py", A, known=True), put(root, "b.py", B))))
    assert committed.missing == ((root, "a.py"),)
    assert committed.commit_id == 7
    assert store.tree(root) == {"b.py": FileState(sig(1), B.blob)}


def test_a_newer_chunker_gives_known_chunks_other_words_and_no_new_vector(store: Store) -> None:
    """Chunks are named by their text; how its words are weighted changes with `CHUNKER_VERSION`, as blobs' names do."""
    root = store.add_root("/r", "/r", "").root
    older = chunked(["retry politely"])
    apply(store, put_vectors(apply(store, put(root, "f.py", older))))
    weighted = replace(older.chunks[0], lexical="retry politely politely")
    newer = replace(older, blob=blob_id(b"retry politely", "python", 2), chunks=(weighted,))
    assert apply(store, put(root, "f.py", newer)) == [], "its text, and so its vector, is the same"
    (pool,) = store._memory.pools.values()
    assert store._memory.rebuild_lexical(pool, store.reads.snapshot.generation), "from what the catalog holds"
    assert words(store, "politely") == [("f.py", "Outer.retry")]
    (row,) = store._connection.execute("SELECT lexical FROM chunks").fetchall()
    assert row == ("retry politely politely",)


def test_an_outline_is_embedded_and_indexed_and_not_part_of_the_text(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    plain = chunked(["retry politely\nat once"])
    (chunk,) = plain.chunks
    outline = "def first():\ndef second():"
    headed = replace(
        chunk, chunk_id=chunk_id(chunk.symbol, chunk.text, outline), outline=outline, end_line=chunk.start_line + 1,
        lexical=f"{chunk.lexical} second",
    )  # fmt: skip
    pending = apply(store, put(root, "f.py", replace(plain, chunks=(headed,))))
    assert store.reads.texts(pending) == [f"{chunk.symbol}\n{chunk.text}\n{outline}"]
    assert words(store, "second") == [("f.py", "Outer.retry")]
    snapshot = store.reads.snapshot
    (entry,) = (entry for pool in snapshot.pools.values() for entry in pool.entries)
    (view,) = snapshot.chunks([entry << 16])
    assert (view.text, view.outline) == (chunk.text, outline)


def test_touch_changes_the_signature_only(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put(root, "a.py", A))
    apply(store, TouchFile(root, "a.py", sig(9)), TouchFile(root, "none.py", sig(9)))
    assert store.tree(root) == {"a.py": FileState(StatSig(10**18 + 9, 10**18 + 9, 109, 2**63 + 9), A.blob)}


def test_operations_of_an_unknown_root_and_odd_names_hold_nothing_up(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    gone = RootId(99)
    apply(
        store,
        put(gone, "a.py", A),
        DeleteFile(gone, "a.py"),
        TouchFile(gone, "a.py", sig(1)),
        SkipFile(gone, "a.py", sig(1), None, "x"),
        put(root, "caf\udce9.py", A),
        put(root, "b.py", B),
    )
    assert list(store.tree(root)) == ["b.py"]


@pytest.mark.parametrize(
    "vectors",
    [
        np.ones((1, DIM + 1), np.float32),
        np.ones((2, DIM), np.float32),
        np.full((1, DIM), np.nan, np.float32),
        np.full((1, DIM), np.inf, np.float32),
        np.zeros((1, DIM), np.float32),
        np.ones((1, DIM), np.int64),
        "not vectors",
    ],
    ids=["dim", "count", "nan", "inf", "zero", "int", "text"],
)
def test_bad_vectors_are_refused_and_nothing_of_the_commit_is_applied(store: Store, vectors: object) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put(root, "a.py", A))
    before = store.reads.snapshot
    with pytest.raises(StoreError):
        apply(store, put(root, "b.py", B), PutVectors((A.chunks[0].chunk_id,), vectors))
    assert store.reads.snapshot is before
    assert list(store.tree(root)) == ["a.py"]
    # The ids that were rolled back are not confused with those of the next commit.
    apply(store, put(root, "c.py", B))
    assert words(store, "delta") == [("c.py", "Outer.delta")]


def test_vectors_for_chunks_that_are_gone_are_dropped(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put_vectors([chunk.chunk_id for chunk in A.chunks]))
    apply(store, put(root, "a.py", B), put_vectors([A.chunks[0].chunk_id, B.chunks[0].chunk_id]))
    assert [pending.chunk for pending in store.unembedded(10, frozenset()).chunks] == [B.chunks[1].chunk_id]


def test_unembedded_lists_live_chunks_outside_the_excluded(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put(root, "a.py", A), put(root, "b.py", B))
    found = store.unembedded(2, frozenset({A.chunks[0].chunk_id}))
    assert [pending.chunk for pending in found.chunks] == [A.chunks[1].chunk_id, A.chunks[2].chunk_id]
    assert not found.exhausted
    assert store.reads.texts([found.chunks[0].chunk]) == ["Outer.beta\nbeta two"]
    assert found.chunks[0].size_bytes == len("Outer.beta\nbeta two")
    apply(store, DeleteFile(root, "a.py"))
    found = store.unembedded(5, frozenset())
    assert {pending.chunk for pending in found.chunks} == {chunk.chunk_id for chunk in B.chunks}
    assert found.exhausted


@pytest.mark.parametrize("track", [Track(0), Track(1)])
def test_chunks_for_a_remote_model_name_a_live_file_that_has_them(tmp_path: Path, track: Track) -> None:
    remote = ModelInfo("remote-model-1", DIM, local=False, note="for tests")
    with closing(open_store(tmp_path / "state", MODEL if track else remote)) as store:
        root, other = (store.add_root(path, "/r", "").root for path in ("/r", "/r/worktree"))
        if track:
            store.offer_track(remote, None)
        answer = store.apply(Commit(1, (put(other, "old.py", A), put(root, "a.py", A))))
        live = {FileVersion(root, "a.py", A.blob), FileVersion(other, "old.py", A.blob)}
        assert {chunk.version for chunk in answer.pending} <= ({None} if track else live)
        apply(store, DeleteFile(other, "old.py"), put(other, "b.py", B))
        found = {chunk.chunk: chunk.version for chunk in store.unembedded(9, frozenset(), track).chunks}
        only_a, both, only_b = A.chunks[0].chunk_id, A.chunks[1].chunk_id, B.chunks[0].chunk_id
        assert found[only_a] == FileVersion(root, "a.py", A.blob)
        assert found[only_b] == FileVersion(other, "b.py", B.blob)
        assert found[both] in (found[only_a], found[only_b])
        rest = store.unembedded(9, frozenset(), track, frozenset({(root, "a.py")}))
        assert only_a not in {chunk.chunk for chunk in rest.chunks} and rest.exhausted
        assert only_b in {chunk.chunk for chunk in rest.chunks}


def test_chunks_for_a_local_model_name_no_file(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put(root, "a.py", A))
    found = store.unembedded(9, frozenset(), spent=frozenset({(root, "a.py")})).chunks
    assert [chunk.version for chunk in found] == [None] * len(A.chunks)


def test_roots_are_confirmed_moved_and_removed(store: Store) -> None:
    record = store.add_root("/r", "/r", "1:2")
    apply(store, put_vectors(apply(store, put(record.root, "a.py", A))))
    assert store.add_root("/r", "/r", "1:3") == store.reads.roots()[0]
    assert store.reads.roots()[0].marker == "1:3"
    assert store.reads.roots()[0].root == record.root
    moved = store.add_root("/r", "/r/.git", "1:3")
    assert moved.root != record.root
    assert store.tree(moved.root) == {}
    assert apply(store, put(moved.root, "a.py", A)) == []
    store.remove_root(moved.root)
    assert store.reads.roots() == []
    assert store.reads.snapshot.pools == {}
    with pytest.raises(RootError):
        store.remove_root(moved.root)


def test_symbols_and_outline(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put(root, "a.py", A), put(root, "b.py", chunked(["Beta x", "betamax y"])), put(root, "c.py", B))
    apply(store, DeleteFile(root, "c.py"))
    snapshot = store.reads.snapshot
    (pool,) = snapshot.pools.values()
    paths = {entry_id: entry.path for entry_id, entry in pool.entries.items()}

    def found(name: str, limit: int = 10) -> list[tuple[str, str]]:
        return [(paths[view.entry_id], view.path) for view in snapshot.symbols(name, limit)]

    assert found("beta") == [("a.py", "Outer.beta"), ("b.py", "Outer.Beta"), ("b.py", "Outer.betamax")]
    assert found("beta", 1) == [("a.py", "Outer.beta")]
    assert found("Outer.beta")[0] == ("a.py", "Outer.beta")
    assert found("outer.bet") == [("a.py", "Outer.beta"), ("b.py", "Outer.Beta"), ("b.py", "Outer.betamax")]
    assert found("Inner.beta") == []
    assert found("delta") == found("") == []
    entry = pool.entry_at(root, "a.py")
    assert entry is not None
    assert [view.name for view in snapshot.outline(entry)] == ["alpha", "beta", "gamma"]


def test_as_many_chunks_as_a_file_may_have_are_stored(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that the chunker passes and the store refuses would hold up every commit."""
    for module in ("chunking.chunker", "store.staging"):
        monkeypatch.setattr(f"regend.{module}.MAX_CHUNKS_PER_BLOB", 4)
    root = store.add_root("/r", "/r", "").root
    limits, counts = LimitConfig(chunk_tokens=10), dict[int, str]()
    for n in range(1, 20):
        content = "\n\n".join(f"def f{i}():\n    return {i} + {i}*2 + foo({i})" for i in range(n)).encode()
        file = chunk_content(content, "python", sig(n), limits)
        counts[len(file.chunks)] = file.skip_reason
        apply(store, put(root, f"{n}.py", file))
    assert counts == {1: "", 2: "", 3: "", 0: "too_many_chunks"}


def test_a_commit_stands_where_its_log_cannot_be_moved(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    root = store.add_root("/r", "/r", "").root
    monkeypatch.setattr("regend.store.store._MAX_LOG_BYTES", 0)
    for error in (sqlite3.OperationalError("disk I/O error"), OSError(28, "No space left on device")):
        with monkeypatch.context() as patch:
            patch.setattr("regend.store.catalog.writer.settle", mock.Mock(side_effect=error))
            before = store.reads.snapshot.generation
            assert store.apply(Commit(1, (put(root, "a.py", A),))).generation == before + 1


def test_a_definition_is_found_behind_very_many_others_of_its_name(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of other roots, of files that are gone, and those that fit less well do not count."""
    monkeypatch.setattr("regend.store.catalog.reader._ENOUGH_SYMBOLS", 3)
    large, small = store.add_root("/large", "/large", "").root, store.add_root("/small", "/small", "").root
    for n in range(6):
        apply(store, put(large, f"{n}.py", chunked([f"main {n} {m}" for m in range(6)])))
    own = chunked(["main own"])
    symbols = (Symbol("main", "Policy.main", "method", 1, 9), Symbol("Main", "Main", "class", 1, 9))
    apply(
        store, put(small, "own.py", replace(own, symbols=(*symbols, Symbol("mainframe", "mainframe", "class", 1, 9))))
    )

    def found(name: str, root: RootId | None = None) -> list[str]:
        snapshot = store.reads.snapshot
        inside = {e for pool in snapshot.pools.values() for e, entry in pool.entries.items() if small in entry.roots}
        return [view.path for view in snapshot.symbols(name, 3, within=inside.__contains__ if root else None)]

    assert found("Policy.main") == ["Policy.main"]
    assert found("Main") == ["Main", "Outer.main", "Outer.main"]
    assert found("main") == ["Outer.main"] * 3
    assert found("main", small) == ["Policy.main", "Main", "mainframe"]
    assert found("mai", small) == ["Main", "Policy.main", "mainframe"]
    store.remove_root(large)
    assert found("main") == ["Policy.main", "Main", "mainframe"]


def test_files_are_listed_in_pages(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, *(put(root, f"{n}.py", A) for n in range(5)), SkipFile(root, "2.x", sig(1), None, "too_large"))
    assert [row.path for row in store.reads.files(root, "", 3)] == ["0.py", "1.py", "2.py"]
    assert [row.path for row in store.reads.files(root, "", 3, "2.py")] == ["2.x", "3.py", "4.py"]
    assert [(row.path, row.reason) for row in store.reads.files(root, "skipped")] == [("2.x", "too_large")]
    assert len(store.reads.files(root, "indexed")) == 5
    assert store.reads.file_row(root, "none") is None
