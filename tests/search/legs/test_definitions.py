"""The main definition of a name comes first, and a key of a data file is none where code has one."""

from __future__ import annotations

import random

import pytest

from regend.search.engine import Engine
from regend.search.legs.legs import find_definitions
from regend.search.legs.scope import ScopeResolver
from regend.search.options import SearchOptions
from regend.search.query.filters import Filters
from regend.search.query.parse import parse_query
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

BODY = "class Router:\n    def add(self, route):\n        self.routes.append(route)\n        return self"
DECLARATION = "class Router:\n    pass"


def first(corpus: Corpus, query: str) -> str:
    return Engine(hashed_vector).search(corpus.snapshot, SearchOptions(parse_query(query))).results[0].path


def defining(corpus: Corpus, name: str) -> list[str]:
    scope = ScopeResolver().resolve(corpus.snapshot, Filters())
    entries = [scope.entry(view.entry_id) for view in find_definitions(corpus.snapshot, scope, (name,)).views]
    return [entry.path for entry in entries if entry is not None]


@pytest.mark.parametrize("seed", range(3))
def test_the_main_definition_is_first(corpus: Corpus, seed: int) -> None:
    files = [
        ("src/web/routing/core.py", f"{BODY}  # main"),
        ("src/legacy/router.py", f"{BODY}  # old"),
        ("tests/router.py", f"{BODY}  # test"),
        ("vendor/router.py", f"{BODY}  # vendored"),
        ("src/router_pb2.py", f"{BODY}  # generated"),
        ("router.pyi", f"{BODY}  # stub"),
        ("src/fwd.py", f"{DECLARATION}  # forward"),
    ]
    random.Random(seed).shuffle(files)
    corpus.fill(corpus.add_root("/repo"), [(path, text, "python") for path, text in files])
    assert defining(corpus, "Router")[:2] == ["src/web/routing/core.py", "src/fwd.py"]
    assert first(corpus, "Router") == "src/web/routing/core.py"


@pytest.mark.parametrize("count", [1, 80])
def test_a_key_of_data_defines_nothing_that_code_defines(corpus: Corpus, count: int) -> None:
    """Also where there are more keys than definitions that are looked at."""
    root = corpus.add_root("/repo")
    corpus.fill(root, [(f"a/{n}.json", f"class Router: {n}", "json") for n in range(count)])
    assert len(defining(corpus, "Router")) == min(count, 64), "where there is nothing else, a key is a definition"
    corpus.fill(root, [("z/routing.py", BODY, "python")])
    assert defining(corpus, "Router") == ["z/routing.py"]
    assert first(corpus, "Router") == "z/routing.py"


def test_a_lone_definition_keeps_its_grade_whatever_its_place(corpus: Corpus) -> None:
    corpus.fill(corpus.add_root("/repo"), [("tests/fwd.py", DECLARATION, "python")])
    scope = ScopeResolver().resolve(corpus.snapshot, Filters())
    assert set(find_definitions(corpus.snapshot, scope, ("Router",)).grades.values()) == {1.0}


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("valid?", "valid"), ("save!", "save"), ("name=", "name"), ("reload:", "reload"),
        ("observe:of:change:", "observe"),
        ("valid?", "Model.valid"), ("observe:of:", "Model.observe"), ("valid", "valid"), ("observe:of:", "observe:of:"),
    ],
)  # fmt: skip
def test_the_ending_of_a_name_need_not_be_typed(corpus: Corpus, name: str, asked: str) -> None:
    uses = [(f"use{n}.py", f"def f{n}(model):\n    return model.{name} + observe + valid", "python") for n in range(20)]
    corpus.fill(
        corpus.add_root("/repo"), [("model.py", f"class Model:\n    def {name}(self):\n        pass", "python"), *uses]
    )
    assert defining(corpus, asked) == ["model.py"]
    assert first(corpus, asked) == "model.py"


def test_a_name_without_an_ending_comes_before_one_with_it(corpus: Corpus) -> None:
    root = corpus.add_root("/repo")
    corpus.fill(root, [("a.py", "def valid?(x):\n    pass", "python"), ("b.py", "def valid(x):\n    pass", "python")])
    assert defining(corpus, "valid") == ["b.py"]
    assert defining(corpus, "validate") == []


@pytest.mark.parametrize("query", ["Retry Limits", "retry limits", "RETRY LIMITS"])
def test_a_heading_is_found_first_in_any_case(corpus: Corpus, query: str) -> None:
    """A name of code is another one in another case."""
    page = "# Guide\n\nWorkers.\n\n## Retry Limits\n\nThey may be set."
    code = "def retry_limits(limit):\n    # retry limits: the limits of each retry\n    return limit"
    files = [("docs/guide.md", page, "markdown"), *((f"src/limits{n}.py", code, "python") for n in range(4))]
    corpus.fill(corpus.add_root("/repo"), files)
    assert first(corpus, query) == "docs/guide.md"
