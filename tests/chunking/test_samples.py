"""Every rule of every data file finds what it is there for, in a file as people write them."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache

import pytest
from tree_sitter import Query, QueryCursor, Tree

from regend.chunking.grammars import grammar_of, language_names, spec_of
from regend.chunking.masking import masked
from regend.chunking.structure import parsed
from regend.chunking.symbols import query_of
from tests.chunking.samples import PAGE, Sample, counts, page, samples

WITH_RULES = sorted(name for name in language_names() if spec_of(name).grammar or spec_of(name).lines)
GRAMMARS = [name for name in WITH_RULES if spec_of(name).grammar]
MISSED = 0.05
"""Maximum share of the definitions in all samples that may not be found."""


@cache
def of_language(language: str) -> tuple[Sample, ...]:
    return tuple(sample for sample in samples() if sample.language == language)


@cache
def tree_of(sample: Sample) -> Tree:
    tree = parsed(sample.source, sample.language, 10.0)
    assert tree is not None
    return tree


@pytest.mark.parametrize("name", [sample.name for sample in samples()])
def test_what_a_person_finds_in_a_file(name: str) -> None:
    sample = next(sample for sample in samples() if sample.name == name)
    found, expected = Counter(sample.found()), Counter(sample.expected)
    known = KNOWN_MISSES.get(name, set())
    missing = {row for row in (expected - found).elements() if row.rpartition(" ")[0] not in known}
    assert not missing, f"not found: {sorted(missing)}; found: {sorted((found - expected).elements())}"
    assert found - expected == Counter(), "found, but nobody expects it"


KNOWN_MISSES = {"scala": {"function shout"}}
"""By sample, what the grammar does not understand; the page counts it as missing."""


@pytest.mark.parametrize("language", WITH_RULES)
def test_every_language_has_a_sample(language: str) -> None:
    assert of_language(language), f"tests/chunking/samples has no file in {language}"


@pytest.mark.parametrize("language", GRAMMARS)
def test_every_pattern_fires(language: str) -> None:
    """A misspelt node or field does not compile, and a pattern that finds nothing here finds nothing anywhere."""
    query = query_of(language)
    if query is None:
        assert spec_of(language).embedded
        return
    fired = {index for s in of_language(language) for index, _ in QueryCursor(query).matches(tree_of(s).root_node)}
    spec = spec_of(language)
    leading = query.pattern_count - sum(
        1 for node in spec.leading if grammar_of(spec.grammar).id_for_node_kind(node, True) is not None
    )
    assert _texts(query, _source_of(language), set(range(leading)) - fired) == []


def _source_of(language: str) -> bytes:
    spec = spec_of(language)
    plain = [f"({node} name: (_) @name) @{kind}" for node, kind in spec.definitions.items()]
    return "\n".join([spec.query, *plain]).encode()


def _texts(query: Query, source: bytes, patterns: set[int]) -> list[str]:
    return [
        source[query.start_byte_for_pattern(n) : query.end_byte_for_pattern(n)].decode().strip()
        for n in sorted(patterns)
    ]


@pytest.mark.parametrize("language", [name for name in GRAMMARS if spec_of(name).embedded])
def test_every_pattern_for_another_language_fires(language: str) -> None:
    spec = spec_of(language)
    query = Query(grammar_of(spec.grammar), spec.embedded)
    fired = {index for s in of_language(language) for index, _ in QueryCursor(query).matches(tree_of(s).root_node)}
    assert _texts(query, spec.embedded.encode(), set(range(query.pattern_count)) - fired) == []


@pytest.mark.parametrize("language", [name for name in WITH_RULES if spec_of(name).lines])
def test_every_pattern_for_lines_fires(language: str) -> None:
    text = "\n".join(sample.source for sample in of_language(language))
    idle = [rule.pattern for rule in spec_of(language).lines if not re.search(rule.pattern, text, re.MULTILINE)]
    assert idle == []


@pytest.mark.parametrize("language", [name for name in GRAMMARS if spec_of(name).blanks])
def test_every_pattern_for_blanks_fires(language: str) -> None:
    raw = "\n".join(sample.source for sample in of_language(language)).encode()
    idle = [blank for blank in spec_of(language).blanks if masked(raw, (blank,), preprocessed=False) == raw]
    assert idle == []


@pytest.mark.parametrize("language", GRAMMARS)
def test_a_data_file_names_real_nodes(language: str) -> None:
    spec, grammar = spec_of(language), grammar_of(spec_of(language).grammar)
    nodes = {*spec.wrappers, *spec.tails, *spec.open, *spec.local, *spec.leading}
    nodes -= {"variable", "constant", "field", "comment"}
    assert [node for node in sorted(nodes) if grammar.id_for_node_kind(node, True) is None] == []


@pytest.mark.parametrize("language", GRAMMARS)
def test_no_pattern_excludes_several_words_at_once(language: str) -> None:
    """tree-sitter lets any word pass ``#not-any-of?`` that differs from one of several."""
    spec = spec_of(language)
    assert "#not-any-of?" not in spec.query + spec.embedded, "write `#not-eq?` for each word"


def test_the_page_of_languages_is_up_to_date() -> None:
    assert PAGE.read_text("utf-8") == page(), "run `python -m tests.chunking.samples`"


def test_definitions_are_found() -> None:
    rows = {sample.name: counts(sample) for sample in samples()}
    expected, found, exact = (sum(row[n] for row in rows.values()) for n in range(3))
    assert found >= (1 - MISSED) * expected and exact >= (1 - MISSED) * expected
    assert {name for name, (all_, got, _) in rows.items() if got < 0.85 * all_} == set()
    assert len({sample.language for sample in samples()}) >= 90
