"""Files are as like a query as their vectors are, the most like one counting 1."""

import numpy as np
import pytest

from regend.search.query.words import path_words
from regend.search.ranking.features import Candidate
from regend.search.ranking.likeness import set_likeness
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector


def candidates(corpus: Corpus) -> list[Candidate]:
    (pool,) = corpus.snapshot.pools.values()
    return [Candidate(e.entry_id << 16, e, path_words(e.path), 0.5, 0.5) for e in pool.entries.values()]


def test_the_most_like_file_counts_whole(project: Corpus) -> None:
    found = candidates(project)
    retry = next(candidate.entry for candidate in found if candidate.entry.path == "src/jobs/retry.py")
    vector = project.snapshot.file_vector(retry)
    assert vector is not None
    set_likeness(project.snapshot, found, vector)
    likeness = {candidate.entry.path: candidate.likeness for candidate in found}
    assert likeness.pop("src/jobs/retry.py") == pytest.approx(1.0, abs=2e-3)
    assert all(0.0 <= value < 0.99 for value in likeness.values())


def test_a_file_without_vectors_is_like_nothing(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "late.py", "def backoff():\n    return 1\n", vectors=False)
    found = candidates(project)
    set_likeness(project.snapshot, found, hashed_vector("backoff"))
    assert [candidate.likeness for candidate in found if candidate.entry.path == "late.py"] == [0.0]


def test_what_points_away_is_like_nothing(project: Corpus) -> None:
    found = candidates(project)
    vectors = [project.snapshot.file_vector(candidate.entry) for candidate in found]
    away = -np.sum([vector for vector in vectors if vector is not None], axis=0)
    set_likeness(project.snapshot, found, np.asarray(away / np.linalg.norm(away), np.float32))
    assert [candidate.likeness for candidate in found] == [0.0] * len(found)
