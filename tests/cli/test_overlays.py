"""Unsaved text of an editor goes with a question."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from regend.cli.main import main
from tests.rpc.scripted import ServerThread, short_directory, wire


def test_overlays_are_read_from_their_copies(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with short_directory() as directory, ServerThread(directory / "s") as served:
        socket = ("--socket", str(directory / "s"))
        (tmp_path / "copy").write_bytes(b"caf\xe9 = 1\n")
        copy = f"/src/app/a=b.py={tmp_path / 'copy'}"
        assert main([*socket, "search", "x", "--all", "--overlay", copy, "--overlay", "/src/app/c.py=/dev/null"]) == 0
        first, second = wire(served.script.seen[-1])["overlays"]
        assert first == {"path": "/src/app/a=b.py", "text": "caf\udce9 = 1\n"}
        assert second == {"path": "/src/app/c.py", "text": ""}
        for wrong in ("/src/app/a.py", f"/src/app/a.py={tmp_path / 'none'}"):
            assert main([*socket, "related", "/src/app/a.py", "--overlay", wrong]) == 2
        assert "FILE=COPY" in capsys.readouterr().err
        (tmp_path / "copy").write_text("é" * 600_000)
        assert main([*socket, "search", "x", "--all", "--overlay", copy]) == 2
        assert "have 1,200,000 bytes, and a request holds about 1,000,000; leave" in capsys.readouterr().err


def test_several_overlays_are_read_from_standard_input(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with short_directory() as directory, ServerThread(directory / "s") as served:

        def ask(data: bytes) -> int:
            monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
            return main(["--socket", str(directory / "s"), "search", "x", "--all", "--overlay", "-"])

        overlays = [{"path": "/src/app/a.py", "text": "caf\u00e9 = 1\n"}, {"path": "/src/app/c.py", "text": ""}]
        assert ask(json.dumps(overlays).encode()) == 0
        assert wire(served.script.seen[-1])["overlays"] == tuple(overlays)
        for wrong in (b"", b"x", b"\xff", b"{}", b"[1]", b'[{"path": "/src/app/a.py"}]', b'[{"path": 1, "text": ""}]'):
            assert ask(wrong) == 2
            assert "reads a JSON array" in capsys.readouterr().err
        assert ask(b'[{"path": "", "text": ""}]') == 2
        assert "path is empty" in capsys.readouterr().err
