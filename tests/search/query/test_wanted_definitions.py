"""Which questions one definition answers: generated ones, and such as say more."""

from __future__ import annotations

from itertools import product

from regend.search.query.asked.definitions import wanted_definition
from regend.search.query.parse import parse_query

SPELT = ("RetryPolicy", "next_delay", "RetryPolicy.next_delay")
SURE = (
    "class {}", "the {} function", "struct {}", "where is {} defined?", "definition of {}", "show me {}", "go to {}",
    "what does {} do", "How does {} work?", "explain what {} is", "def {}(", "type {} struct", "- {}",
    "where is {} implemented", "find the declaration of {}.",
)  # fmt: skip
ABOUT = (
    "arguments of {}", "what does {} return?", "signature of {}", "methods of {}", "what fields does {} have",
    "{} parameters", "how to use {}", "instantiate {}", "what arguments does {} take", "superclass of {}",
    "what does {} inherit from", "return value of {}",
)  # fmt: skip
CODE = (
    "List<{}>", "new {}(", "x = new {}()", "{}::new(", "@{}", "{}.class", "&{}", "*{}", "{}[]", "Vec<{}>",
    "Option<&{}>",
    "[]{}", "&mut {}", "const {}&", "std::vector<{}>", "Map<String, {}>", "{} {}", "isinstance(x, {})", "class {} {{",
    "class {}:", "{}.new", "{}()", "throw new {}(", "raise {}(", "x: {}", "{} x = new {}()", "dict[str, {}]", "-> {}",
    "Promise<{}>", "catch ({} e)", "except {}:", "let x: {}", "<{} />", "{{ {} }}", "{}(x, y)", "self.{}(", "->{}(",
    "await {}()", "{}/2", "{} = ", "#{}", "import {};", "typeof {}!", "Result<Vec<{}>, String>", "def {}(self):",
)  # fmt: skip
PLAIN = ("retry function", "function retry", "the retry method", "where is retry defined?", "definition of retry")
MORE = (
    "return next_delay(attempt)", "class RetryPolicy(Base):",
    "how do RetryPolicy and next_delay and push_job work", "retry", "where is retry", "what does retry do",
    "login retry function", "where is the class", "retry the function call", '"next_delay" function',
    "next_delay", "retry.py:12 class RetryPolicy", "fix(retry): stop", "docs: retry", "(see parser)", "List<Map>",
    "x + 1",
    "argument parser function", "retry arguments", "foo(retry, delay)", "is retry new", "new retry", "Promise",
)  # fmt: skip
PERHAPS = (
    "RetryPolicy run", "run RetryPolicy", "where does RetryPolicy run?", "run in RetryPolicy",
    "RetryPolicy's run method", "RetryPolicy\u2019s run", "the run method of RetryPolicy",
    "RetryPolicy run implementation",
    "how does RetryPolicy implement run", "where is run in RetryPolicy", "Policy run", "run Policy",
    "how does Policy implement run", "the run method of class Policy", "run of Policy",
)  # fmt: skip
"""Questions for a member, if there is one."""
NO_MEMBER = (
    "who uses RetryPolicy", "tests for RetryPolicy",
    "subclasses of RetryPolicy", "Policy retries", "Run policy tests",
)  # fmt: skip


FRAMES = (
    "which file contains {}", "the thing called {}", "Help me understand {}", "I'm looking for {}",
    "I need to change the behaviour of {}. Where is it?", "We have a bug in {}, please look at its code",
    "can you check {}?", "rename {}", "{} is broken", "there is an issue with {}", "open the file with {}",
    "tell me everything about {}", "hi, where can I see {}", "In this project, what does {} do?",
)  # fmt: skip
TOPICS = ("is {} thread safe", "add logging to {}", "we should deprecate {}", "{} seems to leak memory")


def test_frames_of_a_name_ask_for_its_definition() -> None:
    for form, name in product(FRAMES, ("RetryPolicy", "next_delay")):
        query = parse_query(form.format(name))
        if query.kind == "identifier":  # Nothing else is left.
            continue
        wanted = wanted_definition(query)
        assert wanted is not None and wanted.names[-1] == name and not wanted.exact, (form, name, wanted)


def test_a_sentence_about_a_name_finds_the_function_and_no_type() -> None:
    """A question about a class may be about one of its members."""
    for form, name in product(TOPICS, ("getDelay", "next_delay")):
        wanted = wanted_definition(parse_query(form.format(name)))
        assert wanted is not None and wanted.exact and wanted.else_function, (form, name, wanted)
        assert all("." in one for one in wanted.names), wanted
    for text in ("is next_delay really thread safe in loops", "next_delay(x) logging"):
        assert wanted_definition(parse_query(text)) is None, text


def test_a_name_among_words_that_only_ask_is_wanted() -> None:
    for form, name in product(SURE, SPELT):
        query = parse_query(form.format(name))
        if query.kind == "identifier":  # Nothing else is left.
            continue
        wanted = wanted_definition(query)
        assert wanted is not None and wanted.names == (name,) and not wanted.exact, (form, name, wanted)
        assert "function" in wanted.kinds and "section" not in wanted.kinds
        assert ("interface" in wanted.kinds) == ("implemented" not in form), (form, wanted.kinds)


def test_a_plain_word_is_a_name_where_the_query_says_so() -> None:
    for text in PLAIN:
        wanted = wanted_definition(parse_query(text))
        assert wanted is not None and wanted.names == ("retry",) and wanted.exact, text
        assert ("class" in wanted.kinds) == ("defin" in text), (text, wanted.kinds)


def test_of_two_names_one_is_a_member_of_the_other() -> None:
    for text in (
        "method next_delay of RetryPolicy",
        "next_delay in RetryPolicy",
        "the next_delay of class RetryPolicy",
    ):
        wanted = wanted_definition(parse_query(text))
        assert wanted is not None and "RetryPolicy.next_delay" in wanted.names and wanted.exact, text
    for text in PERHAPS:
        owner = "RetryPolicy" if "RetryPolicy" in text else "Policy"
        wanted = wanted_definition(parse_query(text))
        assert wanted is not None and f"{owner}.run" in wanted.names and wanted.exact, (text, wanted)
    for text in NO_MEMBER:
        wanted = wanted_definition(parse_query(text))
        assert wanted is None or (wanted.exact and all("." in name for name in wanted.names)), text


def test_a_query_that_says_more_wants_no_definition_alone() -> None:
    assert [text for text in MORE if wanted_definition(parse_query(text)) is not None] == []


def test_the_only_name_in_a_piece_of_code_is_wanted() -> None:
    for form, name in product(CODE, ("RetryPolicy", "next_delay", "retry")):
        query = parse_query(form.format(name, name))
        wanted = wanted_definition(query)
        names = wanted.names if wanted is not None else query.identifiers
        assert names == (name,) or (form, name) == ("{} {}", "retry"), (form, name, wanted)
    for text in ("class <retry>", "struct retry {"):
        wanted = wanted_definition(parse_query(text))
        assert wanted is not None and "class" in wanted.kinds and "function" not in wanted.kinds, text


def test_a_question_about_a_definition_wants_it() -> None:
    for form, name in product(ABOUT, SPELT):
        wanted = wanted_definition(parse_query(form.format(name)))
        assert wanted is not None and wanted.names[-1] == name and not wanted.exact, (form, name, wanted)
    wanted = wanted_definition(parse_query("method create of RetryPolicy"))
    assert wanted is not None and wanted.names == ("RetryPolicy.create", "RetryPolicy"), "a member comes before"
