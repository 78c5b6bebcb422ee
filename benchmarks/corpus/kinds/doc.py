"""First sentences of doc comments -> the definitions that they are about. Each sentence is taken out of the tree."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.corpus.material import FUNCTIONS, TYPES, Material, Question, Span
from benchmarks.corpus.prose import content_words, without_references
from regend.chunking.symbols import Definition
from training.comments import docstring_rows, leading_rows

LIMIT = 10
_PER_FILE = 2
_MIN_WORDS, _MAX_CHARS = 5, 220
_MIN_COPY_CHARS = 16
_OPENING = re.compile(
    r"\s*(?:@(?:module|type)?doc\s+)?(?:~[sS])?(?:///?/?!?|//!|/\*+!?|\*(?=\s|$)|\(\*+|--\[=*\[|--+ ?[|^]?|\{-+ ?[|^]?|"
    r"#+'?(?=\s|$)|%+|;+|[rRuU]?\"\"\"|[rRuU]?'''|\")?\s*(?:[@\\](?:brief|short|summary|desc|description|doc)\b\s*)?"
    r"(?:<(?:summary|para|p|remarks)>\s*)*"
)
_CLOSING = re.compile(r"(?:\s*</(?:summary|para|p|remarks)>)*\s*(?:\*+/|\*\)|-\}|\]=*\]|\"\"\"|'''|\"\)?)?\s*$")
_END_OF_PROSE = re.compile(
    r"[@\\](?!link|code|c\b|p\b|ref\b)\w+|:\w+[ :]|[-*+>|=~$%]|#+ |\d+[.)]\s|```|\w[\w ]*:$|>>>|iex>|\.\. |"
    r"<(?!see|c>|code|tt)"
)
_SENTENCE = re.compile(
    r"(?<!\be\.g)(?<!\bi\.e)(?<!\betc)(?<!\bvs)(?<!\b[A-Z])(?<!\b[sS]ec)(?<!\b[nN]o)"
    r"(?<!\bcf)(?<!approx)[.!?](?=[\"')\]}]*(?:\s+[^a-z\s]|\s*$))"
)
_LINKS = re.compile(
    r"\{@link(?:plain)? \S+ ([^{}]+)\}|\{@?\w* ?!?:?([^{}]*)\}|\[\[?([^\]\[]*)\]?\](?:\([^)]*\)|\[[^\]]*\])?|"
    r"<see\w* \w+=\"(?:\w:)?([^\"]*)\"\s*/?>|"
    r":[\w:]+:`~?([^`]*)`|``?([^`]*)``?|\*\*([^*]*)\*\*|<(?:c|code|tt|i|b|em)>([^<]*)</\w+>|"
    r"[\\@](?:c|p|ref|a) (\S+)|\b[tm]?'([\w.]+)'"
)
_TEMPLATE = re.compile(r"\{@(?:template|macro|endtemplate)[^}]*\}")
_NOISE = re.compile(
    r"\b(?:todo|fixme|xxx|hack|noqa|copyright|licen[cs]e|deprecated|rubocop|eslint|pylint|noinspection|nolint|pragma|"
    r"inherit(?:ed)?doc|nodoc|https?|@\w+|clippy|generated|-{3,}|={3,})\b|:disable|@ts-",
    re.IGNORECASE,
)
_UNFINISHED = re.compile(r"(?:\b(?:the|an?|of|to|and|or|is|are|if|with|for|as|by|in|on)|[|,(])$", re.IGNORECASE)
_EMPTY_START = re.compile(
    r"(?:see|same as|like|alias|ditto|shorthand for|synonym|overload(?:ed)?|equivalent)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a sentence: columns of a row, the end excluded."""

    row: int
    start: int
    end: int


def questions(material: Material) -> list[Question]:
    """Ask up to `LIMIT` questions, at most `_PER_FILE` about one file, and take what they say out of the texts."""
    asked: list[Question] = []
    for path in material.drawn("doc", material.sources, str):
        if len(asked) == LIMIT:
            break
        taken = 0
        for definition in material.drawn("doc " + path, material.definitions(path), lambda one: str(one.start_row)):
            if len(asked) == LIMIT or taken == _PER_FILE:
                break
            lines = material.text(path).split("\n")
            pieces = _first_sentence(lines, definition, material.language(path))
            query = _query(lines, pieces, definition.name)
            if not query or not _only_there(material, [lines[p.row][p.start : p.end] for p in pieces]):
                continue
            for piece in pieces:
                line = lines[piece.row]
                lines[piece.row] = line[: piece.start] + line[piece.end :]
            material.replace_text(path, "\n".join(lines))
            asked.append(
                Question(without_references(query), (Span(path, definition.start_row + 1, definition.end_row + 1),))
            )
            taken += 1
    # A twin that differs in its name alone says the same, in the tree or as another question.
    times = Counter(question.query for question in asked)
    return [one for one in asked if times[one.query] == 1 and not _is_said(material, one.query)]


def _is_said(material: Material, query: str) -> bool:
    words = query.encode()
    return any(words in content for content in material.contents.values())


def _first_sentence(lines: list[str], definition: Definition, language: str) -> list[_Piece]:
    """Find the first sentence of a definition's doc comment; no pieces where there is no comment."""
    if definition.scope_only or definition.kind not in FUNCTIONS | TYPES:
        return []
    first, last = definition.start_row, min(definition.end_row, len(lines) - 1)
    rows = (
        leading_rows(lines, definition.first_row, first, language)
        or docstring_rows(lines, first, last, language)
        or _string_rows(lines, first, last, language)
    )
    pieces: list[_Piece] = []
    for row, start, end in _prose(lines, rows):
        stop = _SENTENCE.search(lines[row], start, end)
        pieces.append(_Piece(row, start, stop.end() if stop else end))
        if stop:
            break
    return pieces


def _string_rows(lines: list[str], first: int, last: int, language: str) -> list[int]:
    """Find the rows of a string that documents: before a definition in Julia, behind the name in Clojure."""
    if language == "clojure":
        for row in range(first, min(first + 2, last)):
            if re.match(r'\s*"', lines[row + 1]) and lines[row].count('"') % 2 == 0:
                end = next((at for at in range(row + 1, last) if re.search(r'(?<!\\)"\s*$', lines[at])), row)
                return list(range(row + 1, end + 1))
    if language == "julia" and first and lines[first - 1].rstrip().endswith('"""'):
        top = first - 1 if lines[first - 1].count('"""') == 2 else first - 2
        while top > max(0, first - 60) and '"""' not in lines[top]:
            top -= 1
        # The call comes first in most of them, indented as code.
        return [row for row in range(top, first) if not lines[row].startswith("    ")]
    return []


def _prose(lines: list[str], rows: list[int]) -> Iterator[tuple[int, int, int]]:
    """Yield (row, start, end) of the words in a comment's first paragraph of prose."""
    begun = False
    for row in rows:
        line = lines[row]
        opening, closing = _OPENING.match(line), _CLOSING.search(line)
        start, end = opening.end() if opening else 0, closing.start() if closing else len(line)
        said = line[start:end] if start < end else ""
        if begun and (not re.search(r"\w", said) or _END_OF_PROSE.match(said) or row - 1 not in rows):
            return
        if not re.search(r"\w", said) or _TEMPLATE.fullmatch(said):
            continue
        if _END_OF_PROSE.match(said):
            return
        begun = True
        yield row, start, end


def _query(lines: list[str], pieces: list[_Piece], name: str) -> str:
    """Turn a sentence into a question, without the name that it may begin with; "" for one that asks for nothing."""
    raw = " ".join(lines[piece.row][piece.start : piece.end].strip() for piece in pieces)
    if _NOISE.search(raw) or _EMPTY_START.match(raw):
        return ""
    text = _LINKS.sub(lambda match: next(filter(None, match.groups()), ""), raw)
    text = re.sub(r"</?\w[^<>]*>|[`\"]{1,3}|\\(?=\w)", "", text)
    text = re.sub(r"\s+", " ", text).strip(" .!?*-:;,")
    text = re.sub(rf"^(?:the )?{re.escape(name)}(?:\(\))?[,:]?\s+(?:[-–:|]+\s+)?", "", text)
    wordy = len(text.split()) >= _MIN_WORDS and len(content_words(text)) >= _MIN_WORDS - 1
    if _UNFINISHED.search(text) or text[:1] in "/|" or " | " in text:
        return ""
    if not wordy or len(text) > _MAX_CHARS or sum(c.isalpha() or c == " " for c in text) < 0.85 * len(text):
        return ""
    return text


def _only_there(material: Material, parts: list[str]) -> bool:
    """Tell whether no line of a sentence stands a second time in the tree, such as in a copy or an overload."""
    looked_for = [part.encode() for part in parts if len(part) >= _MIN_COPY_CHARS]
    seen = dict.fromkeys(looked_for, 0)
    for content in material.contents.values():
        for part in looked_for:
            seen[part] += content.count(part)
    return bool(seen) and all(count == 1 for count in seen.values())
