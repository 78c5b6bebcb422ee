"""The retrieval benchmark on two small checkouts, with a real daemon: figures, tables, names, budget; and a fit."""

import importlib.util
import json
from pathlib import Path

import pytest

from benchmarks import retrieval
from benchmarks.fit import FITTED, run

QUEUE = "class JobQueue:\n    def push_job(self, job):\n        self.jobs.append(job)\n"
CACHE = "def evict_oldest(entries):\n    entries.popitem(last=False)\n"
SERVER = "func ListenAndServe(addr string) error {\n\treturn accept(addr)\n}\n"
FILES = {
    "one": {"src/job_queue.py": QUEUE, "src/cache.py": CACHE, "docs/notes.md": "push a job to the queue\n"},
    "two": {"server.go": SERVER, "client.go": "func Dial(addr string) error {\n\treturn nil\n}\n"},
}
QUESTIONS = [
    {"name": "one", "language": "python", "root": "src", "queries": [
        {"query": "push a job to the queue", "relevant": ["src/job_queue.py"], "secondary": [], "category": "semantic"},
        {"query": "evict_oldest", "relevant": ["src/cache.py"], "secondary": [], "category": "symbol"}]},
    {"name": "two", "language": "go", "root": "", "queries": [
        {"query": "accept on an address", "relevant": [{"path": "server.go", "start_line": 2, "end_line": 2}],
         "secondary": ["absent.go"], "category": "semantic"}]},
]  # fmt: skip


@pytest.fixture
def place(tmp_path: Path) -> tuple[Path, Path]:
    for name, files in FILES.items():
        for path, text in files.items():
            file = tmp_path / "checkouts" / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    (tmp_path / "questions.json").write_text(json.dumps(QUESTIONS))
    return tmp_path / "questions.json", tmp_path / "checkouts"


def test_questions_are_asked_and_judged(place: tuple[Path, Path], tmp_path: Path) -> None:
    modes = ("daemon", "bm25", "vectors", "words")
    report = retrieval.run(*place, modes=modes, name_count=4, budget_tokens=500)
    assert set(report.answers) == set(modes)
    assert [worth.ndcg for worth in report.answers["daemon"]["one"]] == [1.0, 1.0]
    (partly,) = report.answers["daemon"]["two"]
    assert (partly.mrr, partly.recall) == (1.0, 0.5)
    assert len(report.latencies_ms) == 2 * 3
    assert (report.names_asked, report.names_missed) == (4, [])
    assert report.within_budget == [True, True, True]
    shown = retrieval.page(report)
    assert "a right place within 500 tokens: 100.0%" in shown
    assert "definition first for 4 of 4" in shown
    retrieval.write(report, tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["modes"]["daemon"]["by_language"]["python"]["ndcg"] == 1.0
    assert [row["query"] for row in written["modes"]["bm25"]["questions"]][1] == "evict_oldest"


def test_a_fit_runs_from_questions_to_tables(
    place: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions, checkouts = place
    run(questions, questions, checkouts, tmp_path / "state", ablate=True)
    shown = capsys.readouterr().out
    assert shown.count("mean of repositories") == 1, "the same file gives one table"
    assert all(name in shown for name in (*FITTED, "semantic", "python", "go"))


def test_semble_is_measured_where_it_is_installed(place: tuple[Path, Path]) -> None:
    pytest.importorskip("semble", reason="`pip install semble` adds its rows to the table")
    report = retrieval.run(*place, modes=("semble-words", "semble-hybrid"))
    assert set(report.answers) == {"semble-words", "semble-hybrid"}
    for rows in report.answers.values():
        assert rows["one"][1].ndcg == 1.0
    assert report.skipped == []


def test_without_semble_its_rows_are_left_out_and_that_is_said(
    place: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    report = retrieval.run(*place, modes=("daemon", "semble-words"), only=["one"])
    assert set(report.answers) == {"daemon"}
    assert report.skipped == ["semble is not installed; `pip install semble` adds its rows."]
    assert retrieval.page(report).endswith(report.skipped[0])
    assert retrieval.as_json(report)["skipped"] == report.skipped
