"""Symbols by name, chunks like another, and outlines, on the store in memory and on the real one."""

import pytest

from regend.errors import PathError
from regend.search.engine import Engine
from regend.search.errors import FilterError, QueryError
from regend.search.filters import Filters
from regend.search.lookups import distinctive_terms
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

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


def test_symbol_results_show_their_lines(project: Corpus) -> None:
    first = ENGINE.symbols(project.snapshot, "RetryPolicy").results[0]
    assert first.snippet.startswith("class RetryPolicy:")
    assert (first.start_line, first.snippet_line, first.kind, first.root) == (1, 1, "class", "/r/app")


def test_bad_symbol_requests(project: Corpus) -> None:
    with pytest.raises(QueryError):
        ENGINE.symbols(project.snapshot, "  ")
    with pytest.raises(FilterError):
        ENGINE.symbols(project.snapshot, "run", 0)
    assert names(project, "nosuchname") == []


def test_related_leaves_the_chunk_itself_out(project: Corpus) -> None:
    outcome = ENGINE.related(project.snapshot, "/r/app", "src/jobs/queue.py", 12)
    places = [(result.path, result.symbol) for result in outcome.results]
    assert ("src/jobs/queue.py", "JobQueue.pop") not in places
    assert places
    assert outcome.notes == ()


def test_related_finds_the_copy(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    text = 'def next_delay(attempt):\n    """Seconds to wait before the attempt; doubled each time."""\n'
    project.put(root, "src/copy.py", text)
    outcome = ENGINE.related(project.snapshot, "", "/r/app/src/jobs/retry.py", 5, 3)
    assert outcome.results[0].path == "src/copy.py"


def test_related_by_words_where_there_is_no_vector(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "src/late.py", "def late(job):\n    queue.push(job)\n", vectors=False)
    outcome = ENGINE.related(project.snapshot, "/r/app", "src/late.py", 1)
    assert {"src/jobs/queue.py", "tests/test_queue.py"} & {r.path for r in outcome.results}
    assert "words only" in outcome.notes[0]


def test_related_between_worktrees_leaves_the_same_chunk_out(corpus: Corpus) -> None:
    one, two = corpus.add_root("/w/one"), corpus.add_root("/w/two")
    corpus.put(one, "a.py", "def shared():\n    return compute()\n")
    corpus.put(two, "a.py", "def shared():\n    return compute()\n\ndef more():\n    return compute()\n")
    outcome = ENGINE.related(corpus.snapshot, "/w/one", "a.py", 1)
    assert [(r.root, r.symbol) for r in outcome.results] == [("/w/two", "more")]


def test_related_is_filtered(project: Corpus) -> None:
    outcome = ENGINE.related(project.snapshot, "/r/app", "src/jobs/queue.py", 7, 10, Filters(path="tests/**"))
    assert {result.path for result in outcome.results} == {"tests/test_queue.py"}


def test_bad_related_requests(project: Corpus) -> None:
    with pytest.raises(PathError, match=r"why"):
        ENGINE.related(project.snapshot, "/r/app", "src/none.py", 1)
    with pytest.raises(FilterError, match="Line 0"):
        ENGINE.related(project.snapshot, "/r/app", "src/jobs/queue.py", 0)


def test_outline(project: Corpus) -> None:
    outline = ENGINE.outline(project.snapshot, "", "src/jobs/retry.py")
    assert (outline.root, outline.path, outline.language) == ("/r/app", "src/jobs/retry.py", "python")
    assert [(d.symbol, d.depth) for d in outline.definitions] == [
        ("RetryPolicy", 0),
        ("RetryPolicy.next_delay", 1),
        ("run", 0),
    ]
    with pytest.raises(PathError):
        ENGINE.outline(project.snapshot, "", "src/none.py")


def test_distinctive_terms_prefer_long_names_over_common_words() -> None:
    terms = distinctive_terms("def run(self):\n    return self.parseTokenStream(self.parseTokenStream)\n")
    assert terms[0] == "parsetokenstream"
    assert "return" not in terms
    assert distinctive_terms("") == ()
