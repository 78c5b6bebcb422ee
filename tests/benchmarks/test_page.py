"""`docs/performance.md` is made from the JSON of runs: each section with its machine, its table and its remarks."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import page
from benchmarks.figures import Figure, Section, as_json

INDEX = Section(
    "index", {"tree": "django", "files": 6_918},
    [Figure("CPU to complete", "s", (20.0, 22.0, 21.0)), Figure("CPU to complete", "s", (26.0,), "semble <x>")],
    ["ripgrep is not installed"],
)  # fmt: skip
IDLE = Section("idle", {"directories": 10_000}, [Figure("CPU of one core", "%", (0.05,))])
MACHINE = {"cores": 2, "commit": "abc1234"}


def test_the_page_has_what_the_runs_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RESULTS", "PAGE", "PLOT"):
        monkeypatch.setattr(page, name, tmp_path / getattr(page, name).name)
    page.PAGE.write_text(f"# Performance\n\n{page.BEGIN}\nold\n{page.END}\nAfter.\n")
    with pytest.raises(SystemExit, match="There are no figures"):
        page.main([])
    for section in (INDEX, IDLE):
        file = tmp_path / f"{section.name}.run.json"
        file.write_text(json.dumps({"machine": MACHINE, "benchmarks": {section.name: as_json(section)}}))
        page.main([file])
    text = page.PAGE.read_text()
    assert text.startswith("# Performance\n") and text.endswith("\nAfter.\n") and "old" not in text
    assert "| CPU to complete | s | 21 (20–22) | 26; 1.24 × |" in text
    assert "### `idle`\n\ndirectories: 10,000.\n\ncores: 2, commit: abc1234." in text
    assert "- ripgrep is not installed" in text
    assert {element.text for element in ElementTree.parse(page.PLOT).iter()} >= {"regend", "semble <x>", "21", "26"}
    again = page.PAGE.read_text()
    page.main([])
    assert page.PAGE.read_text() == again


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks a mark"):
        page.rewritten("# Performance\n", {"idle": {"machine": MACHINE, **as_json(IDLE)}})


def test_the_page_of_the_docs_is_made_from_the_figures() -> None:
    text = page.PAGE.read_text()
    assert page.BEGIN in text and page.END in text
    if page.RESULTS.exists():
        assert page.rewritten(text, json.loads(page.RESULTS.read_text())) == text, "run `python -m benchmarks page`"
