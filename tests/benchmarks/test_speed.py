"""`python -m benchmarks index` and its like: every benchmark runs on a small tree and says what it measured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks import beside, speed, trees

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    trees.many_directories(made, 12)
    (made / ".gitignore").write_text("*\n!*/\n!*.py\n")
    (made / "notes.md").write_text("# Ignored\n")
    return made


def measured(tree: Path, *arguments: str) -> dict[str, Any]:
    """Run the command as a person does, in an environment with nothing but the working directory."""
    out = tree.parent / "out.json"
    command = [sys.executable, "-m", "benchmarks", *arguments, "--tree", str(tree), "--rounds", "1", "--out", str(out)]
    environ = {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run(command, cwd=REPOSITORY, env=environ, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(out.read_text())
    return report


def values(report: dict[str, Any], name: str, program: str = "regend") -> dict[str, float]:
    figures = report["benchmarks"][name]["figures"]
    return {figure["what"]: figure["median"] for figure in figures if figure["program"] == program}


def test_index_runs_on_the_cores_that_it_is_given(tree: Path) -> None:
    core = min(os.sched_getaffinity(0))
    report = measured(tree, "index", "--cores", str(core), "--beside", "-")
    ours = values(report, "index")
    assert report["machine"]["cores used"] == str(core)
    assert report["benchmarks"]["index"]["about"]["code files"] == 12
    assert ours["whole tree: chunks"] == 12
    assert 0 < ours["whole tree: to words"] <= ours["whole tree: to complete"]
    assert 0 < ours["whole tree: CPU of the daemon"] <= ours["whole tree: CPU to complete"]


@pytest.mark.slow
def test_index_measures_all_programs_over_the_same_files(tree: Path) -> None:
    report = measured(tree, "index", "--beside", "parse only")
    ours, floor = values(report, "index"), values(report, "index", "parse only")
    assert report["benchmarks"]["index"]["about"]["code files"] == ours["files"] == 12
    assert ours["chunks"] == floor["chunks"] == ours["whole tree: chunks"] == 12


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("query", "a query, p50"),
        ("freshness", "save to a plain query, p50"),
        ("restart", "to the first answer"),
        ("memory", "at rest"),
        ("idle", "CPU of one core"),
        ("switch", "back: to words"),
        ("modes", "pipeline: requests in flight"),
        ("load", "32 clients: p99"),
        ("scale", "40: CPU of the daemon a chunk"),
    ],
)
def test_each_other_benchmark_runs(tree: Path, name: str, figure: str) -> None:
    report = measured(tree, name, "--beside", "-", "--seconds", "3", "--chunks", "12,40", "--directories", "30")
    assert values(report, name)[figure] > 0
    if name == "switch":
        assert values(report, name)["back: chunks embedded"] == 0


@pytest.mark.slow
@pytest.mark.parametrize("program", list(beside.PROGRAMS))
def test_each_program_runs_beside(tree: Path, program: str) -> None:
    if why := beside.missing(program):
        pytest.skip(why)
    report = measured(tree, "query", "--beside", program)
    assert not report["benchmarks"]["query"]["remarks"]
    assert program == "parse only" or values(report, "query", program)["a query, p50"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--tree", "nowhere"],
            "nowhere is no directory; name one, or one of the trees that are fetched: django, linux",
        ),
        (["--beside", "grep"], "--beside has grep; there are: semble"),
        (["--cores", "0,x"], "--cores takes numbers with commas between"),
        (["--cores", "4095"], "--cores has 4095, which this process may not use"),
        (["--out", "no/such/file"], "lies in no folder"),
        (["--rounds", "0"], "must be positive"),
    ],
)
def test_wrong_options_end_before_anything_is_measured(
    tree: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tree)
    with pytest.raises(SystemExit, match=message):
        speed.main(["index", "--tree", str(tree), *arguments])


def test_copies_of_a_tree_have_words_of_their_own(tree: Path, tmp_path: Path) -> None:
    trees.grown(tree, tmp_path / "grown", 3)
    texts = [file.read_text() for file in (tmp_path / "grown").rglob("*.py")]
    assert len(texts) == len(set(texts)) == 36
