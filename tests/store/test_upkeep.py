"""Background work: HNSW bases are built, saved, loaded and replaced; garbage goes; old snapshots stay whole."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regend.core.commands import Commit, DeleteFile, PutVectors
from regend.store.base import GarbageLimits, LexicalQuery
from regend.store.lexical.index import LexicalWriteError
from regend.store.pool import Pool
from regend.store.store import Store, open_store
from regend.store.vectors import hnsw
from regend.types import ChunkedFile, ChunkId, RootId
from tests.store.root_export import export_of
from tests.store.samples import DIM, MODEL, apply, chunked, clustered, put, put_vectors

FILES = [chunked([f"word{n}x{c} body" for c in range(20)]) for n in range(60)]
CHUNKS = [chunk.chunk_id for file in FILES for chunk in file.chunks]
VECTORS = dict(zip(CHUNKS, clustered(len(CHUNKS), DIM, seed=4), strict=True))
NO_GARBAGE = GarbageLimits(max_unused_bytes=0, min_age_s=-1)


@pytest.fixture(autouse=True)
def _small_slabs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.vectors.merge.BASE_ROWS", 300)
    monkeypatch.setattr("regend.store.vectors.merge.BUILD_AFTER_S", 0.0)


def vectors(chunks: list[ChunkId]) -> PutVectors:
    return PutVectors(tuple(chunks), np.stack([VECTORS[chunk] for chunk in chunks]))


def add(store: Store, root: RootId, files: list[ChunkedFile]) -> None:
    pending = apply(store, *(put(root, f"f{FILES.index(file)}.py", file) for file in files))
    if pending:
        apply(store, vectors(pending))


def only_pool(store: Store) -> Pool:
    (pool,) = store._memory.pools.values()
    return pool


def base_rows(store: Store) -> int:
    base = only_pool(store).slab.view().base
    return 0 if base is None else len(base.keys)


def keys_of(store: Store) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Chunk keys, in the order of `CHUNKS`."""
    rows = store._connection.execute("SELECT chunk, chunk_key FROM chunks")
    keys = {bytes(chunk): key for chunk, key in rows}
    return np.array([keys[chunk] for chunk in CHUNKS], np.int64)


def maintain_until(store: Store, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "background work did not come to an end"
        store.maintain(idle=True)
        time.sleep(0.005)


def check_search(store: Store, root: RootId, files: list[ChunkedFile]) -> None:
    """The ten nearest of an exact scan over the live chunks."""
    (pool,) = store.reads.snapshot.pools.values()
    live = [chunk.chunk_id for file in files for chunk in file.chunks]
    matrix = np.stack([VECTORS[chunk] for chunk in live])
    found = wanted = 0
    for query in clustered(20, DIM, seed=4):
        exact = {live[row] for row in np.argsort(-(matrix @ query))[:10]}
        hits = pool.nearest(query, 10)
        assert len(hits) == 10
        found += len({view.chunk for view in store.reads.snapshot.chunks([hit.doc for hit in hits])} & exact)
        wanted += 10
    assert found >= 0.97 * wanted


def test_a_base_is_built_saved_and_loaded_again(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES[:20])
        check_search(store, root, FILES[:20])
        maintain_until(store, lambda: base_rows(store) == 400)
        check_search(store, root, FILES[:20])
        add(store, root, FILES[20:25])
        check_search(store, root, FILES[:25])
    with open_store(tmp_path, MODEL) as store:
        assert base_rows(store) == 0
        check_search(store, root, FILES[:25])
        maintain_until(store, lambda: base_rows(store) == 400)
        assert only_pool(store).slab.view().count == 100
        check_search(store, root, FILES[:25])
        # Enough new rows extend it; enough dead ones replace it.
        add(store, root, FILES[25:50])
        maintain_until(store, lambda: base_rows(store) == 1000)
        check_search(store, root, FILES[:50])
        apply(store, *(DeleteFile(root, f"f{n}.py") for n in range(20)))
        check_search(store, root, FILES[20:50])
        maintain_until(store, lambda: base_rows(store) == 600)
        check_search(store, root, FILES[20:50])
        apply(store, *(DeleteFile(root, f"f{n}.py") for n in range(20, 48)))
        maintain_until(store, lambda: base_rows(store) == 0)
        check_search(store, root, FILES[48:50])
        assert list((tmp_path / "vectors").iterdir()) == []


def test_a_large_base_grows_in_pieces_that_serve_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.vectors.merge.PIECE_ROWS", 250)
    monkeypatch.setattr("regend.store.vectors.slab._COPIED_ROWS", 64)
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES)
        held = dict(zip(CHUNKS, only_pool(store).slab.view().gather(keys_of(store))[0], strict=True))
        for rows in (250, 500, 750):
            maintain_until(store, lambda rows=rows: base_rows(store) == rows)  # type: ignore[misc]
            check_search(store, root, FILES)
        apply(store, DeleteFile(root, "f59.py"), DeleteFile(root, "f0.py"))
        maintain_until(store, lambda: base_rows(store) == 1000)
        check_search(store, root, FILES[1:59])
        view = only_pool(store).slab.view()
        assert view.live_count == len(CHUNKS) - 40
        vectors, known = view.gather(keys_of(store))
        assert known.sum() == len(CHUNKS) - 40
        for chunk, vector, is_live in zip(CHUNKS, vectors, known, strict=True):
            assert not is_live or np.array_equal(vector, held[chunk])
    with open_store(tmp_path, MODEL) as store:
        maintain_until(store, lambda: base_rows(store) == 1000)
        check_search(store, root, FILES[1:59])


def test_a_base_waits_for_its_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system starts no thread for a while: to load a base, and to build one. Exact search goes on."""
    monkeypatch.setattr("regend.store.vectors.merge.NO_THREAD_PAUSE_S", 0.05)
    tries: list[str] = []

    def refused(thread: threading.Thread) -> None:
        tries.append(thread.name)
        raise RuntimeError("can't start new thread")

    def waits(store: Store, root: RootId) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading.Thread, "start", refused)
            maintain_until(store, lambda: len(tries) >= 3)
            assert base_rows(store) == 0
            check_search(store, root, FILES)
        tries.clear()
        maintain_until(store, lambda: base_rows(store) == len(CHUNKS))
        check_search(store, root, FILES)

    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES)
        waits(store, root)
    monkeypatch.setattr("regend.store.vectors.hnsw.build", None)
    with open_store(tmp_path, MODEL) as store:
        waits(store, root)


@pytest.mark.parametrize("what", ["payload", "header", "gone"])
def test_a_damaged_base_is_rebuilt_while_search_goes_on(tmp_path: Path, what: str) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES[:20])
        maintain_until(store, lambda: base_rows(store) == 400)
    (payload,) = (tmp_path / "vectors").glob("*.payload")
    (header,) = (tmp_path / "vectors").glob("*.envelope")
    victim = header if what == "header" else payload
    if what == "gone":
        victim.unlink()
    else:
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 0x40
        victim.write_bytes(data)
    with open_store(tmp_path, MODEL) as store:
        check_search(store, root, FILES[:20])
        maintain_until(store, lambda: base_rows(store) == 400)
        check_search(store, root, FILES[:20])
    with open_store(tmp_path, MODEL) as store:
        maintain_until(store, lambda: base_rows(store) == 400)


def test_files_that_changed_while_the_base_was_built_are_right(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES[:20])
        store.maintain(idle=False)
        assert store._upkeep._mergers[0].busy
        apply(store, *(DeleteFile(root, f"f{n}.py") for n in range(5)))
        add(store, root, FILES[30:35])
        live = FILES[5:20] + FILES[30:35]
        maintain_until(store, lambda: base_rows(store) > 0)
        check_search(store, root, live)
        apply(store, put(root, "f2.py", FILES[2], known=True))
        check_search(store, root, [*live, FILES[2]])


def test_snapshots_stay_constant_while_the_writer_goes_on(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES[:20])
        snapshot = store.reads.snapshot
        (pool,) = snapshot.pools.values()
        query = VECTORS[CHUNKS[7]]

        def observe() -> object:
            docs = [hit.doc for hit in pool.nearest(query, 50)]
            words = pool.lexical(LexicalQuery(("body", "word3x3")), 50)
            at = [pool.entry_at(root, f"f{n}.py") for n in range(60)]
            some = frozenset(list(pool.entries)[:7])
            near = pool.nearest(query, 30, some)
            texts = snapshot.chunks(docs[:10])
            return docs, words, at, near, texts, dict(pool.entries), pool.similarity(query, docs), snapshot.generation

        before = observe()
        for n in range(20):
            apply(store, DeleteFile(root, f"f{n}.py"))
        add(store, root, FILES[20:50])
        add(store, root, FILES[5:10])
        maintain_until(store, lambda: base_rows(store) > 0)
        assert observe() == before
        store.remove_root(root)
        assert observe() == before


def test_garbage_is_collected_and_nothing_else(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL, NO_GARBAGE) as store:
        root = store.add_root("/r", "/r", "").root
        shared = chunked(["word0x0 body", "own text"])
        add(store, root, FILES[:3])
        apply(store, put_vectors(apply(store, put(root, "shared.py", shared))))
        before = export_of(store, root)
        binary = chunked(["x"], skip_reason="binary")
        apply(store, put(root, "x.bin", binary))
        apply(store, DeleteFile(root, "f0.py"), DeleteFile(root, "x.bin"))
        time_travel(store)
        maintain_until(store, lambda: len(store.pool_blobs(store.reads.roots()[0].pool)) == 3)
        assert store.reads.texts([FILES[0].chunks[0].chunk_id]) == ["Outer.word0x0\nword0x0 body"]
        assert store.reads.texts([FILES[0].chunks[1].chunk_id]) == [""]
        # The store no longer holds the collected chunks, and they come back whole.
        assert store.apply(Commit(1, (put(root, "f0.py", FILES[0], known=True),))).missing == ((root, "f0.py"),)
        pending = apply(store, put(root, "f0.py", FILES[0]))
        assert pending == [chunk.chunk_id for chunk in FILES[0].chunks[1:]]
        apply(store, vectors(pending))
        assert export_of(store, root) == before
    with open_store(tmp_path, MODEL) as store:
        assert export_of(store, root) == before


def test_garbage_waits_for_words_that_are_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the row of an entry, nothing tells which documents are to be deleted."""

    def broken(*_args: object) -> None:
        raise LexicalWriteError("disk full")

    with open_store(tmp_path, MODEL, NO_GARBAGE) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES[:3])
        lexical = only_pool(store).lexical
        with monkeypatch.context() as patch:
            for name in ("apply", "rebuild"):
                patch.setattr(lexical, name, broken)
            apply(store, DeleteFile(root, "f0.py"))
            time_travel(store)
            assert store.maintain(idle=True) > 1
        assert lexical.behind and lexical.generation < store.reads.snapshot.generation
        maintain_until(store, lambda: store.reads.unused() == [])
        assert lexical.matches(only_pool(store).doc_count)


def test_a_purge_takes_vectors_out_of_the_base_on_disk(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES[:20])
        maintain_until(store, lambda: base_rows(store) == 400)
        keys = [key for (key,) in store._connection.execute("SELECT chunk_key FROM chunks ORDER BY chunk_key LIMIT 20")]
        apply(store, DeleteFile(root, "f0.py"))
        assert store.purge(lambda _pool, path: path == "f1.py"), "a live file is not purged"
        assert base_rows(store) == 400
        store.maintain(idle=False)
        assert store.purge(lambda _pool, path: path == "f0.py")
        assert not list((tmp_path / "vectors").iterdir()), "the base with the vectors in it is gone"
        (left,) = store._connection.execute("SELECT count(*) FROM chunks WHERE chunk_key <= ?", (max(keys),)).fetchone()
        assert left == 0
        check_search(store, root, FILES[1:20])
        maintain_until(store, lambda: base_rows(store) == 380)
        check_search(store, root, FILES[1:20])
    with open_store(tmp_path, MODEL) as store:
        check_search(store, root, FILES[1:20])


def test_a_base_is_not_kept_where_its_pool_was_removed_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed, build = threading.Event(), hnsw.build

    def slow(*args: Any) -> hnsw.HnswBase:
        removed.wait(20)
        return build(*args)

    monkeypatch.setattr(hnsw, "build", slow)
    with open_store(tmp_path, MODEL) as store:
        record = store.add_root("/r", "/r", "")
        add(store, record.root, FILES[:20])
        store.maintain(idle=False)
        store.remove_root(record.root)
        assert not store.purge(lambda pool, _: pool == record.pool), "the job may still write a base"
        removed.set()
        maintain_until(store, lambda: store.purge(lambda pool, _: pool == record.pool))
        assert list((tmp_path / "vectors").iterdir()) == []


def test_what_became_unused_just_now_is_kept(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL, GarbageLimits(max_unused_bytes=0)) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES[:2])
        apply(store, DeleteFile(root, "f0.py"))
        time_travel(store)
        store.maintain(idle=True)
        assert apply(store, put(root, "f0.py", FILES[0], known=True)) == []


def time_travel(store: Store) -> None:
    """Make garbage collection due now."""
    store._upkeep._garbage_at = time.monotonic() - 1e6


def test_many_edits_do_not_pile_up_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.pool._FORGET_MIN", 20)
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        for number in range(30):
            apply(store, put(root, "same.py", chunked([f"edit{number} body"])))
        facts = only_pool(store).facts
        store.maintain(idle=True)
        assert len(only_pool(store).facts.blob_of_entry) < len(facts.blob_of_entry)
        (pool,) = store.reads.snapshot.pools.values()
        assert len(pool.entries) == 1
        assert len(pool.lexical(LexicalQuery(("edit29",)), 5)) == 1


def test_a_lexical_failure_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        add(store, root, FILES[:2])
        lexical = only_pool(store).lexical

        def broken(*_args: object) -> None:
            raise LexicalWriteError("disk full")

        with monkeypatch.context() as patch:
            patch.setattr(lexical, "apply", broken)
            add(store, root, FILES[2:4])
            apply(store, DeleteFile(root, "f0.py"))
        assert lexical.behind and not store.reads.snapshot.complete
        (pool,) = store.reads.snapshot.pools.values()
        assert pool.lexical(LexicalQuery(("word2x2",)), 5) == []
        assert pool.lexical(LexicalQuery(("word0x2",)), 5) == []
        store.maintain(idle=True)
        (pool,) = store.reads.snapshot.pools.values()
        assert len(pool.lexical(LexicalQuery(("word2x2",)), 5)) == 1
        assert pool.lexical(LexicalQuery(("word0x2",)), 5) == []
        assert not lexical.behind
