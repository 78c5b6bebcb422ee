"""Corpora: the same files in the store in memory and in the real one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from regend.store.base import Entry, Snapshot
from regend.types import RootId
from tests.search.memory import MemoryCorpus
from tests.search.stored import StoredCorpus


class Corpus(Protocol):
    """The operations that a test may use on either corpus."""

    @property
    def snapshot(self) -> Snapshot: ...

    def add_root(self, path: str, pool: int = 1) -> RootId: ...

    def put(self, root: RootId, path: str, text: str, language: str = "python", vectors: bool = True) -> Entry: ...

    def fill(self, root: RootId, files: Sequence[tuple[str, str, str]], vectors: bool = True) -> None: ...


@pytest.fixture(params=["memory", "stored"])
def corpus(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Corpus]:
    """An empty corpus; every test that takes it runs on both stores."""
    if request.param == "memory":
        yield MemoryCorpus()
        return
    stored = StoredCorpus(tmp_path / "state")
    yield stored
    stored.close()


QUEUE = '''"""Jobs that wait for a worker."""
import collections

class JobQueue:
    """Queue of jobs waiting for a worker, first in first out."""

    def push(self, job):
        """Append a job; the worker is woken up."""
        self.jobs.append(job)
        self.wake_worker()

    def pop(self):
        """Take the oldest job, or None."""
        return self.jobs.popleft() if self.jobs else None
'''
RETRY = '''class RetryPolicy:
    """Decide when a failed job is tried again, with exponential backoff."""

    def next_delay(self, attempt):
        """Seconds to wait before the attempt; doubled each time."""
        return min(self.cap, self.base * 2 ** attempt)

def run(queue: JobQueue, policy):
    """Worker loop: pop a job, run it, push it again on failure."""
    while job := queue.pop():
        try_job(job, policy)
'''
TEST_QUEUE = """def test_push():
    queue = JobQueue()
    queue.push(1)
    assert queue.pop() == 1

def test_pop_of_empty_queue():
    assert JobQueue().pop() is None
"""
README = "JobQueue holds jobs. Push a job to the queue, and a worker pops the job.\n"
SERVER_GO = "func Serve(addr string) error {\n\treturn listen(addr)\n}\n"


@pytest.fixture
def project(corpus: Corpus) -> Corpus:
    """A small project at `/r/app`."""
    root = corpus.add_root("/r/app")
    corpus.fill(
        root,
        [
            ("src/jobs/queue.py", QUEUE, "python"),
            ("src/jobs/retry.py", RETRY, "python"),
            ("tests/test_queue.py", TEST_QUEUE, "python"),
            ("README.md", README, "markdown"),
            ("server/serve.go", SERVER_GO, "go"),
        ],
    )
    return corpus
