"""Candidates go through two rounds in an order that depends on their content alone, and every score is explained."""

import random
from dataclasses import replace

import pytest

from regend.search.legs.fusion import Scores
from regend.search.query.parse import parse_query
from regend.search.query.words import path_words
from regend.search.ranking.coverage import word_weights
from regend.search.ranking.features import FEATURES, Candidate, FileFacts, query_context
from regend.search.ranking.ranking import RANKING, FoundFiles, RankingTable, added_candidate, explain, rank, shortlist
from regend.store.base import ChunkView, Entry
from regend.types import BlobId, ChunkId, PoolId, RootId, doc_id

CONTEXT = query_context(
    parse_query("push a job to the queue"), weights=word_weights({"push": 1.0, "job": 1.0, "queue": 1.0})
)
ENTRIES = {
    number: Entry(number, PoolId(1), path, BlobId(b"b"), "python", frozenset({RootId(1)}))
    for number, path in enumerate(["src/queue.py", "src/other.py", "tests/test_queue.py", "src/third.py"], 1)
}


def hydrate(candidates: list[Candidate]) -> list[Candidate]:
    for c in candidates:
        line = (c.doc & 0xFFFF) * 10 + 1
        c.view = ChunkView(c.doc, ChunkId(b"c"), line, line + 5, "push", "function", 80, "push the job")
    return candidates


def listed(blended: dict[int, float], count: int, table: RankingTable = RANKING) -> list[Candidate]:
    return shortlist(Scores(blended, {}, blended), ENTRIES.get, CONTEXT, count, table)[0]


def final(blended: dict[int, float], table: RankingTable | None = None) -> list[tuple[str, int, float]]:
    args = () if table is None else (table,)
    chosen = hydrate(listed(blended, 50, *args))
    ranked = rank(chosen, lambda entry: "/r", CONTEXT, *args)
    return [(r.candidate.entry.path, r.candidate.doc & 0xFFFF, r.score) for r in ranked]


def test_paths_and_roles_move_candidates() -> None:
    blended = {doc_id(1, 0): 0.6, doc_id(2, 0): 0.7, doc_id(3, 0): 0.7}
    assert [path for path, *_ in final(blended)] == ["src/queue.py", "src/other.py", "tests/test_queue.py"]
    plain = RankingTable(f for f in FEATURES if f.name == "words")
    assert [path for path, *_ in final(blended, plain)] == ["src/other.py", "tests/test_queue.py", "src/queue.py"]


def test_the_order_does_not_depend_on_the_order_of_candidates() -> None:
    blended = {doc_id(entry, i): 0.5 for entry in ENTRIES for i in range(4)}
    expected = final(blended)
    docs = list(blended)
    for seed in range(20):
        random.Random(seed).shuffle(docs)
        assert final({doc: blended[doc] for doc in docs}) == expected, f"seed {seed}"


def test_ties_go_by_path_then_line() -> None:
    plain = RankingTable(f for f in FEATURES if f.name == "words")
    blended = {doc_id(4, 1): 0.5, doc_id(4, 0): 0.5, doc_id(2, 0): 0.5}
    assert [row[:2] for row in final(blended, plain)] == [("src/other.py", 0), ("src/third.py", 0), ("src/third.py", 1)]


def test_neighbours_of_good_files_are_better_than_lone_ones() -> None:
    """Three files match equally; two share a folder."""
    table = RankingTable(f for f in FEATURES if f.name == "neighbours")
    blended = {doc_id(2, 0): 0.5, doc_id(3, 0): 0.5, doc_id(4, 0): 0.5}
    chosen = {c.entry.path: c.file.neighbours for c in listed(blended, 5, table)}
    third = pytest.approx(1 / 3)
    assert chosen == {"src/other.py": third, "src/third.py": third, "tests/test_queue.py": 0.0}


def test_a_file_is_shown_by_its_best_match() -> None:
    """All else being equal, the better chunk of a file goes first; both know their share of the best."""
    table = RankingTable(f for f in FEATURES if f.name == "best_of_file")
    blended = {doc_id(1, 0): 0.3, doc_id(1, 1): 0.6, doc_id(2, 0): 0.2}
    assert {c.doc: c.share for c in listed(blended, 5, table)} == {
        doc_id(1, 0): 0.5, doc_id(1, 1): 1.0, doc_id(2, 0): 1.0,
    }  # fmt: skip
    assert [row[:2] for row in final(blended, table)][1:] == [("src/queue.py", 1), ("src/queue.py", 0)]


def test_words_are_looked_for_in_a_file_s_candidates_together() -> None:
    """`push` and `job` stand in the text, `queue` in one file's name only."""
    table = RankingTable(f for f in FEATURES if f.name == "words_present")
    blended = {doc_id(1, 0): 0.5, doc_id(2, 0): 0.5, doc_id(2, 1): 0.5}
    ranked = rank(hydrate(listed(blended, 5, table)), lambda entry: "/r", CONTEXT, table)
    assert {r.candidate.entry.path: r.candidate.file.present for r in ranked} == {
        "src/queue.py": 1.0, "src/other.py": pytest.approx(2 / 3),
    }  # fmt: skip


@pytest.mark.parametrize("first", [0, 1])
def test_of_a_file_the_chunk_is_shown_where_the_words_stand_together(first: int) -> None:
    """Both chunks hold all words; the file's other facts are those of both."""
    candidates = hydrate(listed({doc_id(2, first): 0.52, doc_id(2, 1 - first): 0.5, doc_id(4, 0): 0.1}, 5))
    texts = {doc_id(2, first): "queue = push\n\n\n\n\n\n\njob", doc_id(2, 1 - first): "fail('push a job to the queue')"}
    for c in candidates:
        assert c.view is not None
        c.view = replace(c.view, text=texts.get(c.doc, "pass"))
    shown = rank(candidates, lambda entry: "/r", CONTEXT)
    assert shown[0].candidate.doc == doc_id(2, 1 - first)


def test_entries_out_of_scope_are_left_out() -> None:
    blended = {doc_id(1, 0): 0.9, doc_id(77, 0): 1.0}
    assert [path for path, *_ in final(blended)] == ["src/queue.py"]


def test_the_shortlist_keeps_a_place_for_other_files() -> None:
    blended = {doc_id(2, i): 0.9 - i / 1000 for i in range(40)} | {doc_id(4, 0): 0.85}
    chosen = listed(blended, 5)
    assert len(chosen) == 5
    assert "src/third.py" in {c.entry.path for c in chosen}


def test_what_is_found_of_a_file_is_that_of_its_first_chunks() -> None:
    """Five of six chunks count; the other file has half of that, and one that is not indexed nothing."""
    words = {doc_id(1, i): score for i, score in enumerate((0.5, 0.1, 0.4, 1.0, 0.3, 0.2))}
    words |= {doc_id(2, 0): 0.6, doc_id(2, 1): 0.6, doc_id(77, 0): 0.9}
    found = FoundFiles(Scores(words, {doc_id(1, 2): 0.7}, words), ENTRIES.get, lambda entry: path_words(entry.path))
    first, second = found.facts_of(ENTRIES[1]), found.facts_of(ENTRIES[2])
    assert (first.words, first.meaning, first.evidence, first.all_words) == (1.0, 0.7, 1.0, 1.0)
    assert (second.words, second.meaning) == (0.6, 0.0)
    assert second.evidence == second.all_words == pytest.approx(0.5)
    assert found.facts_of(ENTRIES[3]).evidence == 0.0
    assert found.facts_of(ENTRIES[1]) is first
    assert found.rank.tolist() == [0, 1, 2, 3, 4, 5, 0, 1]
    assert found.docs.tolist()[:2] == [doc_id(1, 3), doc_id(1, 0)]


def test_an_added_candidate_is_scored_like_any_other() -> None:
    (one,) = hydrate(listed({doc_id(1, 0): 0.0}, 5))
    file = FileFacts(ENTRIES[1], path_words(ENTRIES[1].path), language_share=1.0)
    added = added_candidate(doc_id(1, 0), file, CONTEXT, RankingTable(FEATURES))
    assert added.base == pytest.approx(one.base)


def test_shares_sum_to_the_score() -> None:
    blended = {doc_id(entry, i): 0.1 * entry + 0.03 * i for entry in ENTRIES for i in range(4)}
    ranked = rank(hydrate(listed(blended, 50)), lambda entry: "/r", CONTEXT)
    for row in ranked:
        shares = explain(row.candidate, CONTEXT)
        assert [share.name for share in shares] == [feature.name for feature in FEATURES]
        assert sum(share.contribution for share in shares) == pytest.approx(row.score, abs=1e-12)


def test_nothing_gives_nothing() -> None:
    assert listed({}, 10) == []
    assert rank([], lambda entry: "/r", CONTEXT) == []
