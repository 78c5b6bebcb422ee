"""A slab finds what an exact scan finds, at any mix of base, delta and tombstones, and its views never change."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from regend.store.vectors import hnsw
from regend.store.vectors.exact import KeyRows, _differing, nearest, sifted, signs_of
from regend.store.vectors.slab import Slab, SlabView
from tests.store.samples import clustered

DIM = 32
COUNT = 3_000
VECTORS = clustered(COUNT, DIM, seed=1).astype(np.float16).astype(np.float32)
KEYS = np.arange(10, 10 + 7 * COUNT, 7, dtype=np.int64)
QUERIES = clustered(40, DIM, seed=1)[:20]


@pytest.fixture(autouse=True, params=[1 << 17, 1], ids=["by cosine", "by signs first"])
def sifted_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test runs with signs, too; so few rows are all left over, so that nothing may be missing."""
    monkeypatch.setattr("regend.store.vectors.slab.SIFTED_ROWS", request.param)


def exact(live: set[int], query: np.ndarray, limit: int) -> list[int]:
    mask = np.isin(KEYS, np.fromiter(live, np.int64, len(live)))
    scores = VECTORS[mask] @ query
    return KEYS[mask][np.lexsort((KEYS[mask], -scores))[:limit]].tolist()  # type: ignore[no-any-return]


def recall(view: SlabView, live: set[int], limit: int) -> float:
    hits = 0
    for query in QUERIES:
        keys, scores = view.search(query, limit)
        wanted = exact(live, query, limit)
        assert len(keys) == len(wanted) == len(set(keys.tolist()))
        assert set(keys.tolist()) <= live
        assert np.all(np.diff(scores) <= 0)
        assert np.allclose(scores, VECTORS[(keys - 10) // 7] @ query, atol=1e-5)
        hits += len(set(keys.tolist()) & set(wanted))
    return hits / (len(QUERIES) * limit)


def with_base(rows: int) -> Slab:
    slab = Slab(DIM)
    slab.add(KEYS, VECTORS)
    slab.install(hnsw.build(KEYS[:rows], VECTORS[:rows], threading.Event()))
    return slab


def test_without_a_base_it_is_exact() -> None:
    slab = Slab(DIM)
    slab.add(KEYS[:1000], VECTORS[:1000])
    slab.add(KEYS[1000:], VECTORS[1000:])
    assert recall(slab.view(), set(KEYS.tolist()), 20) == 1.0


@pytest.mark.parametrize("dead_share", [0.0, 0.3, 0.6])
def test_base_and_delta_with_tombstones(dead_share: float) -> None:
    slab = with_base(2_000)
    dead = set(KEYS[np.random.default_rng(2).random(COUNT) < dead_share].tolist())
    slab.kill(dead)
    live = set(KEYS.tolist()) - dead
    assert slab.view().live_count == len(live)
    assert recall(slab.view(), live, 20) > 0.98
    slab.revive(dead)
    assert recall(slab.view(), set(KEYS.tolist()), 20) > 0.98


def test_the_limit_is_clamped_to_what_is_live() -> None:
    slab = with_base(2_000)
    slab.kill(KEYS[5:].tolist())
    keys, _ = slab.view().search(QUERIES[0], 1000)
    assert sorted(keys.tolist()) == KEYS[:5].tolist()
    slab.kill(KEYS[:5].tolist())
    assert slab.view().search(QUERIES[0], 10)[0].tolist() == []
    assert Slab(DIM).view().search(QUERIES[0], 10)[0].tolist() == []


def test_search_among_is_exact_and_ignores_dead_and_unknown_keys() -> None:
    slab = with_base(2_000)
    slab.kill(KEYS[::2].tolist())
    among = np.concatenate((KEYS[1_900:2_100], [3, 4]))
    live = set(KEYS[1_901:2_100:2].tolist())
    for query in QUERIES:
        assert slab.view().search_among(query, among, 15)[0].tolist() == exact(live, query, 15)


def test_views_stay_as_they_were() -> None:
    slab = with_base(2_000)
    slab.kill(KEYS[:100].tolist())
    view = slab.view()
    before = [view.search(query, 50)[0].tolist() for query in QUERIES]
    rows = {key: view.vector(key) for key in KEYS[:200].tolist()}
    slab.revive(KEYS[:50].tolist())
    slab.kill(KEYS[500:2_500].tolist())
    slab.add(np.arange(10**6, 10**6 + 5_000, dtype=np.int64), clustered(5_000, DIM, seed=3))
    slab.compact()
    slab.install(None)
    assert [view.search(query, 50)[0].tolist() for query in QUERIES] == before
    for key, row in rows.items():
        now = view.vector(key)
        assert (row is None) == (now is None)
        assert row is None or now is None or np.array_equal(row, now)
    assert view.vector(10**6) is None


def test_compacting_keeps_what_is_live() -> None:
    slab = with_base(1_000)
    dead = set(KEYS[500:2_500].tolist())
    slab.kill(dead)
    slab.compact()
    view = slab.view()
    assert view.dead_count == 0
    assert recall(view, set(KEYS.tolist()) - dead, 20) > 0.98
    # A dead row of the base is still there to be revived; one of the delta must be added again.
    assert int(KEYS[600]) in slab
    assert int(KEYS[2_000]) not in slab


def test_an_extended_base_finds_old_and_new_rows(tmp_path: object) -> None:
    from pathlib import Path

    directory = Path(str(tmp_path))
    base = hnsw.build(KEYS[:2_000], VECTORS[:2_000], threading.Event())
    hnsw.save(base, directory, "base", "m", 1)
    _, _, file = hnsw.load(directory, "base", "m", DIM)
    larger = hnsw.extend(base, file, KEYS[2_000:], VECTORS[2_000:], threading.Event())
    slab = Slab(DIM)
    slab.add(KEYS, VECTORS)
    slab.install(larger)
    assert slab.view().count == 0
    assert recall(slab.view(), set(KEYS.tolist()), 20) > 0.98


def test_a_stopped_build_says_so() -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(hnsw.BuildStoppedError):
        hnsw.build(KEYS, VECTORS, stop)


def test_rows_of_keys_in_any_order() -> None:
    rng = np.random.default_rng(4)
    keys = rng.permutation(20_000).astype(np.int64) * 3
    known, first = KeyRows(), 0
    views: list[tuple[int, KeyRows]] = []
    while first < len(keys):
        last = min(len(keys), first + int(rng.integers(1, 3_000)))
        known = known.with_rows(keys[first:last], first)
        first = last
        views.append((first, known))
    rows = np.arange(len(keys))
    for count, view in views:
        assert np.array_equal(view.find(keys[:count]), rows[:count])
        assert [view.row(int(key)) for key in keys[:count:997]] == list(range(0, count, 997))
        assert np.all(view.find(keys[:50] + 1) == -1) and view.row(1) == -1
    assert KeyRows().find(keys[:3]).tolist() == [-1, -1, -1]


@pytest.mark.parametrize("limit", [1, 20, 2_999, 3_000, 5_000])
@pytest.mark.parametrize("without", [False, True])
def test_exact_search_skips_rows(limit: int, without: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if without:
        monkeypatch.setattr("regend.store.vectors.exact._HAS_SIMSIMD", False)
    halves = VECTORS.astype(np.float16)
    skip = np.arange(0, COUNT, 3)
    for query in QUERIES[:5]:
        rows, scores = nearest(halves, query, limit, skip)
        wanted = np.setdiff1d(np.argsort(-(VECTORS @ query), kind="stable"), skip, assume_unique=True)
        best = np.sort((VECTORS @ query)[wanted])[::-1][:limit]
        assert len(rows) == len(set(rows.tolist())) == len(best) and not np.isin(rows, skip).any()
        np.testing.assert_allclose(np.sort(scores)[::-1], best, atol=1e-5)
    assert len(nearest(halves[:3], QUERIES[0], limit, np.arange(3))[0]) == 0


@pytest.mark.parametrize("dim", [1, 63, 64, 65, 250, 256, 384, 1_000])
def test_signs_differ_where_they_do(dim: int) -> None:
    rows = np.random.default_rng(dim).standard_normal((300, dim)).astype(np.float16)
    for count in (0, 1, 300):
        found = _differing(signs_of(rows[:count]), signs_of(rows[7:8]))
        assert found.tolist() == ((rows[:count] < 0) != (rows[7] < 0)).sum(1).tolist()


@pytest.mark.parametrize("dim", [250, 256])
def test_a_tenth_by_signs_has_most_of_the_nearest(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.vectors.exact._SIFTED", 1_800)
    rows = clustered(20_000, dim, seed=5).astype(np.float16)
    signs = signs_of(rows)
    found = 0
    for query in clustered(40, dim, seed=5)[:20]:
        numbers = sifted(signs, query, 100)
        assert 1_000 < len(numbers) < 4_000 and np.all(np.diff(numbers) > 0)
        found += len(np.intersect1d(numbers, nearest(rows, query, 100, np.empty(0, np.int64))[0]))
    assert found > 0.7 * 20 * 100, "by chance 0.1"


def test_where_signs_leave_too_few_all_rows_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.vectors.exact._SIFTED", 50)
    slab, query = Slab(DIM), QUERIES[0]
    slab.add(KEYS, VECTORS)
    slab.kill(KEYS[np.argsort(-(VECTORS @ query))[:2_900]].tolist())
    left = slab.view().live_keys()
    assert sorted(slab.view().search(query, 100)[0].tolist()) == sorted(left.tolist())


def test_among_many_keys_signs_sift_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.vectors.exact._SIFTED", 600)
    slab = Slab(DIM)
    slab.add(KEYS, VECTORS)
    slab.kill(KEYS[::5].tolist())
    among = KEYS[::2]
    live = set(among.tolist()) - set(KEYS[::5].tolist())
    found = 0
    for query in QUERIES:
        keys, scores = slab.view().search_among(query, among, 15)
        assert set(keys.tolist()) <= live and len(keys) == 15
        assert np.allclose(scores, VECTORS[(keys - 10) // 7] @ query, atol=1e-5)
        found += len(set(keys.tolist()) & set(exact(live, query, 15)))
    assert found > 0.7 * 20 * 15
