"""`re` does not find what the quick look rules out: generated expressions and texts, and all that the languages use."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regend.chunking import detection
from regend.chunking.grammars import language_names, spec_of
from regend.chunking.masking import _compiled
from regend.chunking.prefilter import _wider, may_match

SIGNS = "aA_1 \t\n\v\\#(*]-\x85\xff"
ATOMS = [
    "a", "A", "_", "1", " ", "\\n", "\\t", "\\\\", "#", "\\(", "\\*", "\\]", "\\$", "\xff", ".", "^", "$", "\\A",
    "\\Z", "\\b", "\\B", "\\w", "\\W", "\\s", "\\S", "\\d", "[a_]", "[^a]", "[^\\s]", "[\\s#]", "[^\\S\\n]", "[]a]",
    "[^]a]", "[\\w*]", "[(]",
]  # fmt: skip
WIDTH_ONE = ["a", "A", "\\n", "[a_]", "[^\\s]", "[]a]", "[(]", "\\("]


def expressions() -> st.SearchStrategy[str]:
    looks = st.tuples(st.sampled_from(["(?<=", "(?<!"]), st.sampled_from(WIDTH_ONE)).map(
        lambda look: "".join(look) + ")"
    )

    def larger(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        return st.one_of(
            st.lists(parts, min_size=1, max_size=4).map("".join),
            st.tuples(parts, parts).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
            st.tuples(st.sampled_from(["(?=", "(?!", "(?:", "(", "(?P<blank>"]), parts).map(
                lambda pair: "".join(pair) + ")"
            ),
            st.tuples(parts, st.sampled_from(["*", "+", "?", "{0,2}", "{,2}", "*?", "+?"])).map(
                lambda pair: f"(?:{pair[0]}){pair[1]}"
            ),
        )

    return st.recursive(st.sampled_from(ATOMS) | looks, larger, max_leaves=12)


@given(expressions(), st.text(SIGNS, max_size=12), st.sampled_from([0, re.MULTILINE, re.DOTALL, re.IGNORECASE]))
@example("a$", "a\n", 0)
@example("a[^\\S\\n]", "a\v", 0)
@example("\\(\\s", "(\v", 0)
@example("a{,2}#", "aa#", 0)
@settings(max_examples=400, deadline=None)
def test_what_is_ruled_out_does_not_match(source: str, text: str, flags: int) -> None:
    try:
        pattern = re.compile(source.encode("latin-1"), flags)
    except re.error:  # A group's name twice, or nothing to repeat.
        return
    raw = text.encode("latin-1")
    assert may_match(pattern, raw) or pattern.search(raw) is None


def test_each_pattern_of_the_languages_has_a_wider_one() -> None:
    patterns = {_compiled(blank) for language in language_names() for blank in spec_of(language).blanks}
    patterns |= {signs for rules in detection._CLASHES.values() for _, signs in rules}
    slow = {pattern.pattern for pattern in patterns if _wider(pattern) is None}
    assert len(patterns) > 20 and not slow


@pytest.mark.parametrize("source", ["a(?#x)b", "(a)\\1", "(?>a)b", "a{2000}", "(?x) a b"])
def test_what_re2_lacks_is_searched_by_re_alone(source: str) -> None:
    pattern = re.compile(source.encode())
    assert may_match(pattern, b"nothing of it")
