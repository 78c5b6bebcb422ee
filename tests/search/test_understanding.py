"""The engine follows what a query says: filters, exclusions, quotes, exact names; and it corrects typos."""

import pytest

from regend.search.engine import Engine
from regend.search.errors import FilterError, QueryError
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchOutcome
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

ENGINE = Engine(hashed_vector)


def ask(corpus: Corpus, query: str, **options: object) -> SearchOutcome:
    return ENGINE.search(corpus.snapshot, SearchOptions(parse_query(query), **options))  # type: ignore[arg-type]


def paths(corpus: Corpus, query: str, **options: object) -> list[str]:
    return [result.path for result in ask(corpus, query, **options).results]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("job lang:markdown", {"README.md"}),
        ("job lang:md,go", {"README.md"}),
        ("job -lang:python", {"README.md"}),
        ("job path:src/** -path:**/retry.py", {"src/jobs/queue.py"}),
        ("job path:tests path:README.md", {"tests/test_queue.py", "README.md"}),
        ("pop -push", {"src/jobs/queue.py", "tests/test_queue.py", "src/jobs/retry.py"}),
        ("worker -job -jobs", set()),
        ("job -worker -test", {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ('job -"first in first out" path:src', {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("job root:app lang:go", set()),
    ],
)
def test_filters_limit_what_is_found(project: Corpus, query: str, expected: set[str]) -> None:
    found = set(paths(project, query, k=50))
    assert found <= expected
    if "job" in query.split() and "lang:go" not in query:
        assert found


def test_filters_of_a_query_and_options_both_hold(project: Corpus) -> None:
    assert set(paths(project, "job path:**/queue.py", path="src/**")) == {"src/jobs/queue.py"}
    outcome = ask(project, "job lang:go", path="src/**")
    assert outcome.results == ()
    assert "`lang:go`" in outcome.notes[0]


@pytest.mark.parametrize(
    ("query", "symbols"),
    [
        ("queue kind:class", {"JobQueue", "RetryPolicy"}),
        ("queue kind:class -kind:function", {"JobQueue", "RetryPolicy"}),
        ("queue kind:function path:tests", {"test_push", "test_pop_of_empty_queue"}),
        ("queue -kind:function path:src", {"JobQueue", "RetryPolicy", ""}),
    ],
)
def test_kinds_of_the_chunk_or_what_is_defined_in_it(project: Corpus, query: str, symbols: set[str]) -> None:
    found = {result.symbol for result in ask(project, query, k=50).results}
    assert found
    assert found <= symbols


def test_a_word_that_is_excluded_is_in_no_result(project: Corpus) -> None:
    for result in ask(project, "job queue -worker", k=50).results:
        assert "worker" not in result.snippet.lower().split()


def test_quoted_text_must_be_there(project: Corpus) -> None:
    found = ask(project, '"append a job" queue', k=50)
    assert [(r.path, r.symbol) for r in found.results] == [("src/jobs/queue.py", "JobQueue.push")]
    assert found.notes == ()


def test_quoted_text_that_is_nowhere_gives_the_nearest_and_says_so(project: Corpus) -> None:
    found = ask(project, '"append the job"')
    assert found.results[0].path == "src/jobs/queue.py"
    assert found.notes == ('No chunk was found that holds "append the job" to the letter; these come nearest.',)


@pytest.mark.parametrize("files", [False, True])
@pytest.mark.parametrize("query", ['"append a job" queue', '"append the job"', '"a jo" queue', "JobQueue", "job -mock"])
def test_a_page_beyond_the_last_result_is_empty(project: Corpus, query: str, files: bool) -> None:
    """Nor does it ask in another way, which would find what the pages before have not."""
    whole = ask(project, query, k=200, files=files)
    assert 0 < len(whole.results) < 200
    for beyond in (0, 1, 60):
        page = ask(project, query, k=10, offset=len(whole.results) + beyond, files=files)
        assert page.results == ()
    first = ask(project, query, k=1, files=files)
    assert first.results == whole.results[:1]
    assert first.notes == whole.notes


def test_only_exclusions_are_searched_for(project: Corpus) -> None:
    assert paths(project, "-backoff")[0] == "src/jobs/retry.py"


def test_filters_alone_are_no_query(project: Corpus) -> None:
    with pytest.raises(QueryError, match="besides its filters"):
        ask(project, "lang:go")


def test_an_unknown_kind_is_refused(project: Corpus) -> None:
    with pytest.raises(FilterError, match="kind:nothing"):
        ask(project, "job kind:nothing")


def source(*names: str) -> str:
    return "".join(f"def {name}\n    body = {number}\n\n" for number, name in enumerate(names))


@pytest.mark.parametrize("name", ["<<", "my-command", "$scope", "==", "valid?", "config.json", "Getting started", "a"])
def test_what_is_exactly_a_symbol_finds_its_definition_first(project: Corpus, name: str) -> None:
    root = next(iter(project.snapshot.roots))
    noise = "\n\n".join(f"x{n} = getting started my command scope valid config json a" for n in range(30))
    project.put(root, "noise.py", noise + "\n")
    project.put(root, "zz/defs.rb", source("other", name, "third"), "ruby")
    first = ask(project, name).results[0]
    assert (first.path, first.symbol) == ("zz/defs.rb", name)


def test_a_name_to_the_letter_goes_before_one_without_its_sign(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "a/defs.rb", source("valid", "valid!"), "ruby")
    project.put(root, "b/defs.rb", source("valid?"), "ruby")
    assert ask(project, "valid?").results[0].symbol == "valid?"
    assert ask(project, "valid").results[0].symbol == "valid"


def test_a_name_that_begins_with_a_dash_is_no_exclusion(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "a/defs.rb", source("main", "other"), "ruby")
    project.put(root, "b/defs.rb", source("-main"), "ruby")
    assert ask(project, "-main").results[0].symbol == "-main"
    assert ask(project, "main").results[0].symbol == "main"


def test_a_file_of_that_name_goes_before_a_symbol_of_it(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "zz/defs.rb", source("retry.py"), "ruby")
    found = paths(project, "retry.py")
    assert found[0] == "src/jobs/retry.py"
    assert "zz/defs.rb" in found[:4]


def test_of_many_equal_definitions_a_filter_finds_its_own(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.fill(root, [(f"m{n}/a.py", source("same"), "python") for n in range(80)])
    project.put(root, "far/b.py", source("same"))
    assert paths(project, "same path:far") == ["far/b.py"]


def test_source_goes_before_tests_of_the_same_name(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.fill(root, [(f"tests/t{n:02}.py", source("same"), "python") for n in range(40)])
    project.put(root, "z/b.py", source("same"))
    assert paths(project, "same")[0] == "z/b.py"


@pytest.mark.parametrize(
    ("query", "right", "path", "symbol"),
    [
        ("JobQueu", "JobQueue", "src/jobs/queue.py", "JobQueue"),
        ("jobquueue", "jobqueue", "src/jobs/queue.py", "JobQueue"),
        ("RetryPoilcy", "RetryPolicy", "src/jobs/retry.py", "RetryPolicy"),
        ("exponentail backoff", "exponential", "src/jobs/retry.py", "RetryPolicy"),
    ],
)  # fmt: skip
def test_a_slip_of_the_keys_is_put_right_and_told(
    project: Corpus, query: str, right: str, path: str, symbol: str
) -> None:
    found = ask(project, query)
    assert (found.results[0].path, found.results[0].symbol) == (path, symbol)
    assert f"searched for '{right}'" in found.notes[0]


def test_words_that_are_there_are_not_changed(project: Corpus) -> None:
    assert ask(project, "job jobs queue").notes == ()


def test_pages_fit_together(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    files = [
        (f"p{n:02}/{w}.py", source(f"{w}_{n}", f"more_{w}"), "python") for n in range(20) for w in ("job", "queue")
    ]
    project.fill(root, files)
    pages, offset = [], 0
    while True:
        outcome = ask(project, "job queue", k=7, offset=offset)
        pages.append([(r.path, r.start_line) for r in outcome.results])
        if outcome.next_offset is None:
            break
        assert outcome.next_offset == offset + 7
        offset = outcome.next_offset
    places = [place for page in pages for place in page]
    assert len(places) == len(set(places))
    assert set(places) == {(r.path, r.start_line) for r in ask(project, "job queue", k=1_000).results}
    assert pages[0] == [(r.path, r.start_line) for r in ask(project, "job queue", k=7).results]


def test_equal_questions_have_equal_answers(project: Corpus) -> None:
    for query in ("job queue", "JobQueue", '"append a job"', "jbo queue -mock"):
        first, again = ask(project, query, offset=0), ask(project, query)
        assert first.results == again.results
