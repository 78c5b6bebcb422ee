"""Vectors that no tree uses are a cache: bounded in size, least recently used out first, and what is in use stays."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from regend.core.commands import DeleteFile
from regend.embedding.base import ModelInfo
from regend.store.base import GarbageLimits
from regend.store.store import Store, open_store
from regend.types import ChunkedFile, RootId, Track
from tests.store.samples import DIM, MODEL, apply, chunked, put, put_vectors
from tests.store.vectors.test_upgrade import STRONG, catch_up

FILES = [chunked([f"word{n}x{c} body" for c in range(10)]) for n in range(4)]
TEXT_BYTES = sum(len(f"{c.symbol}\n{c.text}") for c in FILES[0].chunks)
FILE_BYTES = TEXT_BYTES + 10 * 2 * DIM


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Wall time of the catalog, which only the test moves."""
    now = [time.time()]
    monkeypatch.setattr("regend.store.catalog.writer.time.time", lambda: now[0])
    return now


def collect(store: Store) -> None:
    for _ in range(5):
        store._upkeep._garbage_at = time.monotonic() - 1e6
        store.maintain(idle=True)


def fill(store: Store, root: RootId, files: list[ChunkedFile]) -> None:
    for file in files:
        apply(store, put_vectors(apply(store, put(root, f"f{FILES.index(file)}.py", file))))


def pending_after_return(store: Store, root: RootId, file: ChunkedFile) -> int:
    return len(apply(store, put(root, "returned.py", file)))


@pytest.mark.parametrize(
    ("files_kept", "expected"), [(0, [10, 10, 10]), (1, [10, 10, 0]), (2, [10, 0, 0]), (3, [0, 0, 0])]
)
def test_the_least_recently_used_go_first(
    tmp_path: Path, clock: list[float], files_kept: int, expected: list[int]
) -> None:
    limits = GarbageLimits(max_unused_bytes=files_kept * FILE_BYTES, min_age_s=-1)
    with open_store(tmp_path, MODEL, limits) as store:
        root = store.add_root("/r", "/r", "").root
        fill(store, root, FILES[:3])
        for n in range(3):
            apply(store, DeleteFile(root, f"f{n}.py"))
            clock[0] += 1
        collect(store)
        assert [pending_after_return(store, root, file) for file in FILES[:3]] == expected


def test_being_used_again_makes_it_recent(tmp_path: Path, clock: list[float]) -> None:
    limits = GarbageLimits(max_unused_bytes=FILE_BYTES, min_age_s=-1)
    with open_store(tmp_path, MODEL, limits) as store:
        root = store.add_root("/r", "/r", "").root
        fill(store, root, FILES[:2])
        for n in (0, 1):
            apply(store, DeleteFile(root, f"f{n}.py"))
            clock[0] += 1
        apply(store, put(root, "f0.py", FILES[0], known=True))
        apply(store, DeleteFile(root, "f0.py"))
        collect(store)
        assert [pending_after_return(store, root, file) for file in FILES[:2]] == [0, 10]


def test_what_a_tree_uses_is_neither_counted_nor_taken(tmp_path: Path, clock: list[float]) -> None:
    with open_store(tmp_path, MODEL, GarbageLimits(max_unused_bytes=0, min_age_s=-1)) as store:
        root = store.add_root("/r", "/r", "").root
        fill(store, root, FILES)
        apply(store, put(root, "copy.py", FILES[0]), DeleteFile(root, "f0.py"))
        collect(store)
        assert store.reads.snapshot.complete and pending_after_return(store, root, FILES[0]) == 0


def test_both_models_count(tmp_path: Path, clock: list[float]) -> None:
    limits = GarbageLimits(max_unused_bytes=FILE_BYTES + 100, min_age_s=-1)
    with open_store(tmp_path, MODEL, limits) as store:
        root = store.add_root("/r", "/r", "").root
        store.offer_track(STRONG, None)
        fill(store, root, FILES[:1])
        catch_up(store)
        apply(store, DeleteFile(root, "f0.py"))
        collect(store)
        assert pending_after_return(store, root, FILES[0]) == 10, "with the stronger vectors it is too much"


def test_vectors_of_models_out_of_use_go_before_those_of_files(tmp_path: Path, clock: list[float]) -> None:
    limits = GarbageLimits(max_unused_bytes=FILE_BYTES + 10, min_age_s=-1)
    with open_store(tmp_path, MODEL, limits) as store:
        root = store.add_root("/r", "/r", "").root
        fill(store, root, FILES[:2])
    clock[0] += 1
    other = ModelInfo("test-model-2", DIM, local=True, note="for tests")
    with open_store(tmp_path, other, limits) as store:
        apply(store, put_vectors([c.chunk_id for file in FILES[:2] for c in file.chunks]))
        apply(store, DeleteFile(root, "f1.py"))
        collect(store)
        assert pending_after_return(store, root, FILES[1]) == 0
    with open_store(tmp_path, MODEL, limits) as store:
        assert not store.reads.snapshot.complete, "its vectors are gone"


def test_a_model_that_comes_back_in_time_finds_its_vectors(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        fill(store, root, FILES)
    with open_store(tmp_path, ModelInfo("test-model-2", DIM, local=True, note="for tests")) as store:
        assert not store.reads.snapshot.complete
        collect(store)
    with open_store(tmp_path, MODEL) as store:
        assert store.reads.snapshot.complete


def serve_both(store: Store, clock: list[float]) -> None:
    """Embed the files with both models, and go on for longer than unused vectors are kept."""
    fill(store, store.add_root("/r", "/r", "").root, FILES)
    store.offer_track(STRONG, None)
    catch_up(store)
    clock[0] += 2 * GarbageLimits().max_age_s
    collect(store)


def has_strong_vectors(store: Store) -> bool:
    store.offer_track(STRONG, None)
    return not store.unembedded(1, frozenset(), Track(1)).chunks


def test_vectors_of_a_configured_model_wait_for_its_server(tmp_path: Path, clock: list[float]) -> None:
    limits = GarbageLimits(max_unused_bytes=0, min_age_s=-1)
    with open_store(tmp_path, MODEL, limits) as store:
        serve_both(store, clock)
    with open_store(tmp_path, MODEL, limits) as store:
        store.await_tracks(2)
        clock[0] += 2 * limits.max_age_s
        collect(store)
        assert has_strong_vectors(store), "nothing is embedded again"
    with open_store(tmp_path, MODEL, limits) as store:
        collect(store)
        assert not has_strong_vectors(store), "no server is configured"


def test_a_model_ages_from_the_end_of_its_use(tmp_path: Path, clock: list[float]) -> None:
    with open_store(tmp_path, MODEL) as store:
        serve_both(store, clock)
    with open_store(tmp_path, MODEL) as store:
        clock[0] += 0.9 * GarbageLimits().max_age_s
        collect(store)
        assert has_strong_vectors(store)
