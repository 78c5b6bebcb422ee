"""Figures: medians with their spread, ratios to ours, and JSON that reads back as it was written."""

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.figures import Figure, Rounds, Section, as_json, from_json, number, table

SECTION = Section(
    "index",
    {"tree": "t", "files": 12_000},
    [
        Figure("to complete", "s", (3.0, 1.0, 2.0)),
        Figure("to complete", "s", (4.0,), "semble"),
        Figure("a query", "ms", (5.25,), "parse only"),
    ],
)


def test_a_row_has_the_median_its_spread_and_the_ratio_of_each_other_program() -> None:
    assert table(SECTION).splitlines() == [
        "| what | unit | regend | semble | parse only |",
        "| --- | --- | --- | --- | --- |",
        "| to complete | s | 2 (1–3) | 4; 2.00 × |  |",
        "| a query | ms |  |  | 5.25 |",
    ]


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=9))
def test_json_reads_back_as_the_same_table(values: list[float]) -> None:
    rounds = Rounds()
    for value in values:
        rounds.add("to complete", "s", value)
    section = Section("index", {"tree": "t"}, rounds.figures(), ["semble is not installed"])
    again = from_json("index", as_json(section))
    assert table(again) == table(from_json("index", as_json(again)))
    assert len(again.figures[0].values) == len(values)
    assert again.remarks == ["semble is not installed"]


def test_numbers_keep_three_digits_that_mean_something() -> None:
    given_values = {0.0: "0", 0.01234: "0.0123", 1.5: "1.5", 12.34: "12.3", 2.0: "2", 1234.5: "1,234"}
    assert {value: number(value) for value in given_values} == given_values
