"""Which questions documents answer: generated ones, and such as look like them but are about code."""

from __future__ import annotations

from itertools import product

import pytest

from regend.search.query.asked.documents import asks_for_documents

ASKED = ("how do I {}", "How to {}?", "how can we {}", "how should one {}", "steps to {}", "what command to {}")
DONE = (
    "run the tests", "run unit tests locally", "build the project from source", "build it on Windows",
    "set up a development environment", "install this", "contribute a patch", "submit a pull request",
    "publish a new release to npm", "run the linter", "start the dev server", "debug the tests in vscode",
    "report a security vulnerability", "use this library", "get started", "deploy to production",
)  # fmt: skip
NAMED = (
    "installation instructions", "contributing guidelines", "getting started", "Quick start", "release process",
    "development setup", "upgrade guide", "what license is this under?", "what are the prerequisites",
    "where is the changelog", "build requirements", "set up the project for local development",
)  # fmt: skip
MATTERS = ("retries", "the cache", "error handling in streams", "connecting to a database")
REQUESTS = (
    "documentation of {}", "docs about {}", "the guide to {}", "where is {} documented?", "show me the docs on {}",
    "what does the readme say about {}", "tutorial for {}", "how are {} described in the documentation",
)  # fmt: skip
OF_CODE = (
    "how does the test runner start", "start process", "run tests", "start the application", "debug process",
    "how are tests discovered", "how to build an index", "how to compile a regex", "how do I parse a url",
    "how is the license checked", "launch worker process", "execute instructions", "build guide tree",
    "how to run a query in a transaction", "update dependencies", "fix tests on windows", "update docs of retries",
    "add documentation for retries", "fix a link in the docs", "how do I start a new thread", "process requests",
    "improve the guide to retries", "how do retries work", "install signal handlers", "document retries", "",
    "where is the manual override handled", "how does the docs builder work", "where is the documentation generated",
    "how is the readme parsed", "which guide tree is built",
)  # fmt: skip


@pytest.mark.parametrize(("asked", "done"), list(product(ASKED, DONE)))
def test_how_people_work_with_a_project_stands_in_documents(asked: str, done: str) -> None:
    assert asks_for_documents(asked.format(done))


@pytest.mark.parametrize("text", [*NAMED, *(form.format(matter) for form, matter in product(REQUESTS, MATTERS))])
def test_documents_may_be_asked_for_by_name(text: str) -> None:
    assert asks_for_documents(text)


@pytest.mark.parametrize("text", [*OF_CODE, "how do I run the tests " * 5])
def test_other_questions_are_about_code(text: str) -> None:
    assert not asks_for_documents(text)


@pytest.mark.parametrize("verb", ["install", "upgrade"])
def test_a_product_may_be_named_where_it_is_installed(verb: str) -> None:
    assert asks_for_documents(f"how do I {verb} frobber")
    assert not asks_for_documents(f"how do I {verb} the signal handlers")
