"""The author of an issue tells something in a form: that is searched for, and other text stays as it is."""

from __future__ import annotations

import random

import pytest

from regend.search.query.issues import MAX_ISSUE_CHARS, told_in
from regend.search.query.parse import parse_query

TOLD = (
    "The tokenizer drops the last escape of a raw string.",
    "Add an option to list all roots that were removed, with their versions",
    "If two roots share a watch, `remove` stops both.\nFor example, `a` and `a/b` do.",
    "Please make the timeout of the worker configurable.",
    "What the cache does with expired keys is not documented; I have two shards.",
    "Kernel module loading fails: version of the symbol table is wrong",
)
MARKS = ("## {}", "### {}", "**{}**", "**{}:**", "# {} #", "__{}__:")
ABOUT = (
    "Describe the bug",
    "What happened?",
    "Description",
    "Current Behavior",
    "Issue summary",
    "Problem description",
)
EMPTY = (
    ("Steps to reproduce", "Steps to reproduce the behavior:\n1. Go to '...'\n2. Click on '....'\n4. See error"),
    ("Expected behavior", "A clear and concise description of what you expected to happen."),
    ("Screenshots", "If applicable, add screenshots to help explain your problem."),
    ("Environment", "- OS: Ubuntu 22.04\n- Python version: 3.11.7\n\nBuilt with gcc 12 on the office machine"),
    ("System Info", "```shell\nSystem:\n  OS: macOS 11.5\nBinaries:\n  Node: 14.16\n```"),
    ("Validations", "- [x] Read the docs.\n- [ ] I agree to follow\n  the Code of Conduct"),
    ("Additional context", "Add any other context about the problem here."),
    ("Possible solution", "_No response_"),
    ("Used Package Manager", "npm"),
    ("Logs", "N/A"),
    ("Before submitting", "[ Please read the guide first, it is\nshort. ]"),
    ("Related issues", "- None"),
)
HEADS = ("", "<!-- Thank you for reporting. Please fill in all\n  fields. -->\n", "- [ ] I searched the issues\n\n")


def lines_of(text: str) -> list[str]:
    return [line for line in text.split("\n") if line]


@pytest.mark.parametrize("seed", range(40))
def test_what_is_told_stays_and_the_form_goes(seed: int) -> None:
    pick = random.Random(seed)
    told, mark = pick.choice(TOLD), pick.choice(MARKS)
    sections = [(pick.choice(ABOUT), told), *pick.sample(EMPTY, pick.randint(1, 5))]
    if pick.random() < 0.5:
        pick.shuffle(sections)
    form = "\n\n".join(f"{mark.format(name)}\n\n{text}" for name, text in sections)
    assert lines_of(told_in(pick.choice(HEADS) + form)) == lines_of(told), form
    title = "Escapes are lost"
    assert lines_of(told_in(f"{title}\n\n{form}")) == [title, *lines_of(told)]


@pytest.mark.parametrize("told", TOLD)
def test_text_without_a_form_stays(told: str) -> None:
    listed = f"{told}\n\n- first\n- second: version 3\n\nThe feature has these files:\n  os: linux\nPlease check it."
    for text in (told, listed, f"{told} Please read on. Thanks to it."):
        assert told_in(text) == text
    assert parse_query(listed).text == listed


@pytest.mark.parametrize(
    "comment", ["# Expected versions", "# Describe it", "# Environment", "## ", "#", "  # - [x] done"]
)
@pytest.mark.parametrize(
    "line", ["version: 1.2", "os = 'linux'", "[x] = f(y)", "none", "python: 3.11", "[ ] = z", "build: all"]
)
def test_code_with_comments_stays(comment: str, line: str) -> None:
    code = f"{comment}\n{line}\n{comment}\n{line}\n# The end\nyes"
    assert told_in(code) == code
    shifted = "\n".join(f"    {one}" for one in code.split("\n"))
    assert told_in(shifted) == shifted


def test_headings_of_the_author_stay() -> None:
    text = (
        "## Describe the bug\nIt fails.\n## Tokenizer of raw strings\nSee `lexer.py`.\n## Versions\n3.4\n## Lexer\nEnd."
    )
    assert lines_of(told_in(text)) == [
        "It fails.", "## Tokenizer of raw strings", "See `lexer.py`.", "## Lexer", "End.",
    ]  # fmt: skip


def test_code_and_addresses_of_files_stay() -> None:
    trace = 'Traceback:\n  File "a.py", line 3, in f\nValueError: OS: none'
    link = "[here](https://example.org/x/blob/main/src/a.py#L3)"
    text = f"### Bug\n```python\n{trace}\n```\nIn {link}.\n### Environment\n```\nOS: x\n```"
    assert lines_of(told_in(text)) == [*lines_of(trace), f"In {link}."]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Hi! Where are tasks retried? Thanks in advance.", "Where are tasks retried?"),
        ("Hello everyone. Where are tasks retried? Thank you very much!", "Where are tasks retried?"),
        ("Good morning team! Find the retry loop. Please help!", "Find the retry loop."),
        ("Thanks!", "Thanks!"),
        ("hello world", "hello world"),
        ("Say hello. Then wave", "Say hello. Then wave"),
        ("help for the team", "help for the team"),
    ],
)
def test_politeness_at_both_ends_goes(text: str, told: str) -> None:
    assert told_in(text) == told


def test_a_form_that_tells_nothing_stays() -> None:
    form = "### Describe the bug\n\n_No response_\n\n### Versions\n\nN/A"
    assert told_in(form) == form


@pytest.mark.parametrize(
    "piece",
    [
        "[ a\n",
        "<summary>",
        "<!--",
        "- [ ] ",
        "# # ",
        "**a ",
        "Please add ",
        "1.1. ",
        "Hi ",
        "[a](https://",
        "OS OS OS: ",
        "add you ",
    ],
)
def test_a_long_text_is_read_to_its_end(piece: str) -> None:
    text = "### Bug\n" + piece * (MAX_ISSUE_CHARS // len(piece))
    assert told_in(text) and told_in(text.replace("\n", " "))
