"""Words of code, whole and in parts, the same way for the index and for queries."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.chunking.decoding import decode
from regend.chunking.grammars import detect_language, language_names
from regend.chunking.tokens import estimate_tokens, lexical_tokens, query_terms, split_identifier


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


def test_runs_of_data_are_no_words() -> None:
    assert lexical_tokens("x" * 100 + " word") == "word"


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


@pytest.mark.parametrize(
    ("path", "head", "language"),
    [
        ("a/b.py", b"", "python"),
        ("x.d.ts", b"", "typescript"),
        ("Makefile", b"", "make"),
        ("Dockerfile", b"", "dockerfile"),
        ("script", b"#!/usr/bin/env python3\n", "python"),
        ("script", b"#!/bin/sh\n", "bash"),
        ("a.h", b"#define X\n", "c"),
        ("a.h", b"class A {\n", "cpp"),
        ("README", b"hello", "text"),
        ("A.PY", b"", "python"),
    ],
)
def test_detect_language(path: str, head: bytes, language: str) -> None:
    assert detect_language(path, head) == language
    assert language in language_names()


def test_decoding() -> None:
    assert decode(b"a\r\nb").text == "a\nb"
    assert decode(b"\xef\xbb\xbfx").text == "x"
    assert decode("ä".encode("utf-16")).text == "ä"
    assert decode(b"a\0b").skip_reason == "binary"
    assert decode(b"\xff\xe9 caf\xe9").degraded_reason == "bad_encoding"
