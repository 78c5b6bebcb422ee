"""Words of code: identifiers whole and in parts, for the lexical leg, for queries, and for counting.

"parseHTTPHeader" becomes "parsehttpheader parse http header", "max_size_2" becomes "max_size_2 max size 2". A run
without spaces between its words, as in Chinese or Thai, becomes overlapping pairs of characters: "用户信息" becomes
"用户 户信 信息". Index and query go through the same functions, so they meet.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from itertools import pairwise

from regend.types import LONG_RUN

MAX_TOKEN_CHARS = 64
"""Longer runs are encoded data, not words, unless they are made like names."""
MAX_NAME_CHARS = 200
"""As long as a name may be."""
_MIN_WORDS = 4
_MIN_WORD_CHARS = 3
_WORDS_A_NUMBER = 3
"""A long name has words of three letters on average, and a number for three of them at most. In encoded data,
capitals and digits come by chance: base64 has words of two letters, and hexadecimal as many numbers."""
_MOST_TOKENS = 10_000
"""Identifiers whose tokens are kept, and as many that came before them: 2 MB; ten times as many saved no time."""
MARKS = "".join(
    chr(code)
    for code in (*range(0x300, 0x1E00), *range(0x20D0, 0x20F1), *range(0x3099, 0x309B), *range(0xA66F, 0xAC00))
    if unicodedata.category(chr(code)).startswith("M")
)
"""Combining characters, which Python's ``\\w`` leaves out though words of many scripts hold them."""
_ASCII_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_$]*|_+[A-Za-z0-9][A-Za-z0-9_$]*|[0-9]+[A-Za-z0-9_]*")
"""Words of a text that is ASCII; `_WIDE_WORD` finds the same ones, in half as much time again."""
_WIDE_WORD = re.compile(rf"[^\W\d_][\w${MARKS}]*|_+[^\W_][\w${MARKS}]*|\d+[\w{MARKS}]*")
RUN = re.compile(rf"[\w${MARKS}]+")
"""Word characters, as many as stand together."""
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+|\d+")

_UNSPACED = (
    # Han, Kana and Bopomofo; Hangul; Thai; Lao; Burmese; Khmer; Tai scripts.
    "\u2e80-\u2fd5\u3005-\u3007\u3021-\u3029\u3031-\u3035\u303b\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa"
    "\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7fb",
    "\u0e01-\u0e3a\u0e40-\u0e4e",
    "\u0e81-\u0ece\u0edc-\u0edf",
    "\u1000-\u103f\u1050-\u108f\u109a-\u109f\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f",
    "\u1780-\u17d3\u17d7\u17dc\u17dd",
    "\u1950-\u19cf\u1a20-\u1a7c\uaa80-\uaadf",
)
"""Scripts that write words without spaces between them, or, in Korean, glue particles to them."""
_UNSPACED_CHAR = re.compile(f"[{''.join(_UNSPACED)}]")
_UNSPACED_RUN = re.compile("|".join(f"[{script}]+" for script in _UNSPACED))
_MARK = re.compile(f"[{MARKS}]")
_UNIT = re.compile(rf"[^{MARKS}][{MARKS}]*|[{MARKS}]+")
_FOREIGN_RUN = re.compile(rf"(?<![A-Za-z0-9_$])[A-Za-z0-9_$]*+(?=[^\x00-\x7f])[\w${MARKS}]+|[^\x00-\x7f]")
"""A run with other letters than those of ASCII, or another sign."""
_INVISIBLE = re.compile("[\u00ad\u200c\u200d\u2060\ufe00-\ufe0f\ufeff]")
_SAME_LETTER = frozenset({"<wide>", "<narrow>", "<compat>", "<initial>", "<medial>", "<final>", "<isolated>"})
"""Kinds of compatibility characters that only look different. Superscripts, mathematical alphabets and the like are
other names in code."""
_ACCENTED = re.compile("[\u00c0-\u06ff\u1e00-\u1fff]")
_ACCENTS = re.compile("(?<!и)\u0306|[\u0300-\u0305\u0307-\u036f\u0483-\u0487\u0591-\u05c7\u0640\u064b-\u065f\u0670]")
"""Marks and the Arabic stretching sign; the Cyrillic й is a letter of its own."""
_SETTLED = (
    "\u00a0-\u00ac\u00ae-\u00b4\u00b6-\u00bf\u03b1-\u03c1\u03c3-\u03c9\u0430-\u044f\u0454-\u0456\u05d0-\u05ea"
    "\u0627-\u063a\u0641-\u064a\u0904-\u0928\u092a-\u0930\u0932\u0933\u0935-\u0939\u093d-\u094c\u0e01-\u0e32"
    "\u200e-\u205f\u2190-\u21ff\u2500-\u25ff\u3000-\u3029\u3041-\u3096\u30a1-\u30fe\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff0f\uff1a-\uff20"
)
"""Signs, and the usual letters of Greek, Cyrillic, Hebrew, Arabic, Devanagari, Thai, Kana, Han and Hangul: folding
changes none of them, and none joins the one before it."""
_FOREIGN = re.compile(f"[^\x00-\x7f{_SETTLED}]+")
_UNUSUAL = re.compile(
    f"[^\x00-\x7f{_SETTLED}\u00c0-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0386\u0388-\u03ce\u0400-\u0481]"
)
"""Characters that `normalised` may change: neither settled nor letters of the larger European alphabets."""
_PLAIN_LETTERS = str.maketrans({
    "æ": "ae", "ð": "d", "ø": "o", "þ": "th", "đ": "d", "ħ": "h", "ı": "i", "ł": "l", "ŋ": "n", "œ": "oe", "ŧ": "t",
})  # fmt: skip

_QUESTION_WORDS = """
a an and any are as at be been but by can could did do does doing done for from get gets had has have having how i if in
into is it its itself just let me my of off on onto or our out over should so some such than that the their them then
there these they this those through to too under up us use used uses using very via was we were what when where whether
which while who whom whose why will with within without would you your
"""
STOP_WORDS = frozenset(_QUESTION_WORDS.split())
"""Words of questions that say nothing about code. Words that are common names in code (`not`, `all`, `set`) stay."""


class _Lookalikes(dict[int, str]):
    """The usual form of each character; fills itself."""

    def __missing__(self, code: int) -> str:
        char = chr(code)
        usual = unicodedata.normalize("NFKC", char) if _kind_of(char) in _SAME_LETTER else char
        letters = all(part.isalnum() or unicodedata.combining(part) for part in usual)
        self[code] = found = usual if letters else char
        return found


def _kind_of(char: str) -> str:
    return unicodedata.decomposition(char).partition(" ")[0]


_LOOKALIKES = _Lookalikes()


def normalised(text: str) -> str:
    """Return the text with each letter in its one usual form: composed, of usual width, without invisible characters.

    Case and accents stay, and so do characters that are other names in code, such as ``x²``.
    """
    if text.isascii() or _UNUSUAL.search(text) is None:
        return text
    text = _INVISIBLE.sub("", text)
    if unicodedata.is_normalized("NFKC", text):
        return text
    return unicodedata.normalize("NFC", text.translate(_LOOKALIKES))


def folded(text: str) -> str:
    """Return the normalised text without case and accents: "Größe" becomes "grosse", "Ёлка" "елка"."""
    if text.isascii():
        return text.lower()
    # Most texts have few letters that folding changes, and the same ones again and again.
    text, at = text.lower(), 0
    parts: list[str] = []
    for run in _FOREIGN.finditer(text):
        begin = max(at, run.start() - 1)  # The letter before may bear an accent.
        parts += (text[at:begin], _folded_run(text[begin : run.end()]))
        at = run.end()
    return "".join((*parts, text[at:]))


@lru_cache(maxsize=1_024)
def _folded_run(text: str) -> str:
    text = normalised(text).casefold()
    if _ACCENTED.search(text) is None:
        return text
    apart = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return unicodedata.normalize("NFC", apart).translate(_PLAIN_LETTERS)


def is_unspaced(text: str) -> bool:
    """Return whether the text holds a script that writes words without spaces between them."""
    return not text.isascii() and _UNSPACED_CHAR.search(text) is not None


def words_in(text: str) -> list[str]:
    """Return the words of a text, normalised, in order; a run without spaces is one, apart from what it touches."""
    if text.isascii():
        return _ASCII_WORD.findall(text)
    text = normalised(text)
    if is_unspaced(text):
        text = _UNSPACED_RUN.sub(r" \g<0> ", text)
    return _WIDE_WORD.findall(text)


class _Tokens(dict[str, str]):
    """The tokens of each identifier, space-joined; fills itself, and forgets what was not asked for lately.

    They are the identifier itself, its parts where there are several, and all of these without accents. A run of
    encoded data has one token, which says only that.
    """

    def __init__(self) -> None:
        super().__init__()
        self._older: dict[str, str] = {}

    def __missing__(self, word: str) -> str:
        if len(word) > MAX_TOKEN_CHARS and not _is_long_name(word):
            return LONG_RUN
        found = self._older.get(word) or _tokens_of(word)
        if len(self) >= _MOST_TOKENS:
            self._older = dict(self)
            self.clear()
        self[word] = found
        return found


_TOKENS = _Tokens()


def _is_long_name(word: str) -> bool:
    """Tell a name, such as that of a test which says in a sentence what it tests, from encoded data."""
    if len(word) > MAX_NAME_CHARS:
        return False
    parts = _parts(word)
    words = [part for part in parts if not part.isdigit()]
    count, letters = len(words), sum(map(len, words))
    return count >= max(_MIN_WORDS, _WORDS_A_NUMBER * (len(parts) - count)) and letters >= _MIN_WORD_CHARS * count


def _tokens_of(word: str) -> str:
    parts = _parts(word)
    whole = word.strip("_$").lower()
    tokens = [whole] if parts in ([], [whole]) else [whole, *parts]
    if not word.isascii():
        tokens += [plain for token in tokens if (plain := folded(token)) not in ("", token)]
    return " ".join(tokens)


def _parts(word: str) -> list[str]:
    if word.isascii():
        return [part.lower() for part in _PART.findall(word)]
    shape = "".join(map(_shape, word))
    return [word[part.start() : part.end()].lower() for part in _PART.finditer(shape)]


def _shape(char: str) -> str:
    """Return the ASCII character of the same class: capital, letter or mark, digit, other."""
    if char.isupper() or char.istitle():
        return "A"
    return "a" if unicodedata.category(char)[0] in "LM" else "0" if char.isdigit() else "_"


def characters_of(run: str) -> list[str]:
    """Return the characters of a run, each with its marks."""
    return _UNIT.findall(run) if _MARK.search(run) else list(run)


def _paired(units: list[str]) -> list[str]:
    return [left + right for left, right in pairwise(units)] or units


def _asked(word: str) -> list[str]:
    """Return the tokens by which a query asks for one of `words_in`."""
    if _UNSPACED_CHAR.match(word):
        return _paired(characters_of(word))
    tokens = _TOKENS[word]
    return [] if tokens == LONG_RUN else [tokens]


def _indexed(word: str) -> list[str]:
    """Return the tokens of one of `words_in`; every character of a run may be asked for alone."""
    if not _UNSPACED_CHAR.match(word):
        return _asked(word) or [LONG_RUN]
    units = characters_of(word)
    return _paired(units) + units if len(units) > 1 else units


def split_identifier(name: str) -> list[str]:
    """Split an identifier into lower-case parts at case changes, underscores and digits; runs come apart in pairs."""
    if name.isascii():
        return _parts(name)
    return [part for word in words_in(name) for part in (_asked if _UNSPACED_CHAR.match(word) else _parts)(word)]


def spaced(text: str) -> str:
    """Return the text for a tokeniser of ASCII words: words with other letters come apart, other signs are left out."""
    if text.isascii():
        return text
    return _FOREIGN_RUN.sub(lambda run: _spaced_run(run[0]), normalised(text))


@lru_cache(maxsize=1_024)
def _spaced_run(run: str) -> str:
    return " ".join(split_identifier(run)) or " "


def lexical_tokens(text: str) -> str:
    """Return all tokens of a text, lower-case, joined by single spaces; identifiers both whole and in parts."""
    text = normalised(text)
    if is_unspaced(text):
        return " ".join([token for word in words_in(text) for token in _indexed(word)])
    words = _ASCII_WORD.findall(text) if text.isascii() else _WIDE_WORD.findall(text)
    return " ".join(map(_TOKENS.__getitem__, words))


def asked_tokens(text: str) -> str:
    """Return the tokens by which a query asks for a text: pairs stand for their characters, long runs for nothing."""
    return " ".join([token for word in words_in(text) for token in _asked(word)])


def whole_tokens(text: str) -> tuple[str, ...]:
    """Return the tokens that whatever holds the text has: each word whole, and all pairs of runs without spaces."""
    return tuple([tokens.partition(" ")[0] for word in words_in(text) for tokens in _asked(word)])


def query_terms(text: str) -> tuple[str, ...]:
    """Return the distinct terms of a query in order of appearance, without stop words unless all are."""
    terms = tuple(dict.fromkeys(asked_tokens(text).split()))
    relevant = tuple(term for term in terms if term not in STOP_WORDS)
    return relevant or terms


def estimate_tokens(text: str) -> int:
    """Estimate how many tokens a subword model makes of the text; at least 1.

    Two for every seven characters that are not spaces, which is within 20 % of common code tokenisers for whole chunks.
    Counting words was no better and ten times slower. A guess for a single provider until its own tokeniser is asked.
    """
    return (len(text) - text.count(" ")) * 2 // 7 + 1


def line_tokens(lines: list[str]) -> list[int]:
    """Estimate the tokens of each line, as `estimate_tokens` does; 0 for blank lines."""
    return [(len(line) - line.count(" ")) * 2 // 7 + 1 if line and not line.isspace() else 0 for line in lines]
