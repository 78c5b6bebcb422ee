"""A budget of tokens holds the best passages, each file once, and is never exceeded."""

from itertools import pairwise

import pytest

from regend.chunking.tokens import estimate_tokens
from regend.search.engine import Engine
from regend.search.errors import FilterError
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchOutcome, SearchResult
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

ENGINE = Engine(hashed_vector)


def ask(corpus: Corpus, query: str, **options: object) -> SearchOutcome:
    return ENGINE.search(corpus.snapshot, SearchOptions(parse_query(query), **options))  # type: ignore[arg-type]


def cost(result: SearchResult) -> int:
    passages = [(result.start_line, result.end_line, result.symbol, result.snippet)]
    passages += [(p.start_line, p.end_line, p.symbol, p.snippet) for p in result.also]
    return sum(estimate_tokens(f"{result.path}:{a}-{b} {symbol}\n{text}") for a, b, symbol, text in passages)


def large(project: Corpus) -> None:
    """Thirty files of three chunks with sixty lines about queues each."""
    root = next(iter(project.snapshot.roots))
    bodies = [
        "\n\n".join(
            f"def queue_{file}_{part}(job):\n" + "\n".join(f"    queue.push(job, {part}, {line})" for line in range(60))
            for part in range(3)
        )
        for file in range(30)
    ]
    project.fill(root, [(f"lib/queue_{n:02}.py", body, "python") for n, body in enumerate(bodies)])


@pytest.mark.parametrize("budget", [50, 120, 500, 2_000, 20_000])
@pytest.mark.parametrize("query", ["push a job to the queue", "JobQueue", "job queue.py"])
def test_the_budget_is_kept_and_each_file_comes_once(project: Corpus, query: str, budget: int) -> None:
    large(project)
    outcome = ask(project, query, k=1_000, budget=budget)
    assert outcome.results
    assert sum(map(cost, outcome.results)) == outcome.tokens <= budget
    places = [(result.root, result.path) for result in outcome.results]
    assert len(places) == len(set(places))


def test_a_larger_budget_has_more_files_first_and_then_more_of_each(project: Corpus) -> None:
    large(project)
    counts = [len(ask(project, "queue", k=1_000, budget=budget).results) for budget in (200, 1_000, 5_000)]
    assert counts == sorted(set(counts))
    few = ask(project, "queue", k=3, budget=5_000)
    assert len(few.results) == 3
    assert few.tokens > 2_500
    assert any(result.also for result in few.results)


def test_passages_of_a_file_do_not_overlap_and_are_in_order(project: Corpus) -> None:
    large(project)
    outcome = ask(project, "queue push job", k=4, budget=8_000)
    for result in outcome.results:
        spans = [(p.start_line, p.end_line) for p in result.also]
        assert spans == sorted(spans)
        spans = sorted([*spans, (result.start_line, result.end_line)])
        assert all(last < first for (_, last), (first, _) in pairwise(spans))


def test_the_first_results_come_in_the_usual_order(project: Corpus) -> None:
    large(project)
    usual = list(dict.fromkeys(result.path for result in ask(project, "JobQueue push").results))
    packed = [result.path for result in ask(project, "JobQueue push", k=1_000, budget=2_000).results]
    assert packed[:3] == usual[:3]


def test_passages_are_lines_of_their_file(project: Corpus) -> None:
    large(project)
    (pool,) = project.snapshot.pools.values()
    for result in ask(project, "queue push", k=50, budget=1_500).results:
        entry = next(e for e in pool.entries.values() if e.path == result.path)
        lines: dict[int, str] = {}
        for view in project.snapshot.chunks([entry.entry_id << 16 | n for n in range(20)]):
            lines.update(enumerate(view.text.split("\n"), view.start_line))
        shown = result.snippet.split("\n")
        assert shown == [lines[result.snippet_line + n] for n in range(len(shown))]


def test_a_definition_is_shown_from_its_first_line(project: Corpus) -> None:
    large(project)
    first = ask(project, "queue_7_1", budget=100).results[0]
    assert first.snippet.startswith("def queue_7_1(job):")


def test_nothing_that_fits_is_said(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "wide.py", "def widest(" + ", ".join(f"argument_{n}" for n in range(400)) + "):\n    pass\n")
    outcome = ask(project, "widest path:wide.py", budget=50)
    assert outcome.results == ()
    assert "50 tokens" in outcome.notes[0]


@pytest.mark.parametrize("options", [{"budget": 49}, {"budget": 500, "context": 3},
                                     {"budget": 500, "offset": 10}])  # fmt: skip
def test_what_does_not_go_together_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(FilterError, match="budget"):
        SearchOptions(parse_query("x"), **options)  # type: ignore[arg-type]
