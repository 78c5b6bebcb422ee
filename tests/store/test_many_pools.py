"""Many small pools cost few threads, no open files and no words on disk; a pool that grows keeps its words there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from regend.core.commands import DeleteFile
from regend.store.base import LexicalQuery
from regend.store.store import Store, open_store
from regend.types import RootId
from tests.store.samples import MODEL, apply, chunked, put

REPOSITORY = Path(__file__).resolve().parents[2]
POOLS = 40
WRITER_THREADS = 6
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="counts threads and descriptors in /proc")


@pytest.fixture(autouse=True)
def _small_words_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.store.memory.MEMORY_DOCS", 20)
    monkeypatch.setattr("regend.store.upkeep._PURGE_IDLE_S", 0.0)
    monkeypatch.setattr("regend.store.upkeep._REWRITE_IDLE_S", 0.0)


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def at_most(limit: int) -> bool:
    """Return whether there are soon no more threads; those of a closed writer take a moment to end."""
    deadline = time.monotonic() + 10
    while (found := threads()) > limit and time.monotonic() < deadline:
        time.sleep(0.01)
    return found <= limit


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_mb() -> float:
    found = re.search(r"VmRSS:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) / 1e3


def fill(store: Store, count: int = POOLS) -> list[RootId]:
    roots = [store.add_root(f"/r{n}", f"/r{n}", "").root for n in range(count)]
    for n, root in enumerate(roots):
        apply(store, put(root, "a.py", chunked([f"word{n} body"])))
    return roots


def hits(store: Store, word: str) -> int:
    return sum(len(pool.lexical(LexicalQuery((word,)), 1_000)) for pool in store.reads.snapshot.pools.values())


def put_docs(store: Store, root: RootId, name: str, count: int) -> None:
    apply(store, put(root, name, chunked([f"{name.removesuffix('.py')}{n} grown" for n in range(count)])))


@needs_proc
@pytest.mark.parametrize("again", [False, True])
def test_small_pools_share_the_threads_of_one_writer(tmp_path: Path, again: bool) -> None:
    with open_store(tmp_path, MODEL) as store:
        before, open_before = threads(), descriptors()
        fill(store)
        assert at_most(before + WRITER_THREADS)
        assert descriptors() - open_before <= 2
        if not again:
            assert hits(store, "word7") == 1 and hits(store, "body") == POOLS
            store._memory.close_writer()
            assert at_most(before)
            return
    before, open_before = threads(), descriptors()
    with open_store(tmp_path, MODEL) as store:
        assert at_most(before)
        assert descriptors() - open_before <= 6  # The catalog, its log, the lock.
        assert hits(store, "word7") == 1 and hits(store, "body") == POOLS


@needs_proc
def test_large_pools_share_one_writer_and_hold_no_lock(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        before, open_before = threads(), descriptors()
        roots = [store.add_root(f"/r{n}", f"/r{n}", "").root for n in range(4)]
        for turn in range(3):
            for root in roots:
                put_docs(store, root, f"turn{turn}.py", 30)
        assert at_most(before + WRITER_THREADS + len(roots)), "each index on disk has a thread that watches it"
        assert descriptors() - open_before <= 2
        assert hits(store, "grown") == 4 * 3 * 30


MEASURED = """
import sys
from pathlib import Path

from regend.store import memory, upkeep
from regend.store.store import open_store
from tests.store.samples import MODEL
from tests.store.test_many_pools import fill, resident_mb

memory.MEMORY_DOCS, upkeep._PURGE_IDLE_S, upkeep._REWRITE_IDLE_S = 20, 0.0, 0.0
with open_store(Path(sys.argv[1]), MODEL) as store:
    before = resident_mb()
    fill(store, 150)
    print("grown by", resident_mb() - before)
"""
"""For a process of its own: what other tests have used and given back would be measured, too."""


@needs_proc
def test_the_memory_of_writers_comes_back(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MEASURED, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, cwd=REPOSITORY).stdout
    assert float(said.rpartition("grown by")[2]) < 60


def words_are_on_disk(state_dir: Path) -> bool:
    return bool(list(state_dir.glob("lexical/*/marker.json")))


def grow(store: Store, root: RootId) -> None:
    put_docs(store, root, "b.py", 30)


def grow_slowly(store: Store, root: RootId) -> None:
    for n in range(15):
        put_docs(store, root, f"b{n}.py", 2)


@pytest.mark.parametrize("growth", [grow, grow_slowly])
def test_words_move_to_disk_as_a_pool_grows_and_back(tmp_path: Path, growth: Callable[[Store, RootId], None]) -> None:
    with open_store(tmp_path, MODEL) as store:
        (root,) = fill(store, 1)
        put_docs(store, root, "gone.py", 3)
        apply(store, DeleteFile(root, "gone.py"))
        assert not words_are_on_disk(tmp_path)
        old = store.reads.snapshot
        growth(store, root)
        assert words_are_on_disk(tmp_path)
        assert (hits(store, "grown"), hits(store, "word0"), hits(store, "gone0")) == (30, 1, 0)
        (pool,) = old.pools.values()
        assert len(pool.lexical(LexicalQuery(("grown",)), 50)) == 0
    with open_store(tmp_path, MODEL) as store:
        assert (hits(store, "grown"), hits(store, "word0")) == (30, 1)
        names = [row.path for row in store.reads.files(root) if row.path != "a.py"]
        apply(store, *(DeleteFile(root, name) for name in names))
        store.maintain(idle=True)
        store.maintain(idle=True)
        assert not words_are_on_disk(tmp_path)
        assert (hits(store, "grown"), hits(store, "word0")) == (0, 1)
