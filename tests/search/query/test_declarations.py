"""A path tells which files may implement what it declares."""

from __future__ import annotations

import pytest

from regend.search.query.declarations import implementations_of
from regend.search.query.words import file_role
from tests.search.conftest import Corpus
from tests.search.test_engine import paths, search


@pytest.mark.parametrize(
    ("path", "implementation"),
    [
        ("queue.h", "queue.c"),
        ("src/net/queue.hpp", "src/net/queue.cpp"),
        ("UIView+Cache.h", "UIView+Cache.m"),
        ("lib/queue.mli", "lib/queue.ml"),
        ("lib/parser.mli", "lib/parser.mly"),
        ("src/IQueue.cs", "src/Queue.cs"),
        ("queue.d.ts", "queue.js"),
        ("queue.d.mts", "queue.mjs"),
        ("a.b/queue.pyi", "a.b/queue.py"),
        ("Data/Queue.hs-boot", "Data/Queue.hs"),
        ("queue.ads", "queue.adb"),
    ],
)
def test_a_declaration_names_its_implementation(path: str, implementation: str) -> None:
    assert implementation in implementations_of(path)
    assert implementations_of(implementation) == ()


@pytest.mark.parametrize(
    "path", ["queue.c", "Ideas.cs", "I.cs", "h", ".h", "src.h/queue.py", "queue.d.py", "index.ts", ""]
)
def test_other_files_declare_nothing(path: str) -> None:
    assert implementations_of(path) == ()


@pytest.mark.parametrize("beside", [True, False])
def test_a_header_stands_behind_its_implementation_only_where_there_is_one(corpus: Corpus, beside: bool) -> None:
    root = corpus.add_root("/r/app")
    header = (
        "/* Retry a failed job with backoff; wait longer after each failed job. */\nint retry_job(struct job *job);\n"
    )
    source = '#include "retry.h"\n\nint retry_job(struct job *job) {\n    return wait_longer(job);\n}\n'
    other = "/* Retry a job. */\nint retry_other(void) {\n    return 0;\n}\n"
    corpus.fill(
        root, [("retry.h", header, "c"), ("other.c", other, "c"), *([("retry.c", source, "c")] if beside else [])]
    )
    shares = {
        r.path: {share.name: share.value for share in r.explain} for r in search(corpus, "retry job", explain=True)
    }
    assert shares["retry.h"]["unasked_declaration"] == (-1.0 if beside else 0.0)
    assert shares["other.c"]["unasked_declaration"] == 0.0
    assert ("retry.c" in paths(search(corpus, "retry job"))) is beside
    asked = search(corpus, "retry job declaration", explain=True)
    assert all(share.value == 0.0 for r in asked for share in r.explain if share.name == "unasked_declaration")


@pytest.mark.parametrize(
    "path",
    [
        "src/Castle.Core.Tests/Proxy.cs", "src/App.UnitTests/A.cs", "src/jvmTest/kotlin/A.kt", "src/commonTest/A.kt",
        "app/src/androidUnitTest/A.kt", "LayoutTests/A.swift", "App-iOSUITests/A.swift", "runtime-tests/deno/a.ts",
        "pkg_tests/a.dart", "parser-specs/a.pl", "integration_test/app.dart", "perf-test/a.clj", "functionalTests/a.go",
    ],
)  # fmt: skip
def test_folders_of_tests(path: str) -> None:
    assert file_role(path) == "test"


@pytest.mark.parametrize(
    "path",
    [
        "tokio-test/src/io.rs", "koin-test/A.kt", "RxTest/A.swift", "googletest/a.cc", "src/latest/a.py",
        "contest/a.py", "attests/a.go", "pkg/protest/a.py", "lib/rspec/core.rb", "src/_pytest/main.py", "zaptest/a.go",
    ],
)  # fmt: skip
def test_folders_of_products_for_tests_and_words_that_end_alike(path: str) -> None:
    assert file_role(path) == "source"


def test_a_file_that_is_about_the_question_as_a_whole_comes_before_one_passage(corpus: Corpus) -> None:
    root = corpus.add_root("/r/app")
    whole = "\n\n".join(f"def retry_{n}(job):\n    return backoff(job, attempt={n})" for n in range(30)) + "\n"
    corpus.fill(root, [("a.py", whole, "python"), ("b.py", "def other():\n    return 1\n", "python")])
    shares = {
        r.path: {share.name: share.value for share in r.explain}
        for r in search(corpus, "retry job backoff other", explain=True)
    }
    assert shares["a.py"]["file_likeness"] > 0.99 > shares["b.py"]["file_likeness"] >= 0.0
