"""One command writes trees and questions, goes on where it stopped, and says which repositories it lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.annotations import load
from benchmarks.corpus import making
from benchmarks.corpus.manifest import PARTS, Entry
from benchmarks.corpus.material import Material
from tests.benchmarks.corpus.repositories import Repository


def corpus(folder: Path) -> list[Entry]:
    """Make three repositories of one language, so that each part has one."""
    entries = []
    for name in ("a+one", "b+two", "c+three"):
        repository = Repository(folder / "mirrors", name)
        (repository.folder / "link").symlink_to("src/a.go")
        repository.commit(f"Pour {name} into larger cups", {"src/a.go": "package a\n", "go.sum": "x\n"})
        revision = repository.commit("Close the lid of every pot", {"src/b.go": "package a\n", "docs/x.md": "# x\n"})
        entries.append(Entry(name.replace("+", "/"), revision, "MIT", "go"))
    return entries


def test_everything_is_written_in_a_form_that_the_benchmarks_read(tmp_path: Path) -> None:
    entries = corpus(tmp_path)
    making.run(tmp_path / "mirrors", tmp_path / "out", manifest=entries)
    seen = []
    for part in PARTS:
        (repository,) = load(tmp_path / "out" / f"questions-{part}.json", tmp_path / "out" / "trees")
        seen.append(repository.name)
        commits = {q.text: [t.path for t in q.targets] for q in repository.questions if q.category == "commit"}
        assert commits == {f"Pour {repository.name} into larger cups": ["src/a.go"],
                           "Close the lid of every pot": ["src/b.go"]}  # fmt: skip
        written = {str(p.relative_to(repository.directory)) for p in repository.directory.rglob("*") if p.is_file()}
        assert written == {"src/a.go", "src/b.go", "go.sum", "docs/x.md"}
    assert sorted(seen) == ["a+one", "b+two", "c+three"]


def test_all_may_be_one_part(tmp_path: Path) -> None:
    entries = corpus(tmp_path)
    making.run(tmp_path / "mirrors", tmp_path / "out", manifest=entries, part="unseen")
    found = load(tmp_path / "out" / "questions-unseen.json", tmp_path / "out" / "trees")
    assert [repository.name for repository in found] == [entry.name for entry in entries]
    assert not list((tmp_path / "out").glob("questions-t*"))


def test_a_second_run_does_only_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entries = corpus(tmp_path)
    making.run(tmp_path / "mirrors", tmp_path / "out", manifest=entries)
    files = {part: (tmp_path / "out" / f"questions-{part}.json").read_bytes() for part in PARTS}
    (tmp_path / "out" / "made" / "b+two.json").unlink()
    made: list[str] = []
    real = making.queries_of

    def noted(material: Material) -> list[dict[str, Any]]:
        made.append(material.name)
        return real(material)

    monkeypatch.setattr(making, "queries_of", noted)
    tree = tmp_path / "out" / "trees" / "b+two"
    before = tree.stat()
    making.run(tmp_path / "mirrors", tmp_path / "out", manifest=entries)
    assert made == ["b+two"]
    assert (tree.stat().st_ino, tree.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert files == {part: (tmp_path / "out" / f"questions-{part}.json").read_bytes() for part in PARTS}
    assert not [p for p in (tmp_path / "out" / "trees").iterdir() if p.name.startswith(".")]
    monkeypatch.setattr(making, "VERSION", making.VERSION + 1)
    making.run(tmp_path / "mirrors", tmp_path / "out", manifest=entries)
    assert sorted(made) == ["a+one", "b+two", "b+two", "c+three"]
    (tree / "src" / "a.go").write_text("package changed\n")
    (tmp_path / "out" / "made" / "b+two.json").unlink()
    making.run(tmp_path / "mirrors", tmp_path / "out", manifest=entries)
    assert (tree / "src" / "a.go").read_text() == "package a\n"


def test_only_some(tmp_path: Path) -> None:
    entries = corpus(tmp_path)
    making.run(tmp_path / "mirrors", tmp_path / "out", ["b+two"], manifest=entries)
    assert [p.name for p in (tmp_path / "out" / "trees").iterdir()] == ["b+two"]
    found = [json.loads((tmp_path / "out" / f"questions-{part}.json").read_text()) for part in PARTS]
    assert sorted(map(len, found)) == [0, 0, 1]


def test_a_repository_that_was_not_fetched_is_named(tmp_path: Path) -> None:
    entries = [*corpus(tmp_path), Entry("d/four", "0" * 40, "MIT", "go")]
    with pytest.raises(SystemExit, match="lacks d/four; fetch each with its history"):
        making.run(tmp_path / "mirrors", tmp_path / "out", manifest=entries)


def test_a_revision_that_was_not_fetched_is_named(tmp_path: Path) -> None:
    entry = corpus(tmp_path)[0]
    with pytest.raises(SystemExit, match=r"git cannot read a\+one .*fetch it again with its history"):
        making.run(tmp_path / "mirrors", tmp_path / "out", manifest=[Entry(entry.github, "0" * 40, "MIT", "go")])
