"""Each feature answers one question about a candidate, within -1..1, and the table keeps its promises."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.search.legs.literal import MAX_WORDS
from regend.search.query.parse import parse_query
from regend.search.query.words import path_words
from regend.search.ranking.features import (
    FEATURES,
    Candidate,
    FileFacts,
    QueryContext,
    names_in,
    query_context,
    symbol_fit,
)
from regend.store.base import ChunkView, Entry
from regend.types import BlobId, ChunkId, PoolId, RootId

VALUES = {feature.name: feature.value for feature in FEATURES}


def candidate(
    path: str = "src/a.py", text: str = "x = 1", symbol: str = "", tokens: int = 100, chunks: int = 9, **more: Any
) -> Candidate:
    entry = Entry(1, PoolId(1), path, BlobId(b"b"), "python", frozenset({RootId(1)}), chunks)
    view = ChunkView(1 << 16, ChunkId(b"c"), 10, 20, symbol, "function", tokens, text)
    own = {name: more.pop(name) for name in list(more) if name in Candidate.__dataclass_fields__}
    more = {name.removeprefix("file_"): value for name, value in more.items()}
    return Candidate(1 << 16, FileFacts(entry, path_words(path), tokens=tokens, **more), view=view, **own)


def context(query: str, path_filter: str = "") -> QueryContext:
    return query_context(parse_query(query), path_filter)


@pytest.mark.parametrize(
    ("feature", "query", "fields", "expected"),
    [
        ("words", "anything", {"words": 0.7}, 0.7),
        ("meaning", "what it is", {"file_meaning": 0.7}, 0.7),
        ("meaning", "JobQueue", {"file_meaning": 0.7}, 0.21),
        ("all_words", "anything", {"all_words": 0.3}, 0.3),
        ("whole_definition", "JobQueue", {"defines": 0.8}, 0.8),
        ("whole_definition", "the JobQueue class", {"defines": 0.8}, 0.0),
        ("file_name", "shell completion", {"path": "cmd/completions.go"}, 1.0),
        ("file_name", "shell completion", {"path": "cmd/bash_completions.go"}, 0.5),
        ("file_name", "shell completion", {"path": "completion/other.go"}, 0.0),
        ("file_name", "the router", {"path": "src/router/index.ts"}, 1.0),
        ("file_name", "positional arguments", {"path": "args.go"}, 1.0),
        ("best_of_file", "anything", {"share": 0.6}, 0.6),
        ("chunk_words", "anything", {"covered": 0.6}, 0.6),
        ("chunk_words", "anything", {"covered": 0.6, "defines": 0.8}, 0.8),
        ("main_language", "anything", {"language_share": 0.4}, 0.4),
        ("source_code", "anything", {"path": "src/a.py"}, 1.0),
        ("source_code", "tests of a", {"path": "tests/a.py"}, 0.0),
        ("words_together", "push a job", {"together": 0.4}, 0.4),
        ("neighbours", "anything", {"neighbours": 0.4}, 0.4),
        ("words_present", "anything", {"present": 0.4}, 0.4),
        ("named_path", "jobs/a.py", {"path": "src/jobs/a.py"}, 1.0),
        ("named_path", "jobs/a.py", {"path": "src/myjobs/a.py"}, 0.0),
        ("named_line", "src/a.py:15", {}, 1.0),
        ("named_line", "src/a.py:25", {}, 0.0),
        ("named_line", "other.py:15", {}, 0.0),
        ("unasked_test", "push a job", {"path": "src/a.py"}, 0.0),
        ("unasked_test", "push a job", {"path": "tests/test_a.py"}, -1.0),
        ("unasked_test", "tests that push a job", {"path": "tests/test_a.py"}, 0.0),
        ("asked_data", "eslint configuration", {"path": ".eslintrc.json"}, 1.0),
        ("asked_data", "mysql settings", {"path": "conf/application-mysql.yml"}, 0.5),
        ("asked_data", "mysql settings", {"path": "src/mysql.go"}, 0.0),
        ("asked_data", "set the button", {"path": "web/button.css"}, 0.0),
        ("asked_data", "sets a button", {"path": "web/button.css"}, 0.0),
        ("asked_data", "the button of each setting", {"path": "web/button.css"}, 1.0),
        ("asked_document", "how do I run the tests", {"path": "CONTRIBUTING.md"}, 1.0),
        ("asked_document", "how do I run the tests", {"path": "src/runner.py"}, 0.0),
        ("asked_document", "how does the runner run tests", {"path": "CONTRIBUTING.md"}, 0.0),
        ("asked_test", "tests for jobs", {"path": "tests/test_a.py"}, 1.0),
        ("asked_use", "who calls next_delay", {"text": "x = next_delay(3)"}, 1.0),
        ("asked_use", "who calls next_delay", {"text": "x = next_delays(3)"}, 0.0),
        ("asked_use", "who calls next_delay", {"text": "def next_delay(x):", "defines": 1.0}, 0.0),
        ("asked_use", "where is next_delay defined", {"text": "x = next_delay(3)"}, 0.0),
        ("asked_use", "who calls the clock", {"text": "the clock"}, 0.0),
        ("asked_test", "tests for jobs", {"path": "src/jobs.py"}, 0.0),
        ("source_code", "tests for jobs", {"path": "src/jobs.py"}, 0.0),
        ("asked_test", "add tests for jobs", {"path": "tests/test_a.py"}, 0.0),
        ("unasked_test", "where is a job tested", {"path": "tests/test_a.py"}, 0.0),
        ("named_path", "tests for src/a.py", {"path": "src/a.py"}, 0.0),
        ("unasked_prose", "how do I run the tests", {"path": "CONTRIBUTING.md"}, 0.0),
        ("unasked_migration", "the karma of users", {"path": "db/migrate/2014_karma.rb"}, -1.0),
        ("unasked_migration", "the karma column", {"path": "db/migrate/2014_karma.rb"}, 0.0),
        ("source_code", "the karma column", {"path": "db/migrate/2014_karma.rb"}, 1.0),
        ("unasked_prose", "push a job", {"path": "tests/test_a.py"}, 0.0),
        ("unasked_example", "an example", {"path": "examples/a.py"}, 0.0),
        ("exact_phrase", '"Hello World"', {"text": "print('hello world')"}, 1.0),
        ("exact_phrase", '"hello world" "bye"', {"text": "hello world"}, 0.5),
        ("exact_phrase", '"hello world"', {"text": "hello\n    world"}, 1.0),
        ("exact_phrase", "hello world", {"text": "hello world"}, 0.0),
        ("verbatim_name", "where is JobQueue", {"names": 0.5}, 0.5),
        ("too_short", "x", {"tokens": 0}, -1.0),
        ("too_short", "x", {"tokens": 500}, 0.0),
        ("same_file_again", "x", {"repeat": 0}, 0.0),
        ("same_file_again", "x", {"repeat": 1}, -0.5),
        ("same_file_again", "x", {"repeat": 2}, -0.75),
        ("worse_in_file", "x", {"behind": 0.25}, -0.25),
        ("worse_in_file", "x", {"behind": 210.0}, -1.0),
    ],
)
def test_value(feature: str, query: str, fields: dict[str, Any], expected: float) -> None:
    assert VALUES[feature](candidate(**fields), context(query)) == pytest.approx(expected)


@pytest.mark.parametrize(("symbol", "expected"), [("push_job", 1.0), ("push", 0.5), ("", 0.0), ("render", 0.0)])
def test_the_name_of_a_definition_fits(symbol: str, expected: float) -> None:
    assert symbol_fit(symbol, context("push a job")) == expected


def test_names_are_counted_to_the_letter() -> None:
    assert names_in("q = JobQueue()", context("where is JobQueue")) == 1.0
    assert names_in("q = jobqueue()", context("where is JobQueue")) == 0.0
    assert names_in("q = JobQueue()", context("where is it")) == 0.0


def test_a_path_filter_asks_for_a_role() -> None:
    assert VALUES["unasked_test"](candidate("tests/test_a.py"), context("push", "tests/**")) == 0.0


@given(
    st.sampled_from(["JobQueue", "push the job", "src/a.py:15", '"x = 1" JobQueue', "tests of a"]),
    st.sampled_from(["src/a.py", "tests/job.py", "vendor/queue/index.js", "README.md"]),
    st.sampled_from(["", "JobQueue", "Outer.push_job", "a b/c"]),
    st.floats(0, 1),
    st.integers(0, 500),
    st.integers(0, 30),
)
def test_every_value_is_within_bounds(
    query: str, path: str, symbol: str, share: float, tokens: int, repeat: int
) -> None:
    it = candidate(path, "x = 1; JobQueue", symbol, tokens, words=share, meaning=share, share=share, repeat=repeat)
    for feature in FEATURES:
        assert -1.0 <= feature.value(it, context(query)) <= 1.0


def test_every_row_has_a_name_and_a_weight() -> None:
    assert len({feature.name for feature in FEATURES}) == len(FEATURES)
    assert all(feature.weight > 0 for feature in FEATURES)


MOST_OF_PAIRS = 1.2
"""More than all trees together may add or take."""


def weights_at_most() -> dict[str, float]:
    """Return what each feature may add at most."""
    return {f.name: f.weight * (MOST_OF_PAIRS if f.name == "pairs" else 1.0) for f in FEATURES}


def test_a_rare_word_outweighs_everything_else() -> None:
    """Even one of four such words, in the worst place that there is."""
    weights = weights_at_most()
    penalties = {
        "too_short",
        "same_file_again",
        "worse_in_file",
        *(name for name in weights if name.startswith("unasked_")),
    }
    others = sum(weight for name, weight in weights.items() if name not in penalties | {"rare_word"})
    assert weights["rare_word"] / MAX_WORDS - sum(weights[name] for name in penalties | {"pairs"}) > others


def test_a_definition_of_the_whole_query_outweighs_everything_else() -> None:
    """Best case of all other features for a use, worst case for the definition, equal but for case at that."""
    weights = weights_at_most()
    # A definition of a rare name holds the name as its uses do.
    never_for_a_name = {
        "rare_word", "whole_definition", "named_path", "named_line", "exact_phrase",
    }  # fmt: skip
    penalties = {
        "too_short",
        "same_file_again",
        "worse_in_file",
        *(name for name in weights if name.startswith("unasked_")),
    }
    best_use = sum(w for name, w in weights.items() if name not in never_for_a_name | penalties)
    assert 0.8 * weights["whole_definition"] - sum(weights[name] for name in penalties | {"pairs"}) > best_use
