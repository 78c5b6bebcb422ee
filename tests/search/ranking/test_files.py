"""File-level search: each file once, by its best chunk and by what it is about as a whole."""

import pytest

from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.ranking.files import FILE_VECTOR
from regend.search.results.outcome import SearchOutcome
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

ENGINE = Engine(hashed_vector)


def ask(corpus: Corpus, query: str, **options: object) -> SearchOutcome:
    return ENGINE.search(corpus.snapshot, SearchOptions(parse_query(query), files=True, **options))  # type: ignore[arg-type]


def test_each_file_comes_once(project: Corpus) -> None:
    found = [result.path for result in ask(project, "job queue", k=50).results]
    assert set(found) >= {"src/jobs/queue.py", "src/jobs/retry.py", "tests/test_queue.py", "README.md"}
    assert len(found) == len(set(found))


def test_a_file_is_shown_by_its_best_chunk(project: Corpus) -> None:
    first = ask(project, "JobQueue.pop").results[0]
    assert (first.path, first.symbol) == ("src/jobs/queue.py", "JobQueue.pop")


def test_a_file_about_the_topic_goes_before_one_that_mentions_it(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    mention = "def parse_header(line):\n    return cache_entry(line)\n"
    other = "\n\n".join(f"def unrelated_{n}(socket, port):\n    return socket.listen(port, {n})" for n in range(6))
    topic = "\n\n".join(f"def helper_{n}(line):\n    return cache_entry(line, {n})" for n in range(6))
    project.put(root, "a/x1.py", f"{mention}\n{other}\n")
    project.put(root, "b/x2.py", f"{mention}\n{topic}\n")
    assert ask(project, "parse header cache entry").results[0].path == "b/x2.py"


@pytest.mark.parametrize("query", ["job queue", "JobQueue", "where are jobs retried"])
def test_explained_contributions_add_up(project: Corpus, query: str) -> None:
    outcome = ask(project, query, explain=True)
    assert outcome.results
    for result in outcome.results:
        assert sum(share.contribution for share in result.explain) == pytest.approx(result.score, abs=1e-9)
        assert result.explain[-1].name == FILE_VECTOR
    scores = [result.score for result in outcome.results]
    assert scores == sorted(scores, reverse=True)


def test_pages_of_files_fit_together(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.fill(root, [(f"m{n:02}.py", f"def job_{n}():\n    return queue\n", "python") for n in range(30)])
    pages: list[str] = []
    offset: int | None = 0
    while offset is not None:
        outcome = ask(project, "job queue", k=6, offset=offset)
        pages += [result.path for result in outcome.results]
        offset = outcome.next_offset
    assert len(pages) == len(set(pages))
    assert len(pages) >= 30


def call(n: int, i: int) -> str:
    arguments = "".join(f", p{j}" for j in range((7 * i + n) % 50))
    return f"def widget_{n}_{i}(widget):\n    return widget.frobnicate(widget, {i}{arguments})"


@pytest.mark.parametrize("k", [5, 10, 20])
def test_a_few_long_files_do_not_hide_the_others(project: Corpus, k: int) -> None:
    root = next(iter(project.snapshot.roots))
    filler = "".join(f"    value_{i} = one * {i} + two - three / four\n" for i in range(40))
    mention = f"def other(one, two, three, four):\n{filler}    # a widget, which we frobnicate\n    return one\n"
    project.fill(root, [(f"f/long_{n}.py", "\n\n".join(call(n, i) for i in range(50)), "python") for n in range(3)])
    project.fill(root, [(f"t/mention_{n:02}.py", f"{mention}    # {n}\n", "python") for n in range(25)])
    outcome = ask(project, "frobnicate widget", k=k)
    assert len(outcome.results) == k
    assert outcome.next_offset == k
