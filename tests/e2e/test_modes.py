"""The three modes give byte-equal indexes; `reindex --mode` uses one until its work is done; `status` names it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from regend.store.catalog.schema import MODEL_SHIFT
from tests.e2e.rig import Daemon, daemon, queries_about
from tests.store.root_export import RootExport

SOURCES = Path(__file__).parents[2] / "regend"
MODES = ("sequential", "parallel", "pipeline")
FILES = 90
"""More than `BULK_FILES`, so that the order of stages matters."""


def vectors(subject: Daemon) -> dict[str, bytes]:
    """The bytes of every vector, by the chunk that it belongs to."""
    connection = sqlite3.connect(f"file:{subject.state_dir / 'index.db'}?mode=ro", uri=True)
    try:
        keys = dict(connection.execute("SELECT chunk_key, lower(hex(chunk)) FROM chunks"))
        rows = connection.execute("SELECT vector_key, vector FROM vectors").fetchall()
    finally:
        connection.close()
    mask = (1 << MODEL_SHIFT) - 1
    return {keys[key & mask]: bytes(vector) for key, vector in rows}


def indexed(subject: Daemon, root: Path) -> tuple[RootExport, dict[str, bytes], dict[str, list[str]]]:
    done = subject.flush()
    assert done["complete"] and not done["failed"]
    found = {query: subject.search(query, k=10, root=str(root)) for query in queries_about(root, 20)}
    return subject.export(root), vectors(subject), found


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    for number, source in enumerate(sorted(SOURCES.rglob("*.py"))[:FILES]):
        (root / f"{number}_{source.name}").write_bytes(source.read_bytes())
    return root


@pytest.mark.slow
def test_every_mode_gives_the_same_bytes(tree: Path) -> None:
    indexes = {}
    for mode in (*MODES, "auto"):
        with daemon(f"[workers]\nmode = '{mode}'\n") as subject:
            subject.start(tree)
            indexes[mode] = indexed(subject, tree)
            assert subject.root(tree)["files_indexed"] == FILES
            if mode == "pipeline":
                for other in MODES:
                    subject.call("reindex", path=str(tree), mode=other)
                    indexes[f"again in {other}"] = indexed(subject, tree)
                assert subject.status()["mode"] == "pipeline", "the configured mode holds again"
    first = indexes.pop("sequential")
    assert len(first[1]) > FILES
    for mode, index in indexes.items():
        assert index == first, mode


def test_a_mode_is_taken_from_the_configuration_and_from_a_request(tree: Path) -> None:
    with daemon("[workers]\nmode = 'sequential'\n") as subject:
        subject.start(tree)
        assert subject.status()["mode"] == "sequential"
        subject.call("pause")
        subject.call("reindex", path=str(tree), mode="parallel")
        assert subject.status()["mode"] == "parallel"
        subject.call("resume")
        assert subject.flush()["complete"]
        subject.call("sync")
        assert subject.status()["mode"] == "sequential"
        with pytest.raises(Exception, match="`mode` is 'fast'; it must be one of '', 'sequential'"):
            subject.call("reindex", path=str(tree), mode="fast")
