"""Runs of a snippet are the snippet, whatever the language and the text; words of the query are marked in them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.chunking.grammars import language_names
from regend.gateway.highlight import runs

LANGUAGES = sorted(language_names())
TEXTS = st.text(st.sampled_from("ab_ \t\n\r\"'{}()<>/*#\\é😀\x00\x0c1.:;=-"), max_size=80)


def text_of(lines: list[list[tuple[str, ...]]]) -> str:
    return "\n".join("".join(run[1] for run in line) for line in lines)


@settings(max_examples=150, deadline=None)
@given(TEXTS, st.sampled_from(LANGUAGES), st.lists(st.text("ab_é", max_size=3), max_size=3))
def test_nothing_is_lost_or_added(text: str, language: str, words: list[str]) -> None:
    assert text_of(runs(text, language, "src/a.txt", words)) == text


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_runs(language: str) -> None:
    assert text_of(runs("x = 1\n", language, "a", ["x"])) == "x = 1\n"


def test_classes_and_marks() -> None:
    assert runs("def parse_date(x):", "python", "a.py", ["date"])[0] == [
        ("k", "def"), ("w", " "), ("nf", "parse_"), ("nf", "date", 1), ("p", "("), ("n", "x"), ("p", ")"), ("p", ":"),
    ]  # fmt: skip
    assert [run for run in runs("Date DATED .*", "", "a", ["date", ".*"])[0] if len(run) == 3] == [
        ("", "Date", 1), ("", "DATE", 1), ("", ".*", 1),
    ]  # fmt: skip


def test_text_that_looks_like_html_stays_text() -> None:
    assert text_of(runs("<script>alert(1)</script>", "html", "a.html", ["script"])) == "<script>alert(1)</script>"
