"""Files are as like a query as their vectors are, the most like one counting 1."""

import numpy as np
import pytest

from regend.search.ranking.likeness import likeness_of
from regend.store.base import Entry, FloatVector
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector


def entries(corpus: Corpus) -> list[Entry]:
    (pool,) = corpus.snapshot.pools.values()
    return list(pool.entries.values())


def likeness(corpus: Corpus, vector: FloatVector) -> dict[str, float]:
    """Return the likeness of every file by its path."""
    found = likeness_of(corpus.snapshot, entries(corpus), vector)
    return {entry.path: found[entry.entry_id] for entry in entries(corpus)}


def test_the_most_like_file_counts_whole(project: Corpus) -> None:
    retry = next(entry for entry in entries(project) if entry.path == "src/jobs/retry.py")
    vector = project.snapshot.file_vector(retry)
    assert vector is not None
    found = likeness(project, vector)
    assert found.pop("src/jobs/retry.py") == pytest.approx(1.0, abs=2e-3)
    assert all(0.0 <= value < 0.99 for value in found.values())


def test_a_file_without_vectors_is_like_nothing(project: Corpus) -> None:
    root = next(iter(project.snapshot.roots))
    project.put(root, "late.py", "def backoff():\n    return 1\n", vectors=False)
    assert likeness(project, hashed_vector("backoff"))["late.py"] == 0.0


def test_what_points_away_is_like_nothing(project: Corpus) -> None:
    vectors = [project.snapshot.file_vector(entry) for entry in entries(project)]
    away = -np.sum([vector for vector in vectors if vector is not None], axis=0)
    found = likeness(project, np.asarray(away / np.linalg.norm(away), np.float32))
    assert set(found.values()) == {0.0}
