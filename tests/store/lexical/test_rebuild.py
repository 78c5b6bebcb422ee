"""A large lexical index is written again in the background; commits of the meantime are in the new one, too."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from tantivy import Document

from regend.core.commands import DeleteFile
from regend.store.base import LexicalQuery
from regend.store.envelope import parse_signed, signed
from regend.store.lexical import rebuild
from regend.store.lexical.files import read_marker
from regend.store.lexical.index import LexicalWriteError
from regend.store.pool import Pool
from regend.store.store import Store, open_store
from regend.types import RootId
from tests.store.samples import MODEL, apply, chunked, put

FILES = [chunked([f"word{n}x{c} body" for c in range(5)]) for n in range(40)]


@pytest.fixture(autouse=True)
def _everything_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.upkeep._SMALL_DOCS", 10)
    monkeypatch.setattr("regend.store.upkeep._PURGE_IDLE_S", 0.0)
    monkeypatch.setattr("regend.store.upkeep._REWRITE_IDLE_S", 0.0)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A job writes no document before this is set."""
    opened = threading.Event()
    original = rebuild._unhurried

    def gated(docs: Iterable[Document], stop: threading.Event) -> Iterator[Document]:
        while not opened.wait(0.005) and not stop.is_set():
            pass
        yield from original(docs, stop)

    monkeypatch.setattr(rebuild, "_unhurried", gated)
    yield opened
    opened.set()


def filled(store: Store, files: int = 20) -> RootId:
    root = store.add_root("/r", "/r", "").root
    for n in range(files):  # Each in a commit of its own, so that there are many segments.
        apply(store, put(root, f"f{n}.py", FILES[n]))
    return root


def only_pool(store: Store) -> Pool:
    (pool,) = store._memory.pools.values()
    return pool


def maintain_until(store: Store, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "background work did not come to an end"
        store.maintain(idle=True)
        time.sleep(0.002)


def found(store: Store, file: int) -> int:
    (pool,) = store.reads.snapshot.pools.values()
    return sum(len(pool.lexical(LexicalQuery((f"word{file}x{c}",)), 5)) for c in range(5))


def directories(store: Store) -> list[str]:
    return sorted(path.name for path in only_pool(store).lexical.directory.iterdir() if path.is_dir())


def settled(store: Store) -> Callable[[], bool]:
    return lambda: not store._upkeep._rebuilder.busy and only_pool(store).lexical.added_docs == 0


def test_many_segments_become_one_and_only_once(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        filled(store)
        before = directories(store)
        maintain_until(store, settled(store))
        assert only_pool(store).lexical.view().searcher.num_segments == 1
        after = directories(store)
        assert len(after) == 1
        assert after != before
        for _ in range(5):
            store.maintain(idle=True)
        assert directories(store) == after, "what was written as a whole is left alone"
        assert [found(store, n) for n in range(20)] == [5] * 20
    with open_store(tmp_path, MODEL) as store:
        assert directories(store) == after
        assert only_pool(store).lexical.added_docs == 0
        assert [found(store, n) for n in range(20)] == [5] * 20


@pytest.mark.parametrize("docs", [1, 100])
def test_segments_are_left_alone_where_a_rewrite_would_leave_as_many(
    tmp_path: Path, docs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regend.store.upkeep.SEGMENT_DOCS", docs)
    with open_store(tmp_path, MODEL) as store:
        filled(store)
        before, segments = directories(store), only_pool(store).lexical.view().searcher.num_segments
        assert 1.5 < segments < 100
        for _ in range(20):
            store.maintain(idle=True)
            time.sleep(0.002)
        rewritten = store._upkeep._rebuilder.busy or directories(store) != before
        assert rewritten == (docs == 100)


def test_a_rewrite_waits_for_its_thread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system starts no thread for a while; the present index serves, and a new one is written afterwards."""
    monkeypatch.setattr(rebuild, "NO_THREAD_PAUSE_S", 0.05)
    tries: list[str] = []

    def refused(thread: threading.Thread) -> None:
        tries.append(thread.name)
        raise RuntimeError("can't start new thread")

    with open_store(tmp_path, MODEL) as store:
        root = filled(store)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(threading.Thread, "start", refused)
            maintain_until(store, lambda: len(tries) >= 3)
            apply(store, put(root, "new.py", FILES[25]))
            assert [found(store, n) for n in (0, 19, 25)] == [5] * 3
        maintain_until(store, settled(store))
        assert only_pool(store).lexical.view().searcher.num_segments == 1
        assert [found(store, n) for n in (0, 19, 25)] == [5] * 3


def test_what_changes_meanwhile_is_in_the_new_one(tmp_path: Path, gate: threading.Event) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = filled(store)
        maintain_until(store, lambda: store._upkeep._rebuilder.busy)
        apply(store, DeleteFile(root, "f3.py"), put(root, "f4.py", FILES[24]), put(root, "new.py", FILES[25]))
        assert (found(store, 3), found(store, 4), found(store, 24), found(store, 25)) == (0, 0, 5, 5), "served at once"
        snapshot = store.reads.snapshot
        gate.set()
        maintain_until(store, lambda: not store._upkeep._rebuilder.busy)
        assert (found(store, 3), found(store, 4), found(store, 24), found(store, 25)) == (0, 0, 5, 5)
        assert [found(store, n) for n in (0, 1, 2, 5, 19)] == [5] * 5
        assert only_pool(store).lexical.matches(100)
        assert len(directories(store)) == 1
        (old,) = snapshot.pools.values()
        assert len(old.lexical(LexicalQuery(("word7x1",)), 5)) == 1, "a snapshot that is held stays whole"
    with open_store(tmp_path, MODEL) as store:
        assert only_pool(store).lexical.matches(100)
        assert (found(store, 3), found(store, 25)) == (0, 5)


def test_a_change_after_the_writing_and_before_the_switch_counts_too(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = filled(store)
        rebuilder = store._upkeep._rebuilder
        maintain_until(store, lambda: rebuilder.busy)
        assert rebuilder._thread is not None
        rebuilder._thread.join()
        apply(store, DeleteFile(root, "f3.py"))
        apply(store, put(root, "f3.py", FILES[3]), DeleteFile(root, "f5.py"))
        maintain_until(store, lambda: not rebuilder.busy)
        assert (found(store, 3), found(store, 5)) == (5, 0)
        assert only_pool(store).lexical.matches(95)


def test_a_disk_that_refuses_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def full(_directory: Path, _docs: Iterable[Document]) -> None:
        tried.append(errno.ENOSPC)
        raise LexicalWriteError("no space left")

    with open_store(tmp_path, MODEL) as store:
        root = filled(store)
        monkeypatch.setattr(rebuild, "write_index", full)
        maintain_until(store, lambda: bool(tried) and not store._upkeep._rebuilder.busy)
        for _ in range(5):
            store.maintain(idle=True)
        assert len(tried) == 1, "it is not tried again and again"
        assert [found(store, n) for n in range(20)] == [5] * 20
        monkeypatch.undo()
        monkeypatch.setattr("regend.store.upkeep._SMALL_DOCS", 10)
        monkeypatch.setattr("regend.store.upkeep._PURGE_IDLE_S", 0.0)
        monkeypatch.setattr("regend.store.upkeep._REWRITE_IDLE_S", 0.0)
        apply(store, put(root, "f20.py", FILES[20]))
        maintain_until(store, settled(store))
        assert [found(store, n) for n in range(21)] == [5] * 21


@pytest.mark.parametrize("how", ["close", "remove", "purge"])
def test_a_job_that_is_not_wanted_any_more_leaves_nothing(tmp_path: Path, gate: threading.Event, how: str) -> None:
    with open_store(tmp_path, MODEL) as store:
        root = filled(store)
        maintain_until(store, lambda: store._upkeep._rebuilder.busy)
        lexical = only_pool(store).lexical
        if how == "remove":
            store.remove_root(root)
        elif how == "purge":
            apply(store, DeleteFile(root, "f0.py"))
            assert store.purge(lambda _pool, path: path == "f0.py")
            assert not store._upkeep._rebuilder.busy
            assert len(directories(store)) == 1
            secret = b"word0x1"
            assert not [f for f in lexical.directory.rglob("*") if f.is_file() and secret in f.read_bytes()]
    assert not gate.is_set(), "nobody waited for the job"
    if how != "remove":
        assert len([path for path in lexical.directory.iterdir() if path.is_dir()]) == 1
    else:
        assert not lexical.directory.exists()


def test_an_older_marker_does_not_say_how_many_were_added(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        filled(store)
        marker = only_pool(store).lexical.directory / "marker.json"
    body = parse_signed(marker.read_bytes())
    assert body.pop("added") == 100
    marker.write_bytes(signed(body))
    assert read_marker(marker, body["owner"]).added is None
    with open_store(tmp_path, MODEL) as store:
        assert only_pool(store).lexical.added_docs == 100, "all of them may lie in segments of their own"
        assert [found(store, n) for n in range(20)] == [5] * 20
