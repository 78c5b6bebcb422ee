"""The store in memory, on which other tests here rely, keeps the protocol's promises as the real one does."""

import numpy as np

from regend.store.base import ChunkConditions, LexicalQuery
from regend.types import doc_id
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector


def test_lexical_hits_are_sorted_limited_and_allowed(project: Corpus) -> None:
    pool = next(iter(project.snapshot.pools.values()))
    query = LexicalQuery(("job", "queue"))
    hits = pool.lexical(query, 50)
    assert hits == sorted(hits, key=lambda hit: (-hit.score, hit.doc))
    assert all(hit.score > 0 for hit in hits)
    assert pool.lexical(query, 2) == hits[:2]
    one = hits[-1].doc >> 16
    assert {hit.doc >> 16 for hit in pool.lexical(query, 50, frozenset({one}))} == {one}
    assert pool.lexical(query, 50, frozenset()) == []
    assert pool.lexical(LexicalQuery(("nosuchword",)), 5) == []


def test_fields_count_as_boosted(project: Corpus) -> None:
    pool = next(iter(project.snapshot.pools.values()))
    by_path = pool.lexical(LexicalQuery(("server",), body=0.0, symbol=0.0, path=1.0), 5)
    assert [pool.entries[hit.doc >> 16].path for hit in by_path] == ["server/serve.go"]


def test_documents_are_found_by_a_part_of_a_word(project: Corpus) -> None:
    pool = next(iter(project.snapshot.pools.values()))
    paths = lambda part, prefix: {pool.entries[doc >> 16].path for doc in pool.containing(part, prefix=prefix)}  # noqa: E731
    holders = {"src/jobs/queue.py", "src/jobs/retry.py", "tests/test_queue.py", "README.md"}
    assert paths("jobqu", True) == paths("obque", False) == holders and paths("obque", True) == set()
    assert paths("serv", True) == {"server/serve.go"}, "a word of the path"
    assert paths("nosuchpart", False) == set()


def test_nearest_agrees_with_similarity(project: Corpus) -> None:
    pool = next(iter(project.snapshot.pools.values()))
    vector = hashed_vector("failed job backoff")
    near = pool.nearest(vector, 4)
    assert len(near) == 4
    assert near == sorted(near, key=lambda hit: (-hit.score, hit.doc))
    exact = pool.similarity(vector, [hit.doc for hit in near])
    # The real store may keep vectors in half precision.
    np.testing.assert_allclose(exact, [hit.score for hit in near], atol=2e-3)


def test_chunks_come_in_the_order_asked_for_and_unknown_ones_are_left_out(project: Corpus) -> None:
    snapshot = project.snapshot
    (pool,) = snapshot.pools.values()
    entry = next(e for e in pool.entries.values() if e.path == "src/jobs/queue.py")
    docs = [doc_id(entry.entry_id, 2), doc_id(entry.entry_id, 999), doc_id(entry.entry_id, 0)]
    assert [view.doc for view in snapshot.chunks(docs)] == [docs[0], docs[2]]
    assert snapshot.chunks([doc_id(9_999, 0)]) == []


def test_symbols_exact_then_case_then_prefix(project: Corpus) -> None:
    snapshot = project.snapshot
    assert [view.path for view in snapshot.symbols("pop", 1)] == ["JobQueue.pop"]
    assert [view.path for view in snapshot.symbols("JobQueue.pop", 5)] == ["JobQueue.pop"]
    assert [view.name for view in snapshot.symbols("jobqueue", 5)] == ["JobQueue"]
    assert [view.name for view in snapshot.symbols("test_p", 5)] == ["test_push", "test_pop_of_empty_queue"]
    assert snapshot.symbols("nosuchname", 5) == []
    assert snapshot.symbols("pop\udcff", 5) == []


def test_a_new_version_replaces_the_old(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    before = project.snapshot.generation
    project.put(root, "src/jobs/queue.py", "def changed():\n    pass\n")
    (pool,) = project.snapshot.pools.values()
    assert project.snapshot.generation > before
    assert pool.lexical(LexicalQuery(("waiting",), path=0.0), 5) == []
    entry = pool.entry_at(root, "src/jobs/queue.py")
    assert entry is not None
    assert [view.name for view in project.snapshot.outline(entry)] == ["changed"]


def test_worktrees_share_entries(corpus: Corpus) -> None:
    one, two = corpus.add_root("/r/one"), corpus.add_root("/r/two")
    corpus.put(one, "a.py", "def a():\n    pass\n")
    entry = corpus.put(two, "a.py", "def a():\n    pass\n")
    (pool,) = corpus.snapshot.pools.values()
    assert entry.roots == {one, two}
    assert len(pool.entries) == 1


def test_a_chunk_without_vector(corpus: Corpus) -> None:
    entry = corpus.put(corpus.add_root("/r/one"), "a.py", "def a():\n    pass\n", vectors=False)
    (pool,) = corpus.snapshot.pools.values()
    doc = doc_id(entry.entry_id, 0)
    assert pool.vector(doc) is None
    assert pool.similarity(hashed_vector("a"), [doc]) == [None]
    assert pool.nearest(hashed_vector("a"), 5) == []


def test_a_files_vector_is_the_mean_of_its_chunks_by_tokens(project: Corpus) -> None:
    snapshot = project.snapshot
    (pool,) = snapshot.pools.values()
    entry = next(e for e in pool.entries.values() if e.path == "src/jobs/queue.py")
    views = snapshot.chunks([doc_id(entry.entry_id, n) for n in range(9)])
    mean = sum(view.token_count * pool.vector(view.doc) for view in views)  # type: ignore[misc, operator]
    found = snapshot.file_vector(entry)
    assert found is not None
    np.testing.assert_allclose(found, mean / np.linalg.norm(mean), atol=2e-3)
    assert snapshot.file_vector(entry) is not None
    np.testing.assert_array_equal(found, snapshot.file_vector(entry))


def test_a_files_vector_while_vectors_come(corpus: Corpus) -> None:
    root = corpus.add_root("/r/one")
    text = "def a():\n    pass\n\ndef bee():\n    return 1\n"
    entry = corpus.put(root, "a.py", text, vectors=False)
    assert corpus.snapshot.file_vector(entry) is None
    corpus.put(root, "b.py", "def a():\n    pass\n")
    half = corpus.snapshot.file_vector(entry)
    corpus.put(root, "c.py", text)
    whole = corpus.snapshot.file_vector(entry)
    assert half is not None
    assert whole is not None
    assert not np.allclose(half, whole)


def test_conditions(project: Corpus) -> None:
    (pool,) = project.snapshot.pools.values()
    every = [hit.doc for hit in pool.lexical(LexicalQuery(("job", "jobs", "queue", "serve")), 50)]

    def places(conditions: ChunkConditions) -> set[tuple[str, str]]:
        views = project.snapshot.chunks(sorted(pool.passing(every, conditions)))
        asked = LexicalQuery(("job", "jobs", "queue", "serve"), conditions=conditions)
        assert {hit.doc for hit in pool.lexical(asked, 50)} == {view.doc for view in views}
        return {(pool.entries[view.doc >> 16].path, view.symbol) for view in views}

    assert places(ChunkConditions(words=("exponential",))) == {("src/jobs/retry.py", "RetryPolicy")}
    assert places(ChunkConditions(words=("serve", "addr"))) == {("server/serve.go", "")}
    assert ("src/jobs/queue.py", "JobQueue") not in places(ChunkConditions(without=("worker",)))
    assert places(ChunkConditions(kinds=frozenset({"class"}))) == {
        ("src/jobs/queue.py", "JobQueue"), ("src/jobs/retry.py", "RetryPolicy"),
    }  # fmt: skip
    assert places(ChunkConditions(kinds=frozenset({"class"}), words=("first",))) == {("src/jobs/queue.py", "JobQueue")}
    plain = {symbol for _, symbol in places(ChunkConditions(without_kinds=frozenset({"class", "function"})))}
    assert plain == {""}
    assert pool.passing([], ChunkConditions(words=("job",))) == set()


def test_frequencies(project: Corpus) -> None:
    (pool,) = project.snapshot.pools.values()
    counts = pool.frequencies(["exponential", "nosuchword", "server"])
    assert counts[0] == 1
    assert counts[1] == 0
    assert counts[2] > 0, "a word of a path"


def test_symbols_without_prefixes_and_within(project: Corpus) -> None:
    snapshot = project.snapshot
    assert snapshot.symbols("test_p", 5, prefix=False) == []
    assert [view.name for view in snapshot.symbols("pop", 5, prefix=False)] == ["pop"]
    assert snapshot.symbols("pop", 5, within=lambda entry: False) == []
