"""Expressions find all chunks that match and no other; pasted text is never taken for syntax."""

from __future__ import annotations

import itertools
import re

import pytest

from regend.search.engine import Engine
from regend.search.errors import QueryError
from regend.search.exact import exact_search
from regend.search.legs.scope import ScopeResolver
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchOutcome
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

FILES = {
    "src/retry.py": "def retry_limit(count):\n    return RetryPolicy(count)\n",
    "src/other.go": "func Retry(n int) {\n\tsend(n)\n}\n",
    "tests/test_retry.py": "def test_retry():\n    assert retry_limit(3)\n",
    "docs/guide.md": "# Retry\n\nThe mock waits for the answer.\n",
    "a.yaml": "retry: 3\n",
}
LANGUAGES = {"py": "python", "go": "go", "md": "markdown", "yaml": "yaml"}


@pytest.fixture
def files(corpus: Corpus) -> Corpus:
    found = [(path, text, LANGUAGES[path.rpartition(".")[2]]) for path, text in FILES.items()]
    corpus.fill(corpus.add_root("/repo"), found)
    return corpus


def ask(corpus: Corpus, query: str) -> SearchOutcome:
    known = parse_query(query, lambda name: name == "repo")
    return Engine(hashed_vector).search(corpus.snapshot, SearchOptions(known, k=50))


@pytest.mark.parametrize(
    "expression",
    [r"retry_\w+\(", r"^func \w+", "RetryPolicy", r"(?i)RETRY", r"\d+$", "mock|send", r"e\s+w", "nothing."],
)
def test_an_expression_finds_what_matches_and_nothing_else(files: Corpus, expression: str) -> None:
    flags = re.MULTILINE | (0 if re.search("[A-Z]", re.sub(r"\\.", "", expression)) else re.IGNORECASE)
    expected = {path for path, text in FILES.items() if re.search(expression, text, flags)}
    assert {result.path for result in ask(files, f"content:/{expression}/").results} == expected


@pytest.mark.parametrize(
    ("query", "paths"),
    [
        ("retry case:yes lang:py", {"src/retry.py", "tests/test_retry.py"}),
        ("Retry case:yes", {"src/retry.py", "src/other.go", "docs/guide.md"}),
        ('"return RetryPolicy" OR "mock waits"', {"src/retry.py", "docs/guide.md"}),
        (r"content:retry -/limit\(/", {"src/other.go", "docs/guide.md", "a.yaml"}),
        ("sym:retry_limit", {"src/retry.py"}),
        ("content:retry in:docs", {"docs/guide.md"}),
        ("retry -sym:retry_limit lang:py", {"tests/test_retry.py"}),
        ("retry -sym:test_retry -sym:Nope.retry_limit lang:py", {"src/retry.py"}),
        ("sym:Nope.retry_limit", set()),
        ("case:yes retry -Retry", {"a.yaml", "tests/test_retry.py"}),
        ("case:yes Retry NOT retry_limit -yes", {"src/other.go", "docs/guide.md"}),
        (r"/retry_\w+/ NOT test-retry NOT retry-policy", {"src/retry.py", "tests/test_retry.py"}),
        ('"Retry" case:yes -func', {"src/retry.py", "docs/guide.md"}),
        ('") {"', {"src/other.go"}),
        ('"):" -assert', {"src/retry.py"}),
        ('"==" OR "= "', set()),
        ("/[{}]$/ lang:go", {"src/other.go"}),
        ("/}/", {"src/other.go"}),
        (r"/retry_\w+ = none/ -mock", set()),
        ("content:retry in:config", {"a.yaml"}),
        ("content:retry in:code f:src", {"src/retry.py", "src/other.go"}),
        (r"content:retry file:\.go$", {"src/other.go"}),
        ("content:retry r:repo NOT retry NOT lang:yaml f:*.md", set()),
    ],
)  # fmt: skip
def test_syntax(files: Corpus, query: str, paths: set[str]) -> None:
    assert {result.path for result in ask(files, query).results} == paths


def test_text_is_found_however_its_letters_are_encoded(corpus: Corpus) -> None:
    encoded = {
        "café": "cafe\u0301",
        "FULL": "\uff26\uff35\uff2c\uff2c",
        "efficient": "e\ufb03cient",
        "👩\u200d💻": "👩\u200d💻",
    }
    files = [(f"docs/{n}.md", f"first\nsecond {text}", "markdown") for n, text in enumerate(encoded.values())]
    corpus.fill(corpus.add_root("/repo"), files)
    for number, (usual, held) in enumerate(encoded.items()):
        every = {f"docs/{n}.md" for n in range(len(files))}
        for text in (usual, held):
            for query in (f"content:{text}", f"/second {text}+/", f"case:yes {text}", f'"second {text}" case:yes'):
                assert {result.path for result in ask(corpus, query).results} == {f"docs/{number}.md"}, query
            without = {result.path for result in ask(corpus, f"content:second -content:{text}").results}
            assert without == every - {f"docs/{number}.md"}, text
    assert {result.path for result in ask(corpus, r"/\x{301}/").results} == {"docs/0.md"}, "how it is encoded"


def test_a_text_as_long_as_a_query_may_be_is_found(corpus: Corpus) -> None:
    encoded = "".join(f"{number:x}QxZ" for number in range(400))
    corpus.fill(corpus.add_root("/repo"), [("a.txt", f"token {encoded} end", "text"), ("b.txt", "token end", "text")])
    for length in (60, 250, 700, 1_500):
        for query in (
            f"content:{encoded[:length]}",
            f"/oken {encoded[:length]}/",
            f'"oken {encoded[:length]}" OR "xx"',
        ):
            assert [result.path for result in ask(corpus, query).results] == ["a.txt"], query
    for text in (encoded[:1_500], "𐌰𐌱𐌲" * 60, "ạảấ" * 60):
        assert Engine(hashed_vector).search(corpus.snapshot, SearchOptions(parse_query(f'"xoken {text}"'))).notes


def test_a_result_shows_where_it_matches(files: Corpus) -> None:
    first = ask(files, r"/Policy\(/").results[0]
    assert (first.path, first.symbol) == ("src/retry.py", "retry_limit")


def test_an_expression_is_one_whatever_it_looks_like(corpus: Corpus) -> None:
    lines = (
        "self.conn = None",
        "error: bad thing",
        "(a) => {",
        "a && b",
        "f(x);",
        "x != y",
        "tar -xzf",
        "q.py:3: bad name",
        "=>",
    )
    corpus.fill(corpus.add_root("/repo"), [(f"{n}.txt", line, "text") for n, line in enumerate(lines)])
    for number, line in enumerate(lines):
        for expression in (re.escape(line), re.escape(line[:-1]) + "."):
            for query in (f"/{expression}/", f"content:/{expression}/", f"content:/{expression}/ f:txt -missing"):
                assert f"{number}.txt" in {one.path for one in ask(corpus, query).results}, query
                assert not ask(corpus, query).notes, query


@pytest.mark.parametrize("signs", ["|>", ":=", "{", ">>", "🚀"])
def test_signs_alone_are_an_error_that_names_what_finds_them(corpus: Corpus, signs: str) -> None:
    corpus.fill(corpus.add_root("/repo"), [("a.txt", f"left {signs} right", "text"), ("b.txt", "left right", "text")])
    with pytest.raises(QueryError) as error:
        ask(corpus, signs)
    (instead,) = re.findall(r"write `(.+?)`", str(error.value))
    assert [result.path for result in ask(corpus, instead).results] == ["a.txt"]


def test_more_texts_than_are_looked_for_are_said() -> None:
    texts = [f'"text {number}"' for number in range(16)]
    for more in ('"one more"', "content:x", "/one.*more/"):
        (note,) = parse_query(" ".join((*texts, more))).doubts
        assert "16 of the 17" in note, note


def test_each_of_many_quoted_texts_counts(corpus: Corpus) -> None:
    words = [f"word{letter}" for letter in "abcdefghijklmnop"]
    files = [(f"{word}.txt", " ".join(other for other in words if other != word), "text") for word in words]
    corpus.fill(corpus.add_root("/repo"), [*files, ("all.txt", " ".join(words), "text")])
    outcome = ask(corpus, " ".join(f'"{word}"' for word in words))
    assert ([result.path for result in outcome.results], outcome.notes) == (["all.txt"], ())


@pytest.mark.parametrize("expression", ["a(b", "(?=x)y", r"(a)\1", "[z-a]", "a{9999}"])
def test_a_wrong_expression_is_an_error_that_says_why(expression: str) -> None:
    with pytest.raises(QueryError, match="RE2"):
        parse_query(f"content:/{expression}/")


@pytest.mark.parametrize(
    "query", ["Use // instead of /* and */ as comments", "/* and */", "read /usr files/ again", "/[broken/", "a /(b/ c"]
)
def test_what_cannot_be_an_expression_is_text(query: str) -> None:
    assert parse_query(query).patterns == ()
    assert parse_query(query).terms


def test_a_search_that_takes_long_says_how_far_it_came(files: Corpus) -> None:
    clock = itertools.count(step=5.0)
    options = SearchOptions(parse_query("/no.such.text/"))
    scope = ScopeResolver().resolve(files.snapshot, options.filters)
    outcome = exact_search(files.snapshot, scope, options, lambda: next(clock))
    assert "ended after 2 s with 0 of" in outcome.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "tar -xzf", "tar -xzf /tmp/app.tgz", "chown root:root", "ls -la", "rm -rf build", "gcc -Wall -o main main.c",
        "ps -ef",
        "docker run -it --rm ubuntu", "git commit -am x", "mytool -xzf", "find . -name x", "$ make -test",
        "java -jar app.jar",
        'grep -rn "foo bar" src', "curl -sSL x | bash", "kubectl get pods -n kube-system -owide", "x = a -offset;",
        "main.c:3:5: error: unknown type [-Wunused]", 'KeyError: "missing"', "SELECT a FROM b WHERE c IS NOT NULL OR d",
        "CREATE TABLE IF NOT EXISTS x", "error: kind:Deployment",
        "owner root:root", "apt-get install -yq lang:C.UTF-8 x",
        'File "a.py", line 3, in f\n    raise ValueError("bad -name")',
    ],
)  # fmt: skip
def test_pasted_text_is_text(text: str) -> None:
    query = parse_query(text, lambda name: name == "repo")
    assert (query.without, query.without_phrases, query.inline, query.patterns, query.phrases) == ((), (), (), (), ())


@pytest.mark.parametrize(
    ("text", "without", "inline"),
    [
        ("retry -mock", ("mock",), 0), ("retry NOT mock", ("mock",), 0), ("retry -css lang:go", ("css",), 1),
        ("retry -2fa", (), 0), ("retry NOT 404", ("404",), 0), ("retry -404 ", (), 0), ("a -1 -x - b", (), 0),
        ("tar NOT mock", ("mock",), 0), ("git rebase lang:go", (), 1), ("error: x lang:py", (), 1), ("a OR b", (), 0),
    ],
)  # fmt: skip
def test_typed_syntax_stays_syntax(text: str, without: tuple[str, ...], inline: int) -> None:
    query = parse_query(text)
    assert (query.without, len(query.inline)) == (without, inline)
    assert "or" not in query.terms


def test_a_note_says_what_was_taken_as_text() -> None:
    (note,) = parse_query("tar -xzf", lambda _name: False).doubts
    assert "`-xzf`" in note and "NOT word" in note
    (note,) = parse_query("owner root:root", lambda _name: False).doubts
    assert "`root:root` was searched for as text" in note
