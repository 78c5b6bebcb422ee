"""Counts of what answers save: by tool, kept by several processes at once, and nothing but counts."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from regend.cli.main import main
from regend.mcp import savings
from tests.e2e.rig import Daemon, daemon
from tests.mcp.rig import agent
from tests.rpc.scripted import short_directory


def test_counts_by_tool(tmp_path: Path) -> None:
    small, large = tmp_path / "small.py", tmp_path / "large.py"
    small.write_bytes(b"x" * 1_000)
    large.write_bytes(b"x" * 1_000_000)
    files = (str(small), str(large), str(tmp_path / "gone"))
    threads = [
        threading.Thread(target=savings.record, args=(str(tmp_path), "search_code", 100, files)) for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    savings.record(str(tmp_path), "outline", 7, ())
    savings.record(str(tmp_path), "find_symbol", 9, [str(small)] * 100)
    found = savings.counts(tmp_path)
    each = 220 + savings.MAX_FILE_TOKENS
    assert found["tools"] == {
        "search_code": {"answers": 20, "tokens": 2_000, "file_tokens": 20 * each},
        "outline": {"answers": 1, "tokens": 7, "file_tokens": 0},
        "find_symbol": {"answers": 1, "tokens": 9, "file_tokens": 220 * savings.MAX_FILES},
    }
    assert (tmp_path / "savings.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"tools": {"x": {}}}', '{"tools": 3}', "\xff"])
def test_a_damaged_file_begins_again(tmp_path: Path, damaged: str) -> None:
    (tmp_path / "savings.json").write_text(damaged, "latin-1")
    savings.record(str(tmp_path), "outline", 7, ())
    assert savings.counts(tmp_path)["tools"] == {"outline": {"answers": 1, "tokens": 7, "file_tokens": 0}}


def answers(served: Daemon, place: Path) -> None:
    served.start(place)
    with agent("--root", str(place), socket=served.socket) as client:
        client.text("search_code", query="secret words of a query")
        client.text("find_symbol", name="known")
        client.text("find_symbol", name="unknown")


def test_answers_are_counted_without_a_word_of_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "named.py").write_text("def known():\n    return 'secret words of a file'\n")
    with daemon() as served:
        answers(served, tmp_path)
        kept = (served.state_dir / "savings.json").read_text()
        assert {name: own["answers"] for name, own in json.loads(kept)["tools"].items()} == {
            "search_code": 1, "find_symbol": 1,
        }  # fmt: skip
        for word in ("secret", "named", "known", str(tmp_path)):
            assert word not in kept
        assert main(["--socket", str(served.socket), "savings"]) == 0
        page = capsys.readouterr().out
        assert "search_code        1" in page
        assert "together           2" in page


def test_one_setting_turns_it_off(tmp_path: Path) -> None:
    (tmp_path / "named.py").write_text("def known():\n    pass\n")
    with daemon("[client]\nsavings = false\n") as served:
        answers(served, tmp_path)
        assert not (served.state_dir / "savings.json").exists()


def test_nothing_counted(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with short_directory() as directory:
        monkeypatch.setenv("REGEND_SOCKET", str(directory / "s"))
        monkeypatch.setenv("REGEND_STATE_DIR", str(directory))
        assert main(["savings"]) == 0
        assert "No answer to an agent was counted yet" in capsys.readouterr().out
