"""Repositories are read as they are: files, commits and what they changed, whatever names and messages hold."""

from __future__ import annotations

from pathlib import Path

from benchmarks.corpus.mirrors import Mirror, blobs_of, commits_of, contents_of, head_of, ignored_among, mirrors_in
from tests.benchmarks.corpus.repositories import Repository


def test_folders_of_each_form_are_found(tmp_path: Path) -> None:
    checkout = Repository(tmp_path, "a+checkout")
    checkout.commit("first", {"a.py": "1\n"})
    for place in ("b+bare", "c+inside/repo"):
        checkout.git("clone", "-q", "--bare", ".", str(tmp_path / place))
    checkout.git("clone", "-q", ".", str(tmp_path / "d+below" / "repo"))
    (tmp_path / "e+nothing").mkdir()
    (tmp_path / "plain").mkdir()
    found = mirrors_in(tmp_path)
    assert [mirror.github for mirror in found] == ["a/checkout", "b/bare", "c/inside", "d/below"]
    assert len({head_of(mirror) for mirror in found}) == 1


def test_only_plain_files_that_are_small_enough_are_read(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    (repository.folder / "link.py").symlink_to("a.py")
    revision = repository.commit(
        "first", {"a.py": "one\n", "sub/b c.txt": "two\n\n", "large.py": "x" * 100, "é.py": ""}
    )
    blobs = blobs_of(repository.mirror, revision)
    assert [blob.path for blob in blobs] == ["a.py", "large.py", "sub/b c.txt", "é.py"]
    contents = contents_of(repository.mirror, blobs, max_bytes=50)
    assert contents == {"a.py": b"one\n", "sub/b c.txt": b"two\n\n", "é.py": b""}


def test_commits_come_with_what_they_changed(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit("first", {"a.py": "1\n", "b.py": "1\n", "é.py": "1\n"})
    repository.commit("second\n\n:100644 not a change\n\x01\x01\n\nthird: paragraph", {"a.py": "2\n", "é.py": "2\n"})
    (repository.folder / "b.py").chmod(0o755)
    repository.commit("mode alone", {})
    revision = repository.commit("last", {"b.py": None, "c/d.py": "1\n"})
    last, mode, second, first = commits_of(repository.mirror, revision)
    assert (last.subject, last.changed, last.removed) == ("last", ("c/d.py",), ("b.py",))
    assert (mode.changed, mode.removed) == ((), ())
    assert (second.subject, second.changed) == ("second", ("a.py", "é.py"))
    assert second.body.startswith(":100644 not a change") and second.body.endswith("third: paragraph")
    assert first.changed == ("a.py", "b.py", "é.py")
    assert [commit.subject for commit in commits_of(repository.mirror, revision, count=2)] == ["last", "mode alone"]


def test_merges_are_left_out(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    repository.commit("first", {"a.py": "1\n"})
    repository.git("checkout", "-q", "-b", "side")
    repository.commit("on the side", {"b.py": "1\n"})
    repository.git("checkout", "-q", "main")
    repository.commit("on main", {"c.py": "1\n"})
    repository.git("merge", "-q", "--no-edit", "side")
    subjects = {commit.subject for commit in commits_of(repository.mirror, "HEAD")}
    assert subjects == {"first", "on the side", "on main"}


def test_files_that_are_committed_although_a_rule_ignores_them_are_known(tmp_path: Path) -> None:
    repository = Repository(tmp_path)
    rules = {".gitignore": "out/\n*.log\n!keep.log\n", "sub/.gitignore": "/local.py\n"}
    for path, text in {**rules, "a.py": "1\n", "out/b.py": "1\n", "x.log": "1\n", "keep.log": "1\n",
                       "sub/local.py": "1\n", "local.py": "1\n"}.items():  # fmt: skip
        (repository.folder / path).parent.mkdir(exist_ok=True)
        (repository.folder / path).write_text(text)
    repository.git("add", "-f", ".")
    repository.git("commit", "-q", "-m", "first")
    for mirror in (repository.mirror, *bare_copies(repository, tmp_path)):
        contents = contents_of(mirror, blobs_of(mirror, "HEAD"), 1_000)
        assert len(contents) == 8
        assert ignored_among(mirror, contents) == {"out/b.py", "x.log", "sub/local.py"}


def bare_copies(repository: Repository, folder: Path) -> list[Mirror]:
    repository.git("clone", "-q", "--bare", ".", str(folder / "a+bare"))
    return [mirror for mirror in mirrors_in(folder) if mirror.name == "a+bare"]
