"""Chunks cover the file, follow its definitions, stay put under edits, and no content makes the chunker fail."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.chunking.chunker import chunk_content, is_generated
from regend.chunking.detection import detect_language
from regend.chunking.grammars import language_names
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
        assert part.chunk_id == chunk_id(part.symbol, part.text, part.outline)
        covered.update(range(part.start_line, part.end_line + 1))
    blank = {n for n, line in enumerate(lines, 1) if not line.strip()}
    if not result.skip_reason:
        assert set(range(1, len(lines) + 1)) - blank <= covered
    names = [name for symbol in result.symbols for name in (symbol.name, symbol.path)]
    assert [name for name in names if name.splitlines() != [name]] == [], "names are in one line"


def test_a_large_function_is_cut_into_windows_of_bounded_size() -> None:
    result = chunk(function(1, "".join(f"    more_{i} = other_{i}(value)\n" for i in range(400))))
    assert len(result.chunks) > 5
    assert {c.symbol for c in result.chunks} == {"function_1"}
    assert max(c.token_count for c in result.chunks) <= LIMITS.chunk_tokens * 1.25


def test_overlap_repeats_lines_within_one_definition() -> None:
    source = function(1, "".join(f"    more_{i} = other_{i}(value)\n" for i in range(400)))
    parts = chunk(source, limits=LimitConfig(overlap_lines=2)).chunks
    assert all(later.start_line <= earlier.end_line for earlier, later in pairwise(parts))


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


@pytest.mark.parametrize("language", sorted(CASES))
def test_names_are_in_one_line_wherever_a_line_breaks(language: str) -> None:
    source = CASES[language][0]
    for at in [match.start() for match in re.finditer(r"(?<=\S)[ ](?=\S)|(?<=[\[({\"'`])(?=\w)", source)]:
        text = f"{source[:at]}\n\t{source[at:]}"
        check_well_formed(chunk(text, language), text)


@pytest.mark.parametrize("language", ["javascript", "typescript", "tsx"])
def test_a_computed_name_of_several_lines_is_one_line(language: str) -> None:
    names = [symbol.name for symbol in chunk('class A {\n  [[\n\t"B",\n\t"C",\n  ]]() {}\n}\n', language).symbols]
    assert names == ["A", '[[ "B", "C", ]]']


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(LANGUAGES))
def test_no_bytes_make_it_fail(content: bytes, language: str) -> None:
    result = chunk(content, language)
    assert result.skip_reason or all(c.text for c in result.chunks)


def test_what_is_skipped_and_why() -> None:
    assert chunk(b"\x7fELF\0\0\0").skip_reason == "binary"
    assert chunk("x" * 60_000, "javascript").skip_reason == "minified"
    generated = chunk("// Code generated by protoc. DO NOT EDIT.\npackage a\n", "go")
    assert (generated.skip_reason, generated.degraded_reason) == ("", "generated") and generated.chunks
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


@pytest.mark.parametrize("signs", ["[", "([", "{", "<a>", "f(", "if a then { ("])
@pytest.mark.parametrize("language", ["json", "python", "c", "javascript", "rust", "yaml", "markdown", "ruby", "html"])
def test_what_no_parser_understands_neither_crashes_nor_hangs(language: str, signs: str) -> None:
    source = "\n".join(signs * (50 // len(signs)) for _ in range(2_000))
    began_s = time.process_time()  # Other programs on the machine do not count.
    check_well_formed(chunk(source, language, limits=LimitConfig(parse_timeout_s=1.0)), source)
    assert time.process_time() - began_s < 5.0


@pytest.mark.parametrize(
    ("language", "head", "units"),
    [("markdown", "# top", (" ", "\t", ">", "- ", "> ", "1. ", "  * ")), ("yaml", "top:", (" ", "- ", "? ", "  "))],
)
def test_no_depth_crashes_a_parser_and_the_rest_keeps_its_names(
    language: str, head: str, units: tuple[str, ...]
) -> None:
    """A crash ends the process: the scanners of these grammars write beyond their state at about 255 levels."""
    for chosen in [(unit,) for unit in units] + list(pairwise(units)):
        levels = [chosen[n % len(chosen)] for n in range(400)]
        at_once = "".join(levels) + "a"
        stairs = "\n".join(" " * len("".join(levels[:n]).expandtabs(4)) + levels[n] + "a:" for n in range(400))
        for deep in (at_once, stairs):
            source = f"{head}\n\n{deep}\n"
            result = chunk(source, language)
            check_well_formed(result, source)
            assert [symbol.path for symbol in result.symbols[:1]] == ["top"], chosen


def test_large_data_files_do_not_explode() -> None:
    data = {f"key{n}": {"name": f"n{n}", "deep": {"deeper": {"deepest": n}}} for n in range(2_000)}
    result = chunk(json.dumps(data, indent=1), "json")
    assert len(result.symbols) <= 5_000
    assert all(symbol.path.count(".") <= 1 for symbol in result.symbols)


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
        ("a.html.dist a.htm.tmpl", "html"),
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


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("// Code generated by protoc-gen-go. DO NOT EDIT.\npackage a", "go"),
        ("#!/usr/bin/env python\n# -*- coding: utf-8 -*-\n# Generated by the compiler.  DO NOT EDIT!\n", "python"),
        ("/**\n * Copyright (c) A\n * @flow\n * @generated SignedSource<<x>>\n */", "javascript"),
        ("// @generated by protoc-gen-es v1\n", "typescript"),
        ("/* eslint-disable */\n// @generated\n", "typescript"),
        ("# This file was automatically generated by SWIG.\n", "python"),
        ("<!-- This file is generated from the source. Do not edit. -->\n# Title\n", "markdown"),
        ("-- DO NOT EDIT: this file is generated\n", "sql"),
        ("/*\n * WARNING: This file is auto-generated\n * by x; changes are lost.\n */", "c"),
        ('"""Autogenerated file, do not modify."""', "python"),
        ("// <auto-generated>\n// This code was generated by a tool.\n// </auto-generated>\n", "c_sharp"),
    ],
)
def test_a_tool_says_that_it_wrote_a_file(text: str, language: str) -> None:
    assert is_generated(text, language)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("# Code generated by the compiler\n\nHow loops are lowered.\n", "markdown"),
        ("// @generated files are left out by this module\n", "javascript"),
        ('// Package emit writes Go files with the usual "generated, DO NOT EDIT" header.\npackage emit', "go"),
        ('"""Automatically generated slugs are checked here before they are stored."""', "python"),
        ("# Some settings are not in this\n# autogenerated file.\n\nproject = 1\n", "python"),
        ("# Generated by Django 4.2 on 2023-01-01\n", "python"),
        ("// Tests that generated code is stable; do not edit the golden files.\n", "go"),
        ("x = 1\n" * 30 + "# @generated\n", "python"),
        ("# How to find code that was generated automatically\n", "python"),
    ],
)
def test_a_file_that_speaks_of_generated_code_is_not_generated(text: str, language: str) -> None:
    assert not is_generated(text, language)
