"""Answers that are remembered: the same as those that are looked for, and never those of another question or state."""

import gc
import weakref
from dataclasses import replace

import numpy as np
import pytest

from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.results.recent import RecentAnswers
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector
from tests.search.stored import StoredCorpus

ASKED = SearchOptions(parse_query("job"))
OTHERS = [
    SearchOptions(parse_query("jobs")),
    replace(ASKED, k=11),
    replace(ASKED, k=1),
    replace(ASKED, offset=1),
    replace(ASKED, lines=2),
    replace(ASKED, context=1),
    replace(ASKED, budget=500),
    replace(ASKED, files=True),
    replace(ASKED, path="src/**"),
    replace(ASKED, lang="python"),
    replace(ASKED, root="/r/app"),
    replace(ASKED, under=("/r/app/src",)),
    replace(ASKED, globs=("*.py",)),
]


def test_the_same_question_gets_the_same_answer_without_a_search(project: Corpus) -> None:
    engine = Engine(hashed_vector)
    first = engine.search(project.snapshot, ASKED)
    assert engine.search(project.snapshot, SearchOptions(parse_query("job"))) is first
    assert engine.search(project.snapshot, replace(ASKED, explain=True)).cpu_ms, "times are those of a real search"


def test_another_question_gets_its_own_answer(project: Corpus) -> None:
    engine = Engine(hashed_vector)
    for _ in range(2):
        for options in (ASKED, *OTHERS):
            answer, fresh = (each.search(project.snapshot, options) for each in (engine, Engine(hashed_vector)))
            assert replace(answer, stage_ms={}) == replace(fresh, stage_ms={})


def test_another_vector_is_another_question(project: Corpus) -> None:
    engine = Engine()
    with_words = engine.search(project.snapshot, ASKED)
    near = engine.search(project.snapshot, ASKED, hashed_vector("backoff"))
    assert near is not with_words
    assert engine.search(project.snapshot, ASKED, hashed_vector("backoff")) is near
    assert engine.search(project.snapshot, ASKED, np.roll(hashed_vector("backoff"), 1)) is not near


def test_a_change_of_the_index_is_seen_at_once(project: Corpus) -> None:
    engine = Engine(hashed_vector)
    for number in range(3):
        assert all(r.path != f"new{number}.py" for r in engine.search(project.snapshot, ASKED).results)
        project.put(next(iter(project.snapshot.roots)), f"new{number}.py", f"def job():\n    return {number}\n")
        assert any(r.path == f"new{number}.py" for r in engine.search(project.snapshot, ASKED).results)


@pytest.mark.parametrize("corpus", ["stored"], indirect=True)
def test_it_keeps_no_snapshot_alive_and_few_answers(corpus: StoredCorpus) -> None:
    root = corpus.add_root("/r/app")
    corpus.put(root, "a.py", "def job():\n    return 1\n")
    recent, engine = RecentAnswers(capacity=2), Engine(hashed_vector)
    snapshot = corpus.snapshot
    for k in (1, 2, 3):
        recent.put(snapshot, replace(ASKED, k=k), None, engine.search(snapshot, replace(ASKED, k=k)))
    assert [recent.get(snapshot, replace(ASKED, k=k), None) is not None for k in (1, 2, 3)] == [False, True, True]
    gone = weakref.ref(snapshot)
    corpus.put(root, "b.py", "def job():\n    return 2\n")
    del snapshot
    gc.collect()
    assert gone() is None


def test_large_answers_are_not_kept(corpus: Corpus) -> None:
    root = corpus.add_root("/r/app")
    corpus.fill(root, [(f"f{n}.py", f"def job_{n}():\n    return job({n})\n", "python") for n in range(60)])
    recent, options = RecentAnswers(), replace(ASKED, k=60)
    answer = Engine(hashed_vector).search(corpus.snapshot, options)
    assert len(answer.results) > 50
    recent.put(corpus.snapshot, options, None, answer)
    assert recent.get(corpus.snapshot, options, None) is None
