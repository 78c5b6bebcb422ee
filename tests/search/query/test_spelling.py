"""A word that no file holds becomes the word one edit away that some hold; known words and quoted text stay."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.chunking.tokens import lexical_tokens
from regend.search.query.spelling import Correction, correct

TEXT = "class QuerySet get_user_name user users parse_header HTTPServer retries filter filters utf8 backoff " * 3
HELD = Counter(lexical_tokens(TEXT + "filter filter").split())


def frequencies(terms: Sequence[str]) -> list[int]:
    return [HELD[term] for term in terms]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        pytest.param("QuerySte", "QuerySet", id="swapped"),
        pytest.param("QueySet filter", "QuerySet filter", id="missing"),
        pytest.param("how does QuerrySet work", "how does QuerySet work", id="too many"),
        pytest.param("get_usir_name", "get_user_name", id="wrong"),
        pytest.param("getuser_name", "get_user_name", id="missing underscore"),
        pytest.param("get_userxname", "get_user_name", id="wrong underscore"),
        pytest.param("utf7", "utf8", id="wrong digit"),
        pytest.param("HTTPSever", "HTTPServer", id="in a hump"),
        pytest.param("GurryDet", "GurryDet", id="two edits"),
        pytest.param("HTTPXerver", "HTTPServer", id="keeps the case of a replaced letter"),
        pytest.param("backof", "backoff", id="plain word"),
        pytest.param("backoffs", "backoff", id="one letter less rather than an underscore in its place"),
        pytest.param("_backof", "_backoff", id="an underscore that was typed stays"),
        pytest.param('"QuerySte" backof', '"QuerySte" backoff', id="quoted text stays"),
        pytest.param("reed_onto_hat", "reed_onto_hat", id="nothing known near"),
        pytest.param("read_retreis", "read_retries", id="one part of an unknown name"),
        pytest.param("usr", "usr", id="too short"),
        pytest.param("fliter", "filter", id="the more frequent one"),
        pytest.param("query_set", "querySet", id="capitals instead of underscores"),
        pytest.param("HTTP_SERVER", "httpServer", id="a constant's spelling"),
        pytest.param("where is getUserName called", "where is get_user_name called", id="underscores for capitals"),
        pytest.param("ParseHeader", "parse_header", id="underscores for a class's spelling"),
        pytest.param("queryHeader", "queryHeader", id="no name in any spelling"),
        pytest.param("src/usr_nmae/QuerySte.py", "src/usr_name/QuerySet.py", id="within a path"),
    ],
)
def test_correct(text: str, right: str) -> None:
    assert correct(text, frequencies)[0] == right


def test_what_was_changed_is_told() -> None:
    assert correct("QuerySte fliter QuerySte", frequencies) == (
        "QuerySet filter QuerySet",
        (Correction("QuerySte", "QuerySet"), Correction("fliter", "filter")),
    )


@given(st.text(st.sampled_from("QuerySet_user Filter\"'.-é1"), max_size=40))
def test_any_text_is_answered_and_known_words_stay(text: str) -> None:
    changed, corrections = correct(text, frequencies)
    assert (changed == text) == (not corrections)
    assert all(HELD[lexical_tokens(c.right).split()[0]] or "_" in c.right or c.right != c.wrong for c in corrections)


def test_the_number_of_questions_is_bounded() -> None:
    asked = 0

    def count(terms: Sequence[str]) -> list[int]:
        nonlocal asked
        asked += len(terms)
        return [0] * len(terms)

    correct(" ".join(f"{'nowhere' * 5}{'x' * n}" for n in range(50)), count)
    assert asked < 4 * 2 * 56 * 64 + 1_000


def longest(word: str, begins: bool) -> str:
    held = [
        each
        for each in TEXT.split()
        if (each.lower().startswith if begins else each.lower().__contains__)(word.lower())
    ]
    return max(held, key=len, default="")


@pytest.mark.parametrize(
    ("text", "right"),
    [
        pytest.param("QuerySe", "QuerySet", id="a beginning"),
        pytest.param("get_use", "get_user_name", id="rather than the nearer get_user"),
        pytest.param("erySet", "QuerySet", id="a part of a lone word"),
        pytest.param("the erySet", "the erySet", id="no part in a sentence"),
        pytest.param("HTTPServers", "HTTPServer", id="the singular"),
        pytest.param("HTTPServ", "HTTPServer", id="a part has no singular"),
        pytest.param("fltr", "fltr", id="neither"),
        pytest.param('"QuerySe"', '"QuerySe"', id="quoted text stays"),
        pytest.param("usex", "user", id="a short word becomes what more chunks hold"),
    ],
)
def test_parts_of_words(text: str, right: str) -> None:
    assert correct(text, frequencies, longest)[0] == right


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1000000", "1_000_000"), ("limit 1000000", "limit 1_000_000"), ("65280", "0xff00"), ("4_096", "4096"),
        ("0x1000", "4096"), ("0xFF00", "0xFF00"), ("4096", "4096"), ("1_000_000", "1_000_000"),
        ("0xF4240", "1_000_000"),
        ('"1000000"', '"1000000"'), ("12345", "12345"), ("a.1000000", "a.1000000"), ("v1000000", "v1000000"),
        ("1000000.5", "1000000.5"), ("x.py:1000000", "x.py:1000000"), ("#1000000", "#1000000"),
        ("1,000000", "1,000000"),
    ],
)  # fmt: skip
def test_a_number_is_found_as_code_has_it(text: str, right: str) -> None:
    held = Counter(lexical_tokens("limit = 1_000_000; mask = 0xFF00; page = 4096; v x py a").split())
    changed, corrections = correct(text, lambda terms: [held[term] for term in terms])
    assert changed == right
    assert len(corrections) == (text != right)
