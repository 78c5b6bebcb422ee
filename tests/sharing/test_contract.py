"""Every shared store keeps vectors by hash, pools apart, and trees whole. `REGEND_PG_DSN` names a server to test, whose
database must be empty.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from regend.sharing.address import parse_address
from regend.sharing.base import HalfMatrix, SharedModel, SharedStore, Swept, TreeChange
from regend.sharing.registry import open_shared
from regend.types import ChunkId

DIM = 32
MODEL = SharedModel("tests-1", DIM)


def chunk_ids(*numbers: int) -> list[ChunkId]:
    return [ChunkId(number.to_bytes(16, "big")) for number in numbers]


def vectors(count: int, seed: int = 1, dim: int = DIM) -> HalfMatrix:
    """Unit vectors around a few centres, as real ones are."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(8, dim))
    found = centres[rng.integers(8, size=count)] + 0.6 * rng.normal(size=(count, dim))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float16)


def whole(chunks: list[ChunkId], tree: str = "one", base: str = "") -> TreeChange:
    return TreeChange(tree, base, uuid.uuid4().hex, frozenset(chunks))


@pytest.fixture(params=["sqlite", "postgresql", pytest.param("pooler", marks=pytest.mark.slow)])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SharedStore]:
    if request.param == "sqlite":
        url = f"sqlite://{tmp_path}/shared.db"
    elif request.param == "postgresql" and (named := os.environ.get("REGEND_PG_DSN")):
        url = named
    else:
        pytest.importorskip("asyncpg", reason="the package `asyncpg` is missing")
        server = request.getfixturevalue("postgres" if request.param == "postgresql" else "pooler")
        url = server.dsn(request.getfixturevalue("database"))
    opened = open_shared(parse_address(url))
    await opened.setup()
    yield opened
    await opened.close()


@pytest.fixture
def pool() -> str:
    """A pool of this test only, because a named server keeps those of others."""
    return f"example.org/{uuid.uuid4().hex}"


async def test_vectors_come_back_bit_by_bit(store: SharedStore, pool: str) -> None:
    chunks, stored = chunk_ids(*range(3, 50)), vectors(47)
    assert await store.put(pool, MODEL, chunks, stored) == 47
    found, fetched = await store.fetch(pool, MODEL, [*chunk_ids(1, 2), *reversed(chunks)])
    assert sorted(found) == chunks
    assert fetched.dtype == np.float16
    expected = dict(zip(chunks, stored, strict=True))
    assert all((row == expected[chunk]).all() for chunk, row in zip(found, fetched, strict=True))
    assert await store.known(pool, MODEL, [*chunk_ids(1, 2), *chunks]) == set(chunks)


async def test_nothing_is_known_of_what_nobody_put(store: SharedStore, pool: str) -> None:
    found, fetched = await store.fetch(pool, MODEL, chunk_ids(1))
    assert (found, fetched.shape) == ([], (0, DIM))
    assert await store.fetch(pool, MODEL, []) is not None
    assert await store.known(pool, MODEL, []) == set()
    assert await store.put(pool, MODEL, [], vectors(0)) == 0
    assert await store.nearest(pool, MODEL, np.ones(DIM, np.float32), 5, {"no such tree": ""}) == []
    assert await store.renew(pool, "no such tree") == ""


async def test_the_first_vector_of_a_chunk_stays(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(1, 2, 3)
    first, second = vectors(3, 1), vectors(3, 2)
    assert await store.put(pool, MODEL, chunks[:2], first[:2]) == 2
    assert await store.put(pool, MODEL, chunks, second) == 1
    found, fetched = await store.fetch(pool, MODEL, chunks)
    by_chunk = dict(zip(found, fetched, strict=True))
    assert (by_chunk[chunks[0]] == first[0]).all() and (by_chunk[chunks[2]] == second[2]).all()


async def test_pools_and_models_are_apart(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(1, 2)
    other = SharedModel("tests-2", 48)
    await store.put(pool, MODEL, chunks, vectors(2))
    assert await store.known(f"{pool}/other", MODEL, chunks) == set()
    assert await store.known(pool, other, chunks) == set()
    await store.put(pool, other, chunks[:1], vectors(1, dim=48))
    _, fetched = await store.fetch(pool, other, chunks)
    assert fetched.shape == (1, 48)
    await store.put(f"{pool}/other", MODEL, chunks, vectors(2, 9))
    _, fetched = await store.fetch(pool, MODEL, chunks)
    assert {row.tobytes() for row in fetched} == {row.tobytes() for row in vectors(2)}


async def test_nearest_is_exact_within_a_tree(store: SharedStore, pool: str) -> None:
    chunks, stored = chunk_ids(*range(300)), vectors(300)
    await store.put(pool, MODEL, chunks, stored)
    await store.commit_tree(pool, whole(chunks[::2]))
    await store.commit_tree(pool, whole(chunks[:10], "two"))
    asked = vectors(1, 5)[0].astype(np.float32)
    scores = stored.astype(np.float32) @ asked
    for tree, members in (("one", range(0, 300, 2)), ("two", range(10))):
        expected = sorted(members, key=lambda row: -scores[row])[:8]
        found = await store.nearest(pool, MODEL, asked, 8, {tree: ""})
        assert [near.chunk for near in found] == [chunks[row] for row in expected]
        assert np.allclose([near.score for near in found], scores[expected], atol=2e-3)


async def test_similarity_of_named_chunks(store: SharedStore, pool: str) -> None:
    chunks, stored = chunk_ids(*range(5)), vectors(5)
    await store.put(pool, MODEL, chunks, stored)
    asked = stored[3].astype(np.float32)
    found = await store.similarity(pool, MODEL, asked, [chunks[4], chunks[3], *chunk_ids(99)])
    assert found.keys() == {chunks[3], chunks[4]}
    assert found[chunks[3]] == pytest.approx(1.0, abs=2e-3)
    assert found[chunks[4]] == pytest.approx(float(stored[4].astype(np.float32) @ asked), abs=2e-3)


async def test_a_tree_changes_from_the_revision_it_has(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(*range(8))
    await store.put(pool, MODEL, chunks, vectors(8))
    first = whole(chunks[:4])
    assert (await store.commit_tree(pool, first)).done
    change = TreeChange("one", first.revision, "r2", frozenset(chunks[4:6]), frozenset(chunks[:1]))
    assert (await store.commit_tree(pool, change)).done
    assert await store.renew(pool, "one") == "r2"
    stale = TreeChange("one", first.revision, "r3", frozenset(chunks[7:]))
    assert not (await store.commit_tree(pool, stale)).done
    assert not (await store.commit_tree(pool, TreeChange("unknown", "r1", "r2"))).done
    assert (await store.commit_tree(pool, change)).done, "a repeat is harmless"
    found = await store.nearest(pool, MODEL, np.ones(DIM, np.float32), 20, {"one": ""})
    assert {near.chunk for near in found} == set(chunks[1:6])
    assert (await store.commit_tree(pool, whole(chunks[7:]))).done, "a whole tree needs no base"
    found = await store.nearest(pool, MODEL, np.ones(DIM, np.float32), 20, {"one": ""})
    assert [near.chunk for near in found] == chunks[7:]


async def test_a_tree_says_which_chunks_it_lacks(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(*range(4))
    await store.put(pool, MODEL, chunks[:2], vectors(2))
    change = whole(chunks)
    for _ in range(2):
        done = await store.commit_tree(pool, change)
        assert done.done and done.missing == set(chunks[2:])


async def test_a_sweep_removes_what_no_tree_names(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(*range(10))
    await store.put(pool, MODEL, chunks, vectors(10))
    await store.commit_tree(pool, whole(chunks[:4]))
    await store.commit_tree(pool, whole(chunks[2:6], "two"))
    assert await store.sweep(pool, grace_s=3600.0) == Swept(0, 0)
    assert await store.sweep(pool, grace_s=0.0) == Swept(0, 4)
    assert await store.known(pool, MODEL, chunks) == set(chunks[:6])
    # A file that one worktree deletes stays for the other.
    await store.commit_tree(pool, whole(chunks[:1]))
    assert await store.sweep(pool, grace_s=0.0) == Swept(0, 1)
    assert await store.known(pool, MODEL, chunks) == {chunks[0], *chunks[2:6]}
    # A chunk that was swept may come back, under the same hash.
    assert await store.put(pool, MODEL, chunks[8:], vectors(10)[8:]) == 2
    assert await store.known(pool, MODEL, chunks) == {chunks[0], *chunks[2:6], *chunks[8:]}
    found = await store.nearest(pool, MODEL, np.ones(DIM, np.float32), 20, {"two": ""})
    assert {near.chunk for near in found} == set(chunks[2:6])


async def test_trees_are_listed_with_their_chunks(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(*range(6))
    await store.put(pool, MODEL, chunks, vectors(6))
    changes = whole(chunks[:4]), whole(chunks[2:], "two")
    for change in changes:
        await store.commit_tree(pool, change, lease_s=600.0)
    await store.commit_tree(pool, whole(chunks, "ended"), lease_s=-1.0)
    trees = await store.trees(pool)
    assert [(known.tree, known.revision) for known in trees] == [(one.tree, one.revision) for one in changes]
    assert all(500.0 < known.lease_s <= 600.0 for known in trees)
    assert await store.tree_chunks(pool, "one") == set(chunks[:4])
    assert await store.tree_chunks(pool, "two") == set(chunks[2:])
    assert await store.tree_chunks(pool, "no such tree") == set()
    assert await store.trees(f"{pool}/other") == []


async def test_several_trees_are_searched_at_once(store: SharedStore, pool: str) -> None:
    chunks, stored = chunk_ids(*range(60)), vectors(60)
    await store.put(pool, MODEL, chunks, stored)
    await store.commit_tree(pool, whole(chunks[:20]))
    await store.commit_tree(pool, whole(chunks[10:40], "two"))
    found = await store.nearest(pool, MODEL, stored[50].astype(np.float32), 60, {"one": "", "two": "", "three": ""})
    assert sorted(near.chunk for near in found) == chunks[:40], "each chunk once"
    assert await store.nearest(pool, MODEL, stored[50].astype(np.float32), 60, {}) == []


async def test_a_tree_without_a_lease_no_longer_counts(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(*range(4))
    await store.put(pool, MODEL, chunks, vectors(4))
    await store.commit_tree(pool, whole(chunks), lease_s=-1.0)
    await store.commit_tree(pool, whole(chunks[:1], "two"))
    assert await store.sweep(pool, grace_s=0.0) == Swept(1, 3)
    assert await store.renew(pool, "one") == ""


async def test_a_lease_is_renewed(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(1)
    await store.put(pool, MODEL, chunks, vectors(1))
    change = whole(chunks)
    await store.commit_tree(pool, change, lease_s=-1.0)
    assert await store.renew(pool, "one", 60.0) == change.revision
    assert await store.sweep(pool, grace_s=0.0) == Swept(0, 0)


async def test_health_counts_by_pool(store: SharedStore, pool: str) -> None:
    await store.put(pool, MODEL, chunk_ids(1, 2, 3), vectors(3))
    await store.commit_tree(pool, whole(chunk_ids(1)))
    health = await store.health()
    (own,) = (one for one in health.pools if one.name == pool)
    assert (own.chunks, own.trees, own.vectors) == (3, 1, ((*MODEL, 3),))
    assert health.kind and health.schema == 1


async def test_pages_go_through_a_pool_in_order(store: SharedStore, pool: str) -> None:
    chunks = chunk_ids(*range(7))
    await store.put(pool, MODEL, chunks[::-1], vectors(7))
    await store.put(f"{pool}/other", MODEL, chunk_ids(100), vectors(1))
    found, after = list[ChunkId](), b""
    while page := await store.page(pool, MODEL, after, 3):
        assert len(page) <= 3
        found, after = found + page, page[-1]
    assert found == chunks


async def test_setup_is_harmless_to_repeat(store: SharedStore) -> None:
    assert not await store.setup()


async def test_many_rows_of_one_call(store: SharedStore, pool: str) -> None:
    """More than one statement's worth, some of it twice."""
    chunks, stored = chunk_ids(*range(6_000)), vectors(6_000)
    doubled = [*chunks, *chunks[:100]]
    assert await store.put(pool, MODEL, doubled, np.concatenate((stored, stored[:100]))) == 6_000
    assert len(await store.known(pool, MODEL, doubled)) == 6_000
    assert not (await store.commit_tree(pool, whole(chunks))).missing
    found, _ = await store.fetch(pool, MODEL, chunks)
    assert sorted(found) == chunks
