"""Symbols by name, chunks like another, and outlines, on the store in memory and on the real one."""

import pytest

from regend.errors import PathError
from regend.search.engine import Engine
from regend.search.errors import FilterError, QueryError
from regend.search.lookups import SIGNS
from regend.search.overlay import overlaid
from regend.search.query.filters import Filters
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector
from tests.search.test_overlay import overlay

ENGINE = Engine(hashed_vector)


def names(corpus: Corpus, name: str, k: int = 10, **filters: str) -> list[tuple[str, str]]:
    outcome = ENGINE.symbols(corpus.snapshot, name, k, Filters(**filters))
    return [(result.path, result.symbol) for result in outcome.results]


@pytest.mark.parametrize("name", ["JobQueue.pop", "JobQueue::pop", "JobQueue#pop()", "pop", " pop "])
def test_a_definition_by_name(project: Corpus, name: str) -> None:
    assert names(project, name)[0] == ("src/jobs/queue.py", "JobQueue.pop")


def test_exact_before_case_before_prefix(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "src/z.py", "def Run():\n    pass\n\ndef runner():\n    pass\n")
    assert names(project, "run") == [("src/jobs/retry.py", "run"), ("src/z.py", "Run"), ("src/z.py", "runner")]


SIGNED = [
    "str->int", "->Thing", "::spec", "insertObject:atIndex:", "#hidden", "<:>", ".:", ".btn-primary", "ns::lib",
    *(f"{sign}match" for sign in SIGNS),
]  # fmt: skip


@pytest.mark.parametrize("unsaved", [False, True])
def test_signs_that_belong_to_a_name(corpus: Corpus, unsaved: bool) -> None:
    """A definition is found by its name as the outline shows it, by how that begins, and without the first sign."""
    root = corpus.add_root("/r/app")
    source = "class K:\n" + "".join(f"    def {name}(x)\n\n" for name in SIGNED)
    source += "".join(f"def {name}(x)\n\n" for name in SIGNED)
    if not unsaved:
        corpus.put(root, "a.py", source)
    snapshot = overlaid(corpus.snapshot, [overlay(root, "a.py", source)] if unsaved else [])

    def found(name: str) -> list[str]:
        return [result.symbol for result in ENGINE.symbols(snapshot, name, 100).results]

    for name in SIGNED:
        assert {name, f"K.{name}"} <= set(found(name)[:6]), name
        assert name in found(f"{name}()")[:6], name
        assert f"K.{name}" in found(f"K.{name}")[:3], name
        assert name in found(name[:-1]), name
    for sign in SIGNS:
        assert {f"{sign}match", f"K.{sign}match"} <= set(found("match")), sign
        assert f"K.{sign}match" in found("K.match"), sign


def test_a_name_without_signs_comes_before_those_with_one(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "src/a.py", "def #run(x)\n\ndef Run(x)\n")
    assert [symbol for _, symbol in names(project, "run")] == ["run", "#run", "Run"]
    assert [symbol for _, symbol in names(project, "run", 1)] == ["run"]


def test_tests_come_last_among_equals(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "aaa/test_x.py", "def run():\n    pass\n")
    assert [path for path, _ in names(project, "run")] == ["src/jobs/retry.py", "aaa/test_x.py"]


def test_symbols_are_filtered_before_they_are_counted(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.fill(root, [(f"other/m{i}.py", f"def thing():\n    return {i}\n", "python") for i in range(12)])
    project.put(root, "zone/last.py", "def thing():\n    return 99\n")
    assert names(project, "thing", 1, path="zone/**") == [("zone/last.py", "thing")]
    assert len(names(project, "thing", 5)) == 5


def test_symbols_of_a_kind_are_found_behind_any_number_of_others(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.fill(root, [(f"other/m{i}.py", f"def Thing():\n    return {i}\n", "python") for i in range(60)])
    project.put(root, "zone/last.py", "class Thing:\n    pass\n")
    for kind in ("class", "Class", "trait,class"):
        found = ENGINE.symbols(project.snapshot, "thing", 2, kinds=kind.split(","))
        assert [(r.path, r.kind) for r in found.results] == [("zone/last.py", "class")], kind
    assert len(ENGINE.symbols(project.snapshot, "thing", 5, kinds=["fn"]).results) == 5
    with pytest.raises(FilterError, match="No kind is called 'klass'; there are block, class"):
        ENGINE.symbols(project.snapshot, "thing", kinds=["klass"])


def test_no_number_of_namespaces_hides_the_class_of_their_name(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    spaces = [(f"other/m{i}.py", f"namespace Mailer:\n\ndef f{i}():\n    pass\n", "python") for i in range(20)]
    project.fill(root, spaces)
    project.put(root, "zone/last.py", "class Mailer:\n    pass\n")
    assert names(project, "Mailer", 1) == [("zone/last.py", "Mailer")]
    assert len(names(project, "Mailer", 30)) == 21


def test_symbol_results_show_their_lines(project: Corpus) -> None:
    first = ENGINE.symbols(project.snapshot, "RetryPolicy").results[0]
    assert first.snippet.startswith("class RetryPolicy:")
    assert (first.start_line, first.snippet_line, first.kind, first.root) == (1, 1, "class", "/r/app")


def test_bad_symbol_requests(project: Corpus) -> None:
    with pytest.raises(QueryError):
        ENGINE.symbols(project.snapshot, "  ")
    assert names(project, "nosuchname") == []


def test_outline(project: Corpus) -> None:
    outline = ENGINE.outline(project.snapshot, "", "src/jobs/retry.py")
    assert (outline.root, outline.path, outline.language) == ("/r/app", "src/jobs/retry.py", "python")
    assert [d.symbol for d in outline.definitions] == ["RetryPolicy", "RetryPolicy.next_delay", "run"]
    with pytest.raises(PathError):
        ENGINE.outline(project.snapshot, "", "src/none.py")
