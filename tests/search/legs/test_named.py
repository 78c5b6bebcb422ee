"""Files that a query names are found wherever it was written, and what holds a named line comes first."""

from __future__ import annotations

import re

import pytest

from regend.search.engine import Engine
from regend.search.legs.named import located
from regend.search.legs.scope import ScopeResolver
from regend.search.options import RelatedOptions, SearchOptions
from regend.search.query.filters import Filters
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchOutcome
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

BODY = "def compute(lines):\n    return sum(lines)\n\n\ndef send(inv):\n    return inv\n\n\ndef keep(inv):\n    pass\n"


@pytest.fixture
def files(corpus: Corpus) -> Corpus:
    paths = ["src/invoice.py", "lib/other.py", "docs/invoice.py", "tests/src/invoice.py"]
    found = [(path, BODY, "python") for path in paths[:1]]
    found += [(path, f"# {path}\n" * 3 + BODY.replace("inv", "x"), "python") for path in paths[1:]]
    found += [("src/error.py", "def error(bad, type):\n    bad type error\n" * 4, "python")]
    corpus.fill(corpus.add_root("/repo"), found)
    return corpus


def asked(corpus: Corpus, query: str, files: bool = False) -> SearchOutcome:
    return Engine(hashed_vector).search(corpus.snapshot, SearchOptions(parse_query(query), files=files))


@pytest.mark.parametrize(
    "query",
    [
        "src/invoice.py:5", "src/invoice.py:5: error: bad type", "/home/ci/build/src/invoice.py:6",
        "src\\invoice.py(5,3)",
        'File "src/invoice.py", line 6, in send', "C:\\w\\src\\invoice.py:5-6",
        "https://github.com/a/b/blob/x/src/invoice.py#L5",
        "error bad type error at src/invoice.py:5", "SRC/Invoice.py:5",
    ],
)  # fmt: skip
def test_what_holds_the_line_comes_first_with_its_definition(files: Corpus, query: str) -> None:
    for whole_files in (False, True):
        first = asked(files, query, whole_files).results[0]
        assert first.path == "src/invoice.py"
        assert first.start_line <= 5 <= first.end_line
        assert first.symbol == "send"
        assert first.snippet_line <= 5 < first.snippet_line + first.snippet.count("\n") + 1


def test_a_trace_finds_its_frames_in_order(files: Corpus) -> None:
    trace = "at a (/x/lib/other.py:5:1)\nat b (/x/src/invoice.py:9:1)\nat c (/x/node_modules/z.py:1:1)"
    assert [result.path for result in asked(files, trace).results[:2]] == ["lib/other.py", "src/invoice.py"]
    backwards = (
        'Traceback (most recent call last):\n  File "lib/other.py", line 5\n  File "src/invoice.py", line 9\nE: x'
    )
    assert [result.path for result in asked(files, backwards).results[:2]] == ["src/invoice.py", "lib/other.py"]


ODD_PATHS = (
    "Example/macOS App/AppDelegate.m", "App Icon & Top (2).set/Contents one.json", ".gitignore", ".github/CODEOWNERS",
    "containers.opam", "src/data/top/dune", "pages/[slug]+.vue", "(info).vue", "Übersicht älterer Dinge.txt",
    "My Project/Settings.settings", "test/a+b.golden", "Dockerfile", "x=1, y.cfg", "notes.v2.draft", "用户 手册.adoc",
)  # fmt: skip


@pytest.mark.parametrize("path", ODD_PATHS)
def test_whatever_a_file_is_called_its_path_finds_it(corpus: Corpus, path: str) -> None:
    found = [(other, "Nothing of note is in here.\n", "text") for other in ODD_PATHS]
    words = " ".join(ODD_PATHS)
    found += [(f"src/{n}.py", f"def about_{n}():\n    # {words}\n    return {n}\n", "python") for n in range(5)]
    corpus.fill(corpus.add_root("/repo"), found)
    for form in ("{}", "{}:1", "./{}", "`{}`", "{}:1:5", "'{}'"):
        assert asked(corpus, form.format(path)).results[0].path == path, form
    scope = ScopeResolver().resolve(corpus.snapshot, Filters())
    for form in ("where is {}", "look at {}, please", "is (`{}`) used?"):
        if re.fullmatch(r"[\w./+]*/[\w./+]*|\.\w+", path):
            assert located(scope, parse_query(form.format(path)))[0].path == path, form


def test_what_is_no_file_stays_what_it_is(corpus: Corpus) -> None:
    corpus.fill(corpus.add_root("/repo"), [("src/app.py", BODY, "python"), ("run", BODY, "text")])
    for text in ("how does app.run work", "a/b", "e.g. 3.11", "v1.2/x", "run", ". / .."):
        query, places = located(ScopeResolver().resolve(corpus.snapshot, Filters()), parse_query(text + " here"))
        assert places == () and query.path == "", text


def test_notes_name_no_folders_of_another_machine(files: Corpus) -> None:
    assert asked(files, "/home/ci/build/src/invoice.py:5").notes == ()


def test_a_file_that_is_not_there_is_a_name(files: Corpus) -> None:
    assert "'compute'" not in str(asked(files, "self.compute").notes)
    assert asked(files, "compute.t").results[0].symbol != ""
    assert any("missing" in note for note in asked(files, "missing.py").notes)


def test_the_line_of_a_file_elsewhere_is_found_by_name(files: Corpus) -> None:
    assert asked(files, "/app/other.py:5").results[0].path == "lib/other.py"
    assert asked(files, "error.py:1").results[0].path == "src/error.py"


@pytest.mark.parametrize("line", range(1, 11))
def test_a_line_of_the_file_gets_no_note_and_its_file_comes_first(files: Corpus, line: int) -> None:
    """Lines 3, 4, 7 and 8 are blank, and stand between definitions."""
    found = asked(files, f"src/invoice.py:{line}")
    assert found.notes == ()
    assert found.results[0].path == "src/invoice.py"


@pytest.mark.parametrize(
    "form", ["src/invoice.py:{}", "/x/src/invoice.py({},3)", 'File "src/invoice.py", line {}, in a']
)
@pytest.mark.parametrize("line", [11, 12, 500, 99_999])
def test_a_line_behind_the_end_is_named(files: Corpus, form: str, line: int) -> None:
    found = asked(files, form.format(line))
    assert found.results[0].path == "src/invoice.py"
    assert found.notes == (f"src/invoice.py has nothing at line {line}; its last line with text is 10.",)
    options = RelatedOptions("/repo", "src/invoice.py", line)
    assert found.notes[0] in Engine(hashed_vector).related(files.snapshot, options).notes


CONVENTIONAL = {
    "LICENSE": "which license is this under?", "CHANGELOG.md": "what changed in the last release",
    "CONTRIBUTING.md": "contribution guidelines", "SECURITY.md": "how do I report a security vulnerability",
    ".github/workflows/a.yml": "which checks does CI run", ".github/ISSUE_TEMPLATE/bug.yml": "issue template for bugs",
    "go.mod": "what are the dependencies", "deploy/Dockerfile": "docker image", ".golangci.yml": "linter configuration",
    "README.md": "what does this project do", "docs/architecture.md": "show me the architecture of this codebase",
    "MAINTAINERS": "Who maintains this project?", ".env.example": "environment variables example",
}  # fmt: skip


def test_files_that_nearly_every_project_has_answer_questions_about_it(corpus: Corpus) -> None:
    found = [(path, f"Nothing of note {n}.\n", "text") for n, path in enumerate(CONVENTIONAL)]
    words = " ".join(CONVENTIONAL.values())
    found += [(f"src/a{n}.py", f"def about_{n}():\n    # {words}\n    return {n}\n", "python") for n in range(30)]
    corpus.fill(corpus.add_root("/repo"), found)
    for path, text in CONVENTIONAL.items():
        assert asked(corpus, text).results[0].path == path, text
        assert asked(corpus, text, files=True).results[0].path == path, text
    for text in ("how is the license checked", "changed a release lock", "which checks about_3"):
        assert asked(corpus, text).results[0].path.startswith("src/"), text


def test_a_single_word_means_a_file_unless_code_has_it(corpus: Corpus) -> None:
    root = corpus.add_root("/repo")
    corpus.fill(root, [("LICENSE", "Do as you like.\n", "text"), ("README.md", "# License\n\nFree.\n", "markdown")])
    assert asked(corpus, "license").results[0].path == "LICENSE"
    corpus.fill(root, [("src/a.py", "class License:\n    terms = ()\n    holder = ''\n", "python")])
    assert asked(corpus, "License").results[0].path == "src/a.py"
    assert asked(corpus, "changelog").results == ()
    corpus.fill(root, [("NEWS", "Nothing yet.\n", "text")])
    assert asked(corpus, "changelog").results[0].path == "NEWS"
