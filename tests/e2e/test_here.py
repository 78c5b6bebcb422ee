"""`search`, `symbols`, `related` and `outline` ask the repository around the working directory, and show its paths."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.terminal import Place, places

ALL_QUEUES = {"src/jobs/queue.py", "tests/test_queue.py", "README.md"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places(tmp_path_factory.mktemp("here").resolve()) as made:
        yield made


def shown(place: Place, cwd: str, *arguments: str, code: int = 0) -> list[str]:
    """The paths that a command prints, each once, in order."""
    done = place.run(cwd, "regenctl", *arguments)
    assert done.returncode == code, (done.stdout, done.stderr)
    return list(dict.fromkeys(line.partition(":")[0] for line in done.stdout.splitlines()))


SEARCH = ("search", "queue of jobs", "-k", "100")


@pytest.mark.parametrize(
    "cwd", ["app", "app/src", "app/src/jobs", "app/tests", "tree", "tree/src", "other", "other/work"]
)
def test_answers_are_from_here_and_their_paths_lead_there(place: Place, cwd: str) -> None:
    root = place.base / cwd.partition("/")[0]
    for question in (SEARCH, ("symbols", "queue", "-k", "50"), ("symbols", "only_in_tree")):
        done = place.run(cwd, "regenctl", *question)
        for line in done.stdout.splitlines():
            path, number, text = line.split(":", 2)
            assert not path.startswith("/")
            file = (place.base / cwd / path).resolve()
            assert root in file.parents, line
            assert file.read_text().splitlines()[int(number) - 1] == text
        assert done.returncode == (0 if done.stdout else 1)


def test_a_worktree_shows_its_own_files_and_never_a_sibling_s(place: Place) -> None:
    assert shown(place, "tree", "symbols", "only_in_tree") == ["src/jobs/only.py"]
    assert shown(place, "tree/tests", "symbols", "only_in_tree") == ["../src/jobs/only.py"]
    assert shown(place, "app", "symbols", "only_in_tree", code=1) == []
    assert "src/jobs/only.py" in shown(place, "tree", *SEARCH)
    assert "src/jobs/only.py" not in shown(place, "app", *SEARCH)


def test_a_repository_inside_a_root_is_its_own(place: Place) -> None:
    assert shown(place, "app/lib", *SEARCH) == ["shared.py"]
    assert "lib/shared.py" in shown(place, "app", *SEARCH)


@pytest.mark.parametrize("question", [SEARCH, ("symbols", "queue"), ("related", "x.py:1"), ("outline", "x.py")])
@pytest.mark.parametrize("cwd", ["stranger", "stranger/deep", "app/trees/kept", "empty", "parts/two", ""])
@pytest.mark.parametrize("form", [(), ("--json",), ("--format", "human")])
def test_a_directory_that_is_not_indexed_says_so(
    place: Place, cwd: str, question: tuple[str, ...], form: tuple[str, ...]
) -> None:
    if cwd == "parts/two" and question[0] in ("search", "symbols"):
        pytest.skip("a part of its repository is indexed")
    done = place.run(cwd, "regenctl", *question, *form)
    assert done.returncode == 2
    said = json.loads(done.stdout)["error"]["message"] if form == ("--json",) else done.stderr
    assert "regenctl add" in said
    if question[0] in ("search", "symbols"):
        assert "is not indexed" in said
    assert form == ("--json",) or done.stdout == ""


def test_the_remedy_names_the_repository(place: Place) -> None:
    said = place.run("stranger/deep", "regenctl", "search", "queue").stderr
    assert f"{place.base}/stranger is not indexed; add it with `regenctl add {place.base}/stranger`" in said
    assert "--all" in said
    said = place.run("", "regenctl", "search", "queue").stderr
    assert f"4 roots below it answer with --root {place.base}." in said
    assert shown(place, "", *SEARCH, "--root", str(place.base))


def test_the_indexed_part_of_a_repository_answers_in_all_of_it(place: Place) -> None:
    assert shown(place, "parts", "symbols", "part_queue") == ["one/part.py"]
    assert shown(place, "parts/one", "symbols", "part_queue") == ["part.py"]
    assert place.run("parts/two", "regenctl", "symbols", "part_queue").returncode == 2


def test_all_and_root_choose(place: Place) -> None:
    base = str(place.base)
    every = set(shown(place, "app/src", *SEARCH, "--all"))
    assert {"jobs/queue.py", f"{base}/tree/src/jobs/only.py", f"{base}/other/work/queue.py"} <= every
    assert set(shown(place, "stranger", *SEARCH, "--all")) >= {f"{base}/app/src/jobs/queue.py"}
    for named in ("other", f"{base}/other", f"{base}/other/work", "../other", "../other/work"):
        found = shown(place, "app", *SEARCH, "--root", named)
        assert set(found) == {f"{base}/other/work/queue.py", f"{base}/other/work/notes.md"}, named
    assert set(shown(place, "app/src", "symbols", "only_in_tree", "--root", "tree")) == {
        f"{base}/tree/src/jobs/only.py"
    }
    said = place.run("app", "regenctl", "search", "queue", "--root", "nothing").stderr
    assert "No root is called 'nothing'" in said
    assert f"{base}/other" in said
    assert place.run("app", "regenctl", "search", "queue", "--root", "../stranger").returncode == 2


@pytest.mark.parametrize(
    ("cwd", "paths", "expected"),
    [
        ("app", ("src",), {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("app", ("./src/jobs/",), {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("app", ("src/jobs/queue.py",), {"src/jobs/queue.py"}),
        ("app", ("README.md", "tests"), {"README.md", "tests/test_queue.py"}),
        ("app/src", (".",), {"jobs/queue.py", "jobs/retry.py"}),
        ("app/src", ("../tests",), {"../tests/test_queue.py"}),
        ("app/src/jobs", ("../..",), {"queue.py", "retry.py", "../../tests/test_queue.py", "../../README.md"}),
        ("app", ("odd [x]",), {"odd [x]/space in.py"}),
        ("app", ("{base}/app/src",), {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("stranger", ("../app/tests",), {"{base}/app/tests/test_queue.py"}),
        ("stranger", ("../other", "../app/tests"), {
            "{base}/other/work/queue.py", "{base}/other/work/notes.md", "{base}/app/tests/test_queue.py",
        }),
        ("parts", (".",), {"one/part.py"}),
    ],
)  # fmt: skip
def test_paths_behind_the_query_narrow(place: Place, cwd: str, paths: tuple[str, ...], expected: set[str]) -> None:
    named = [path.format(base=place.base) for path in paths]
    wanted = {path.format(base=place.base) for path in expected}
    found = set(shown(place, cwd, "search", "job", *named, "-k", "100"))
    # Texts that are the same come once, so a file may be missing, and none may be too many.
    assert found
    assert found <= wanted | {path for path in found if "odd" in path or "lib" in path}
    assert found == wanted or len(paths) > 1 or ".." in paths[0]
    assert set(shown(place, cwd, "search", "-k", "100", "job", *named)) == found
    assert set(shown(place, cwd, "search", "job", "-k", "100", *named)) == found


def test_words_that_are_no_paths_are_words(place: Place) -> None:
    asked = place.run("app", "regenctl", "search", "queue", "src", "jobs", "--json")
    assert asked.returncode == 0
    done = place.run("app", "regenctl", "search", "src", "--json")  # The first word is never a path.
    assert done.returncode == 0
    assert place.run("app", "regenctl", "symbols", "JobQueue", "no/such").returncode == 2
    assert place.run("app", "regenctl", "search", "queue", "../stranger").returncode == 2


@pytest.mark.parametrize(
    ("cwd", "globs", "expected"),
    [
        ("app", ("*.md",), {"README.md"}),
        ("app", ("src",), {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("app", ("./src",), {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("app", ("src/**",), {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("app", ("{base}/app/src",), {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("app", ("{base}/app/src/jobs/q*.py",), {"src/jobs/queue.py"}),
        ("app/src", (".",), {"jobs/queue.py", "jobs/retry.py"}),
        ("app/src", ("jobs/q*",), {"jobs/queue.py"}),
        ("app/src", ("../tests/*",), {"../tests/test_queue.py"}),
        ("app/src", ("queue.py",), {"jobs/queue.py"}),
        ("app", ("*.py", "!tests", "!odd*", "!lib"), {"src/jobs/queue.py", "src/jobs/retry.py"}),
        ("app/odd [x]", ("./*.py",), {"space in.py"}),
        ("app", ("odd [x]",), {"odd [x]/space in.py"}),
        ("app", ("odd [x]/space in.py",), {"odd [x]/space in.py"}),
        ("app", ("{base}/app/odd [x]",), {"odd [x]/space in.py"}),
        ("app/src", ("../odd [x]",), {"../odd [x]/space in.py"}),
        ("app/odd [x]", (".",), {"space in.py"}),
        ("other", ("/work/*.md",), {"work/notes.md"}),
    ],
)
@pytest.mark.parametrize("option", ["-g", "--path", "--glob"])
def test_globs_take_what_a_shell_gives(
    place: Place, cwd: str, globs: tuple[str, ...], expected: set[str], option: str
) -> None:
    options = [word.format(base=place.base) for glob in globs for word in (option, glob)]
    assert set(shown(place, cwd, "search", "job", "-k", "100", *options)) == expected


def test_a_glob_that_leads_out_of_the_root_is_an_error(place: Place) -> None:
    done = place.run("app", "regenctl", "search", "job", "-g", "../other/*.md")
    assert done.returncode == 2
    assert "leads out of the root" in done.stderr


def test_related_and_outline_take_files_as_the_shell_gives_them(place: Place) -> None:
    assert "../tests/test_queue.py" in shown(place, "app/src", "related", "jobs/queue.py:5")
    assert all(
        path.startswith("../tests") for path in shown(place, "app/src", "related", "jobs/queue.py:5", "../tests")
    )
    assert shown(place, "app/src", "outline", "jobs/queue.py") == ["jobs/queue.py"]
    # Where nothing is indexed, the file says whose repository is meant.
    found = shown(place, "stranger", "related", "../app/src/jobs/queue.py:5")
    assert f"{place.base}/app/tests/test_queue.py" in found
    assert not any(path.startswith(f"{place.base}/tree") for path in found)


def test_a_working_directory_that_is_a_link_or_gone(place: Place) -> None:
    (place.base / "link").symlink_to("app/src")
    assert "jobs/queue.py" in shown(place, "link", *SEARCH)
    code = (
        "import os, sys; os.mkdir('gone'); os.chdir('gone'); os.rmdir('../gone'); os.execvp('regenctl', sys.argv[1:])"
    )
    for more, status in ((), 2), (("--all",), 0):
        done = place.run("stranger", "python3", "-c", code, "regenctl", *SEARCH, *more)
        assert done.returncode == status, done.stderr
        assert status == 0 or "directory" in done.stderr


def test_json_is_as_on_the_wire(place: Place) -> None:
    answer: dict[str, Any] = json.loads(place.run("app/src", "regenctl", "search", "JobQueue", "--json").stdout)
    assert answer["results"][0]["path"] == "src/jobs/queue.py"
    assert os.path.join(answer["results"][0]["root"]) == str(Path(place.base) / "app")


def test_a_path_over_links_in_a_root_is_the_file_where_they_lead(place: Place) -> None:
    app = place.base / "app"
    (app / "linked").symlink_to("src")
    (app / "alias.py").symlink_to("src/jobs/queue.py")
    (app / "out").symlink_to(place.base / "elsewhere")
    (place.base / "elsewhere").mkdir()
    (place.base / "elsewhere/far.py").write_text("def far():\n    return 1\n")
    unsaved = place.base / "unsaved.py"
    unsaved.write_text("def quokka_unsaved():\n    return 1\n")
    try:
        whole = shown(place, "app", *SEARCH, "src")
        outline = place.run("app", "regenctl", "outline", "src/jobs/queue.py").stdout
        for folder in ("linked/", str(app / "linked")):
            assert shown(place, "app", *SEARCH, folder) == whole, folder
        for file in ("linked/jobs/queue.py", "alias.py"):
            assert shown(place, "app", *SEARCH, file) == ["src/jobs/queue.py"], file
            assert place.run("app", "regenctl", "outline", file).stdout == outline, file
            assert shown(place, "app", "related", file) == shown(place, "app", "related", "src/jobs/queue.py"), file
            over = shown(place, "app", "search", "quokka_unsaved", "--overlay", f"{file}={unsaved}", "-k", "1")
            assert over == ["src/jobs/queue.py"], file
        assert "src/jobs/queue.py: indexed" in place.run("app", "regenctl", "why", "linked/jobs/queue.py").stdout
        assert "symbolic link" in place.run("app", "regenctl", "why", "alias.py").stdout
        assert "symbolic link" in place.run("app", "regenctl", "why", "out/far.py").stdout
        assert shown(place, "app", *SEARCH, "out", code=2) == []
    finally:
        for name in ("linked", "alias.py", "out"):
            (app / name).unlink()
