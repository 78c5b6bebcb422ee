"""Every text that an expression matches holds the pieces that it demands, whatever the expression."""

from __future__ import annotations

import random
import re

import pytest

from regend.chunking.tokens import lexical_tokens
from regend.search.query.literals import pieces_of
from regend.search.query.patterns import TextPattern
from regend.store.base import ChunkConditions
from regend.types import LONG_RUN


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (r"retry_\w+\(", [{"retry"}]),
        (r"class \w+Policy\b", [{"policy"}, {"class"}]),
        (r"(?:read|write)_timeout", [{"timeout"}, {"read", "write"}]),
        (r"(?i)FOO+bar", [{"obar"}, {"foo"}]),
        ("colou?r_name", [{"r_name"}, {"colo"}]),
        ("abc{2}def", [{"cdef"}, {"abc"}]),
        ("abc{0,2}def", [{"def"}]),
        ("(abc)*def", [{"def"}]),
        ("(abc)+def", [{"abc"}, {"def"}]),
        ("(?P<name>first)|second", [{"first", "second"}]),
        ("first|..", []),
        (r"\x41bc\x{1F600}def\pLghi", [{"def"}, {"ghi"}]),
        (r"[[:alpha:]\]abc]xyz[^]]uvw", [{"uvw"}, {"xyz"}]),
        (r"__init__", [{"init"}]),
        (r"\Qa+b\Eabc", []),
        (".*", []),
    ],
)
def test_what_is_demanded(expression: str, expected: list[set[str]]) -> None:
    TextPattern(expression).matcher()
    assert sorted(map(sorted, pieces_of(expression))) == sorted(map(sorted, expected))


ATOMS = [
    "ab",
    "Retry",
    "max_",
    "_size",
    "x2",
    "é",
    "\\.",
    "\\w",
    "\\d+",
    "\\b",
    "[a-c]",
    "[^x]",
    ".",
    " ",
    "\\s*",
    "(?i)",
    "\\x61",
    "\\_",
]
"""Pieces of random expressions."""


def expression_of(rng: random.Random, depth: int = 0) -> str:
    found = ""
    for _ in range(rng.randint(1, 5)):
        if depth < 3 and rng.random() < 0.3:
            opening = rng.choice(["(", "(?:", "(?P<n>", "(?i:"]) if depth else rng.choice(["(", "(?:", "(?i:"])
            atom = opening.replace("<n>", f"<n{rng.randrange(10**9)}>") + expression_of(rng, depth + 1) + ")"
        else:
            atom = rng.choice(ATOMS)
        repeatable = atom not in ("\\b", "(?i)")
        found += atom + (rng.choice(["", "", "", "*", "+", "?", "{2}", "{0,2}", "{1,}", "+?"]) if repeatable else "")
        found += "|" if rng.random() < 0.1 else ""
    return found


def text_of(rng: random.Random) -> str:
    words = [
        "ab",
        "abRetry",
        "max_size",
        "RETRY",
        "__max__",
        "x2",
        "xx22",
        "é",
        "aéb",
        "用户ab",
        "ab用户",
        "Retry.ab",
        "aſb",
        "K",
    ]
    made = "".join(rng.choice(words) + rng.choice(["", "", " ", ".", "\n", "_", "$"]) for _ in range(rng.randint(1, 8)))
    return made + rng.choice(["", "y" * 61 + "abRetry", " " + "abRetry" * 12])


def test_no_text_that_matches_is_left_out() -> None:
    matched = demanded = left_out = 0
    for seed in range(6_000):
        rng = random.Random(seed)
        pattern = TextPattern(expression_of(rng))
        try:
            matcher = pattern.matcher()
        except Exception:
            continue
        conditions = ChunkConditions(pieces=pattern.pieces())
        for _ in range(6):
            text = text_of(rng)
            fit = conditions.fit(set(lexical_tokens(text).split()))
            if matcher.search(text) is not None:
                assert fit, (seed, pattern.expression, text, conditions.pieces)
                matched += bool(conditions.pieces)
            left_out += not fit
        demanded += bool(conditions.pieces)
    assert matched > 500
    assert demanded > 1_000
    assert left_out > 1_000


def test_a_run_that_is_too_long_for_a_word_is_read() -> None:
    assert LONG_RUN in lexical_tokens("x" * 65).split()
    assert LONG_RUN in lexical_tokens("用户 " + "x" * 65).split()
    assert re.fullmatch(r"\w+", LONG_RUN) is None, "no query asks for it"


@pytest.mark.parametrize("least", ["0", "00", "1", "01", "9" * 5_000])
def test_a_part_that_may_be_missing_is_demanded_by_no_number_of_digits(least: str) -> None:
    demanded = {piece for group in pieces_of(f"abcdef(?:ghijkl){{{least},}}") for piece in group}
    assert any("abcdef" in piece for piece in demanded)
    assert any("ghijkl" in piece for piece in demanded) == (least.strip("0") != "")
