"""A state directory of an earlier format is brought up to date without embedding again; a newer one is refused."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from regend.errors import StoreVersionError
from regend.store.base import LexicalQuery
from regend.store.catalog.schema import SCHEMA_VERSION
from regend.store.catalog.sums import settle
from regend.store.envelope import parse_signed, signed
from regend.store.store import open_store
from regend.types import UNSURE
from tests.store.oracle import FILES, Oracle, check
from tests.store.samples import MODEL, apply, put, put_vectors


def filled(state_dir: Path) -> Oracle:
    with open_store(state_dir, MODEL) as store:
        root = store.add_root("/r", "/r", "1:2").root
        oracle = Oracle({root: {}})
        ops = [put(root, path, file) for path, file in zip(("a.py", "b.py"), FILES, strict=False)]
        vectors = put_vectors(apply(store, *ops))
        apply(store, vectors)
        for op in (*ops, vectors):
            oracle.do(op)
        check(store, oracle)
    return oracle


def make_version_1(state_dir: Path) -> None:
    """As the first format was: four columns fewer, an empty file as the mark of a clean end, an unsigned marker."""
    connection = sqlite3.connect(state_dir / "index.db")
    for column in ("catalog_id", "base", "writes", "chunker"):
        connection.execute(f"ALTER TABLE state DROP COLUMN {column}")
    connection.execute("PRAGMA user_version = 1")
    connection.close()
    for name in ("index.db.sums", "index.db.roots"):
        (state_dir / name).unlink()
    (state_dir / "index.db.clean").touch()
    marker = next(state_dir.rglob("marker.json"))
    fields = parse_signed(marker.read_bytes())
    kept = {name: fields[name] for name in ("directory", "generation", "deleted")}
    marker.write_text(json.dumps({"format": 2, **kept}))


def test_the_first_format_is_migrated_with_its_vectors(tmp_path: Path) -> None:
    oracle = filled(tmp_path)
    make_version_1(tmp_path)
    with open_store(tmp_path, MODEL) as store:
        check(store, oracle)
        assert store.reads.snapshot.complete
        assert not store.unembedded(10, frozenset()).chunks
    assert not (tmp_path / "index.db.clean").exists()
    assert not list(tmp_path.glob("*.damaged-*"))
    with open_store(tmp_path, MODEL) as store:
        check(store, oracle)
        assert store._connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        assert len(store._catalog.catalog_id) == 16


def test_the_second_format_is_migrated_with_its_checksum_and_its_files_are_read_again(tmp_path: Path) -> None:
    oracle = filled(tmp_path)
    with open_store(tmp_path, MODEL) as store:
        (root,) = store.reads.snapshot.roots
        assert UNSURE not in {state.sig for state in store.tree(root).values()}
    connection = sqlite3.connect(tmp_path / "index.db")
    connection.execute("ALTER TABLE state DROP COLUMN chunker")
    connection.execute("PRAGMA user_version = 2")
    assert settle(connection, tmp_path / "index.db") is not None
    connection.close()
    with open_store(tmp_path, MODEL) as store:
        check(store, oracle)
        assert {state.sig for state in store.tree(root).values()} == {UNSURE}
        assert not store.unembedded(10, frozenset()).chunks
    assert not list(tmp_path.glob("*.damaged-*"))
    with open_store(tmp_path, MODEL) as store:
        assert {state.sig for state in store.tree(root).values()} == {UNSURE}, "nothing has read them yet"


def test_a_version_that_never_was_is_damage(tmp_path: Path) -> None:
    filled(tmp_path)
    make_version_1(tmp_path)
    connection = sqlite3.connect(tmp_path / "index.db")
    connection.execute("PRAGMA user_version = 0")
    connection.close()
    with open_store(tmp_path, MODEL) as store:
        assert store.reads.snapshot.generation == 0
    assert len(list(tmp_path.glob("index.db.damaged-*"))) == 1


def test_a_newer_one_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "index.db.sums").unlink()
    connection = sqlite3.connect(tmp_path / "index.db")
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.name != "lock"}
    with pytest.raises(StoreVersionError, match=f"schema version {SCHEMA_VERSION + 1}.*use the newer regend"):
        open_store(tmp_path, MODEL)
    after = {path: path.read_bytes() for path in before if path.exists()}
    assert after == before


def test_a_cache_of_another_catalog_is_not_believed(tmp_path: Path) -> None:
    """Its numbers may mean other rows here."""
    filled(tmp_path / "one")
    with open_store(tmp_path / "two", MODEL) as store:
        root = store.add_root("/r", "/r", "1:2").root
        apply(store, put(root, "z.py", FILES[5]), put(root, "y.py", FILES[4]))
    for path in (tmp_path / "two" / "lexical").iterdir():
        path.rename(tmp_path / "moved")
    (tmp_path / "one" / "lexical" / "1").rename(tmp_path / "two" / "lexical" / "1")
    with open_store(tmp_path / "two", MODEL) as store:
        (pool,) = store.reads.snapshot.pools.values()
        found = pool.lexical(LexicalQuery(("zeta", "epsilon", "alpha")), 10)
        assert {pool.entries[hit.doc >> 16].path for hit in found} == {"z.py", "y.py"}
        kept = signed({"a": 1})
        assert parse_signed(kept) == {"a": 1}
        with pytest.raises(ValueError, match="checksum"):
            parse_signed(kept.replace(b"1", b"2", 1))
