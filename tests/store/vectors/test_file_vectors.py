"""Vectors of whole files are remembered within bounds, and made while no query waits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from regend.store.store import Store, open_store
from regend.store.vectors.file_vectors import FileVectors
from tests.store.samples import DIM, MODEL, apply, chunked, put, put_vectors

FILES = [chunked([f"word{n}x{c} body" for c in range(1 + n % 3)]) for n in range(30)]


def vector(value: float) -> np.ndarray:
    return np.full(4, value, np.float32)


def test_the_oldest_go_first_once_the_bytes_are_used_up() -> None:
    cache = FileVectors(capacity_bytes=3 * 16)
    for blob_key in range(3):
        assert not cache.full
        cache.put(blob_key, vector(blob_key))
    assert cache.full
    cache.put(1, vector(9.0))
    assert 0 in cache, "one that is known takes no more room"
    cache.put(3, vector(3.0))
    assert [blob_key in cache for blob_key in range(4)] == [False, True, True, True]
    found = cache.get(1)
    assert found is not None and found[0] == 9.0
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1.0


def filled(store: Store) -> None:
    record = store.add_root("/src/a", "/src/a", "")
    pending = apply(store, *(put(record.root, f"f{n}.py", file) for n, file in enumerate(FILES)))
    apply(store, put_vectors(pending))


def blob_keys(store: Store) -> list[int]:
    (pool,) = store.reads.snapshot.pools.values()
    return [key for key in map(pool.blob_key, pool.entries) if key is not None]


def test_an_idle_store_makes_them_and_they_are_those_that_a_query_would_get(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regend.store.upkeep._WARM_IDLE_S", 0.0)
    monkeypatch.setattr("regend.store.upkeep._WARM_SLICE_S", 0.0)
    with open_store(tmp_path / "state", MODEL) as store:
        filled(store)
        keys = blob_keys(store)
        known = store.reads.snapshot.file_vectors
        store.maintain(idle=False)
        assert not any(key in known for key in keys), "who waits for an answer is not held up"
        for made in range(1, len(keys) + 1):
            store.maintain(idle=True)
            assert sum(key in known for key in keys) == made, "a slice of no length makes one"
        by_path = {entry.path: entry for pool in store.reads.snapshot.pools.values() for entry in pool.entries.values()}
        warm = {path: store.reads.snapshot.file_vector(entry) for path, entry in by_path.items()}
    with open_store(tmp_path / "state", MODEL) as store:
        by_path = {entry.path: entry for pool in store.reads.snapshot.pools.values() for entry in pool.entries.values()}
        for path, entry in by_path.items():
            asked, made_before = store.reads.snapshot.file_vector(entry), warm[path]
            assert asked is not None and made_before is not None
            np.testing.assert_array_equal(asked, made_before)


def test_no_more_are_made_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.upkeep._WARM_IDLE_S", 0.0)
    with open_store(tmp_path / "state", MODEL) as store:
        store.reads.snapshot.file_vectors._capacity_bytes = 10 * DIM * 4
        filled(store)
        for _ in range(3):
            store.maintain(idle=True)
        assert sum(key in store.reads.snapshot.file_vectors for key in blob_keys(store)) == 10
