"""Code like the code at a line, and files like a file, on the store in memory and on the real one."""

import pytest

from regend.errors import PathError
from regend.search.engine import Engine
from regend.search.options import RelatedOptions
from regend.search.query.filters import Filters
from regend.search.related import distinctive_terms
from regend.search.results.outcome import SearchOutcome
from tests.search.conftest import QUEUE, Corpus
from tests.search.memory import hashed_vector

ENGINE = Engine(hashed_vector)


def related(corpus: Corpus, root: str, path: str, line: int = 0, **options: object) -> SearchOutcome:
    return ENGINE.related(corpus.snapshot, RelatedOptions(root, path, line, **options))  # type: ignore[arg-type]


def test_related_leaves_the_chunk_itself_out(project: Corpus) -> None:
    outcome = related(project, "/r/app", "src/jobs/queue.py", 12)
    places = [(result.path, result.symbol) for result in outcome.results]
    assert ("src/jobs/queue.py", "JobQueue.pop") not in places
    assert places
    assert outcome.notes == ()


def test_related_finds_the_copy(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    text = 'def next_delay(attempt):\n    """Seconds to wait before the attempt; doubled each time."""\n'
    project.put(root, "src/copy.py", text)
    outcome = related(project, "", "/r/app/src/jobs/retry.py", 5, k=3)
    assert outcome.results[0].path == "src/copy.py"


def test_related_by_words_where_there_is_no_vector(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "src/late.py", "def late(job):\n    queue.push(job)\n", vectors=False)
    outcome = related(project, "/r/app", "src/late.py", 1)
    assert {"src/jobs/queue.py", "tests/test_queue.py"} & {r.path for r in outcome.results}
    assert "words only" in outcome.notes[0]


def test_related_between_worktrees_leaves_the_same_chunk_out(corpus: Corpus) -> None:
    one, two = corpus.add_root("/w/one"), corpus.add_root("/w/two")
    corpus.put(one, "a.py", "def shared():\n    return compute()\n")
    corpus.put(two, "a.py", "def shared():\n    return compute()\n\ndef more():\n    return compute()\n")
    outcome = related(corpus, "/w/one", "a.py", 1)
    assert [(r.root, r.symbol) for r in outcome.results] == [("/w/two", "more")]


def test_related_is_filtered(project: Corpus) -> None:
    outcome = related(project, "/r/app", "src/jobs/queue.py", 7, filters=Filters(path="tests/**"))
    assert {result.path for result in outcome.results} == {"tests/test_queue.py"}
    for line in (0, 7):
        nothing = related(project, "/r/app", "src/jobs/queue.py", line, filters=Filters(path="none/**"))
        assert (nothing.results, nothing.notes) == ((), ("No indexed file matches path 'none/**'; loosen the filter.",))


def test_bad_related_requests(project: Corpus) -> None:
    with pytest.raises(PathError, match=r"why"):
        related(project, "/r/app", "src/none.py", 1)


def test_distinctive_terms_prefer_long_names_over_common_words() -> None:
    terms = distinctive_terms("def run(self):\n    return self.parseTokenStream(self.parseTokenStream)\n")
    assert terms[0] == "parsetokenstream"
    assert "return" not in terms
    assert distinctive_terms("") == ()


def test_files_like_a_file(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "lib/copy.py", QUEUE.replace("JobQueue", "TaskQueue"))
    outcome = related(project, "/r/app", "src/jobs/queue.py")
    found = [result.path for result in outcome.results]
    assert found[0] == "lib/copy.py"
    assert len(found) == len(set(found))
    assert "src/jobs/queue.py" not in found


def test_files_like_a_file_without_vectors(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "src/late.py", "def late(job):\n    queue.push(job)\n", vectors=False)
    outcome = related(project, "/r/app", "src/late.py")
    assert outcome.notes == ("This file has no vector yet; compared by words only.",)
    assert outcome.results


def test_a_worktrees_version_of_the_file_is_not_related_to_it(corpus: Corpus) -> None:
    one, two = corpus.add_root("/w/one"), corpus.add_root("/w/two")
    corpus.put(one, "a.py", "def shared():\n    return compute()\n")
    corpus.put(two, "a.py", "def shared():\n    return compute()\n\ndef more():\n    return compute()\n")
    corpus.put(two, "b.py", "def other():\n    return compute()\n")
    assert [r.path for r in related(corpus, "/w/one", "a.py").results] == ["b.py"]


def test_pages_of_related_code_fit_together(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.fill(
        root, [(f"n{n:02}.py", f"def pop_{n}(self):\n    return jobs.popleft()\n", "python") for n in range(9)]
    )
    whole = [(r.path, r.start_line) for r in related(project, "/r/app", "src/jobs/queue.py", 12, k=100).results]
    first = related(project, "/r/app", "src/jobs/queue.py", 12, k=4)
    second = related(project, "/r/app", "src/jobs/queue.py", 12, k=4, offset=first.next_offset or 0)
    pages = [(r.path, r.start_line) for r in (*first.results, *second.results)]
    assert len(set(pages)) == 8
    assert set(pages) <= set(whole)


def test_related_code_within_a_budget(project: Corpus) -> None:
    outcome = related(project, "/r/app", "src/jobs/queue.py", 12, budget=200)
    assert 0 < outcome.tokens <= 200
    assert len({result.path for result in outcome.results}) == len(outcome.results)


def test_a_long_files_own_chunks_do_not_stand_in_the_way(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    calls = [f"return widget.frobnicate({i}{', p' * (7 * i % 50)})" for i in range(150)]
    project.put(root, "w/long.py", "\n\n".join(f"def widget_{i}(widget):\n    {calls[i]}" for i in range(150)))
    filler = "".join(f"    value_{i} = one * {i} + two - three / four\n" for i in range(40))
    mention = f"def other(one, two, three, four):\n{filler}    # a widget, which we frobnicate\n    return one\n"
    project.fill(root, [(f"w/w{n:02}.py", f"{mention}    # {n}\n", "python") for n in range(20)])
    outcome = related(project, "/r/app", "w/long.py", k=10)
    assert len(outcome.results) == 10
    assert outcome.next_offset == 10
