"""A query is understood by its form alone: what it names, what it quotes, what it is about."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.search.errors import FilterError, QueryError
from regend.search.query.parse import MAX_QUERY_CHARS, MAX_TERMS, parse_query


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("FooBar", "identifier"),
        ("foo_bar", "identifier"),
        ("a.b.c", "identifier"),
        ("ns::name", "identifier"),
        ("std::vector<int>", "identifier"),
        ("run()", "identifier"),
        ("queue", "identifier"),
        ("src/x.py", "path"),
        ("x.py", "path"),
        ("x.py:12", "path"),
        ('"waiting for a worker"', "phrase"),
        ("how are jobs retried", "language"),
        ("how does JobQueue retry", "mixed"),
        ("how does the Functor map", "mixed"),
        ("what is in src/x.py", "path"),
        ('retry "on timeout"', "mixed"),
        (".*regex[a-z]+ here", "mixed"),
        ("日本語 検索", "language"),
    ],
)
def test_kind(text: str, kind: str) -> None:
    assert parse_query(text).kind == kind


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("ns::Type::name", ("ns.Type.name",)),
        ("Picker:find", ("Picker.find",)),
        ("$this->handle()", ("this.handle",)),
        ("@app.route", ("app.route",)),
        ("what is `run` for", ("run",)),
        ("how does map() work", ("map",)),
        ("foo(x, y)", ("foo",)),
        ("Where is it", ()),
        ("how does x.py start", ()),
    ],
)
def test_identifiers(text: str, names: tuple[str, ...]) -> None:
    assert parse_query(text).identifiers == names


def test_path_and_line() -> None:
    query = parse_query("look at ./src/deep/x.py:120:7")
    assert (query.path, query.line) == ("src/deep/x.py", 120)


def test_a_url_is_not_a_path() -> None:
    assert parse_query("http://example.org/x.py fetch").path == ""


def test_stop_words_are_dropped_unless_there_is_nothing_else() -> None:
    assert parse_query("how does the scheduler work").terms == ("scheduler",)
    assert parse_query("how is it").terms == ("how", "is", "it")


def test_words_of_names_are_kept() -> None:
    assert "find" in parse_query("Picker:find").terms
    assert set(parse_query("how does `use` work").terms) == {"use"}


def test_stems_join_forms_of_a_word() -> None:
    assert parse_query("completions of routes").stems == parse_query("completion of route").stems


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "??? !!!", "(.:)" * 60, "lang:go", "-lang:go ?? ?"])
def test_nothing_to_search_for_is_an_error_with_a_remedy(text: str) -> None:
    with pytest.raises(QueryError, match="give a name, a path, or words"):
        parse_query(text)


def test_a_word_that_is_too_long_is_said_to_be() -> None:
    with pytest.raises(QueryError, match="one of 2000 characters, and of such only names are indexed; give a name"):
        parse_query("a" * 10_000)


def test_long_queries_are_cut_and_say_so() -> None:
    query = parse_query("word " * 10_000 + " ".join(f"term{i}x" for i in range(100)))
    assert len(query.text) <= MAX_QUERY_CHARS
    assert query.truncated
    many = parse_query(" ".join(f"zz{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(100)))
    assert len(many.terms) == MAX_TERMS
    assert many.truncated


@given(st.text(max_size=300))
def test_any_text_is_understood_or_refused(text: str) -> None:
    try:
        query = parse_query(text)
    except (QueryError, FilterError):
        return
    assert query.terms or (query.whole and len(query.whole) <= 200)
    assert len(query.terms) <= MAX_TERMS
    assert bool(query.whole) == (query.kind in ("identifier", "path"))


def test_doubts_are_of_what_is_searched_for() -> None:
    assert parse_query("word " * 390 + "langg:go").doubts
    assert parse_query("word " * 500 + "langg:go").doubts == ()


def test_other_spelling_keeps_what_limits_the_answer() -> None:
    query = parse_query('debuncer storms lang:py -mock -"sleep for" kindd:test')
    right = query.respelt("debouncer storms kindd:test")
    assert right.terms == parse_query("debouncer storms kindd:test").terms
    kept = ("inline", "without", "without_phrases", "doubts", "truncated")
    assert [getattr(right, name) for name in kept] == [getattr(query, name) for name in kept]
    assert right.inline and right.without == ("mock",) and right.without_phrases == ("sleep for",) and right.doubts


@pytest.mark.parametrize(
    ("typed", "terms"),
    [
        ("why doesn't the retry work", ("retry",)), ("why can't it connect", ("connect",)),
        ("it won't stop", ("stop",)), ("what\u2019s new", ("new",)), ("they're slow", ("slow",)),
        ("I'd retry", ("retry",)), ("we've lost jobs", ("lost", "jobs")),
        ("Bob's queue", ("bob", "queue")), ("`Queue`'s push", ("queue", "push")), ("isn't", ("is",)),
        ("foldl' s", ("foldl", "s")), ('"can\'t open"', ("t", "open")), ("print('s')", ("print", "s")),
    ],
)  # fmt: skip
def test_ends_of_contractions_are_no_words(typed: str, terms: tuple[str, ...]) -> None:
    assert parse_query(typed).terms == terms
