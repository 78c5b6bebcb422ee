"""The store unpacks exactly what a worker has packed, whatever the file holds."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.chunking.chunker import chunk_content
from regend.chunking.packing import compress, decompress, pack, rows_of, texts_of, unpack
from regend.config import LimitConfig
from regend.types import UNSURE, ChunkedFile
from tests.chunking.test_chunker import function
from tests.chunking.test_languages import CASES

LINES = st.sampled_from(["", "x = 1", "class A:", "    def f(self):", "        return 'ü' # 漢字", "# " + "long " * 60])


def check(file: ChunkedFile) -> None:
    packed = pack(file, model_id="m", vectors=b"1234")
    assert unpack(packed) == file
    assert unpack(pack(file, texts_of(file))) == file
    assert (packed.blob, packed.sig, packed.chunk_count) == (file.blob, file.sig, len(file.chunks))
    assert packed.size_bytes == len(packed.rows) + 4
    for row, text in zip(rows_of(packed).chunks, texts_of(file), strict=True):
        assert row[2] == len(text.encode("utf-8", "surrogatepass"))


@pytest.mark.parametrize("language", sorted(CASES))
def test_a_file_of_each_language(language: str) -> None:
    check(chunk_content(CASES[language][0].encode(), language, UNSURE, LimitConfig()))


@settings(max_examples=60, deadline=None)
@given(st.lists(LINES, max_size=80))
def test_any_lines(lines: list[str]) -> None:
    check(chunk_content("\n".join(lines).encode(), "python", UNSURE, LimitConfig()))


def test_kinds_of_the_definitions_within_a_chunk() -> None:
    source = "class Small:\n    size = 1\n\n    def area(self):\n        return 2\n\n" + function(1)
    rows = rows_of(pack(chunk_content(source.encode(), "python", UNSURE, LimitConfig())))
    assert "class" in rows.words[0][2].split() and "method" in rows.words[0][2].split()


def test_skipped_files_have_no_rows() -> None:
    packed = pack(chunk_content(b"\0\1\2" * 100, "python", UNSURE, LimitConfig()))
    assert packed.skip_reason == "binary" and packed.rows == b"" and packed.size_bytes == 0
    assert unpack(packed).chunks == ()


@given(st.text(max_size=400))
def test_any_text_survives(text: str) -> None:
    assert decompress(compress(text)) == text
    assert decompress(compress(text * 40)) == text * 40


def test_lone_surrogates_survive() -> None:
    for text in ("\ud800", "\ud800" * 500):
        assert decompress(compress(text)) == text


def test_no_number_is_text() -> None:
    with pytest.raises(TypeError):
        decompress(3)
