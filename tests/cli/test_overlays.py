"""Unsaved text of an editor goes with a question."""

from __future__ import annotations

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
