"""The index thread answers every command with exactly one event, in order, and keeps going after failures."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import numpy as np
import pytest

from regend.core.commands import Commit, FetchUnembedded, PutVectors
from regend.core.events import CommitFailed, Committed, Event, UnembeddedFound
from regend.daemon.indexer import Indexer
from regend.errors import RootError, StoreError, StoreLockedError
from regend.store.base import LexicalQuery
from regend.store.reads import Reads
from regend.store.store import Store
from regend.types import RootId
from tests.store.samples import DIM, MODEL, chunked, put, put_vectors

A = chunked(["alpha one", "beta two"])


class Rig:
    def __init__(self, state_dir: Path) -> None:
        self.events: queue.Queue[Event] = queue.Queue()
        self.indexer = Indexer(state_dir, MODEL, self.events.put)

    def next(self) -> Event:
        return self.events.get(timeout=20)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.indexer.start()
    yield rig
    assert rig.indexer.stop()


def add_root(rig: Rig, path: str = "/r") -> RootId:
    return rig.indexer.call(lambda store: store.add_root(path, path, "").root).result(timeout=20)


def test_commands_are_answered_in_order(rig: Rig) -> None:
    root = add_root(rig)
    rig.indexer.submit(Commit(1, (put(root, "a.py", A),)))
    rig.indexer.submit(FetchUnembedded(1, frozenset()))
    rig.indexer.submit(Commit(2, (put_vectors([chunk.chunk_id for chunk in A.chunks]),)))
    rig.indexer.submit(FetchUnembedded(5, frozenset()))
    first = rig.next()
    assert isinstance(first, Committed)
    assert (first.commit_id, [p.chunk for p in first.pending]) == (1, [chunk.chunk_id for chunk in A.chunks])
    found = rig.next()
    assert isinstance(found, UnembeddedFound)
    assert (len(found.chunks), found.exhausted) == (1, False)
    second = rig.next()
    assert isinstance(second, Committed)
    assert second.generation == first.generation + 1
    assert rig.next() == UnembeddedFound((), exhausted=True)
    assert rig.indexer.reads.snapshot.generation == second.generation
    assert rig.indexer.reads.snapshot.complete


def test_a_refused_commit_is_reported_and_the_next_one_works(rig: Rig) -> None:
    root = add_root(rig)
    bad = PutVectors((A.chunks[0].chunk_id,), np.zeros((1, DIM), np.float32))
    rig.indexer.submit(Commit(1, (put(root, "a.py", A), bad)))
    failed = rig.next()
    assert isinstance(failed, CommitFailed)
    assert failed.commit_id == 1
    assert "zero" in failed.reason
    assert rig.indexer.reads.listing(root) == {}
    rig.indexer.submit(Commit(2, (put(root, "a.py", A),)))
    assert isinstance(rig.next(), Committed)


def test_other_threads_get_a_type_that_cannot_write() -> None:
    """With these two facts the type checker refuses `indexer.reads.apply(...)`; `Store` is for `call` only."""
    reads, store = ({name for name in dir(side) if not name.startswith("_")} for side in (Reads, Store))
    assert not reads & store and not hasattr(Reads, "__getattr__")
    given = [get_type_hints(function)["return"] for function in (Indexer.start, Indexer.reads.fget)]
    assert given == [Reads, Reads]


def test_calls_return_results_and_errors(rig: Rig) -> None:
    root = add_root(rig)
    thread = rig.indexer.call(lambda _store: threading.current_thread().name).result(timeout=20)
    assert thread == "regend-index"
    with pytest.raises(RootError, match="77"):
        rig.indexer.call(lambda store: store.remove_root(RootId(77))).result(timeout=20)
    rig.indexer.call(lambda store: store.remove_root(root)).result(timeout=20)
    assert rig.indexer.reads.roots() == []


def test_stop_finishes_what_is_queued(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.indexer.start()
    root = add_root(rig)
    for number in range(20):
        rig.indexer.submit(Commit(number, (put(root, f"{number}.py", A),)))
    assert rig.indexer.stop()
    answers = [rig.events.get_nowait() for _ in range(20)]
    assert [a.commit_id for a in answers if isinstance(a, Committed)] == list(range(20))
    # Afterwards everything is refused at once, and exactly once.
    rig.indexer.submit(Commit(99, ()))
    assert rig.events.get_nowait() == CommitFailed(99, "the daemon is stopping")
    with pytest.raises(StoreError, match="closing"):
        rig.indexer.call(lambda store: store.reads.snapshot.generation).result(timeout=1)
    assert rig.events.empty()
    assert rig.indexer.stop()
    again = Rig(tmp_path)
    assert len(again.indexer.start().listing(root)) == 20
    again.indexer.stop()


def test_a_second_indexer_is_refused_and_the_first_untouched(rig: Rig, tmp_path: Path) -> None:
    root = add_root(rig)
    second = Rig(tmp_path)
    with pytest.raises(StoreLockedError):
        second.indexer.start()
    assert second.indexer.stop()
    rig.indexer.submit(Commit(1, (put(root, "a.py", A),)))
    assert isinstance(rig.next(), Committed)


def test_snapshots_are_read_by_other_threads_while_commits_go_on(rig: Rig) -> None:
    root = add_root(rig)
    files = [chunked([f"common word{n}", f"second{n} common"]) for n in range(25)]
    errors: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                snapshot = rig.indexer.reads.snapshot
                for pool in snapshot.pools.values():
                    hits = pool.lexical(LexicalQuery(("common",)), 200)
                    # A file is there whole or not at all.
                    assert len(hits) == 2 * len(pool.entries)
                    assert len(snapshot.chunks([hit.doc for hit in hits])) == len(hits)
        except BaseException as error:
            errors.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number, file in enumerate(files):
        rig.indexer.submit(Commit(number, (put(root, f"{number % 8}.py", file),)))
    for number in range(len(files)):
        answer = rig.next()
        assert isinstance(answer, Committed)
        assert answer.commit_id == number
    done.set()
    for reader in readers:
        reader.join(20)
    assert errors == []


def test_maintenance_that_fails_does_not_end_the_thread(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = threading.Event()

    def broken(_store: Store, *, idle: bool) -> float:
        tried.set()
        raise RuntimeError(f"idle={idle}")

    monkeypatch.setattr(Store, "maintain", broken)
    assert tried.wait(20)
    assert add_root(rig) == 1
