"""Which questions tests answer: generated ones, and such as look like them but are about code or a change."""

from __future__ import annotations

import time

from regend.search.query.asked.tests import asks_for_tests

MATTERS = ("RetryPolicy", "the cache", "retry.py", "connecting to a database")
ASKED = (
    "tests for {}", "Unit tests for {}", "test of {}", "test cases for {}", "specs for {}",
    "where are the tests for {}?",
    "which test covers {}", "is there a test for {}", "show me all tests that exercise {}", "integration test for {}",
    "where is {} tested", "how are {} tested?", "What tests cover {}", "e2e tests covering {}",
)  # fmt: skip
NAMED = (
    "parser tests", "show me the parser tests", "RetryPolicy unit tests", "retry policy test suite",
    "connection pool integration test",
)  # fmt: skip
OF_CODE = (
    "add tests for retries", "fix flaky retry tests", "run tests", "how do I run the tests", "unit tests", "tests", "",
    "hit test", "depth test", "test for equality", "test runner", "how does the runner find tests", "openapi spec",
    "how to test retries", "test that retries stop", "skip slow tests", "the tests", "which tests",
    "retries are tested",
    "tested", "clean up the cache of tests for retries", "update RetryPolicy tests",
)  # fmt: skip


def test_tests_are_asked_for_by_what_they_test() -> None:
    texts = [form.format(matter) for form in ASKED for matter in MATTERS]
    assert [text for text in (*texts, *NAMED) if not asks_for_tests(text)] == []


def test_other_questions_are_about_code() -> None:
    assert [text for text in OF_CODE if asks_for_tests(text)] == []


def test_a_long_query_is_read_quickly() -> None:
    began_at = time.process_time()
    for text in ("the " * 500, "tests for " * 200, "where is " + "tested " * 280, "a\t" * 1_000 + "tests ("):
        asks_for_tests(text + "\n")
    assert time.process_time() - began_at < 1.0
