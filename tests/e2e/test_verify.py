"""`verify` finds where the index and the disk differ although nothing said so, and repairs it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from regend.cli.main import main
from tests.e2e.rig import assert_as_fresh, daemon

NAMES = ("apple", "banana", "cherry")


def entangle(state_dir: Path, root: Path) -> None:
    """Let the index believe that two files have each other's content, with their stat data as they are."""
    connection = sqlite3.connect(state_dir / "index.db")
    rows = connection.execute(
        "SELECT t.path, t.blob, e.blob_key, t.entry_id FROM trees t JOIN entries e USING (entry_id) "
        "WHERE t.path IN ('apple.py', 'banana.py') ORDER BY t.path"
    ).fetchall()
    for (path, *_), (_, blob, blob_key, _) in zip(rows, reversed(rows), strict=True):
        entry = connection.execute(
            "INSERT INTO entries(pool, path, blob_key, changed) SELECT pool, ?, ?, changed FROM entries LIMIT 1",
            (path, blob_key),
        ).lastrowid
        connection.execute("UPDATE trees SET blob = ?, entry_id = ? WHERE path = ?", (blob, entry, path))
    for *_, old in rows:
        connection.execute("UPDATE entries SET unused_utc = 1 WHERE entry_id = ?", (old,))
    connection.commit()
    connection.close()
    (state_dir / "index.db.sums").unlink()  # Else the next start would put the changed catalog aside.


DAMAGE = {
    "a text": "UPDATE chunks SET text = replace(text, 'apple pie', 'other pie') WHERE text LIKE '%apple pie%'",
    "a list": "DELETE FROM blob_chunks WHERE blob_key = 1",
    "a page": "",
}


@pytest.mark.parametrize(
    "what", ["a text", *(pytest.param(what, marks=pytest.mark.slow) for what in ("a list", "a page"))]
)
def test_damage_within_the_catalog_is_found_and_mended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    """Damage that no tree shows is found: the file's hash is right, but its chunks are those of another text."""
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"def {name}():\n    return '{name} pie'\n")
    with daemon() as subject:
        subject.start(tmp_path).flush()
        assert subject.stop() == 0
        connection = sqlite3.connect(subject.state_dir / "index.db")
        if DAMAGE[what]:
            assert connection.execute(DAMAGE[what]).rowcount == 1
            connection.commit()
            (subject.state_dir / "index.db.sums").unlink()  # As if it had come about while the daemon served.
        connection.close()
        subject.start().flush()
        if not DAMAGE[what]:
            damage_a_page(subject.state_dir / "index.db")
        assert main(["--socket", str(subject.socket), "doctor", "--verify"]) == 1
        shown = capsys.readouterr().out
        assert "fail  index pages: " in shown and "regenctl restart: the daemon puts the file aside" in shown
        assert subject.stop() == 0
        subject.start().flush()
        assert '"catalog_damaged"' in subject.log()
        assert len(list(subject.state_dir.glob("index.db.damaged-*"))) == 1
        assert subject.call("verify")["damage"] == ""
        assert subject.search("apple pie")[0] == "apple.py:1-2"
        assert_as_fresh(subject, tmp_path, queries=5)


def damage_a_page(catalog: Path) -> None:
    """Overwrite the table of chunks below the daemon."""
    connection = sqlite3.connect(catalog)
    (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'blob_chunks'").fetchone()
    (size,) = connection.execute("PRAGMA page_size").fetchone()
    with catalog.open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\x55" * size)
    connection.close()


def test_what_differs_is_found_and_repaired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        (tmp_path / f"{name}.py").write_text(f"def {name}():\n    return '{name} pie'\n")
    with daemon() as subject:
        subject.start(tmp_path).flush()
        assert subject.call("verify")["differing"] == []
        assert subject.stop() == 0
        entangle(subject.state_dir, tmp_path)
        subject.start()
        subject.flush()
        assert subject.paths("apple")[0] == "banana.py"
        assert main(["--socket", str(subject.socket), "doctor", "--verify"]) == 0
        shown = capsys.readouterr().out
        assert "2 of 3 files differed" in shown
        assert f"{tmp_path}/apple.py: its content was different" in shown
        assert "index pages: sound" in shown
        assert subject.paths("apple")[0] == "apple.py"
        found = subject.call("verify")
        assert (found["differing"], found["more"], found["damage"], found["files"]) == ([], 0, "", 3)
        assert_as_fresh(subject, tmp_path, queries=5)
