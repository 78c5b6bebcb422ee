"""Opening a store: what it finds again, what it refuses, and what it repairs."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from regend.core.commands import DeleteFile
from regend.errors import StoreError, StoreLockedError, StoreVersionError
from regend.store.base import LexicalQuery
from regend.store.store import Store, open_store
from tests.store.root_export import export_of
from tests.store.samples import MODEL, apply, chunked, put, put_vectors, vector_of

A = chunked(["alpha one", "beta two", "gamma three"])
B = chunked(["delta four", "beta two"])


def filled(state_dir: Path) -> Store:
    store = open_store(state_dir, MODEL)
    root = store.add_root("/r", "/r", "1:2").root
    apply(store, put_vectors(apply(store, put(root, "a.py", A), put(root, "b.py", B))))
    apply(store, DeleteFile(root, "b.py"))
    return store


@pytest.mark.parametrize("is_there", [True, False], ids=["lock file", "no lock file"])
def test_a_second_store_is_refused(tmp_path: Path, is_there: bool) -> None:
    """Users remove a lock file that they take for stale."""
    first = filled(tmp_path)
    for _ in range(2):
        if not is_there:
            (tmp_path / "lock").unlink()
        with pytest.raises(StoreLockedError, match=r"is held by (process|another)"):
            open_store(tmp_path, MODEL)
    first.close()
    open_store(tmp_path, MODEL).close()


def answers(store: Store) -> object:
    (pool,) = store.reads.snapshot.pools.values()
    words = pool.lexical(LexicalQuery(("beta", "py")), 10)
    near = pool.nearest(vector_of(A.chunks[2].chunk_id), 10)
    root = store.reads.roots()[0].root
    stats, complete = store.reads.root_stats(root), store.reads.snapshot.complete
    return words, near, stats, export_of(store, root), complete, dict(pool.entries)


def test_everything_is_found_again(tmp_path: Path) -> None:
    store = filled(tmp_path)
    before, generation = answers(store), store.reads.snapshot.generation
    store.close()
    store.close()
    with open_store(tmp_path, MODEL) as again:
        assert answers(again) == before
        assert again.reads.snapshot.generation == generation
        # The deleted file's chunks were kept: its way back embeds nothing.
        assert apply(again, put(again.reads.roots()[0].root, "b.py", B, known=True)) == []


def test_the_directory_is_private_and_locked(tmp_path: Path) -> None:
    with filled(tmp_path / "deep" / "state"):
        assert (tmp_path / "deep" / "state").stat().st_mode & 0o777 == 0o700
        probe = (
            "import sys; from pathlib import Path; from regend.store.store import open_store; "
            "from tests.store.samples import MODEL; open_store(Path(sys.argv[1]), MODEL)"
        )
        command = [sys.executable, "-c", probe, str(tmp_path / "deep" / "state")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode != 0
        assert "StoreLockedError" in done.stderr
    open_store(tmp_path / "deep" / "state", MODEL).close()


def test_a_locked_directory_names_its_holder(tmp_path: Path) -> None:
    with filled(tmp_path), pytest.raises(StoreLockedError, match=f"process {os.getpid()}"):
        open_store(tmp_path, MODEL)


def test_a_file_system_without_locks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def flock(_fd: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    before = set(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr("fcntl.flock", flock)
        with pytest.raises(StoreError, match="cannot be used: No locks available; name another one with --state-dir"):
            open_store(tmp_path, MODEL)
    assert set(os.listdir("/proc/self/fd")) == before
    open_store(tmp_path, MODEL).close()


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        open_store(tmp_path / "file" / "state", MODEL)


def test_the_mode_of_a_directory_that_others_use_stays_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(StoreError, match="shared with other users"):
        open_store(shared, MODEL)
    assert shared.stat().st_mode & 0o7777 == 0o1777


def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with sqlite3.connect(tmp_path / "index.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreVersionError, match="99"):
        open_store(tmp_path, MODEL)
    with sqlite3.connect(tmp_path / "index.db") as connection:
        assert connection.execute("SELECT count(*) FROM roots").fetchone() == (1,)


def test_a_foreign_database_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "index.db") as connection:
        connection.execute("CREATE TABLE theirs(x)")
    with pytest.raises(StoreError, match="another program"):
        open_store(tmp_path, MODEL)


def test_a_damaged_catalog_is_put_aside(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "index.db").write_bytes(b"garbage " * 2000)
    with open_store(tmp_path, MODEL) as store:
        (root,) = [record.root for record in store.reads.roots()]
        assert store.tree(root) == {}
        assert len(apply(store, put(root, "a.py", A))) == 3
    assert len(list(tmp_path.glob("index.db.damaged-*"))) == 1


def test_a_catalog_that_went_missing_takes_no_root_along(tmp_path: Path) -> None:
    """As after damage on a full disk: it was put aside, and the new one could not be made."""
    with open_store(tmp_path, MODEL) as store:
        apply(store, put(store.add_root("/r", "/r", "1:2").root, "a.py", chunked(["alpha body"])))
        shutil.copyfile(tmp_path / "index.db-wal", tmp_path / "old-wal")
    (tmp_path / "index.db").unlink()
    (tmp_path / "old-wal").rename(tmp_path / "index.db-wal")
    with open_store(tmp_path, MODEL) as store:
        assert [(record.path, record.marker) for record in store.reads.roots()] == [("/r", "1:2")]
        assert store.tree(store.reads.roots()[0].root) == {}, "the log of the old catalog is not laid over the new one"


def test_without_the_copy_of_the_roots_nothing_is_invented(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "index.db").write_bytes(b"garbage " * 2000)
    (tmp_path / "index.db.roots").write_bytes(b"garbage")
    with open_store(tmp_path, MODEL) as store:
        assert store.reads.roots() == []


def test_roots_of_a_partly_damaged_catalog_are_saved(tmp_path: Path) -> None:
    filled(tmp_path).close()
    (tmp_path / "index.db.roots").unlink()
    connection = sqlite3.connect(tmp_path / "index.db")
    page = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'chunks'").fetchone()[0]
    size = connection.execute("PRAGMA page_size").fetchone()[0]
    connection.close()
    with (tmp_path / "index.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xff" * size)
    with open_store(tmp_path, MODEL) as store:
        assert [(record.path, record.marker) for record in store.reads.roots()] == [("/r", "1:2")]
        assert store.tree(store.reads.roots()[0].root) == {}


def test_another_model_is_not_served_old_vectors_and_the_first_gets_its_own_back(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with open_store(tmp_path, replace(MODEL, model_id="test-model-2")) as store:
        (pool,) = store.reads.snapshot.pools.values()
        assert pool.nearest(vector_of(A.chunks[0].chunk_id), 9) == []
        assert not store.reads.snapshot.complete
        assert store.reads.root_stats(store.reads.roots()[0].root).pending_vectors == 3
        pending = [chunk.chunk for chunk in store.unembedded(10, frozenset()).chunks]
        assert pending == [chunk.chunk_id for chunk in A.chunks]
        apply(store, put_vectors(pending[:1]))
    with open_store(tmp_path, MODEL) as store:
        (pool,) = store.reads.snapshot.pools.values()
        assert store.reads.snapshot.complete
        assert len(pool.nearest(vector_of(A.chunks[0].chunk_id), 9)) == 3


@pytest.mark.parametrize("what", ["directory", "marker", "old marker", "postings"])
def test_a_lost_or_damaged_lexical_index_is_rebuilt(tmp_path: Path, what: str) -> None:
    store = filled(tmp_path)
    before = answers(store)
    store.close()
    lexical = tmp_path / "lexical"
    if what == "directory":
        lexical.rename(tmp_path / "elsewhere")
    elif what == "marker":
        next(lexical.rglob("marker.json")).write_bytes(b"{")
    elif what == "old marker":
        marker = next(lexical.rglob("marker.json"))
        marker.write_text(marker.read_text().replace('"generation": ', '"generation": 0'))
    else:
        next(lexical.rglob("*.idx")).write_bytes(b"x" * 500)
    with open_store(tmp_path, MODEL) as again:
        after = answers(again)
        # Term statistics of deleted documents may differ, so scores may; what is found may not.
        assert [hit.doc for hit in after[0]] == [hit.doc for hit in before[0]]  # type: ignore[index]
        assert after[1:] == before[1:]  # type: ignore[index]


def test_damage_that_a_commit_meets_is_named_and_repaired_by_the_next_opening(tmp_path: Path) -> None:
    filled(tmp_path).close()
    with open_store(tmp_path, MODEL) as store:
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'chunks'"
        page = store._connection.execute(query).fetchone()[0]
        size = store._connection.execute("PRAGMA page_size").fetchone()[0]
        with (tmp_path / "index.db").open("r+b") as file:
            file.seek((page - 1) * size)
            file.write(b"\xff" * size)
        store._connection.execute("PRAGMA shrink_memory")  # Else the page is still in SQLite's cache.
        with pytest.raises(StoreError, match="restart the daemon"):
            apply(store, put(store.reads.roots()[0].root, "c.py", chunked(["epsilon six"])))
    with open_store(tmp_path, MODEL) as store:
        assert [record.path for record in store.reads.roots()] == ["/r"]
        assert len(apply(store, put(store.reads.roots()[0].root, "a.py", A))) == 3
