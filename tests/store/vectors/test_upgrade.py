"""A stronger model takes over pool by pool: no view is ever mixed, and no view that serves lacks a vector."""

from __future__ import annotations

import hashlib
import random
import time
from pathlib import Path

import numpy as np
import pytest

from regend.core.commands import Commit, DeleteFile, PutVectors
from regend.embedding.base import ModelInfo
from regend.errors import StoreError
from regend.store.snapshot import StoreSnapshot
from regend.store.store import Store, open_store
from regend.types import ChunkId, RootId, Track
from tests.store.samples import MODEL, apply, chunked, put, put_vectors, vector_of

STRONG_DIM = 24
STRONG = ModelInfo("strong-model-1", STRONG_DIM, local=False, note="for tests")
A = chunked(["alpha one", "beta two", "gamma three"])
B = chunked(["delta four", "beta two"])
NOTHING = frozenset[ChunkId]()


def strong_vector(chunk: ChunkId) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(chunk, digest_size=8, key=b"strong").digest(), "big")
    vector = np.random.default_rng(seed).standard_normal(STRONG_DIM)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def put_strong(chunks: list[ChunkId], forgone: tuple[ChunkId, ...] = ()) -> PutVectors:
    rows = np.stack([strong_vector(c) for c in chunks]) if chunks else np.zeros((0, STRONG_DIM), np.float32)
    return PutVectors(tuple(chunks), rows, Track(1), forgone)


def lacking(store: Store) -> list[ChunkId]:
    return [chunk.chunk for chunk in store.unembedded(1_000, NOTHING, Track(1)).chunks]


def catch_up(store: Store) -> None:
    apply(store, put_strong(lacking(store)))


def stronger(store: Store, root: RootId | None = None) -> StoreSnapshot | None:
    return store.reads.snapshot.by_track(Track(1), root)


def check_whole(snapshot: StoreSnapshot, dim: int, expected: object) -> None:
    """Every live chunk of every pool has its vector, and it is this model's."""
    for pool in snapshot.pools.values():
        for entry_id, entry in pool.entries.items():
            for ordinal in range(entry.chunk_count):
                doc = entry_id << 16 | ordinal
                vector = pool.vector(doc)
                assert vector is not None and vector.shape == (dim,)
                (view,) = snapshot.chunks([doc])
                np.testing.assert_allclose(vector, expected(view.chunk), atol=2e-3)  # type: ignore[operator]
        if pool.entries:
            assert pool.nearest(np.eye(dim, dtype=np.float32)[0], 5)


@pytest.fixture
def root(store: Store) -> RootId:
    """One root with a file, all of it embedded by the first model, and a stronger one on offer."""
    record = store.add_root("/r", "/r", "")
    apply(store, put_vectors(apply(store, put(record.root, "a.py", A))))
    store.offer_track(STRONG, None)
    return record.root


def test_it_takes_over_when_it_is_complete_and_not_before(store: Store, root: RootId) -> None:
    chunks = lacking(store)
    assert chunks == [chunk.chunk_id for chunk in A.chunks]
    state = store.reads.snapshot.tracks[1]
    assert (state.lacking, state.forgone, state.serving) == (3, 0, frozenset())
    apply(store, put_strong(chunks[:2]))
    assert stronger(store) is None and store.reads.snapshot.model_id == MODEL.model_id
    check_whole(store.reads.snapshot, MODEL.dim, vector_of)
    apply(store, put_strong(chunks[2:]))
    upgraded = stronger(store)
    assert upgraded is not None and upgraded.model_id == STRONG.model_id and upgraded.complete
    check_whole(upgraded, STRONG_DIM, strong_vector)
    check_whole(store.reads.snapshot, MODEL.dim, vector_of)
    state = store.reads.snapshot.tracks[1]
    assert state.serving == set(store.reads.snapshot.pools)


def test_each_further_model_serves_by_itself(store: Store, root: RootId) -> None:
    store.offer_track(ModelInfo("strongest-model-1", STRONG_DIM, local=False, note="for tests"), None)
    pending = store.unembedded(1_000, NOTHING, Track(2)).chunks
    assert [c.chunk for c in pending] == lacking(store) and pending
    apply(store, PutVectors((), None, Track(1), tuple(lacking(store)[:1])))
    apply(store, PutVectors(tuple(c.chunk for c in pending), np.eye(3, STRONG_DIM, dtype=np.float32), Track(2)))
    strongest = store.reads.snapshot.by_track(Track(2), root)
    assert strongest is not None and strongest.model_id == "strongest-model-1"
    assert stronger(store) is None and len(lacking(store)) == 2
    assert [(state.lacking, state.forgone) for state in store.reads.snapshot.tracks] == [(0, 0), (2, 1), (0, 0)]
    catch_up(store)
    assert stronger(store) is not None and store.reads.snapshot.by_track(Track(3), root) is None


def test_a_snapshot_that_is_held_stays_as_it_is(store: Store, root: RootId) -> None:
    catch_up(store)
    held = stronger(store)
    assert held is not None
    apply(store, put(root, "b.py", B), DeleteFile(root, "a.py"))
    check_whole(held, STRONG_DIM, strong_vector)


def test_an_edit_gives_way_to_the_first_model_until_it_has_caught_up(store: Store, root: RootId) -> None:
    catch_up(store)
    pending = apply(store, put(root, "b.py", B))
    assert stronger(store) is None and lacking(store) == pending == [B.chunks[0].chunk_id]
    apply(store, put_vectors(pending))
    check_whole(store.reads.snapshot, MODEL.dim, vector_of)
    catch_up(store)
    upgraded = stronger(store)
    assert upgraded is not None
    check_whole(upgraded, STRONG_DIM, strong_vector)


def test_deleting_what_is_lacking_completes_it(store: Store, root: RootId) -> None:
    catch_up(store)
    apply(store, put_vectors(apply(store, put(root, "b.py", B))))
    assert stronger(store) is None
    apply(store, DeleteFile(root, "b.py"))
    assert stronger(store) is not None and lacking(store) == []


def test_what_was_embedded_once_is_not_embedded_again(store: Store, root: RootId) -> None:
    catch_up(store)
    apply(store, DeleteFile(root, "a.py"))
    assert lacking(store) == []
    apply(store, put(root, "again.py", A, known=True))
    assert lacking(store) == [] and stronger(store) is not None
    check_whole(stronger(store), STRONG_DIM, strong_vector)  # type: ignore[arg-type]


def test_vectors_that_come_for_a_chunk_that_is_gone_are_kept_for_its_return(store: Store, root: RootId) -> None:
    chunks = lacking(store)
    apply(store, DeleteFile(root, "a.py"))
    apply(store, put_strong(chunks))
    apply(store, put(root, "a.py", A, known=True))
    assert lacking(store) == [] and stronger(store) is not None


def test_forgone_chunks_hold_up_nothing(store: Store, root: RootId) -> None:
    chunks = lacking(store)
    apply(store, put_strong(chunks[1:], forgone=(chunks[0],)))
    assert stronger(store) is not None and lacking(store) == []
    assert store.reads.snapshot.tracks[1].forgone == 1
    apply(store, DeleteFile(root, "a.py"))
    apply(store, put(root, "again.py", A, known=True))
    assert lacking(store) == [], "nor when they come back"


def test_pools_take_over_one_by_one(store: Store, root: RootId) -> None:
    other = store.add_root("/s", "/s", "").root
    apply(store, put_vectors(apply(store, put(other, "b.py", B))))
    apply(store, put_strong([chunk.chunk_id for chunk in A.chunks]))
    assert stronger(store, root) is not None and stronger(store, other) is None
    assert stronger(store) is None, "a query over both must not compare cosines of two models"
    catch_up(store)
    assert stronger(store) is not None and stronger(store, other) is not None


def test_pools_may_share_chunks(store: Store, root: RootId) -> None:
    catch_up(store)
    other = store.add_root("/s", "/s", "").root
    apply(store, put(other, "copy.py", A))
    assert lacking(store) == [] and stronger(store, other) is not None
    check_whole(stronger(store), STRONG_DIM, strong_vector)  # type: ignore[arg-type]


def test_an_empty_pool_is_complete(store: Store, root: RootId) -> None:
    store.add_root("/empty", "/empty", "")
    catch_up(store)
    assert stronger(store) is not None


def test_only_pools_of_which_every_root_is_allowed(store: Store) -> None:
    first = store.add_root("/r", "/git", "").root
    apply(store, put_vectors(apply(store, put(first, "a.py", A))))
    store.offer_track(STRONG, frozenset({first}))
    assert len(lacking(store)) == 3
    second = store.add_root("/worktree", "/git", "").root
    assert lacking(store) == [], "its text would go along"
    assert stronger(store) is None
    store.embed_only(frozenset({first, second}), Track(1))
    catch_up(store)
    assert stronger(store) is not None
    store.embed_only(frozenset({first}), Track(1))
    assert stronger(store) is None
    store.remove_root(second)
    assert stronger(store) is not None


def test_without_an_offer(store: Store) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put(root, "a.py", A))
    apply(store, put_strong([A.chunks[0].chunk_id]))
    store.embed_only(frozenset({root}), Track(1))
    assert stronger(store) is None and len(store.reads.snapshot.tracks) == 1 and lacking(store) == []


def test_vectors_of_the_wrong_shape(store: Store, root: RootId) -> None:
    with pytest.raises(StoreError, match="length 16, not 24"):
        store.apply(Commit(1, (PutVectors((A.chunks[0].chunk_id,), np.ones((1, 16), np.float32), Track(1)),)))


def test_a_file_that_is_put_off_holds_up_no_takeover(store: Store, root: RootId) -> None:
    catch_up(store)
    apply(store, put_vectors(apply(store, put(root, "hot.py", B))))
    assert stronger(store) is None and lacking(store) == [B.chunks[0].chunk_id]
    assert not store.unembedded(9, NOTHING, Track(1), frozenset({(root, "hot.py")})).chunks
    served = stronger(store)
    assert served is not None and store.reads.snapshot.tracks[1].lacking == 1, "words find what it lacks"
    assert lacking(store) == [B.chunks[0].chunk_id] and stronger(store) is None, "it is not put off any more"
    catch_up(store)
    assert stronger(store) is not None


def test_a_list_that_is_cut_short(store: Store, root: RootId) -> None:
    found = store.unembedded(2, NOTHING, Track(1))
    assert (len(found.chunks), found.exhausted, found.track) == (2, False, Track(1))
    rest = store.unembedded(2, frozenset(c.chunk for c in found.chunks), Track(1))
    assert (len(rest.chunks), rest.exhausted) == (1, True)


def test_after_a_restart_it_serves_what_is_stored(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        apply(store, put_vectors(apply(store, put(root, "a.py", A))))
        store.offer_track(STRONG, None)
        catch_up(store)
    with open_store(tmp_path, MODEL) as store:
        assert stronger(store) is None, "nobody can embed a query yet"
        store.offer_track(STRONG, None)
        upgraded = stronger(store)
        assert upgraded is not None and lacking(store) == []
        check_whole(upgraded, STRONG_DIM, strong_vector)


def test_large_slabs_wait_for_their_base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.vectors.merge.BASE_ROWS", 40)
    monkeypatch.setattr("regend.store.vectors.merge.BUILD_AFTER_S", 0.0)
    files = [chunked([f"word{n}x{c} body" for c in range(20)]) for n in range(5)]
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        apply(store, put_vectors(apply(store, *(put(root, f"{n}.py", file) for n, file in enumerate(files)))))
        store.offer_track(STRONG, None)
        catch_up(store)
        assert stronger(store) is None, "it would be slow"
        for _ in range(400):
            store.maintain(idle=True)
            if stronger(store) is not None:
                break
            time.sleep(0.01)
        upgraded = stronger(store)
        assert upgraded is not None
        check_whole(upgraded, STRONG_DIM, strong_vector)


@pytest.mark.parametrize("seed", range(8))
def test_any_history_shows_whole_views_only(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    roots = [store.add_root(f"/r{n}", f"/pool{n % 2}", "").root for n in range(3)]
    files = [chunked([f"word{n} body", f"shared{n % 3} body"]) for n in range(8)]
    store.offer_track(STRONG, None)
    for _ in range(60):
        action = rng.random()
        if action < 0.4:
            apply(store, put(rng.choice(roots), f"{rng.randrange(4)}.py", rng.choice(files)))
        elif action < 0.55:
            apply(store, DeleteFile(rng.choice(roots), f"{rng.randrange(4)}.py"))
        elif action < 0.75:
            first = [c.chunk for c in store.unembedded(rng.randrange(1, 9), NOTHING).chunks]
            apply(store, put_vectors(first))
        else:
            chunks = lacking(store)
            apply(store, put_strong(rng.sample(chunks, rng.randint(0, len(chunks)))))
        for root in (None, *roots):
            upgraded = stronger(store, root)
            if upgraded is not None:
                pools = upgraded.pools if root is None else [upgraded.roots[root].pool]
                for pool in pools:
                    for entry_id, entry in upgraded.pools[pool].entries.items():
                        for ordinal in range(entry.chunk_count):
                            vector = upgraded.pools[pool].vector(entry_id << 16 | ordinal)
                            assert vector is not None and vector.shape == (STRONG_DIM,)
    catch_up(store)
    assert stronger(store) is not None
