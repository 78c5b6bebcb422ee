"""The metrics, against cases worked out by hand."""

import math

import pytest

from benchmarks.metrics import WHOLE_FILE, Found, Target, Worth, best_rank, hits, mean_worth, ndcg, same_file, worth

SECOND, THIRD = 1 / math.log2(3), 1 / math.log2(4)


def chunk(path: str, first: int = 1, last: int = 10) -> Found:
    return Found(path, first, last)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("src/a.py", "src/a.py", True),
        ("a.py", "src/a.py", True),
        ("src/a.py", "a.py", True),
        ("xa.py", "a.py", False),
        ("src/a.py", "lib/a.py", False),
    ],
)
def test_paths_meet_at_a_folders_border(one: str, other: str, expected: bool) -> None:
    assert same_file(one, other) is expected


@pytest.mark.parametrize(
    ("first", "last", "expected"), [(1, 9, False), (1, 10, True), (15, 16, True), (20, 30, True), (21, 30, False)]
)
def test_lines_must_overlap_where_the_target_names_some(first: int, last: int, expected: bool) -> None:
    assert hits(chunk("a.py", first, last), Target("a.py", 10, 20)) is expected
    assert hits(chunk("a.py", first, last), Target("a.py"))
    assert hits(Found("a.py", 1, WHOLE_FILE), Target("a.py", 10, 20))


def test_a_target_counts_at_its_best_rank() -> None:
    results = [chunk("x"), chunk("a.py", 1, 5), chunk("a.py", 6, 9), chunk("b.py")]
    assert best_rank(results, Target("a.py")) == 2
    assert best_rank(results, Target("a.py", 7, 7)) == 3
    assert best_rank(results, Target("c.py")) == 0


@pytest.mark.parametrize(
    ("ranks", "count", "expected"),
    [
        ([1], 1, 1.0),
        ([2], 1, SECOND),
        ([0], 1, 0.0),
        ([11], 1, 0.0),
        ([1, 2], 2, 1.0),
        ([2, 1], 2, 1.0),
        ([1, 0], 2, 1 / (1 + SECOND)),
        ([2, 3], 2, (SECOND + THIRD) / (1 + SECOND)),
        ([1, 2, 3], 3, 1.0),
        (list(range(1, 11)), 12, 1.0),
    ],
)
def test_ndcg(ranks: list[int], count: int, expected: float) -> None:
    assert ndcg(ranks, count) == pytest.approx(expected)


def test_a_second_chunk_of_a_file_takes_a_place() -> None:
    results = [chunk("a.py", 1, 5), chunk("a.py", 6, 9), chunk("b.py")]
    targets = (Target("a.py"), Target("b.py"))
    assert worth(results, targets) == pytest.approx(Worth((1 + THIRD) / (1 + SECOND), 1.0, 1.0))
    assert worth([results[0], results[2]], targets) == pytest.approx(Worth(1.0, 1.0, 1.0))


def test_what_lies_beyond_the_page_is_worth_nothing() -> None:
    results = [chunk(f"{n}.py") for n in range(10)] + [chunk("a.py")]
    assert worth(results, (Target("a.py"),)) == Worth(0.0, 0.0, 0.0)
    assert worth(results, (Target("a.py"), Target("9.py"))) == pytest.approx(
        Worth(1 / math.log2(11) / (1 + SECOND), 0.1, 0.5)
    )


def test_means() -> None:
    assert mean_worth([]) == Worth(0.0, 0.0, 0.0)
    assert mean_worth([Worth(1.0, 0.5, 0.0), Worth(0.0, 0.5, 1.0)]) == Worth(0.5, 0.5, 0.5)
