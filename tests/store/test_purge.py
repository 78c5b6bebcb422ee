"""A purge that a full disk, a reader or a kill interrupts is finished later, and says so until then."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from regend.core.commands import DeleteFile
from regend.store.catalog import recovery, schema
from regend.store.catalog.schema import open_reader
from regend.store.lexical.index import LexicalIndex, LexicalWriteError
from regend.store.store import Store, open_store
from regend.types import PoolId
from tests.store.samples import MODEL, apply, chunked, put

TOKEN = b"hunter2sekrit"
GONE = PoolId(2)
KINDS = ("job", "catalog", "words", "reader")
"""In the order of the steps that they stop."""
STALE_BASE = "pool-{}-model-9.envelope"
"""A file of a model that was configured once."""


@pytest.fixture(autouse=True)
def _pages_keep_what_was_in_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some builds of SQLite overwrite deleted rows by default."""
    original = schema.open_writer

    def open_writer(path: Path) -> sqlite3.Connection:
        connection = original(path)
        connection.execute("PRAGMA secure_delete = OFF")
        return connection

    monkeypatch.setattr(recovery, "open_writer", open_writer)
    monkeypatch.setattr("regend.store.upkeep._PURGE_AGAIN_S", 0.0)


def holders(state_dir: Path) -> set[str]:
    """Files that hold the token, and bases that may hold vectors of its chunk."""
    files = [path for path in state_dir.rglob("*") if path.is_file()]
    bases = {path.name for path in files if path.parent.name == "vectors"}
    return bases | {path.name for path in files if TOKEN in path.read_bytes()}


def unwanted(pool: PoolId, path: str) -> bool:
    return path == "private.key" or pool == GONE


def maintain_until(store: Store, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "the purge does not come to an end"
        store.maintain(idle=True)
        time.sleep(0.002)


class FullDisk:
    """The writer's connection on a disk that has no room for a copy of the catalog."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def execute(self, statement: str, *values: Any) -> sqlite3.Cursor:
        if statement == "VACUUM":
            raise sqlite3.OperationalError("database or disk is full")
        return self._connection.execute(statement, *values)


@contextmanager
def trouble(kind: str, store: Store, state_dir: Path) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, ExitStack() as readers:

        def refused(*_args: object) -> None:
            raise LexicalWriteError("no space left")

        if kind == "catalog":
            patch.setattr(store._upkeep, "_connection", FullDisk(store._connection))
        elif kind == "words":
            patch.setattr(LexicalIndex, "rebuild", refused)
        elif kind == "job":
            patch.setattr("regend.store.vectors.merge.SlabMerger.is_running", property(lambda _: True))
        else:
            reader = open_reader(state_dir / "index.db")
            readers.callback(reader.close)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM chunks").fetchone()
        yield


def is_finished(store: Store, state_dir: Path) -> bool:
    maintain_until(store, lambda: not store._upkeep.is_purging)
    assert holders(state_dir) == set()
    # Their bytes cannot be looked for: tantivy stores words by what they share.
    assert not any(pool.lexical.deleted_docs for pool in store._memory.pools.values())
    assert store.purge(unwanted)
    return not (state_dir / "purging").exists()


def test_an_interrupted_purge_is_finished_later(tmp_path: Path) -> None:
    """One trouble after the other stops it; then all is well, and each kill in between is followed by a start."""
    state_dir = tmp_path / "state"
    with open_store(state_dir, MODEL) as store:
        kept, gone = store.add_root("/kept", "/kept", ""), store.add_root("/gone", "/gone", "")
        assert gone.pool == GONE
        secret = chunked([f"pw {TOKEN.decode()}", "x y"])
        for root in (kept.root, gone.root):
            apply(store, put(root, "a.py", chunked(["alpha one"])), put(root, "private.key", secret))
        apply(store, DeleteFile(kept.root, "private.key"))
        store.remove_root(gone.root)
        store._catalog.checkpoint()
        (state_dir / "vectors").mkdir(exist_ok=True)
        bases = [state_dir / "vectors" / STALE_BASE.format(record.pool) for record in (kept, gone)]
        for base in bases:
            base.touch()
        assert {"index.db", *(base.name for base in bases)} <= holders(state_dir)
        assert store._memory.pools[kept.pool].lexical.deleted_docs == 2
        for kind in KINDS:
            with trouble(kind, store, state_dir):
                for _ in range(2):
                    try:
                        assert not store.purge(unwanted)
                    except sqlite3.OperationalError:
                        assert kind == "catalog"
                    store.maintain(idle=True)
                if kind != "catalog":  # As after "job", but without bases.
                    shutil.copytree(state_dir, tmp_path / kind)
        assert is_finished(store, state_dir)
        assert [found.name for found in store.reads.snapshot.symbols("alpha", 5)] == ["alpha"]
    for killed in set(tmp_path.iterdir()) - {state_dir}:
        assert holders(killed), "the kill came before the end"
        with open_store(killed, MODEL) as store:
            assert is_finished(store, killed)


def test_rows_stay_until_the_purge_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    with open_store(tmp_path, MODEL) as store:
        root = store.add_root("/r", "/r", "").root
        apply(store, put(root, "private.key", chunked([f"pw {TOKEN.decode()}"])))
        apply(store, DeleteFile(root, "private.key"))
        with monkeypatch.context() as patch:
            patch.setattr("regend.store.upkeep.write_atomically", full)
            with pytest.raises(OSError, match="No space"):
                store.purge(unwanted)
        assert len(store.reads.unused()) == 1, "the next purge finds them"
        assert store.purge(unwanted)
        assert holders(tmp_path) == set()
    for content in (b"", b"{}\n00000000\n", b"no purge"):
        (tmp_path / "purging").write_bytes(content)
        with open_store(tmp_path, MODEL) as store:
            assert store._upkeep.is_purging, "a mark that cannot be read means all pools"
            maintain_until(store, lambda: not store._upkeep.is_purging)


def test_bases_of_pools_that_are_not_served_go_at_the_next_start(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        pool = store.add_root("/r", "/r", "").pool
    (tmp_path / "vectors").mkdir(exist_ok=True)
    for number in (pool, 77):
        (tmp_path / "vectors" / STALE_BASE.format(number)).touch()
    (tmp_path / "vectors" / "pool-78-model-1.0123.payload").touch()
    with open_store(tmp_path, MODEL):
        assert [path.name for path in (tmp_path / "vectors").iterdir()] == [STALE_BASE.format(pool)]
