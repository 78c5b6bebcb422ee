"""An unsaved file is found as if it were saved, hides what is indexed in its place, and leaves no trace."""

import pytest

from regend.search.engine import Engine
from regend.search.options import RelatedOptions, SearchOptions
from regend.search.overlay import OverlayFile, overlaid
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchResult
from regend.store.base import ChunkConditions, LexicalQuery, Snapshot
from regend.types import UNSURE, ChunkedFile, RootId, blob_id, doc_id
from tests.search.conftest import QUEUE, RETRY, Corpus
from tests.search.memory import hashed_vector, split_source

ENGINE = Engine(hashed_vector)

DRAIN = "def drain_everything(queue):\n    queue.clear()\n"
EDITED = QUEUE.replace("first in first out", "last in first out") + f"\n\n{DRAIN}"
QUERIES = [
    "job queue", "JobQueue", "JobQueue.pop", "drain_everything", "drain everything", "exponential backoff",
    '"last in first out"', "queue kind:class", "job -worker", "job path:src/**", "where are jobs retried", "worker job",
    "drain_evrything", "drain_every", "rain_everyth", '"rain_every"',
]  # fmt: skip


def overlay(root: RootId, path: str, text: str, language: str = "python", vectors: bool = True) -> OverlayFile:
    chunks, symbols = split_source(text)
    blob = blob_id(text.encode(), language, 1)
    file = ChunkedFile(blob, UNSURE, language, text.count("\n") + 1, tuple(chunks), tuple(symbols))
    known = {c.chunk_id: hashed_vector(f"{c.symbol}\n{c.text}") for c in chunks} if vectors else {}
    return OverlayFile(root, path, file, known)


def ask(snapshot: Snapshot, query: str, **options: object) -> list[SearchResult]:
    # An engine of its own: what one remembers per generation must not meet another test's generations.
    return list(Engine(hashed_vector).search(snapshot, SearchOptions(parse_query(query), **options)).results)  # type: ignore[arg-type]


NEARLY = 0.05


def places(results: list[SearchResult]) -> list[tuple[str, int, int, str, str]]:
    return [(r.path, r.start_line, r.end_line, r.symbol, r.snippet) for r in results]


def only_root(corpus: Corpus) -> RootId:
    return next(iter(corpus.snapshot.roots))


@pytest.mark.parametrize("path", ["src/jobs/queue.py", "src/jobs/new.py"])
@pytest.mark.parametrize("query", QUERIES)
def test_an_unsaved_file_is_found_as_if_it_were_saved(project: Corpus, path: str, query: str) -> None:
    root = only_root(project)
    unsaved = ask(overlaid(project.snapshot, [overlay(root, path, EDITED)]), query, k=100)
    project.put(root, path, EDITED)
    saved = ask(project.snapshot, query, k=100)
    assert set(places(unsaved)) == set(places(saved))
    # The index's statistics do not count the overlay, so two files that are nearly the same may change places.
    scores = {place: result.score for place, result in zip(places(saved), saved, strict=True)}
    assert saved[0].score - scores[places(unsaved)[0]] < NEARLY


def test_what_it_hides_is_not_found_and_the_index_stays_as_it_was(project: Corpus) -> None:
    root = only_root(project)
    before = places(ask(project.snapshot, "job queue worker", k=100))
    laid = overlaid(project.snapshot, [overlay(root, "src/jobs/queue.py", "def other():\n    pass\n")])
    found = ask(laid, "JobQueue push pop worker queue", k=100)
    assert all(r.symbol == "other" for r in found if r.path == "src/jobs/queue.py")
    assert "JobQueue" not in {s.symbol for s in ENGINE.symbols(laid, "JobQueue", 10).results}
    assert [d.symbol for d in ENGINE.outline(laid, "/r/app", "src/jobs/queue.py").definitions] == ["other"]
    assert places(ask(project.snapshot, "job queue worker", k=100)) == before


def test_results_tell_what_is_unsaved(project: Corpus) -> None:
    laid = overlaid(project.snapshot, [overlay(only_root(project), "src/jobs/queue.py", EDITED)])
    assert {r.path: r.unsaved for r in ask(laid, "job queue", k=50)} == {
        "src/jobs/queue.py": True, "src/jobs/retry.py": False, "tests/test_queue.py": False, "README.md": False,
    }  # fmt: skip


def test_a_buffer_without_changes_changes_nothing(project: Corpus) -> None:
    assert overlaid(project.snapshot, [overlay(only_root(project), "src/jobs/queue.py", QUEUE)]) is project.snapshot
    assert overlaid(project.snapshot, []) is project.snapshot
    assert overlaid(project.snapshot, [overlay(RootId(99), "a.py", QUEUE)]) is project.snapshot


def test_another_worktree_keeps_its_version(corpus: Corpus) -> None:
    one, two = corpus.add_root("/w/one"), corpus.add_root("/w/two")
    for root in (one, two):
        corpus.put(root, "a.py", "def shared():\n    return compute()\n")
    laid = overlaid(corpus.snapshot, [overlay(one, "a.py", "def mine():\n    return compute()\n")])
    found = {(r.root, r.symbol) for r in ask(laid, "compute")}
    assert found == {("/w/one", "mine"), ("/w/two", "shared")}
    assert [r.symbol for r in ask(laid, "compute", root="/w/one")] == ["mine"]
    assert [r.symbol for r in ask(laid, "compute", root="/w/two")] == ["shared"]
    assert [r.symbol for r in ask(laid, "compute", path="a.py", root="/w/two")] == ["shared"]


def test_both_worktrees_may_be_edited(corpus: Corpus) -> None:
    one, two = corpus.add_root("/w/one"), corpus.add_root("/w/two")
    for root in (one, two):
        corpus.put(root, "a.py", "def shared():\n    return compute()\n")
    edited = [overlay(root, "a.py", f"def mine_{root}():\n    return compute()\n") for root in (one, two)]
    assert {r.symbol for r in ask(overlaid(corpus.snapshot, edited), "compute")} == {f"mine_{one}", f"mine_{two}"}


def test_a_word_that_the_buffer_removes_is_held_nowhere(project: Corpus) -> None:
    files = [overlay(only_root(project), "src/jobs/queue.py", "def added_word():\n    return popleft\n")]
    laid = overlaid(project.snapshot, files)
    for word, note in (("woken", "No indexed file in scope holds 'woken'"), ("added_word", ""), ("RetryPolicy", "")):
        notes = Engine(hashed_vector).search(laid, SearchOptions(parse_query(word))).notes
        assert [one for one in notes if "holds" in one] == [one for one in notes if note and note in one], notes
        assert bool(note) == bool(notes), (word, notes)
    assert laid.pools[laid.roots[only_root(project)].pool].frequencies(["woken", "added_word", "absent"]) == [0, 1, 0]


def test_filters_see_the_buffer(project: Corpus) -> None:
    laid = overlaid(project.snapshot, [overlay(only_root(project), "new/x.go", "func Drain() {}\n", "go")])
    assert ask(laid, "drain lang:go")[0].path == "new/x.go"
    assert [r.path for r in ask(laid, "drain path:new/**")] == ["new/x.go"]
    assert "new/x.go" not in {r.path for r in ask(laid, "drain -lang:go")}
    assert ENGINE.search(project.snapshot, SearchOptions(parse_query("drain path:new/**"))).results == ()


def test_a_buffer_whose_vectors_are_not_there_is_found_by_words(project: Corpus) -> None:
    file = overlay(only_root(project), "src/new.py", "def drain_everything():\n    pass\n", vectors=False)
    laid = overlaid(project.snapshot, [file])
    assert ask(laid, "drain everything")[0].path == "src/new.py"
    entry = laid.pools[laid.roots[only_root(project)].pool].entry_at(only_root(project), "src/new.py")
    assert entry is not None
    assert laid.file_vector(entry) is None


@pytest.mark.parametrize("line", [0, 12])
def test_related_code_of_an_unsaved_file(project: Corpus, line: int) -> None:
    root = only_root(project)
    laid = overlaid(project.snapshot, [overlay(root, "src/draft.py", RETRY.replace("RetryPolicy", "Backoff"))])
    found = ENGINE.related(laid, RelatedOptions("/r/app", "src/draft.py", line)).results
    assert found[0].path == "src/jobs/retry.py"
    assert "src/draft.py" not in {r.path for r in found} or line
    like = ENGINE.related(laid, RelatedOptions("/r/app", "src/jobs/retry.py", line)).results
    assert like[0].path == "src/draft.py"


def test_the_wrapped_pool_keeps_the_protocols_promises(project: Corpus) -> None:
    root = only_root(project)
    laid = overlaid(project.snapshot, [overlay(root, "src/jobs/queue.py", EDITED)])
    (pool,) = laid.pools.values()
    entry = pool.entry_at(root, "src/jobs/queue.py")
    assert entry is not None
    assert pool.entries[entry.entry_id] == entry
    assert len(pool.entries) == len(list(pool.entries)) == len(project.snapshot.pools[pool.pool].entries)
    query = LexicalQuery(("job", "queue"))
    hits = pool.lexical(query, 50)
    assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.doc))
    assert pool.lexical(query, 2) == hits[:2]
    assert {hit.doc >> 16 for hit in pool.lexical(query, 50, frozenset({entry.entry_id}))} == {entry.entry_id}
    docs = [hit.doc for hit in hits]
    near = pool.nearest(hashed_vector("job queue"), 50)
    cosines = pool.similarity(hashed_vector("job queue"), [hit.doc for hit in near])
    assert cosines == pytest.approx([hit.score for hit in near], abs=2e-3)
    views = laid.chunks(docs)
    assert [view.doc for view in views] == docs
    assert laid.chunks([doc_id(entry.entry_id, 999)]) == []
    passing = pool.passing(docs, ChunkConditions(kinds=frozenset({"class"})))
    assert {view.symbol for view in views if view.doc in passing} == {"JobQueue", "RetryPolicy"}
    assert pool.frequencies(["drain_everything", "nosuchword"]) == [1, 0]
    assert [v.name for v in laid.symbols("drain", 5)] == ["drain_everything"]
    assert laid.symbols("drain", 5, prefix=False) == []
    assert [v.path for v in laid.symbols("jobqueue.POP", 5, prefix=False)] == ["JobQueue.pop"]


def test_scores_are_near_those_of_the_index(project: Corpus) -> None:
    root = only_root(project)
    laid = overlaid(project.snapshot, [overlay(root, "src/other.py", EDITED)])
    (pool,) = laid.pools.values()
    entry = pool.entry_at(root, "src/other.py")
    query = LexicalQuery(("job", "queue", "worker", "pop"))
    assert entry is not None
    estimated = [hit.score for hit in pool.lexical(query, 50, frozenset({entry.entry_id}))]
    indexed = project.put(root, "src/other.py", EDITED)
    (saved,) = project.snapshot.pools.values()
    exact = [hit.score for hit in saved.lexical(query, 50, frozenset({indexed.entry_id}))]
    # A project of eight chunks: one file more changes the statistics a lot.
    assert estimated == pytest.approx(exact, rel=0.35)
