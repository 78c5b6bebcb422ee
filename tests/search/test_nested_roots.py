"""A file in nested roots is found once, as the innermost root has it, on the store in memory and on the real one."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

import pytest

from regend.search.engine import Engine
from regend.search.options import RelatedOptions, SearchOptions
from regend.search.query.filters import Filters
from regend.search.query.parse import parse_query
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

ENGINE = Engine(hashed_vector)
Found = list[tuple[str, str]]
IN_OUT = {("/out", "pkg/pear.py"), ("/out", "pkg/sub/plum.py"), ("/out", "pkg/only.py")}


def text_of(name: str) -> str:
    return f"def {name}(value):\n    return compute(value)\n"


def search(corpus: Corpus, query: str, **options: object) -> Found:
    outcome = ENGINE.search(corpus.snapshot, SearchOptions(parse_query(query), **options))  # type: ignore[arg-type]
    return [(result.root, result.path) for result in outcome.results]


def symbols(corpus: Corpus, name: str, **filters: str) -> Found:
    return [(r.root, r.path) for r in ENGINE.symbols(corpus.snapshot, name, 10, Filters(**filters)).results]


def related(corpus: Corpus, path: str, line: int, **options: object) -> Found:
    outcome = ENGINE.related(corpus.snapshot, RelatedOptions("", path, line, **options))  # type: ignore[arg-type]
    return [(result.root, result.path) for result in outcome.results]


@pytest.fixture(params=[1, 2], ids=["one pool", "two pools"])
def nested(corpus: Corpus, request: pytest.FixtureRequest) -> Corpus:
    """`/out` holds the root `/out/pkg`, which leaves out what it ignores; `/outer` only begins alike."""
    out, pkg = corpus.add_root("/out", 1), corpus.add_root("/out/pkg", request.param)
    beside = corpus.add_root("/outer", 3)
    corpus.put(out, "a.py", text_of("apple"))
    for root, folder in ((out, "pkg/"), (pkg, "")):
        corpus.put(root, f"{folder}pear.py", text_of("pear"))
        corpus.put(root, f"{folder}sub/plum.py", text_of("plum"))
    corpus.put(out, "pkg/only.py", text_of("only"))
    corpus.put(beside, "pkg/pear.py", text_of("quince"))
    return corpus


@pytest.mark.parametrize("options", [{}, {"budget": 2_000}, {"files": True}, {"k": 100}, {"context": 3}])
def test_each_file_is_found_once(nested: Corpus, options: dict[str, object]) -> None:
    found = search(nested, "compute value", **options)
    assert sorted(found) == [
        ("/out", "a.py"), ("/out", "pkg/only.py"), ("/out/pkg", "pear.py"), ("/out/pkg", "sub/plum.py"),
        ("/outer", "pkg/pear.py"),
    ]  # fmt: skip
    assert search(nested, "pear", **options)[0] == ("/out/pkg", "pear.py")
    assert search(nested, "sub/plum.py", **options)[0] == ("/out/pkg", "sub/plum.py")


def test_each_definition_is_found_once(nested: Corpus) -> None:
    assert symbols(nested, "plum") == [("/out/pkg", "sub/plum.py")]
    assert symbols(nested, "only") == [("/out", "pkg/only.py")]
    assert symbols(nested, "plum", root="/out") == [("/out", "pkg/sub/plum.py")]


@pytest.mark.parametrize("line", [0, 1])
def test_a_file_is_not_related_to_itself(nested: Corpus, line: int) -> None:
    found = related(nested, "/out/pkg/pear.py", line)
    assert len(found) == len(set(found))
    assert not {("/out", "pkg/pear.py"), ("/out/pkg", "pear.py"), ("/out", "pkg/sub/plum.py")} & set(found)
    assert ("/out/pkg", "sub/plum.py") in found


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"root": "/out"}, IN_OUT | {("/out", "a.py")}),
        ({"root": "/out/pkg"}, {("/out/pkg", "pear.py"), ("/out/pkg", "sub/plum.py")}),
        # The filter names the path that only the outer root knows.
        ({"path": "pkg/**"}, IN_OUT | {("/outer", "pkg/pear.py")}),
        ({"path": "sub/**"}, {("/out/pkg", "sub/plum.py")}),
        ({"path": "**/plum.py"}, {("/out/pkg", "sub/plum.py")}),
    ],
)  # fmt: skip
def test_filters_decide_which_roots_count(
    nested: Corpus, filters: dict[str, str], expected: set[tuple[str, str]]
) -> None:
    assert set(search(nested, "compute value", k=50, **filters)) == expected


@pytest.mark.parametrize("seed", range(8))
def test_any_nesting_shows_each_file_where_it_is_innermost(corpus: Corpus, seed: int) -> None:
    rng = random.Random(seed)
    folders = ["/a", "/a/b", "/a/b/c", "/a/d", "/a/b/c/e", "/z"]
    roots = {path: corpus.add_root(path, rng.choice([1, 2, number + 3])) for number, path in enumerate(folders)}
    shown: set[tuple[str, str]] = set()
    for number in range(20):
        file = PurePosixPath(rng.choice(folders)) / f"f{number}.py"
        holders = [path for path in folders if file.is_relative_to(path) and rng.random() < 0.7]
        for path in holders:
            corpus.put(roots[path], file.relative_to(path).as_posix(), text_of(f"name{number}"))
        if holders:
            innermost = max(holders, key=len)
            shown.add((innermost, file.relative_to(innermost).as_posix()))
    assert sorted(search(corpus, "compute value", k=100)) == sorted(shown), f"seed {seed}"
