"""The benchmark of tokens: the cost of an answer, and its plot."""

from __future__ import annotations

import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import plot
from benchmarks.metrics import Target
from benchmarks.tokens import BUDGETS, Figures, Passage, matching_files, reading

LINES = ["word " * 7] * 20


def test_a_file_is_found_at_its_first_line_and_lines_at_theirs() -> None:
    whole, late = Target("b.py"), Target("b.py", 15, 18)
    passages = [Passage("a.py", 1, LINES), Passage("b.py", 1, LINES)]
    found = reading(passages, (whole, late))
    assert 20 * 7 < found[whole] < found[late] < 2 * 20 * 8 + 20


def test_what_the_budget_does_not_reach_is_not_found() -> None:
    passages = [Passage("a.py", 1, LINES), Passage("b.py", 1, LINES)]
    cost = reading(passages, (Target("b.py"),))[Target("b.py")]
    assert reading(passages, (Target("b.py"),), cost) == {Target("b.py"): cost}
    assert reading(passages, (Target("b.py"),), cost - 1) == {}
    assert reading(passages, (Target("c.py"), Target("a.py", 40, 50))) == {}


def test_lines_that_a_passage_lacks_are_not_found() -> None:
    assert reading([Passage("a.py", 10, LINES)], (Target("a.py", 1, 9),)) == {}
    assert reading([Passage("a.py", 10, LINES)], (Target("a.py", 29, 40),))


def test_targets_count_for_each_budget() -> None:
    figures = Figures([], [])
    near, far = Target("a"), Target("b")
    figures.add((near, far), [{near: 400, far: 3_000}] * len(BUDGETS))
    figures.add((near,), [{}] * len(BUDGETS))
    assert figures.recall == [(0.5, 0.5, 0.5, 1.0, 1.0), (0.0,) * 5]
    assert figures.answered == [(True,) * 5, (False,) * 5]


@pytest.mark.skipif(shutil.which("rg") is None, reason="needs ripgrep (Debian: ripgrep)")
def test_ripgrep_orders_files_by_words_and_then_by_matches(tmp_path: Path) -> None:
    for name, text in {
        "often.py": "retry\n" * 9, "both.py": "Retry the limit\n", "once.py": "retry\n", "none.py": "x\n",
        "strange: 1\0.py".replace("\0", "\n"): "retry retry limit\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    assert matching_files(tmp_path, "where is the retry limit?")[-2:] == ["often.py", "once.py"]
    assert "both.py" in matching_files(tmp_path, "where is the retry limit?")[:2]


def test_the_plot_is_svg_with_a_line_and_a_name_for_each_tool() -> None:
    drawn = ElementTree.fromstring(plot.lines("A < B", ["1", "2"], {"one": [0.1, 1.0], "two & more": [0.0, 0.99]}))
    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"A < B", "one", "two & more", "1", "2"} <= set(texts)
    heights = [float(element.get("y", 0)) for element in drawn.iter() if element.text in ("one", "two & more")]
    assert abs(heights[0] - heights[1]) >= 16
