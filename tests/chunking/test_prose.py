"""Prose about code is found among it, and counts more than the code's own words."""

from __future__ import annotations

import pytest

from regend.chunking.chunker import chunk_content
from regend.chunking.prose import prose_of, weighted_tokens
from regend.config import LimitConfig
from regend.types import StatSig

SIG = StatSig(1, 1, 1, 1)


@pytest.mark.parametrize(
    ("text", "prose"),
    [
        ("// go and the like\nx := 1 // not behind code", ["go and the like"]),
        ("    /// rust\n    //! crate", ["rust", "crate"]),
        ("/**\n * java\n */\nvoid f();", ["java"]),
        ("# shell, python\n## a heading", ["shell, python", "a heading"]),
        ("-- lua, sql, haskell\n; lisp\n% erlang\n(* ocaml *)\n{- haskell -}",
         ["lua, sql, haskell", "lisp", "erlang", "ocaml *)", "haskell -}"]),
        ('def f():\n    """Say it.\n\n    More of it.\n    """\n    return 1', ["Say it.", "More of it."]),
        ("    r'''One line.'''", ["One line."]),
        ('@doc """\nElixir too\n"""', ["Elixir too"]),
        ('x = """\nnot this\n"""', []),
        ('    """a docstring that the chunk cuts off', []),
        ("total = a * b\nx --y\n", []),
        ("", []),
    ],
)  # fmt: skip
def test_prose_is_told_by_how_lines_begin(text: str, prose: list[str]) -> None:
    assert [line.strip() for line in prose_of(text).split("\n") if line.strip(" /")] == prose


def test_words_of_prose_count_three_times_and_others_once() -> None:
    tokens = weighted_tokens("# retry politely\nsend(request)\n").split()
    assert {token: tokens.count(token) for token in tokens} == {"retry": 3, "politely": 3, "send": 1, "request": 1}
    assert weighted_tokens("send(request)") == "send request"


def test_chunks_are_indexed_so_and_embedded_as_they_are() -> None:
    text = b'def f():\n    """Retry politely."""\n    return send()\n'
    (chunk,) = chunk_content(text, "python", SIG, LimitConfig()).chunks
    assert chunk.lexical.split().count("politely") == 3
    assert chunk.text.count("politely") == 1
