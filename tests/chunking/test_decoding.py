"""Text is text in whatever encoding the bytes prove, the file declares, or its commonest characters show."""

from __future__ import annotations

import codecs
import random

import pytest

from regend.chunking.decoding import decode

CHINESE = "读取用户的配置文件，如果没有就返回默认值"
TAIWANESE = "讀取使用者的設定檔案，如果沒有就返回預設值"
JAPANESE = "設定ファイルを読み込んで、なければデフォルトを返す"
KOREAN = "설정 파일을 읽고 없으면 기본값을 반환한다"
RUSSIAN = "Читает настройки из файла и возвращает их"
GERMAN = "Größe und Übung"
ENCODED = [
    *[(CHINESE, encoding) for encoding in ("gbk", "gb2312", "gb18030")],
    (TAIWANESE, "big5"),
    *[(JAPANESE, encoding) for encoding in ("shift_jis", "cp932", "euc_jp", "iso2022_jp")],
    *[(KOREAN, encoding) for encoding in ("euc_kr", "cp949", "johab")],
    *[(RUSSIAN, encoding) for encoding in ("cp1251", "koi8_r", "cp866", "iso8859_5")],
    *[(GERMAN, encoding) for encoding in ("latin-1", "cp1252", "iso8859_15")],
]
DECLARATIONS = (
    "# -*- coding: {} -*-\n# {}\n",
    "#!/usr/bin/env python\n# vim: set fileencoding={} :\n# {}\n",
    "# coding={}\n# {}\n",
    "/* vim: set fenc={}: */ // {}\n",
    ";; -*- mode: lisp; coding: {}-unix; -*-\n;; {}\n",
    '<?xml version="1.0" encoding="{}"?>\n<!-- {} -->\n',
    "<html><head><meta charset='{}'>\n<p>{}\n",
    '<meta http-equiv="Content-Type" content="text/html; charset={}">\n<p>{}\n',
    '@charset "{}";\n/* {} */\n',
)


@pytest.mark.parametrize("declaration", DECLARATIONS)
@pytest.mark.parametrize(("text", "encoding"), ENCODED)
def test_a_declared_encoding_is_believed(declaration: str, text: str, encoding: str) -> None:
    written = declaration.format(encoding, text)
    decoded = decode(written.encode(encoding))
    assert (decoded.text, decoded.degraded_reason) == (written, "")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [pair for pair in ENCODED if pair[0] != GERMAN and pair[1] not in ("johab", "iso8859_5")],
)
def test_an_encoding_is_certain_by_the_commonest_characters(text: str, encoding: str) -> None:
    written = f"def load(path):\n    # {text}\n    return path\n"
    decoded = decode(written.encode(encoding))
    assert (decoded.text, decoded.degraded_reason) == (written, "")


@pytest.mark.parametrize(
    "text", ["Grüße aus Köln", "café à la crème, déjà vu", "naïve “quotes” — 5 €", "señor ÑANDÚ", "é"]
)
def test_western_text_is_never_taken_for_another_script(text: str) -> None:
    decoded = decode(f"# {text}\n".encode("cp1252"))
    assert (decoded.text, decoded.degraded_reason) == (f"# {text}\n", "bad_encoding")


def test_a_wrong_declaration_does_no_harm() -> None:
    assert decode("# coding: gbk\n# größe\n".encode()).text == "# coding: gbk\n# größe\n"
    assert decode(b"# coding: no-such\n# caf\xe9\n").text == "# coding: no-such\n# café\n"
    assert decode(b"# coding: base64\n# caf\xe9\n").text == "# coding: base64\n# café\n"
    assert decode(b"# coding: utf-16\n# caf\xe9\n").text == "# coding: utf-16\n# café\n"


def test_a_few_bad_bytes_spoil_no_more_than_themselves() -> None:
    text = "# größe, übung, schön, straße\n" * 20
    decoded = decode(text.encode() + b"# \xff\n")
    assert (decoded.text, decoded.degraded_reason) == (text + "# \N{REPLACEMENT CHARACTER}\n", "bad_encoding")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize(
    "text", ["CREATE TABLE t16 (id int);\n", f"-- {CHINESE}\nSELECT 1 FROM x;\n", "a = 'é'\n" * 3_000]
)
def test_wide_characters_without_a_mark(encoding: str, text: str) -> None:
    assert decode(text.encode(encoding)).text == text
    assert decode(text.replace("\n", "\r\n").encode(encoding)).text == text


@pytest.mark.parametrize(
    "body", [b"x = '\xff'\n", b"x = '\xc3\xa9\xc3\xa9\xc3\xa9 \xff'\n", b"# coding: latin-1\nx = '\xe9'\n"]
)
def test_the_mark_of_utf_8_is_never_text(body: bytes) -> None:
    assert decode(codecs.BOM_UTF8 + body) == decode(body)


@pytest.mark.parametrize("mark", [codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE])
def test_a_mark_alone_makes_no_text(mark: bytes) -> None:
    assert decode(mark + b"\x00\xd8\x01").skip_reason == "binary"


def test_binary_data_is_no_text() -> None:
    rng = random.Random(5)
    samples = [bytes(rng.randrange(256) for _ in range(size)) for size in range(40, 400, 8)]
    samples += [
        b"".join(n.to_bytes(size, order) for n in range(200)) for size in (2, 4, 8) for order in ("big", "little")
    ]
    samples += [
        b"\x7fELF\x02\x01\x01\0" + bytes(40),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"PK\x03\x04\x14\0\0\0",
        b"a\0b",
        b"\0",
    ]
    for sample in samples:
        if b"\0" in sample:
            assert decode(sample).skip_reason == "binary", sample


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    assert decode(end.join(("a", "b", "", "c", "")).encode()).text == "a\nb\n\nc\n"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"a\rb\rc\n", "a\nb\nc\n"),  # An old editor wrote it, and a newer one ended it.
        (b"10%\r20%\r\n30%\nx\ny\n", "10%\r20%\n30%\nx\ny\n"),
        (b"a\n\rb\nc\n", "a\n\rb\nc\n"),
    ],
)
def test_lone_carriage_returns_end_lines_only_where_they_are_most(content: bytes, text: str) -> None:
    assert decode(content).text == text
