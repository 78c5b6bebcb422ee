"""One query from text to results, on the store in memory and on the real one."""

import threading

import pytest

from regend.errors import ProviderUnavailableError, RootError
from regend.search.engine import Engine
from regend.search.errors import QueryError
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchResult
from tests.search.conftest import QUEUE, Corpus
from tests.search.memory import hashed_vector

ENGINE = Engine(hashed_vector)
STAGES = {
    "scope", "spelling", "embed", "symbols", "legs", "shortlist", "hydrate", "rank", "snippets",
}  # fmt: skip


def search(corpus: Corpus, query: str, **options: object) -> list[SearchResult]:
    return list(ENGINE.search(corpus.snapshot, SearchOptions(parse_query(query), **options)).results)  # type: ignore[arg-type]


def paths(results: list[SearchResult]) -> list[str]:
    return [result.path for result in results]


@pytest.mark.parametrize(
    ("query", "path", "symbol"),
    [
        ("JobQueue", "src/jobs/queue.py", "JobQueue"),
        ("jobqueue", "src/jobs/queue.py", "JobQueue"),
        ("JobQueue.pop", "src/jobs/queue.py", "JobQueue.pop"),
        ("JobQueue::pop", "src/jobs/queue.py", "JobQueue.pop"),
        ("run", "src/jobs/retry.py", "run"),
        ("test_push", "tests/test_queue.py", "test_push"),
        ("exponential backoff for failed jobs", "src/jobs/retry.py", "RetryPolicy"),
        ("how does JobQueue take the oldest job", "src/jobs/queue.py", "JobQueue"),
        ('"doubled each time"', "src/jobs/retry.py", "RetryPolicy.next_delay"),
        ("tests of the empty queue", "tests/test_queue.py", "test_pop_of_empty_queue"),
        ("where do we listen on an address in go", "server/serve.go", ""),
    ],
)
def test_finds_first(project: Corpus, query: str, path: str, symbol: str) -> None:
    first = search(project, query)[0]
    assert (first.path, first.symbol) == (path, symbol)


@pytest.mark.parametrize("query", ["src/jobs/retry.py", "retry.py", "jobs/retry.py", "what is in retry.py"])
def test_a_named_file_comes_first(project: Corpus, query: str) -> None:
    assert search(project, query)[0].path == "src/jobs/retry.py"


def test_a_named_line_finds_its_chunk(project: Corpus) -> None:
    first = search(project, "src/jobs/queue.py:13")[0]
    assert (first.path, first.symbol) == ("src/jobs/queue.py", "JobQueue.pop")


def test_results_carry_what_the_contract_names(project: Corpus) -> None:
    outcome = ENGINE.search(project.snapshot, SearchOptions(parse_query("JobQueue.push")))
    first = outcome.results[0]
    assert (first.root, first.language, first.kind) == ("/r/app", "python", "function")
    assert (first.start_line, first.end_line, first.snippet_line) == (7, 10, 7)
    assert first.snippet.startswith("    def push(self, job):")
    assert outcome.generation == project.snapshot.generation
    assert set(outcome.stage_ms) == STAGES


def test_results_say_which_line_is_best_and_which_words_to_mark(project: Corpus) -> None:
    outcome = ENGINE.search(project.snapshot, SearchOptions(parse_query("pushes of a jobb"), lines=1))
    assert {"pushes", "push", "pushing", "job", "jobs"} <= set(outcome.words)
    assert "jobb" not in outcome.words
    for result in outcome.results:
        assert (result.line, "\n" in result.snippet) == (result.snippet_line, False)
    wide = ENGINE.search(project.snapshot, SearchOptions(parse_query("pushes of a jobb"))).results
    assert [result.line for result in wide] == [result.line for result in outcome.results]


def test_shares_add_up_to_the_score(project: Corpus) -> None:
    for query in ("JobQueue", "push a job to the queue", "src/jobs/retry.py", '"a job" run'):
        for result in search(project, query, explain=True):
            assert sum(share.contribution for share in result.explain) == pytest.approx(result.score, abs=1e-9)
            assert all(s.contribution == s.weight * s.value and abs(s.value) <= 1.0 + 1e-9 for s in result.explain)


def test_no_shares_unless_asked_for(project: Corpus) -> None:
    assert search(project, "JobQueue")[0].explain == ()


def test_equal_inputs_equal_order_and_k_only_cuts(project: Corpus) -> None:
    everything = search(project, "job queue worker", k=1_000)
    assert search(project, "job queue worker", k=1_000) == everything
    assert [r.score for r in everything] == sorted((r.score for r in everything), reverse=True)
    assert search(project, "job queue worker", k=2) == everything[:2]


def test_one_file_does_not_fill_the_page(corpus: Corpus) -> None:
    root = corpus.add_root("/r/app")
    body = "\n".join(f"def render_{i}():\n    template = load_template({i})\n" for i in range(20))
    corpus.put(root, "render.py", body)
    corpus.put(root, "other.py", "def show():\n    return load_template(99)\n")
    assert "other.py" in paths(search(corpus, "load_template", k=3))


def test_filters(project: Corpus) -> None:
    assert set(paths(search(project, "job", path="src/**"))) == {"src/jobs/queue.py", "src/jobs/retry.py"}
    assert set(paths(search(project, "job", path="*.md"))) == {"README.md"}
    assert set(paths(search(project, "job", lang="md"))) == {"README.md"}
    assert set(paths(search(project, "listen", lang="go"))) == {"server/serve.go"}
    for lang in ("md,go", "go,md,", ",Markdown,go", "go,go,md"):
        assert paths(search(project, "listen job", lang=lang)) == paths(search(project, f"listen job lang:{lang}"))
    assert set(paths(search(project, "job", root="/r/app", lang="python", path="tests"))) == {"tests/test_queue.py"}


def test_filters_keep_definitions_out_too(project: Corpus) -> None:
    assert "src/jobs/queue.py" not in paths(search(project, "JobQueue", path="tests/**"))


def test_a_filter_that_nothing_matches_says_so(project: Corpus) -> None:
    outcome = ENGINE.search(project.snapshot, SearchOptions(parse_query("job"), lang="rust"))
    assert outcome.results == ()
    assert "lang 'rust'" in outcome.notes[0]


def test_filters_follow_new_generations(project: Corpus) -> None:
    assert search(project, "freshly", path="src/**")[0].path.startswith("src/")
    project.put(next(iter(project.snapshot.roots)), "src/new.py", "def freshly():\n    return 1\n")
    assert search(project, "freshly", path="src/**")[0].path == "src/new.py"


def test_an_empty_index_answers(corpus: Corpus) -> None:
    outcome = ENGINE.search(corpus.snapshot, SearchOptions(parse_query("anything")))
    assert outcome.results == ()
    assert "regenctl add" in outcome.notes[0]
    corpus.add_root("/r/empty")
    assert ENGINE.search(corpus.snapshot, SearchOptions(parse_query("anything"))).results == ()


def test_worktrees_give_one_result_per_entry(corpus: Corpus) -> None:
    for name in ("b", "a"):
        corpus.put(corpus.add_root(f"/r/{name}"), "queue.py", QUEUE_LINES)
    results = search(corpus, "JobQueue")
    assert [(r.root, r.path) for r in results] == [("/r/a", "queue.py")]
    assert [r.root for r in search(corpus, "JobQueue", root="/r/b")] == ["/r/b"]
    assert [r.root for r in search(corpus, "JobQueue", root="b")] == ["/r/b"]


def test_a_chunk_that_two_versions_of_a_file_share_comes_once(corpus: Corpus) -> None:
    corpus.put(corpus.add_root("/r/a"), "queue.py", QUEUE_LINES)
    corpus.put(corpus.add_root("/r/b"), "queue.py", QUEUE_LINES + "\ndef added():\n    pass\n")
    assert [r.symbol for r in search(corpus, "JobQueue")].count("JobQueue") == 1


def test_pools_are_searched_together(corpus: Corpus) -> None:
    corpus.put(corpus.add_root("/r/a", pool=1), "a.py", "def alpha():\n    return shared_thing()\n")
    corpus.put(corpus.add_root("/r/b", pool=2), "b.py", "def shared_thing():\n    return 1\n")
    assert [(r.root, r.path) for r in search(corpus, "shared_thing")] == [("/r/b", "b.py"), ("/r/a", "a.py")]
    assert [r.root for r in search(corpus, "shared_thing", root="/r/a")] == ["/r/a"]


def test_words_alone_before_vectors_come(corpus: Corpus) -> None:
    corpus.put(corpus.add_root("/r/a"), "a.py", QUEUE_LINES, vectors=False)
    assert search(corpus, "jobs waiting")[0].path == "a.py"


def test_meaning_alone_finds_what_words_do_not(project: Corpus) -> None:
    # The caller's vector points at the Go file, whose words the query does not share.
    vector = hashed_vector("func Serve(addr string) error {\n\treturn listen(addr)\n}")
    outcome = ENGINE.search(project.snapshot, SearchOptions(parse_query("networking entrance")), vector)
    assert outcome.results[0].path == "server/serve.go"


def test_a_failing_model_leaves_words(project: Corpus) -> None:
    def fail(_: str) -> object:
        raise ProviderUnavailableError("The model is away; try again later.")

    outcome = Engine(fail).search(project.snapshot, SearchOptions(parse_query("jobs waiting for a worker")))  # type: ignore[arg-type]
    assert outcome.results[0].path == "src/jobs/queue.py"
    assert outcome.notes == ("Searched by words only: The model is away; try again later.",)


@pytest.mark.parametrize(
    "query", ["how is it", "the", ".*", "a|b[c", "JobQueue(", "ünïcode Straße", "\x00job", "🎉 job"]
)
def test_odd_queries_are_answered_or_refused(project: Corpus, query: str) -> None:
    try:
        outcome = ENGINE.search(project.snapshot, SearchOptions(parse_query(query)))
    except QueryError as error:
        assert "give a name" in str(error)
    else:
        assert len(outcome.results) <= 10


def test_a_pasted_page_is_cut_and_says_so(project: Corpus) -> None:
    outcome = ENGINE.search(project.snapshot, SearchOptions(parse_query(QUEUE_LINES * 200)))
    assert outcome.results[0].path == "src/jobs/queue.py"
    assert "beginning" in outcome.notes[0]


def test_unknown_root_names_the_known_ones(project: Corpus) -> None:
    with pytest.raises(RootError, match="/r/app"):
        search(project, "job", root="/nowhere")


def test_context_widens_the_snippet_beyond_the_chunk(project: Corpus) -> None:
    narrow = search(project, "JobQueue.push")[0]
    wide = search(project, "JobQueue.push", context=2)[0]
    assert wide.snippet_line == narrow.snippet_line - 2
    assert narrow.snippet in wide.snippet
    assert (wide.start_line, wide.end_line) == (narrow.start_line, narrow.end_line)
    assert wide.snippet.split("\n") == QUEUE_FILE_LINES[wide.snippet_line - 1 :][: wide.snippet.count("\n") + 1]


def test_threads_share_an_engine(project: Corpus) -> None:
    expected = search(project, "job queue", path="src/**")
    found: list[list[SearchResult]] = []
    threads = [
        threading.Thread(target=lambda: found.extend(search(project, "job queue", path="src/**") for _ in range(20)))  # type: ignore[misc]
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(found) == 80
    assert all(results == expected for results in found)


QUEUE_FILE_LINES = QUEUE.split("\n")
QUEUE_LINES = 'class JobQueue:\n    """Queue of jobs waiting for a worker."""\n'
