"""The catalog's checksum is there exactly while it is right, and a log of another time is noticed."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest

from regend.store.catalog import sums
from regend.store.store import Store, open_store
from tests.store.samples import MODEL, apply, chunked, put


def write(store: Store, number: int) -> None:
    root = store.add_root("/r", "/r", "").root
    apply(store, put(root, f"f{number}.py", chunked([f"word{number} body"])))


def test_it_is_right_after_each_checkpoint_and_stays_so(tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    with open_store(tmp_path, MODEL) as store:
        for number in range(3):
            write(store, number)
            store._catalog.checkpoint()
            assert sums.read_sum(path) == sums.crc_of(path)
            write(store, number + 10)
            assert sums.read_sum(path) == sums.crc_of(path), "commits go to the log only"
    assert sums.read_sum(path) == sums.crc_of(path)


def test_a_reader_in_the_way_leaves_it_unknown(tmp_path: Path) -> None:
    with open_store(tmp_path, MODEL) as store:
        write(store, 1)
        reader = sqlite3.connect(tmp_path / "index.db", isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM trees").fetchone()
        write(store, 2)
        store._catalog.checkpoint()
        assert sums.read_sum(tmp_path / "index.db") is None
        reader.close()
        store._catalog.checkpoint()
        assert sums.read_sum(tmp_path / "index.db") is not None


def test_a_full_disk_leaves_it_unknown_and_the_store_closes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    store = open_store(tmp_path, MODEL)
    write(store, 1)
    monkeypatch.setattr(sums, "write_atomically", refuse)
    store.close()
    assert sums.read_sum(tmp_path / "index.db") is None
    with open_store(tmp_path, MODEL) as again:
        assert list(again.tree(again.reads.roots()[0].root)) == ["f1.py"]


def test_the_log_of_another_time_is_damage(tmp_path: Path) -> None:
    """SQLite itself lays its pages over the newer file without a word."""
    live, mixed = tmp_path / "live", tmp_path / "mixed"
    with open_store(live, MODEL) as store:
        write(store, 1)
        old_log = (live / "index.db-wal").read_bytes()
        for number in range(2, 30):
            write(store, number)
        store._catalog.checkpoint()
        # Without the lexical index, whose merging threads make and remove files all the time.
        shutil.copytree(live, mixed, ignore=shutil.ignore_patterns("lexical"))
    (mixed / "index.db-wal").write_bytes(old_log)
    (mixed / "index.db-shm").unlink(missing_ok=True)
    with open_store(mixed, MODEL) as store:
        assert [record.path for record in store.reads.roots()] == ["/r"]
        assert store.tree(store.reads.roots()[0].root) == {}
    assert len(list(mixed.glob("index.db.damaged-*"))) == 1
