"""A misspelling is one edit of an identifier or of the longest word, the same in every run."""

import random

import pytest

from benchmarks.misspelling import edited, misspelt


def distance(one: str, other: str) -> int:
    """Edits between two words, neighbours changed with each other counting as one."""
    rows = [list(range(len(other) + 1))]
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(other, 1):
            cost = min(rows[-1][j] + 1, row[j - 1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


@pytest.mark.parametrize(
    ("text", "changed"),
    [
        ("how retries are limited", {"retries"}),
        ("where parseHeader calls read_line twice", {"parseHeader", "read_line"}),
        ("JsonConvert", {"JsonConvert"}),
        ("to be or", set()),
    ],
)
def test_which_words_change(text: str, changed: set[str]) -> None:
    for seed in range(50):
        pairs = list(zip(text.split(), misspelt(text, seed).split(), strict=True))
        assert {old for old, new in pairs if old != new} == changed, f"seed {seed}"
        assert all(distance(old, new) <= 1 for old, new in pairs), f"seed {seed}"


def test_the_same_in_every_run() -> None:
    assert misspelt("parse the configuration") == misspelt("parse the configuration")
    assert len({misspelt("parse the configuration", seed) for seed in range(20)}) > 5


def test_every_kind_of_edit() -> None:
    rng = random.Random(3)
    lengths = {len(edited("abcdef", rng)) for _ in range(100)}
    assert lengths == {5, 6, 7}
