"""Prose follows the house's English rules, and names in it name what exists."""

from __future__ import annotations

import re

import pytest

from tests.english import RULES, Rule, Sentence, findings, judge, prose_of_page, prose_of_source, split
from tests.pointers import Names, lines_of_page, lines_of_source

MODULE = '''
"""What a module owns."""

LIMIT = 3
"""So many are read."""


class Store:
    """The rows."""

    def rows(self) -> list[str]:
        """The rows
        that are kept anew.

        Args:
            name: nobody's.
        """
        raise ValueError(f"no {self} in place of it")  # Dear code.

    @property
    def size(self) -> int:
        """The size."""
        return len("one two anew".split())


# Of two
# comments, this is one.
'''

PAGE = """# What is under way

It stands
in place of it.

| key | What there is. |
|---|---|

```sh
echo anew
```

- `anew` is code.
- It waits. What for?
- Nobody waits.
"""


def said(sentences: object) -> list[tuple[int, str]]:
    return [(found.line, found.words) for one in list(sentences) for found in judge(one)]  # type: ignore[call-overload]


# --- the rules --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.remedy[:30]}: {rule.bad[0]}")
def test_a_rule_finds_its_bad_examples_and_leaves_the_good_ones_alone(rule: Rule) -> None:
    assert rule.bad and rule.good
    for text in (*rule.bad, *rule.good):
        first, *_ = split("x.py", 1, text, of_function=rule.of_functions)
        assert bool(re.search(rule.pattern, first.text)) == (text in rule.bad), text


def test_a_good_example_breaks_no_other_rule() -> None:
    for rule in RULES:
        for text in rule.good:
            assert said(split("x.py", 1, text, of_function=rule.of_functions)) == [], text


def test_a_finding_names_place_words_and_remedy() -> None:
    (found,) = judge(Sentence("regend/x.py", 7, "It waits,\nand then begins anew."))
    assert str(found) == "regend/x.py:8: anew. -> again"


def test_all_prose_of_a_module_is_read() -> None:
    assert sorted(said(prose_of_source("regend/x.py", MODULE))) == [
        (2, "What a module owns."),
        (5, "So many are read."),
        (12, "The rows that are kept anew."),
        (13, "anew."),
        (16, "nobody's."),
        (18, "Dear code."),
        (18, "in place of it"),
        (26, "Of two comments, this is one."),
    ]


def test_strings_of_tests_are_data_and_their_functions_may_be_nouns() -> None:
    lines = [line for line, _ in said(prose_of_source("tests/x.py", MODULE))]
    assert sorted(lines) == [2, 5, 13, 16, 18, 26]


def test_all_prose_of_a_page_is_read() -> None:
    assert said(prose_of_page("docs/x.md", PAGE)) == [
        (1, "under way"),
        (4, "in place of it."),
        (6, "What there is."),
        (15, "Nobody waits."),
    ]


# --- names ------------------------------------------------------------------------------------------------------------

SOURCES = {
    "regend/__init__.py": "",
    "regend/core/__init__.py": "",
    "regend/core/files.py": (
        "from os import path as place\nLIMIT = 1\nclass Base:\n    slots: int = 1\n"
        "class FileWork(Base):\n    def take(self):\n        self.rows = 'pending_count'\n"
        "class Foreign(Elsewhere): ...\n"
    ),
}
NAMES = Names(SOURCES, frozenset({"docs/rpc.md", "regend/core/files.py"}))


@pytest.mark.parametrize(
    "line",
    [
        "`regend.core.files`, `core.files.LIMIT`, `files.FileWork.take`, `files.place`",
        "`FileWork.take()`, `FileWork.rows`, ``FileWork.slots``, `Foreign.anything`, `regend.core.files.FileWork`",
        "`FileWork`, `KeyError`, `pending_count`, `take()`, `core.files`",
        "docs/rpc.md, `core/files.py`, `regend/core/files.py`, `src/gone.py`, `other/gone.py`",
        "`files.py`, `threading.Lock`, `RetryPolicy.next_delay`, `a_b + c_d`, FileGone, `word`",
    ],
)
def test_names_that_exist_or_belong_to_others_pass(line: str) -> None:
    assert list(NAMES.missing("regend/core/files.py", line)) == []


@pytest.mark.parametrize(
    "name",
    [
        "regend.core.gone", "core.files.GONE", "files.FileWork.gone", "FileWork.gone", "FileWork.gone()", "FileGone",
        "gone_count", "GONE_COUNT", "gone()", "docs/gone.md", "core/gone.py", "regend/core/gone.py", "core.FileWork",
    ],
)  # fmt: skip
def test_names_of_nothing_are_found(name: str) -> None:
    assert list(NAMES.missing("regend/core/files.py", f"See `{name}` for more.")) == [name.removesuffix("()")]


def test_docstrings_comments_and_pages_are_looked_at() -> None:
    assert list(lines_of_source('"""A\nb."""\nX = "c"  # d\n')) == [(1, "A"), (2, "b."), (3, "# d")]
    assert list(lines_of_page("a\n```\nb\n```\nc")) == [(1, "a"), (5, "c")]


# --- the tree ---------------------------------------------------------------------------------------------------------


def test_the_tree_follows_the_rules_and_names_what_exists() -> None:
    assert [str(finding) for finding in findings()] == [], "write it as the remedy says"
