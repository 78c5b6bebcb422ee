"""A definition comes first where a question asks for nothing else, and tests where it asks for tests."""

from __future__ import annotations

import pytest

from tests.search.conftest import Corpus
from tests.search.test_literal import found

USES = 40


@pytest.fixture
def uses(corpus: Corpus) -> Corpus:
    """Return files that use two names far more often than the files that define them."""
    used = "# where is the RetryPolicy class defined: RetryPolicy function struct of next_delay, retry, drain\n"
    body = "x = RetryPolicy().next_delay(RetryPolicy)\nretry(drain(retry))\n"
    files = [(f"src/use_{at}.py", f"{used}def use_{at}():\n    {body}" + used * 3, "python") for at in range(USES)]
    defined = (
        "class RetryPolicy:\n\n    def next_delay(self):\n        return 1\n\n    def drain(self):\n        return 2\n"
    )
    files += [
        ("src/policies.py", defined, "python"),
        ("src/lists.py", "class List:\n\n    def add(self):\n        return 1\n", "python"),
        ("src/words.py", "def retry(job):\n    job.run()\n    job.end()\n", "python"),
        ("src/other.py", "def next_delay(other):\n    pass\n    return other\n", "python"),
        ("tests/test_policies.py", "def test_policy():\n    assert RetryPolicy().next_delay() == 1\n", "python"),
        ("docs/words.md", "## retry\n\nRetry function, defined.\n", "markdown"),
    ]
    corpus.fill(corpus.add_root("/repo"), files)
    return corpus


def test_the_definition_comes_first_where_nothing_else_is_asked_for(uses: Corpus) -> None:
    asked = {
        "src/policies.py": (
            "class RetryPolicy", "RetryPolicy class", "where is RetryPolicy defined?", "struct RetryPolicy",
            "what does RetryPolicy do", "show me RetryPolicy", "method next_delay of RetryPolicy",
            "method drain of RetryPolicy", "next_delay in policies.py", "next_delay in src/policies.py",
        ),
        "src/words.py": ("retry function", "where is retry defined", "the retry function."),
        "src/other.py": ("next_delay in other.py",),
    }  # fmt: skip
    for path, texts in asked.items():
        for text in texts:
            assert found(uses, text)[0][0] == path, (text, found(uses, text))


@pytest.mark.parametrize("name", ["drain_http_queue", "drainHTTPQueue", "DrainHttpQueue", "DRAIN_HTTP_QUEUE"])
def test_a_function_is_found_by_its_name_in_any_spelling(corpus: Corpus, name: str) -> None:
    noise = "def step_{0}(queue):\n    queue.drain()\n    http.get(queue, drain=http)\n    return drain(http, queue)\n"
    files = [(f"src/step_{at}.py", noise.format(at) * 2, "python") for at in range(USES)]
    slowly = f"{name}_slowly" if "_" in name else f"{name}Slowly"
    told = "# Drain the HTTP queue slowly: drain http queue, http queue drain.\n"
    files += [
        ("src/queue.py", f"{told}def {slowly}(queue):\n    {told}    drain(http(queue))\n    return http\n", "python"),
        ("src/work.py", f"def start():\n    return 1\n\n\ndef {name}(x):\n    y = x.pop()\n    return y\n", "python"),
        ("tests/test_work.py", f"def test_{name}():\n    assert {name}(1)\n    assert drain(http, queue)\n", "python"),
        ("tests/drains.py", "def drain_queue(x):\n    return drain(http, queue)\n", "python"),
    ]
    corpus.fill(corpus.add_root("/repo"), files)
    for text in (
        "drain_http_queue", "drainHttpQueue", "DrainHTTPQueue", "DRAIN_HTTP_QUEUE", "drain http queue",
        "Drain HTTP queue", "drain-http-queue",
    ):  # fmt: skip
        assert found(corpus, text)[0][0] == "src/work.py", (text, found(corpus, text))
    assert found(corpus, "drain queue")[0][0] != "tests/drains.py", "a test is not what was asked for"


def test_a_definition_of_another_kind_is_not_what_was_asked_for(uses: Corpus) -> None:
    for text in ("retry class", "the retry struct", "where is retry called"):
        assert found(uses, text)[0][0] != "src/words.py", (text, found(uses, text))


def test_tests_come_first_where_they_are_asked_for(uses: Corpus) -> None:
    for text in (
        "tests for RetryPolicy",
        "where is next_delay tested",
        "RetryPolicy unit tests",
        "tests for policies.py",
    ):
        assert found(uses, text)[0][0] == "tests/test_policies.py", (text, found(uses, text))
    assert found(uses, "RetryPolicy")[0][0] == "src/policies.py"


def test_words_that_only_ask_are_neither_corrected_nor_missed(corpus: Corpus) -> None:
    told = "# implementation, inherit, definitions, explains, works, subclass\n"
    files = [
        ("src/parser.py", f"{told}class Parser:\n    def parse(self):\n        return 1\n", "python"),
        ("src/lines.py", "class LineParser(Parser):\n    def parse(self):\n        return 1\n", "python"),
    ]
    corpus.fill(corpus.add_root("/repo"), files)
    for text in ("implementations of Parser", "what inherits from Parser", "Parser subclasses", "impls of Parserr"):
        paths, notes = found(corpus, text)
        assert paths[0] == "src/lines.py", (text, paths)
        assert len(notes) == ("Parserr" in text), (text, notes)
    for text in ("definition of Parser", "explain Parser", "how does Parser work", "what does Parserr inherit from"):
        paths, notes = found(corpus, text)
        assert paths[0] == "src/parser.py", (text, paths)
        assert len(notes) == ("Parserr" in text), (text, notes)


def test_a_piece_of_code_finds_what_its_only_name_is(uses: Corpus) -> None:
    asked = {
        "src/policies.py": (
            "List<RetryPolicy>", "new RetryPolicy(", "RetryPolicy::new(", "RetryPolicy.class", "Option<&RetryPolicy>",
            "x: RetryPolicy", "catch (RetryPolicy e)", "isinstance(x, RetryPolicy)", "methods of RetryPolicy",
            "how to use RetryPolicy", "RetryPolicy[]", "drain method of RetryPolicy",
        ),
        "src/words.py": ("retry(x, y)", "self.retry(", "retry/2", "&retry", "await retry()"),
    }  # fmt: skip
    for path, texts in asked.items():
        for text in texts:
            assert found(uses, text)[0][0] == path, (text, found(uses, text))


def test_the_handler_of_a_request_comes_first(corpus: Corpus) -> None:
    kinds = ("items", "users", "orders", "teams", "images", "projects")
    files = []
    for kind in kinds:
        told = f"# GET {kind} by id 42: /{kind}, {kind}\n"
        handlers = f'@get("/{kind}/{{id}}")\ndef read(id):\n    return 1\n\n\n' + "x = 1\n" * 300
        files += [
            (f"src/api/{kind}.py", f'{handlers}\n@delete("/{kind}/{{id}}")\ndef drop(id):\n    return 2\n', "python"),
            (f"src/models/{kind}.py", f"{told}class Model:\n    {told}    {kind} = get(42)\n" * 3, "python"),
            (f"tests/test_{kind}.py", f'{told}def test_{kind}():\n    assert get("/{kind}/42")\n', "python"),
        ]
    corpus.fill(corpus.add_root("/repo"), files)
    for kind in kinds:
        for text in (f"GET /{kind}/42", f"/{kind}/42", f"https://x.org/api/{kind}/42?x=1", f"404 on GET /v1/{kind}/7"):
            paths, notes = found(corpus, text)
            assert paths[0] == f"src/api/{kind}.py" and not notes, (text, paths, notes)


@pytest.mark.parametrize(
    "form", ["is next_delay {} safe", "next_delay {}", "{} next_delay", "please check {} in next_delay"]
)
def test_a_word_that_no_file_holds_is_named_beside_the_definition(uses: Corpus, form: str) -> None:
    for word in ("qqqzzzy", "wwwvvvx"):
        paths, notes = found(uses, form.format(word))
        assert paths[0] in ("src/policies.py", "src/other.py"), (form, paths)
        assert any(f"'{word}'" in note for note in notes), (form, notes)
    assert not found(uses, "somebody wondering about next_delay")[1], "words that only ask are not named"
