"""Which questions ask for the subtypes of a type: generated ones, and such as look like them."""

from __future__ import annotations

import time

from regend.search.query.asked.supertypes import asked_supertype
from regend.search.query.parse import parse_query

FORMS = (
    "subclasses of {}", "Subclass of {}", "who implements {}?", "what implements {}", "implementations of {}",
    "all implementations of the {} interface", "classes that extend {}", "classes extending {}", "{} subclasses",
    "{} implementations", "find all {} implementations", "which classes inherit from {}?", "what extends {}",
    "types that implement {}", "types conforming to {}", "structs implementing the {} trait", "implementers of {}",
    "derived classes of {}", "classes derived from {}", "child classes of {}", "show me the subtypes of {}",
    "where is {} subclassed", "what are the subclasses of {}", "list all classes that implement {}",
    "modules implementing the {} behaviour", "what subclasses of {} are there?", "everything that implements {}",
    "who inherits from {}", "implementing classes of {}", "{} implementers", "interfaces that extend {}",
    "what else implements {}", "implementors of the {} protocol", "what conforms to {}", "subinterfaces of {}",
)  # fmt: skip
NAMES = {
    "RetryPolicy": ("RetryPolicy",), "Parser": ("Parser",), "parser": ("parser",), "gen_server": ("gen_server",),
    "io.Reader": ("io.Reader",), "std::error::Error": ("std.error.Error",), "`Parser`": ("Parser",),
    "Iterator<Item>": ("Iterator",), "retry policy": ("retrypolicy", "retry_policy"), "@Plugin": ("Plugin",),
}  # fmt: skip
BARE = ("extends RetryPolicy", "implements Parser.Base", "impl Parser for")
OTHERS = (
    "implement RetryPolicy", "extend the parser", "Implements retry", "extends retry", "RetryPolicy", "subclasses",
    "what extends it", "implementation of RetryPolicy", "where is RetryPolicy implemented", "tests for RetryPolicy",
    "implementing retries", '"subclasses" of RetryPolicy', "retry.py:12 subclasses of RetryPolicy", "who calls Parser",
    "fix subclasses of Parser that do not override run()", "allow subclasses to override the method of the parser",
    "what implements this", "how are classes that implement Parser registered at startup, and when", "Parser instances",
    "subclass hooks", "implementations",
)  # fmt: skip


def test_the_type_is_read_from_all_ways_to_ask() -> None:
    asked = [(form.format(name), found) for form in FORMS for name, found in NAMES.items()]
    wrong = [(text, found) for text, names in asked if (found := asked_supertype(parse_query(text))) != names]
    assert wrong == []
    assert [text for text in BARE if not asked_supertype(parse_query(text))] == []


def test_other_questions_ask_for_no_subtypes() -> None:
    assert [text for text in OTHERS if asked_supertype(parse_query(text))] == []


def test_a_long_query_is_read_quickly() -> None:
    began_at = time.process_time()
    for text in ("the " * 500, "base " * 400, "subclasses of " * 140, "what " * 40 + "x", "abstract class " * 13 + "!"):
        asked_supertype(parse_query(text + "Parser"))
    assert time.process_time() - began_at < 1.0
