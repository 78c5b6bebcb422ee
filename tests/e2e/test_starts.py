"""A daemon starts where something it was told of is away, and where another version left its index."""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from regend.cli.main import main
from regend.errors import RootError
from regend.rpc.client import Client
from tests.e2e.rig import daemon, wait_for


def test_a_known_root_that_is_away_holds_up_no_start(tmp_path: Path) -> None:
    here, away = tmp_path.resolve() / "here", tmp_path.resolve() / "away"
    for directory, name in ((here, "apple"), (away, "pear")):
        directory.mkdir()
        (directory / f"{name}.py").write_text(f"def {name}():\n    return 1\n")
    with daemon() as subject:
        subject.start(here, away).flush()
        subject.kill()
        away.rename(tmp_path / "moved")
        subject.start(here, away)
        assert subject.root(away)["state"] == "gone"
        assert subject.paths("apple")[0] == "apple.py"
        (tmp_path / "moved").rename(away)
        wait_for(lambda: subject.root(away)["state"] == "ready", "the root is served again")
        assert subject.root(away)["files_indexed"] == 1


def test_a_root_stays_with_its_directory_when_the_link_to_it_changes(tmp_path: Path) -> None:
    first, second, link = (tmp_path.resolve() / name for name in ("first", "second", "link"))
    for directory, name in ((first, "apple"), (second, "pear")):
        directory.mkdir()
        (directory / f"{name}.py").write_text(f"def {name}():\n    return 1\n")
    link.symlink_to(first)
    with daemon() as subject:
        subject.start(link).flush()
        assert [root["path"] for root in subject.call("list")["roots"]] == [str(first)]
        assert subject.paths("apple", root=str(link)) == ["apple.py"]
        link.unlink()
        link.symlink_to(second)
        (first / "plum.py").write_text("def plum():\n    return 1\n")
        subject.flush()
        assert subject.root(first)["state"] == "ready" and subject.paths("plum")[0] == "plum.py"
        for method, asked in (("files", {"root": str(link)}), ("search", {"query": "pear", "root": str(link)}),
                              ("reindex", {"path": str(link)}), ("remove", {"path": str(link)})):  # fmt: skip
            with Client(subject.socket) as client, pytest.raises(RootError, match=f"{link} leads to {second} now"):
                client.call(method, **asked)
        subject.stop()
        subject.start(link).flush()
        assert [root["path"] for root in subject.call("list")["roots"]] == [str(first), str(second)]
        assert subject.paths("pear", root=str(link)) == ["pear.py"]


def test_files_of_an_earlier_chunker_are_served_and_chunked_again_without_new_vectors(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "tree"
    root.mkdir()
    for n in range(20):
        (root / f"part_{n}.py").write_text(f"def apple_{n}():\n    return {n}\n")
    with daemon() as subject:
        subject.start(root).flush()
        fresh = subject.export(root)
        subject.stop()
        catalog = subject.state_dir / "index.db"
        Path(f"{catalog}.sums").unlink()
        with closing(sqlite3.connect(catalog)) as connection, connection:
            connection.execute("UPDATE state SET chunker = chunker - 1")
            for (blob,) in connection.execute("SELECT blob FROM blobs").fetchall():
                other = secrets.token_bytes(16)
                connection.execute("UPDATE blobs SET blob = ? WHERE blob = ?", (other, blob))
                connection.execute("UPDATE trees SET blob = ? WHERE blob = ?", (other, blob))
            connection.execute("UPDATE blob_chunks SET kind = 'window'")
        subject.start(root)
        assert subject.paths("apple_7")[0] == "part_7.py"
        subject.flush()
        assert subject.export(root) == fresh
        assert subject.status()["counters"]["embedded_chunks"] == 0
        assert subject.call("search", query="apple_7 kind:window")["results"] == []


@pytest.mark.parametrize(
    "text",
    ["[watch]\nquiet = 1\n", "[embedding]\nprovider = 'tei'\nurls = ['junk']\n", "[embedding]\nprovider = 'onnx'\n"],
)
def test_a_restart_with_a_wrong_configuration_leaves_the_daemon_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    file = tmp_path / "c.toml"
    file.write_text(text)
    monkeypatch.setenv("REGEND_CONFIG", str(file))
    with daemon() as subject:
        subject.start()
        assert main(["--socket", str(subject.socket), "restart"]) == 2
        assert "c.toml" in capsys.readouterr().err
        assert subject.process.poll() is None and subject.answers()
