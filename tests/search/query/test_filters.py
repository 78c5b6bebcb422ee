"""Filters are taken out of a query, and nothing else is."""

import pytest

from regend.chunking.grammars import language_names
from regend.limits import KINDS
from regend.search.errors import FilterError
from regend.search.query.filters import KEYS, Filters, Inline, Split, doubts, split_filters
from tests.chunking.samples import kinds_of


def inline(key: str, value: str, negated: bool = False) -> Inline:
    return Inline(key, value, negated)


@pytest.mark.parametrize(
    ("text", "rest", "filters"),
    [
        ("retry lang:go", "retry", [inline("lang", "go")]),
        ("lang:go retry path:src/** loop", "retry loop", [inline("lang", "go"), inline("path", "src/**")]),
        ("-path:tests/** retry", "retry", [inline("path", "tests/**", True)]),
        ("a lang:go,rust b", "a b", [inline("lang", "go"), inline("lang", "rust")]),
        ("kind:fn x kind:Class", "x", [inline("kind", "function"), inline("kind", "class")]),
        ('path:"my dir/*.py" x', "x", [inline("path", "my dir/*.py")]),
        ("path:src/{a,b}/** x", "x", [inline("path", "src/{a,b}/**")]),
        ("-root:vendored x", "x", [inline("root", "vendored", True)]),
        ("lang:C++ -lang:rs x", "x", [inline("lang", "cpp"), inline("lang", "rust", True)]),
    ],
)
def test_filters_are_taken_out(text: str, rest: str, filters: list[Inline]) -> None:
    assert split_filters(text) == Split(rest, tuple(filters), (), ())


@pytest.mark.parametrize(
    "text",
    [
        "path::new", "std::path::Path", "root: x", "lang:", "xlang:go", '"lang:go"', '"a lang:go b" c', "https://x.y",
        "a - b", "a -> b", "real-time", "--verbose", "-1", "-x", "it's -", "kinds:x", "type:ignore",
    ],
)  # fmt: skip
def test_other_text_stays(text: str) -> None:
    assert split_filters(text) == Split(text, (), (), ())


def test_exclusions() -> None:
    found = split_filters('retry -mock -"sleep for" backoff -_private')
    assert found == Split("retry backoff", (), ("mock", "_private"), ("sleep for",))
    for word in ("2fa", "404", "foo-bar", "Foo.bar", "ns::Type", "a_1-b_2-c", "größe-1", "1.2.3", "x"):
        assert split_filters(f"retry NOT {word} backoff") == Split("retry backoff", (), (word,), ()), word
    assert split_filters("retry -ns::Type backoff") == Split("retry backoff", (), ("ns::Type",), ())
    for word in ("-2fa", "-foo-bar", "-Foo.bar", "-Wsign-compare", "-1M"):  # These are rather options.
        found = split_filters(f"retry {word} backoff")
        assert found.text == f"retry {word} backoff" and f"`{word}` was searched for as text" in found.notes[0], word


@pytest.mark.parametrize(
    "before", ["support for", "falls back to", "the meaning of", "rather than", "works with the", "USE OF"]
)
@pytest.mark.parametrize("after", ["", "attribute", "in every file"])
def test_an_option_that_a_sentence_speaks_of_excludes_nothing(before: str, after: str) -> None:
    text = f"{before} -spec {after}".strip()
    split = split_filters(text)
    assert (split.text, split.words) == (text, ()) and "-spec" in split.notes[0]
    # With nothing around it that speaks of it, it is an exclusion.
    assert split_filters(f"{before} it -spec {after}".strip()).words == (() if after == "attribute" else ("spec",))


@pytest.mark.parametrize("after", ["option", "flags", "is called", "switch", "was removed"])
def test_what_is_called_an_option_excludes_nothing(after: str) -> None:
    assert split_filters(f"drop -profile {after}").words == ()
    assert split_filters(f"drop {after} -profile").words == ("profile",)
    assert split_filters(f"drop NOT profile {after}").words == ("profile",)


@pytest.mark.parametrize("key", [*KEYS, "f", "r", "repo", "content", "case"])
@pytest.mark.parametrize("address", ["{}://", "{}:///etc/hosts", "cannot open {}://host/file?x=1 twice", "-{}://a"])
def test_an_address_is_no_filter(key: str, address: str) -> None:
    text = address.format(key)
    assert split_filters(text) == Split(text)


def test_an_unknown_kind_is_named_with_those_there_are() -> None:
    with pytest.raises(FilterError, match=r"Deployment.*function.*kind:Deployment.*double quotes"):
        split_filters("x kind:Deployment")


def test_kinds_are_those_of_the_languages() -> None:
    defined = {kind for name in language_names() for kind in kinds_of(name)}
    assert {"block", "window"} | defined == KINDS


def test_as_a_person_would_write_them() -> None:
    assert str(Filters(path="src/**", inline=(Inline("lang", "go", True),))) == "path 'src/**', `-lang:go`"


@pytest.mark.parametrize("text", ["x lang:klingon", "x -lang:klingon", "x lang:go,klingon"])
def test_an_unknown_language_is_named_with_those_there_are(text: str) -> None:
    with pytest.raises(FilterError, match=r"'klingon'.*haskell.*\"lang:klingon\" in double quotes"):
        split_filters(text)


def test_a_language_that_is_nearly_there_is_named() -> None:
    with pytest.raises(FilterError, match="did you mean `python`"):
        split_filters("x lang:pyhton")


@pytest.mark.parametrize("text", ["x lang:,", "x kind:,,", "x -root:,"])
def test_a_filter_of_commas_only_is_refused(text: str) -> None:
    with pytest.raises(FilterError, match="has no value; write one, such as"):
        split_filters(text)


@pytest.mark.parametrize(
    ("text", "written", "meant"),
    [
        ("retry langg:go", "langg:go", "lang:go"),
        ("language:python x", "language:python", "lang:python"),
        ("x -langauge:py", "-langauge:py", "-lang:py"),
        ("x Lang:go", "Lang:go", "lang:go"),
        ("x lang: go", "lang: go", "lang:go"),
        ("x ext:rs", "ext:rs", "lang:rs"),
        ("knid:class x", "knid:class", "kind:class"),
        ("kind: function x", "kind: function", "kind:function"),
        ("x paht:src/**", "paht:src/**", "path:src/**"),
        ("x folder:src/", "folder:src/", "path:src/"),
        ("x repository:api", "repository:api", "root:api"),
    ],
)
def test_what_is_nearly_a_filter_is_said(text: str, written: str, meant: str) -> None:
    assert split_filters(text).inline == ()
    assert doubts(text) == (f"`{written}` is not a filter and was searched for as text; did you mean `{meant}`?",)


@pytest.mark.parametrize(
    "text",
    [
        "lang:go path:src/** kind:class root:api", "kind: Deployment", "root: x", "type:ignore", "error:timeout", "file://x",
        "std::path", "bind:0.0.0.0:80", '"language:go"', "https://x.y/z", "find:x", "a : b", "lang:", "file:handle",
    ],
)  # fmt: skip
def test_other_text_with_colons_is_not_doubted(text: str) -> None:
    assert doubts(text) == ()


def test_a_pasted_page_is_not_answered_with_a_page_of_doubts() -> None:
    assert len(doubts(" ".join(f"folder:{n}/x" for n in range(10_000)))) == 3
