"""Questions are read as annotated, and means are means of repositories, of categories and of languages."""

import json
from pathlib import Path

import pytest

from benchmarks.annotations import by_category, by_language, load, overall, table
from benchmarks.metrics import Target, Worth

FILE = [
    {
        "name": "one", "language": "go", "root": "", "queries": [
            {"query": "q1", "relevant": ["a.go"], "secondary": [], "category": "symbol"},
            {"query": "q2", "relevant": ["b.go"], "secondary": ["c.go"], "category": "semantic"},
        ],
    },
    {
        "name": "two", "language": "go", "root": "src", "queries": [
            {"query": "q3", "relevant": [{"path": "src/d.go", "start_line": 3, "end_line": 9}], "secondary": [],
             "category": "symbol"},
        ],
    },
]  # fmt: skip
GOOD, BAD = Worth(1.0, 1.0, 1.0), Worth(0.0, 0.0, 0.0)


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    (tmp_path / "checkouts" / "one").mkdir(parents=True)
    (tmp_path / "checkouts" / "two" / "src").mkdir(parents=True)
    (tmp_path / "questions.json").write_text(json.dumps(FILE))
    return tmp_path / "questions.json", tmp_path / "checkouts"


def test_loading(place: tuple[Path, Path]) -> None:
    one, two = load(*place)
    assert one.questions[1].targets == (Target("b.go"), Target("c.go"))
    assert two.questions[0].targets == (Target("src/d.go", 3, 9),)
    assert (one.full_path("a.go"), two.full_path("d.go")) == ("a.go", "src/d.go")
    assert two.directory == place[1] / "two" / "src"
    assert [r.name for r in load(*place, only=["two"])] == ["two"]


def test_what_is_not_there_is_named(place: tuple[Path, Path]) -> None:
    with pytest.raises(SystemExit, match="no repository three; it has one, two"):
        load(*place, only=["three"])
    (place[1] / "two" / "src").rmdir()
    (place[1] / "one").rmdir()
    with pytest.raises(SystemExit, match=r"one is not a folder; check out one there.\n.*/two/src is not a folder"):
        load(*place)


QUERY = {"query": "q", "relevant": ["a.go"], "secondary": [], "category": "symbol"}


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({}, "holds no list of repositories"),
        ([], "holds no list of repositories"),
        (["one"], "repository 1: 'one' is no object; it needs `name`, `language`, `queries`"),
        ([{"language": "go", "queries": [QUERY]}], "repository 1: `name` is missing; it is a string"),
        ([{"name": "one", "language": "go", "root": 3, "queries": [QUERY]}], "`root` is 3; it must be a string"),
        ([{"name": "one", "language": "go", "queries": []}], r"repository 1 \(one\): `queries` is empty"),
        ([{"name": "one", "language": "go", "queries": [QUERY]}] * 2, "repository 2: 'one' was there before"),
        ([{"name": "one", "language": "go", "queries": [QUERY, {**QUERY, "category": None}]}],
         r"repository 1 \(one\), query 2: `category` is None; it must be a string"),
        ([{"name": "one", "language": "go", "queries": [{**QUERY, "relevant": "a.go"}]}],
         "query 1: `relevant` is 'a.go'; it must be a list"),
        ([{"name": "one", "language": "go", "queries": [{**QUERY, "relevant": []}]}], "query 1: it asks for nothing"),
        ([{"name": "one", "language": "go", "queries": [{**QUERY, "query": " "}]}], "query 1: it asks for nothing"),
        ([{"name": "one", "language": "go", "queries": [{**QUERY, "secondary": [{"path": "a.go", "start_line": 1}]}]}],
         "query 1, target: `end_line` is missing; it is a number"),
        ([{"name": "one", "language": "go", "queries": [{**QUERY, "secondary": [7]}]}], "target: 7 is no object"),
    ],
)  # fmt: skip
def test_malformed_questions_are_named_by_place(place: tuple[Path, Path], entries: object, message: str) -> None:
    place[0].write_text(json.dumps(entries))
    with pytest.raises(SystemExit, match=message):
        load(*place)


def test_means_of_groups(place: tuple[Path, Path]) -> None:
    repositories = load(*place)
    answers = {"one": [GOOD, BAD], "two": [GOOD]}
    assert overall(answers).ndcg == 0.75
    assert {k: v.ndcg for k, v in by_category(repositories, answers).items()} == {"semantic": 0.0, "symbol": 1.0}
    assert {k: v.ndcg for k, v in by_language(repositories, answers).items()} == {"go": 0.75}


def test_table() -> None:
    head, row = table("t", ["x", "long column"], [("r", [0.5, 1.0])]).splitlines()
    assert head.split() == ["t", "x", "long", "column"]
    assert row.split() == ["r", "0.500", "1.000"]
    assert len(head) == len(row)
