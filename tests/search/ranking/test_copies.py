"""A text is shown once, whatever the number of files that hold it, with the other places named."""

from __future__ import annotations

import random

import pytest

from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.overlay import overlaid
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchOutcome, SearchResult
from regend.search.results.presentation import MAX_COPIES
from regend.store.base import Snapshot
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector
from tests.search.test_overlay import overlay

RETRY = 'def parse_retry(value):\n    """Parse the retry-after header into seconds."""\n    return int(value)\n'
REAL = "def wait_for(response):\n    # How long to wait is in the retry-after header.\n    return wait(response)\n"
QUERIES = ["how long to wait retry-after header", "parse_retry", "retry header", '"retry-after header"']


def ask(snapshot: Snapshot, query: str, **options: object) -> SearchOutcome:
    return Engine(hashed_vector).search(snapshot, SearchOptions(parse_query(query), **options))  # type: ignore[arg-type]


def places(result: SearchResult) -> set[str]:
    return {result.path, *(copy.path for copy in result.copies)}


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("count", [2, 10, 40])
@pytest.mark.parametrize("options", [{}, {"files": True}, {"budget": 600}])
def test_copies_of_a_file_are_one_result(corpus: Corpus, query: str, count: int, options: dict[str, object]) -> None:
    root = corpus.add_root("/repo")
    corpus.fill(root, [(f"p{n:03}/retry.py", RETRY, "python") for n in range(count)])
    corpus.fill(root, [("src/real.py", REAL, "python"), ("src/other.py", "def other():\n    pass\n", "python")])
    outcome = ask(corpus.snapshot, query, k=10, **options)
    copied = [result for result in outcome.results if result.path.endswith("/retry.py")]
    assert [(result.path, result.copy_count) for result in copied] == [("p000/retry.py", count - 1)]
    assert 0 < len(copied[0].copies) <= min(MAX_COPIES, count - 1)
    assert all((copy.root, copy.start_line, copy.end_line) == ("/repo", 1, 3) for copy in copied[0].copies)
    if query != "parse_retry":
        assert "src/real.py" in {result.path for result in outcome.results}


@pytest.mark.parametrize("seed", range(3))
def test_every_text_comes_once_on_all_pages(corpus: Corpus, seed: int) -> None:
    rng = random.Random(seed)
    root = corpus.add_root("/repo")
    texts = [f"def handle_{n}(queue):\n    return queue.worker({n})" for n in range(16)]
    files = {f"d{n % 7}/f{n}.py": "\n\n".join(rng.sample(texts, rng.randint(1, 8))) for n in range(24)}
    order = list(files)
    rng.shuffle(order)
    corpus.fill(root, [(path, files[path], "python") for path in order])
    found: dict[int, list[tuple[str, str]]] = {}
    for k in (3, 10, 60):
        offset: int | None = 0
        found[k] = []
        while offset is not None:
            outcome = ask(corpus.snapshot, "handle queue worker", k=k, offset=offset)
            for result in outcome.results:
                holding = [path for path, text in files.items() if result.snippet in text.split("\n\n")]
                assert result.copy_count == len(holding) - 1, (seed, result)
                assert result.path == min(holding, key=lambda path: (len(path), path)), (seed, result)
                assert places(result) <= set(holding)
                found[k].append((result.path, result.snippet))
            offset = outcome.next_offset
    held = {text for text in texts if any(text in file.split("\n\n") for file in files.values())}
    assert sorted(text for _, text in found[60]) == sorted(held), seed
    assert found[3] == found[10] == found[60], seed


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("src/long/path/to/retry.py", "v/vendor/retry.py"),
        ("src/long/path/to/retry.py", "tests/retry.py"),
        ("src/long/path/to/retry.py", "x/legacy/retry.py"),
        ("src/long/path/to/retry.py", "retry_pb2.py"),
        ("src/retry.py", "lib/core/retry.py"),
        ("old/retry.py", "vendor/retry.py"),
    ],
)
@pytest.mark.parametrize("turned", [False, True])
def test_source_and_the_shortest_path_stand_for_the_others(
    corpus: Corpus, first: str, second: str, turned: bool
) -> None:
    paths = [second, first] if turned else [first, second]
    corpus.fill(corpus.add_root("/repo"), [(path, RETRY, "python") for path in paths])
    for query in (QUERIES[0], "parse_retry"):
        (result,) = ask(corpus.snapshot, query).results
        assert result.path == first and [copy.path for copy in result.copies] == [second]


def test_the_copy_that_is_asked_for_stands_for_the_others(corpus: Corpus) -> None:
    root = corpus.add_root("/repo")
    corpus.fill(root, [(path, RETRY, "python") for path in ("src/retry.py", "vendor/lib/retry.py")])
    for query in ("retry header path:vendor/**", "vendor/lib/retry.py", "vendored retry header"):
        result = ask(corpus.snapshot, query).results[0]
        assert result.path == "vendor/lib/retry.py", query
    assert ask(corpus.snapshot, "retry header path:vendor/**").results[0].copy_count == 0


def test_a_definition_of_any_copy_counts(corpus: Corpus) -> None:
    """More copies than definitions that are looked up."""
    root = corpus.add_root("/repo")
    corpus.fill(root, [(f"p{n:03}/deep/retry.py", RETRY, "python") for n in range(80)])
    corpus.fill(root, [("x/retry.py", RETRY, "python")])
    uses = "# parse_retry: " + "parse_retry(value) " * 8
    corpus.fill(root, [(f"src/u{n}.py", f"{uses}{n}", "python") for n in range(20)])
    assert ask(corpus.snapshot, "parse_retry").results[0].path == "x/retry.py"


def test_roots_that_are_copies_are_named(corpus: Corpus) -> None:
    for number in (1, 2):
        corpus.fill(corpus.add_root(f"/repo{number}", pool=number), [("retry.py", RETRY, "python")])
    (result,) = ask(corpus.snapshot, "retry header").results
    assert (result.root, [copy.root for copy in result.copies]) == ("/repo1", ["/repo2"])


def test_worktrees_count_once(corpus: Corpus) -> None:
    roots = [corpus.add_root(path) for path in ("/main", "/tree")]
    for number, root in enumerate(roots):
        corpus.fill(root, [("retry.py", f"{RETRY}\n\nversion = {number}\n", "python")])
    result = ask(corpus.snapshot, "retry header").results[0]
    assert (result.path, result.copy_count) == ("retry.py", 0)


def test_an_unsaved_copy_counts_as_if_it_were_saved(corpus: Corpus) -> None:
    root = corpus.add_root("/repo")
    corpus.fill(root, [("src/retry.py", RETRY, "python")])
    laid = overlaid(corpus.snapshot, [overlay(root, "a.py", RETRY)])
    (result,) = ask(laid, "retry header").results
    assert (result.path, result.unsaved, [copy.path for copy in result.copies]) == ("a.py", True, ["src/retry.py"])
    hidden = overlaid(corpus.snapshot, [overlay(root, "src/retry.py", "def x():\n    pass\n")])
    assert all(result.copy_count == 0 for result in ask(hidden, "retry header").results)
