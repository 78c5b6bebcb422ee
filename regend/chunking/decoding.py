"""Bytes to text, or the reason why not.

An encoding is believed where the bytes prove it, where the file declares it and they agree, or where its commonest
characters are many. Everything else is Windows' Latin-1, and says that this was guessed. Line ends are counted as
editors do: LF, CRLF, and CR where a file has hardly any other.
"""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

SAMPLE_BYTES = 8_192
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\b"))
_CONTROL_SHARE = 0.02
_DECLARING_BYTES = 1_024
"""HTML, too, must declare its encoding within so many bytes."""
_DECLARATION = re.compile(
    rb"""
    coding[:=][ \t]*(?P<cookie>[-\w.]+)                        # PEP 263, Emacs; Vim's `fileencoding=` ends so, too
    | \bfenc=(?P<vim>[-\w.]+)
    | <\?xml[^>]*?\bencoding\s*=\s*["'](?P<xml>[-\w.]+)
    | <meta[^>]*?\bcharset\s*=\s*["']?(?P<html>[-\w.]+)
    | @charset\s+["'](?P<css>[-\w.]+)
    | \\usepackage\[(?P<tex>\w+)\]\{inputenc\}
    """,
    re.VERBOSE | re.IGNORECASE,
)
_WIDER = {
    "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932", "euc_kr": "cp949", "big5": "big5hkscs",
    "iso8859-1": "cp1252", "ascii": "cp1252",
}  # fmt: skip
"""Encodings by the one that extends them, which is mostly what was meant; by Python's names."""
_NO_TEXT = frozenset({"utf-8", "utf-7", "utf-16", "utf-32", "idna", "punycode", "unicode_escape", "raw_unicode_escape"})
"""Encodings that bytes which are not UTF-8 and have no zeros cannot have."""
_MIN_COMMON = 3
_MIN_COMMON_SHARE = 0.2
_CLEARLY_MORE = 2
"""Factor by which the common characters of the right encoding outnumber those of any other."""
_COMMON = (
    (("gb18030",), frozenset(
        "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多定行学法所"
        "民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因由其些然前外天政四日那"
        "社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解问意建月公无系军很情者最立代想已通"
        "并提直题党程展五果料象员革位入常文总次品式活设及管特件长求老头基资边流路级少图山统接知较将组见计别她手角期根论运农指几九区"
        "取据处理函数参数返回值用户文件类型数据名称信息错误读写字符串列表对象获取设置默认如果创建删除添加更新查询测试配置调用输入输出"
    )),
    (("big5hkscs",), frozenset(
        "的一是在不了有和人這中大為上個國我以要他時來用們生到作地於出就分對成會可主發年動同工也能下過子說產種面而方後多定行學法所"
        "函數參數返回值使用者檔案類型資料名稱訊息錯誤讀寫字串列表物件取得設定預設如果建立刪除新增更新查詢測試呼叫輸入輸出處理"
    )),
    (("cp932", "euc_jp"), frozenset(
        "ぁあぃいうえおかがきぎくぐけげこごさざしじすずせぜそただちっつてでとどなにぬねのはばひびへべほまみむめもやゃゆょよらりるれろわをん"
        "ー・、。ンスルトイリラアクドレジタフロカ"
    )),
    (("cp949",), frozenset(
        "이다는의에을를가고하한로은지기사서자리도인대어나시여보아해스과라그정수제일부전있었할것들으된되와만게니함터조회값생성주상"
        "세용정보파일오류데입력출설처읽쓰문열반환객체함클래변경추삭요청없습합"
    )),
    (("cp1251", "koi8_r", "cp866"), frozenset("оеаинтсрвлкмдпуяыьгзбчй")),
)  # fmt: skip
"""Encodings with the commonest characters of the languages that they are for; chosen by hand."""
_MIN_SINGLE_SHARE = 0.8
"""The same share for encodings of one byte, in which every character is a letter in any of them."""
_SINGLE = frozenset({"cp1251", "koi8_r", "cp866"})
_CYRILLIC_WORD = re.compile("(?<![A-Za-z])[\u0401-\u045f]{2,}(?![A-Za-z])")
"""Letters with accents stand alone among ASCII; such a word does not."""
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_MIN_PLAIN_SHARE = 0.3
"""Share of ASCII in wide characters without a mark, below which they may be anything."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text with LF line ends, or why the bytes are not text.

    Attributes:
        skip_reason: ``binary``, or empty.
        degraded_reason: ``bad_encoding`` where the encoding was guessed, or empty.
    """

    text: str = ""
    skip_reason: str = ""
    degraded_reason: str = ""


def decode(content: bytes) -> Decoded:
    """Decode text of any encoding, with Windows' Latin-1 as the last resort; never raises."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            body = content[len(mark) :] if encoding == "utf-8" else content
            text = _as(body, encoding)
            if text is not None:
                return Decoded(_lines(text))
            content = body  # The mark of UTF-8 is no part of the text, also where a byte of it is bad.
            break
    if b"\0" in content:
        text = _wide(content)
        return Decoded(skip_reason="binary") if text is None else Decoded(_lines(text))
    sample = content[:SAMPLE_BYTES]
    if len(sample) - len(sample.translate(None, _CONTROL)) > _CONTROL_SHARE * len(sample):
        return Decoded(skip_reason="binary")
    text = _iso_2022(content) or _as(content, "utf-8")
    if text is None:
        text = _declared(content) or _certain(content)
    if text is not None:
        return Decoded(_lines(text))
    return Decoded(_lines(_guessed(content)), degraded_reason="bad_encoding")


def _as(content: bytes, encoding: str) -> str | None:
    """Decode, or return None where the bytes are not of this encoding or Python has none of the name."""
    try:
        return content.decode(encoding)
    except (UnicodeError, LookupError):
        return None


def _lines(text: str) -> str:
    """Return the text with LF line ends."""
    if "\r" not in text:
        return text
    text = text.replace("\r\n", "\n")
    return text.replace("\r", "\n") if text.count("\r") > text.count("\n") else text


def _declarations(content: bytes) -> Iterator[str]:
    """Yield the names of encodings that the file's first lines declare, as Python has them."""
    for found in _DECLARATION.finditer(content[:_DECLARING_BYTES]):
        if found["cookie"] and content.count(b"\n", 0, found.start()) + content.count(b"\r", 0, found.start()) > 3:
            continue  # A cookie further down is a sentence.
        name = next(filter(None, found.groups())).decode().lower()
        for known in (name, re.sub(r"-(?:unix|dos|mac)$", "", name)):  # Emacs names line ends behind the encoding.
            try:
                yield codecs.lookup(known).name
                break
            except LookupError:
                continue


def _declared(content: bytes) -> str | None:
    """Decode as the file says, where it says so and the bytes agree."""
    for name in _declarations(content):
        info = codecs.lookup(_WIDER.get(name, name))
        if info.name not in _NO_TEXT and (text := _as(content, info.name)) is not None and isinstance(text, str):
            return text
    return None


def _iso_2022(content: bytes) -> str | None:
    """Decode the Japanese encoding of seven bits, which its escape sequences prove."""
    return _as(content, "iso2022_jp") if b"\x1b$B" in content and content.isascii() else None


def _certain(content: bytes) -> str | None:
    """Decode in the one encoding in which the text has many of its language's commonest characters."""
    found: list[tuple[int, str]] = []
    for encodings, common in _COMMON:
        for encoding in encodings:
            text = _as(content, encoding)
            if text is None:
                continue
            others = [char for char in text if char > "\x7f"]
            single = encoding in _SINGLE
            count = sum(char in common for char in ("".join(_CYRILLIC_WORD.findall(text)) if single else others))
            least = _MIN_SINGLE_SHARE if single else _MIN_COMMON_SHARE
            found.append((count if count >= least * len(others) else 0, text))
    found.sort(key=lambda pair: -pair[0])
    if not found or found[0][0] < _MIN_COMMON:
        return None
    count, text = found[0]
    rivals = [other for times, other in found[1:] if other != text and _CLEARLY_MORE * times > count]
    return None if rivals else text


def _guessed(content: bytes) -> str:
    """Decode as UTF-8 with a few bad bytes, or as Windows does where nothing is known."""
    text = content.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    if sum(char > "\x7f" for char in text) > 2 * bad:
        return text
    return _as(content, "cp1252") or content.decode("latin-1")


def _wide(content: bytes) -> str | None:
    """Decode UTF-16 or UTF-32 without a mark, where the result can be nothing but text."""
    for encoding in _WIDE:
        head = _as(content[: SAMPLE_BYTES // 4 * 4], encoding) if len(content) > SAMPLE_BYTES else None
        text = head if head is not None else _as(content, encoding)
        if text and _is_text(text[:SAMPLE_BYTES]):
            return text if head is None else _as(content, encoding)
    return None


def _is_text(text: str) -> bool:
    plain = sum(char < "\x7f" for char in text)
    if plain < _MIN_PLAIN_SHARE * len(text):
        return False
    return all(char in "\t\n\r\f\v" or unicodedata.category(char) not in ("Cc", "Cn", "Co", "Cs") for char in text)
