"""Headings of documents ask for the one source file that their section names."""

from __future__ import annotations

import pytest

from benchmarks.corpus.kinds import heading
from tests.benchmarks.corpus.material import asked, material_of

FILES = {
    "src/headers.py": "def refuse_header():\n    pass\n\n\nclass Header:\n    pass\n",
    "src/pool.py": "def refuse_socket():\n    pass\n",
}
WANTED = {"Refusing headers with feeds": ("src/headers.py",)}


@pytest.mark.parametrize(
    "section",
    [
        "Call `refuse_header()` for each.",
        "See [the code](../src/headers.py#L10).",
        "It is in `headers.py`.",
        "A `Header` is refused by `refuse_header(header)` if `feed` is true.",
    ],
)
@pytest.mark.parametrize(
    "head", ["## Refusing headers with feeds", "Refusing headers with feeds\n---------------------------"]
)
def test_the_named_file_answers(section: str, head: str) -> None:
    text = f"# Guide\n\nAll about it.\n\n{head}\n\n{section}\n\n## Other things are written here\n\nNo code.\n"
    assert asked(heading.questions, material_of({**FILES, "docs/guide.md": text})) == WANTED


def test_restructured_text() -> None:
    text = "Guide\n=====\n\nRefusing headers with feeds\n---------------------------\n\nCall ``refuse_header()``.\n"
    assert asked(heading.questions, material_of({**FILES, "docs/guide.rst": text})) == WANTED


@pytest.mark.parametrize(
    ("path", "head", "section"),
    [
        ("guide.md", "Refusing headers with feeds", "Call `refuse_header()` or `refuse_socket()`."),
        ("guide.md", "Refusing headers with feeds", "Call `unknown_thing()`, or `feed`."),
        ("guide.md", "Refusing headers with feeds", "```py\nrefuse_header()\n# `refuse_header()`\n```"),
        ("guide.md", "Refusing headers with feeds", "x " * 400 + "`refuse_header()`"),
        ("guide.md", "Refusing headers", "Call `refuse_header()`."),
        ("guide.md", "Getting started with headers", "Call `refuse_header()`."),
        ("guide.md", "Headers since version 1.2", "Call `refuse_header()`."),
        ("guide.md", "title: refusing headers with feeds", "Call `refuse_header()`."),
        ("CHANGELOG.md", "Refusing headers with feeds", "Call `refuse_header()`."),
        ("tests/snaps/guide.md", "Refusing headers with feeds", "Call `refuse_header()`."),
        ("src/guide.py", "Refusing headers with feeds", "Call `refuse_header()`."),
    ],
)
def test_headings_that_ask_for_nothing(path: str, head: str, section: str) -> None:
    assert asked(heading.questions, material_of({**FILES, path: f"## {head}\n\n{section}\n"})) == {}
