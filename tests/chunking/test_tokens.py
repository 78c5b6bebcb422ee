"""Words of code, whole and in parts, the same way for the index and for queries."""

from __future__ import annotations

import base64
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.chunking import tokens
from regend.chunking.tokens import (
    RUN,
    asked_tokens,
    estimate_tokens,
    folded,
    lexical_tokens,
    normalised,
    query_terms,
    spaced,
    split_identifier,
    whole_tokens,
    words_in,
)
from regend.types import LONG_RUN

SCRIPTS = {
    "Chinese": "用户信息数据库缓存𠮷",
    "Japanese": "認証トークンを返すログイン々",
    "Korean": "사용자정보를저장한다",
    "Thai": "กขคงจฉนมย",
    "Lao": "ກຂຄງຈນມຍ",
    "Burmese": "ကခဂဃငစဆ",
    "Khmer": "កខគឃងចឆ",
}
NEAR_LETTERS = (
    0x20, 0x80, 0x100, 0x300, 0x380, 0x400, 0x580, 0x600, 0x900, 0xE00, 0x1100, 0x1180, 0x1F00, 0x2000, 0x3000, 0x3080,
    0x4E00, 0xAC00, 0xD780, 0xFE00, 0xFF00,
)  # fmt: skip
"""Where blocks of letters begin that join marks, or are near others that do."""


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("parseHTTPHeader", "parsehttpheader parse http header"),
        ("max_size_2", "max_size_2 max size 2"),
        ("foo.bar(baz)", "foo bar baz"),
        ("__init__", "init"),
        ("HTTPServer", "httpserver http server"),
        ("a1 + 42", "a1 a 1 42"),
        ("", ""),
    ],
)
def test_lexical_tokens(text: str, tokens: str) -> None:
    assert lexical_tokens(text) == tokens


def test_letters_beyond_ascii_stay_together() -> None:
    assert split_identifier("größeBerechnen") == ["größe", "berechnen"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("ПолучитьПользователя", ["получить", "пользователя"]),
        ("größeÄndern", ["größe", "ändern"]),
        ("HTTPÜbertragung2", ["http", "übertragung", "2"]),
        ("get用户信息", ["get", "用户", "户信", "信息"]),
    ],
)
def test_names_of_any_script_come_apart(name: str, parts: list[str]) -> None:
    assert split_identifier(name) == parts


@pytest.mark.parametrize("script", SCRIPTS)
@settings(deadline=None, max_examples=40)
@given(data=st.data())
def test_any_part_of_a_run_without_spaces_is_found(script: str, data: st.DataObject) -> None:
    run = data.draw(st.text(st.sampled_from(SCRIPTS[script]), min_size=1, max_size=200))
    start = data.draw(st.integers(0, len(run) - 1))
    part = run[start : data.draw(st.integers(start + 1, len(run)))]
    around = data.draw(st.sampled_from(["{}", "text{}", "{}text", "a {}。", "“{}”", "x.{}(1)"]))
    indexed = set(lexical_tokens(around.format(run)).split())
    assert part in words_in(part)
    assert set(asked_tokens(part).split()) <= indexed
    assert set(whole_tokens(part)) <= indexed
    assert len(asked_tokens(part).split()) == max(1, len(part) - 1), "pairs, or the one character"


@pytest.mark.parametrize(("one", "other"), [("x²", "x2"), ("ℝ", "R"), ("𝐱", "x"), ("①", "1"), ("й", "и")])
def test_other_names_in_code_stay_apart(one: str, other: str) -> None:
    assert whole_tokens(one) != whole_tokens(other)
    assert folded(one) != folded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ＡＢＣ１２３", "ABC123"), ("ﾛｸﾞｲﾝ", "ログイン"), ("ﬁle", "file"), ("µs", "μs"), ("می\u200cخواهم", "میخواهم"),
     ("co\u00adoperate", "cooperate"), ("⽤户", "用户")],
)  # fmt: skip
def test_a_letter_that_only_looks_different_is_the_same(one: str, other: str) -> None:
    assert lexical_tokens(one) == lexical_tokens(other)


@settings(deadline=None)
@given(st.text(max_size=80))
def test_words_do_not_depend_on_how_letters_are_encoded(text: str) -> None:
    apart = unicodedata.normalize("NFD", text)
    assert lexical_tokens(apart) == lexical_tokens(text)
    assert spaced(apart) == spaced(text)
    assert folded(apart) == folded(text)


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=0x52F, exclude_characters="ϓϔ"), max_size=40))
def test_accents_need_not_be_typed(text: str) -> None:
    assert folded(folded(text)) == folded(text)
    indexed = set(lexical_tokens(text).split())
    for word in words_in(text):
        if len(word) <= 16 and not word.isascii() and folded(word).isalnum():
            assert folded(word.strip("_$")) in indexed, word


@contextmanager
def without_shortcuts() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_FOREIGN", re.compile(r"[^\x00-\x7f]+"))
        patch.setattr(tokens, "_UNUSUAL", re.compile(r"[^\x00-\x7f]"))
        yield


def both(texts: Iterable[str]) -> list[tuple[str, str]]:
    return [(folded(text), normalised(text)) for text in texts]


@settings(deadline=None, max_examples=300)
@given(st.text(st.one_of(*(st.characters(min_codepoint=a, max_codepoint=a + 0x7F) for a in NEAR_LETTERS)), max_size=12))
def test_letters_that_folding_leaves_alone_are_skipped_safely(text: str) -> None:
    found = both([text])
    with without_shortcuts():
        assert both([text]) == found


def test_no_letter_that_folding_changes_is_skipped() -> None:
    letters = [chr(code) for code in range(0x80, 0x10000) if not 0xD800 <= code < 0xE000]
    found = both(letters)
    with without_shortcuts():
        assert both(letters) == found


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=0x7F), max_size=64))
def test_ascii_is_left_alone(text: str) -> None:
    assert normalised(text) == spaced(text) == text
    assert asked_tokens(text) == lexical_tokens(text)


SENTENCES = {
    "English": "should return the cached value when no policy was given and retry after failure of every request",
    "German": "größe ändert sich nicht wenn der nächste schlüssel älter ist und eine prüfung später übrig bleibt",
    "Russian": "должен вернуть ошибку если файл пустой или ключ давно устарел а новый запрос ещё выполняется",
}
FORMS: dict[str, Callable[[list[str]], str]] = {
    "snake": "_".join,
    "screaming": lambda words: "_".join(words).upper(),
    "camel": lambda words: words[0] + "".join(map(str.title, words[1:])),
    "pascal": lambda words: "".join(map(str.title, words)),
    "mixed": lambda words: "_".join(map(str.title, words)),
    "numbered": lambda words: f"{'_'.join(words)}_404_with_HTTP2",
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("language", SENTENCES)
def test_long_names_are_found_as_a_whole_and_by_their_words(language: str, form: str) -> None:
    """Tests of many projects say in their names what they test."""
    rng = random.Random(f"{language} {form}")
    for _ in range(20):
        words = rng.sample(SENTENCES[language].split(), 12)
        name = FORMS[form](words)
        if not 64 < len(name) <= 200:
            continue
        tokens = asked_tokens(name).split()
        assert tokens == lexical_tokens(name).split() and tokens[0] == name.lower()
        assert whole_tokens(name) == (name.lower(),)
        assert set(map(folded, words)) <= set(tokens), name


def test_encoded_data_are_no_names() -> None:
    rng = random.Random(1)
    for _ in range(200):
        raw = rng.randbytes(rng.randrange(50, 140))
        for encode in (base64.b64encode, base64.b32encode, base64.b85encode, base64.b16encode):
            for word in words_in(encode(raw).decode()):
                assert len(word) <= 64 or lexical_tokens(word) == LONG_RUN, word
    assert lexical_tokens("_".join(["word"] * 100)) == LONG_RUN, "longer than a name may be"


def test_runs_of_data_are_no_words() -> None:
    assert lexical_tokens("x" * 100 + " word") == f"{LONG_RUN} word"
    assert asked_tokens("x" * 100 + " word") == "word"


def test_query_terms_drop_what_says_nothing_unless_nothing_else_is_there() -> None:
    assert query_terms("how does the HTTPServer parse the headers") == (
        "httpserver", "http", "server", "parse", "headers",
    )  # fmt: skip
    assert query_terms("where is it") == ("where", "is", "it")


@given(st.text(max_size=80))
def test_index_and_query_meet(text: str) -> None:
    indexed = lexical_tokens(text).split()
    assert set(query_terms(text)) <= set(indexed)
    assert all(token == token.lower() for token in indexed if token.isascii())


def test_estimates_grow_with_the_text() -> None:
    assert estimate_tokens("") >= 1
    assert estimate_tokens("x = 1\n" * 100) > 50 * estimate_tokens("x = 1\n") / 2


@settings(deadline=None)
@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_do_not_depend_on_what_stands_after_them(text: str) -> None:
    assert words_in(f"{text} é") == [*words_in(text), "é"]


@settings(deadline=None)
@given(st.text(st.sampled_from("ab B_$1 .é\u0301ñ用户한²½Ａ—ı٣\u00a0")))
def test_only_runs_with_other_letters_come_apart(text: str) -> None:
    apart = (run if run.isascii() else " ".join(split_identifier(run)) or " " for run in runs_in(normalised(text)))
    assert spaced(text) == "".join(apart)


def runs_in(text: str) -> list[str]:
    """Return the runs of word characters, and the characters between them."""
    return re.findall(rf"{RUN.pattern}|.", text, re.DOTALL)


def test_identifiers_that_were_asked_for_long_ago_have_the_same_tokens() -> None:
    names = [f"parseItem{number}" for number in range(25_000)]
    first = lexical_tokens(" ".join(names))
    assert sorted(lexical_tokens(" ".join(names[::-1])).split()) == sorted(first.split())
    assert lexical_tokens(names[0]) == "parseitem0 parse item 0"
