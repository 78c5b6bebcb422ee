"""`make check` finds the tests beside a file, says what it runs, and never passes without a test."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import pytest

from tests.check import NO_TEST_RAN, REPOSITORY, Selection, changed_files, check, main, selection_for

FILES = (
    "regend/config.py", "regend/a/one.py", "regend/a/b/two.py", "regend/a/b/tables/go.toml", "regend/c/three.py",
    "tests/test_config.py", "tests/test_docs.py", "tests/a/test_one.py", "tests/a/test_one_faults.py",
    "tests/a/test_onerous.py", "tests/a/rig.py", "tests/a/b/test_other.py", "tests/test_c.py", "docs/page.md",
)  # fmt: skip
TOP = ("tests/test_c.py", "tests/test_config.py", "tests/test_docs.py")
IN_A = ("tests/a/test_one.py", "tests/a/test_one_faults.py", "tests/a/test_onerous.py")
ROWS = [
    ("regend/config.py", Selection(("tests/test_config.py",), is_own=True)),
    ("regend/a/one.py", Selection(IN_A[:2], is_own=True)),
    ("regend/a/deleted.py", Selection(IN_A)),
    ("regend/a/__init__.py", Selection(IN_A)),
    ("regend/a/b/two.py", Selection(("tests/a/b/test_other.py",))),
    ("regend/a/b/tables/go.toml", Selection(("tests/a/b/test_other.py",), "go")),
    ("regend/c/three.py", Selection(("tests/test_c.py",))),
    ("regend/py.typed", Selection(TOP, "py")),
    ("tests/a/test_one.py", Selection(("tests/a/test_one.py",), is_own=True)),
    ("tests/a/test_deleted.py", Selection((), is_own=True)),
    ("tests/a/rig.py", Selection(IN_A)),
    ("docs/page.md", Selection(("tests/test_docs.py",))),
    ("docs/deep/page.md", Selection(("tests/test_docs.py",))),
    ("README.md", Selection(TOP)),
    ("Makefile", Selection(TOP)),
    (".gitignore", Selection(TOP)),
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    return tmp_path


class Programs:
    """Stands in for the programs; remembers what was run, and answers with `statuses` by a word of the command."""

    def __init__(self, **statuses: int) -> None:
        self.ran: list[str] = []
        self._statuses = statuses

    def __call__(self, command: Sequence[str]) -> int:
        self.ran.append(" ".join(command))
        return next((status for word, status in self._statuses.items() if word in command), 0)


@pytest.mark.parametrize(("path", "expected"), ROWS, ids=[path for path, _ in ROWS])
def test_selection_for_a_file(root: Path, path: str, expected: Selection) -> None:
    assert selection_for(PurePosixPath(path), root) == expected


def test_without_any_test(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert selection_for(PurePosixPath("regend/a/one.py"), tmp_path) == Selection(())
    assert not check([PurePosixPath("regend/a/one.py")], tmp_path, Programs(), True)
    assert capsys.readouterr().out == "regend/a/one.py: there is no test beside it.\nNo test ran.\n"


def test_what_runs_for_a_named_file_and_for_changes(root: Path) -> None:
    lint = ["ruff check --force-exclude regend/a/one.py", "ruff format --check --force-exclude regend/a/one.py"]
    tests = "pytest tests/a/test_one.py tests/a/test_one_faults.py"
    for is_named, types in ((True, "mypy regend/a/one.py"), (False, "mypy")):
        programs = Programs()
        assert check([PurePosixPath("regend/a/one.py")], root, programs, is_named)
        assert programs.ran == [*lint, types, tests]


def test_deleted_files_and_tests_are_not_given_to_mypy(root: Path) -> None:
    programs = Programs()
    assert check([PurePosixPath("regend/a/deleted.py"), PurePosixPath("tests/a/rig.py")], root, programs, False)
    assert [ran.split()[0] for ran in programs.ran] == ["ruff", "ruff", "pytest"]
    assert "deleted" not in " ".join(programs.ran)


def test_a_data_file_has_its_cases_or_all_tests(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    programs = Programs()
    assert check([PurePosixPath("regend/a/b/tables/go.toml")], root, programs, True)
    assert programs.ran == ["pytest tests/a/b/test_other.py -k [go]"]
    programs = Programs(**{"[go]": NO_TEST_RAN})
    assert check([PurePosixPath("regend/a/b/tables/go.toml")], root, programs, True)
    assert programs.ran == ["pytest tests/a/b/test_other.py -k [go]", "pytest tests/a/b/test_other.py"]
    assert "No case is called [go]; all tests of tests/a/b run." in capsys.readouterr().out


def test_tests_that_are_not_a_files_own_are_named(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check([PurePosixPath("regend/a/b/two.py")], root, Programs(), True)
    assert "regend/a/b/two.py has no test module of its own; the nearest ones are in tests/a/b." in (
        capsys.readouterr().out
    )


@pytest.mark.parametrize("failing", ["check", "format", "mypy", "pytest"])
def test_any_failure_fails_and_the_rest_runs(root: Path, failing: str) -> None:
    programs = Programs(**{failing: 1})
    assert not check([PurePosixPath("regend/a/one.py")], root, programs, False)
    assert len(programs.ran) == 4


def test_only_slow_tests_are_no_pass(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not check([PurePosixPath("tests/a/test_one.py")], root, Programs(pytest=NO_TEST_RAN), True)
    assert "No test ran: all of these are slow." in capsys.readouterr().out


def test_changes_are_edits_deletions_and_new_files(tmp_path: Path) -> None:
    def git(*arguments: str) -> None:
        author = ("-c", "user.name=A", "-c", "user.email=a@example.com")
        subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True)

    for name in ("edited", "moved", "same", ".gitignore"):
        (tmp_path / name).write_text("ignored\n")
    git("init")
    git("add", ".")
    git("commit", "-m", "First")
    assert changed_files(tmp_path) == []
    (tmp_path / "edited").write_text("new")
    git("mv", "moved", "to")
    for name in ("ignored", "new ä"):
        (tmp_path / name).write_text("")
    assert [str(path) for path in changed_files(tmp_path)] == ["edited", "moved", "new ä", "to"]


def test_a_name_that_is_no_file_of_the_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.py").write_text("")
    for name in (str(REPOSITORY / "regend/nothing.py"), str(tmp_path / "x.py"), str(REPOSITORY / "regend")):
        assert main([name]) == 2
        assert f"{name} is not a file of this repository." in capsys.readouterr().err
