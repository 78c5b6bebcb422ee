"""Chunks cover the file, follow its definitions, stay put under edits, and no content makes the chunker fail."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.chunking.chunker import chunk_content
from regend.chunking.grammars import detect_language, language_names, spec_of
from regend.config import LimitConfig
from regend.types import UNSURE, ChunkedFile, chunk_id
from tests.chunking.test_languages import CASES

LIMITS = LimitConfig()
LANGUAGES = sorted(language_names())


def chunk(source: str | bytes, language: str = "python", limits: LimitConfig = LIMITS) -> ChunkedFile:
    content = source if isinstance(source, bytes) else source.encode("utf-8", "surrogatepass")
    return chunk_content(content, language, UNSURE, limits)


def function(n: int, body: str = "") -> str:
    lines = "".join(f"    step_{i} = compute_{n}_{i}(value, {i})\n" for i in range(8))
    return f'def function_{n}(value):\n    """Number {n}."""\n{lines}{body}    return value\n'


def check_well_formed(result: ChunkedFile, text: str) -> None:
    lines = text.replace("\r\n", "\n").split("\n")
    covered: set[int] = set()
    last = 0
    for position, part in enumerate(result.chunks):
        assert part.ordinal == position
        assert last < part.start_line <= part.end_line, "chunks are in order and disjoint"
        last = part.end_line
        assert part.text == "\n".join(lines[part.start_line - 1 : part.end_line])
        assert part.chunk_id == chunk_id(part.symbol, part.text)
        covered.update(range(part.start_line, part.end_line + 1))
    blank = {n for n, line in enumerate(lines, 1) if not line.strip()}
    if not result.skip_reason:
        assert set(range(1, len(lines) + 1)) - blank <= covered


def test_a_definition_is_a_chunk_with_its_comment_and_decorator() -> None:
    result = chunk("import os\n\n\n# About f.\n@cached\ndef f():\n    return 1\n\n\nclass A:\n    x = 1\n")
    assert [(c.start_line, c.end_line, c.symbol, c.kind) for c in result.chunks] == [
        (1, 1, "", "block"), (4, 7, "f", "function"), (10, 11, "A", "class"),
    ]  # fmt: skip


def test_a_large_class_is_cut_at_its_methods() -> None:
    methods = "".join("    " + function(n).replace("\n", "\n    ").rstrip() + "\n\n" for n in range(12))
    result = chunk(f"class Big:\n    limit = 3\n\n{methods}")
    assert [c.symbol for c in result.chunks] == ["Big", *(f"Big.function_{n}" for n in range(12))]


def test_a_large_function_is_cut_into_windows_of_bounded_size() -> None:
    result = chunk(function(1, "".join(f"    more_{i} = other_{i}(value)\n" for i in range(400))))
    assert len(result.chunks) > 5
    assert {c.symbol for c in result.chunks} == {"function_1"}
    assert max(c.token_count for c in result.chunks) <= LIMITS.chunk_tokens * 1.25


def test_overlap_repeats_lines_within_one_definition() -> None:
    source = function(1, "".join(f"    more_{i} = other_{i}(value)\n" for i in range(400)))
    parts = chunk(source, limits=LimitConfig(overlap_lines=2)).chunks
    assert all(later.start_line <= earlier.end_line for earlier, later in pairwise(parts))


def test_an_edit_changes_only_the_chunks_it_touches() -> None:
    functions = [function(n) for n in range(60)]
    before = {c.chunk_id for c in chunk("\n\n".join(functions)).chunks}
    functions[30] = function(30, "    inserted = 1\n")
    after = {c.chunk_id for c in chunk("\n\n".join(functions)).chunks}
    assert len(after - before) == 1 and len(before - after) == 1


def test_a_line_at_the_top_of_a_long_text_changes_few_windows() -> None:
    lines = [f"Line {n} of a text that speaks of subject {n * 7919 % 613}." for n in range(2_000)]
    before = {c.chunk_id for c in chunk("\n".join(lines), "text").chunks}
    after = {c.chunk_id for c in chunk("\n".join(["A new first line.", *lines]), "text").chunks}
    assert len(before) > 20 and len(after - before) <= 4


@pytest.mark.parametrize("language", CASES)
def test_chunks_of_real_source_are_well_formed(language: str) -> None:
    source = CASES[language][0]
    check_well_formed(chunk(source, language), source)
    windows = source.replace("\n", "\r\n")
    check_well_formed(chunk(windows, language), windows)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_mutilated_source_is_chunked_all_the_same(data: st.DataObject) -> None:
    language = data.draw(st.sampled_from(sorted(CASES)))
    source = CASES[language][0] * data.draw(st.integers(1, 4))
    cut = data.draw(st.integers(0, len(source)))
    noise = data.draw(st.text(st.sampled_from("{}()[]<>;:\"'\\\n\t #/*=é\u2028"), max_size=20))
    text = source[:cut] + noise + source[cut + data.draw(st.integers(0, 10)) :]
    result = chunk(text, language)
    check_well_formed(result, text)
    assert result == chunk(text, language)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(LANGUAGES))
def test_no_bytes_make_it_fail(content: bytes, language: str) -> None:
    result = chunk(content, language)
    assert result.skip_reason or all(c.text for c in result.chunks)


def test_what_is_skipped_and_why() -> None:
    assert chunk(b"\x7fELF\0\0\0").skip_reason == "binary"
    assert chunk("x" * 60_000, "javascript").skip_reason == "minified"
    assert chunk("// Code generated by protoc. DO NOT EDIT.\npackage a\n", "go").skip_reason == "generated"
    assert chunk("# how to handle files that say: do not edit\nx = 1\n").skip_reason == ""
    assert chunk("x = 1\n" * 300_000).skip_reason == "too_large"
    empty = chunk("")
    assert (empty.skip_reason, empty.chunks, empty.line_count) == ("", (), 0)


def test_what_is_degraded_and_why() -> None:
    long_line = chunk("x = '" + "a" * 6_000 + "'\ndef f(): pass\n")
    assert (long_line.degraded_reason, long_line.symbols) == ("long_lines", ())
    latin = chunk("# caf\xe9\nx = 1\n".encode("latin-1"))
    assert latin.degraded_reason == "bad_encoding" and "caf\xe9" in latin.chunks[0].text


def test_encodings_with_marks() -> None:
    for encoding in ("utf-8-sig", "utf-16"):
        assert [s.path for s in chunk("def größe():\n    pass\n".encode(encoding)).symbols] == ["größe"]


def test_a_parse_that_takes_too_long_gives_way_to_windows() -> None:
    source = "\n\n".join(function(n) for n in range(1_200))
    began_s = time.process_time()  # Other programs on the machine do not count.
    result = chunk(source, limits=LimitConfig(parse_timeout_s=0.001))
    assert result.degraded_reason == "parse_timeout" and result.chunks and not result.symbols
    assert time.process_time() - began_s < 10.0
    check_well_formed(result, source)
    assert chunk(source).degraded_reason == "", "the parser is usable again afterwards"


@pytest.mark.parametrize("language", ["json", "python", "c", "javascript"])
def test_deep_nesting_neither_crashes_nor_hangs(language: str) -> None:
    source = "\n".join("[" * 50 for _ in range(2_000))
    began_s = time.process_time()  # Other programs on the machine do not count.
    check_well_formed(chunk(source, language), source)
    assert time.process_time() - began_s < 30.0


def test_large_data_files_do_not_explode() -> None:
    data = {f"key{n}": {"name": f"n{n}", "deep": {"deeper": {"deepest": n}}} for n in range(2_000)}
    result = chunk(json.dumps(data, indent=1), "json")
    assert len(result.symbols) <= 5_000
    assert all(symbol.path.count(".") <= 1 for symbol in result.symbols)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_data_file_names_real_nodes(language: str) -> None:
    from regend.chunking.grammars import grammar_of

    spec = spec_of(language)
    if spec.grammar:
        grammar = grammar_of(spec.grammar)
        nodes = (*spec.definitions, *spec.scopes, *spec.wrappers, *spec.tails, *spec.names)
        assert [node for node in nodes if grammar.id_for_node_kind(node, True) is None] == []


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (POINTER, "lfs_pointer"),
        (POINTER.replace("oid", "ext-0-foo sha256:12\noid"), "lfs_pointer"),
        (POINTER.replace("git-lfs", "hawser"), "lfs_pointer"),
        (POINTER.splitlines()[0] + "\n", ""),
        ("A pointer begins so:\n" + POINTER, ""),
        (POINTER + "x = 1\n" * 300, ""),
    ],
)
def test_a_pointer_of_git_lfs_is_skipped(content: str, reason: str) -> None:
    for language in ("text", "python", "json"):
        assert chunk(content, language).skip_reason == reason


@pytest.mark.parametrize(
    ("names", "language"),
    [
        ("app.min.js a.test.js a.bundle.js .eslintrc.js a.js.erb a.js.tmpl", "javascript"),
        ("a.min.css a.module.css", "css"),
        ("a.d.ts a.d.mts a.spec.ts a.test.d.ts", "typescript"),
        ("a.stories.tsx", "tsx"),
        ("a.html.erb a.html.j2 a.htm.tmpl", "html"),
        ("a.js.map a.css.map a.conf.json tsconfig.build.json a.json.dist", "json"),
        ("a.py.in settings.py.example a.test.py", "python"),
        ("a.blade.php", "php"),
        ("config.h.in a.c.in", "c"),
        ("a.yml.j2 a.yaml.sample", "yaml"),
        ("Makefile.in makefile", "make"),
        ("build.gradle.kts", "kotlin"),
        ("a.pb.go", "go"),
        ("a.orig.unknown in .in a.in example .example a.tar.gz a.js.gz a", "text"),
    ],
)
def test_the_language_of_double_suffixes(names: str, language: str) -> None:
    assert {name: detect_language(f"sub.d/{name}") for name in names.split()} == dict.fromkeys(names.split(), language)
