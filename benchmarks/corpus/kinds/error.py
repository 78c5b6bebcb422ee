"""Texts of error messages, with values filled in as a user sees them -> where they are raised."""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmarks.corpus.material import Material, Question, Span, lot
from benchmarks.corpus.prose import content_words

LIMIT = 8
_PER_FILE = 2
_WORDS = 4
_MAX_CHARS = 160
_RAISED = re.compile(
    r"(?:\b(?:raise|throw|panic!?|fatal\w*|abort\w*|fail\w*!?|bail!|anyhow!|ensure!|die|croak|confess|carp|reject\w*|"
    r"err\w*!?|log_?err\w*|die_\w+|stop|invalid_arg\w*|unreachable!|expect|precondition\w*|assert\w*!?|usage|perror|"
    r"errors\.New|fmt\.Errorf|\w+\.Errorf?f?|"
    r"\w*(?:[eE]rror|Exception|Err|Failure|Fatal|Panic|ERR|ERROR)\w*(?:\.\w+)?)|\bErr\()"
    r"[^\"'`\n;{}]{0,60}?(?:\n[^\"'`\n;{}]{0,40}?)?"
    r"(?P<quote>[\"'`])(?P<text>(?:(?!(?P=quote))[^\\\n]|\\.){12,200})(?P=quote)"
)
_PLACEHOLDER = re.compile(
    r"%\(\w+\)[a-z]|%[-+ #0]*\d*(?:\.\d+)?(?:l{0,2}|h|z|j)?[a-zA-Z@]|%%|[$#%]\{[^}]*\}|\\\([^)]*\)|"
    r"\{[\w.:!?#\[\]()'\" -]*\}|\$\w+|\{\{[^}]*\}\}|~[a-z]|%\w+%"
)
_NUMBER_BEFORE = re.compile(
    r"\b(?:line|column|port|index|size|length|count|version|code|status|level|offset|at|got|least|most|than|byte|bytes|"
    r"argument|row|id|of|position)[\s:=('\"]*$",
    re.IGNORECASE,
)
_BACKQUOTED = frozenset(("go", "javascript", "svelte", "tsx", "typescript", "vue"))
"""Languages whose strings stand in backticks, too: in comments of others these mark code."""
_NAMES = ("foo", "bar", "name", "value", "user", "config", "default", "example", "test", "main")


def questions(material: Material) -> list[Question]:
    """Ask up to `LIMIT` questions about messages that only one source file has, at most `_PER_FILE` about one file."""
    found = list(_messages(material))
    holders: dict[str, set[str]] = {}
    for path, _, message in found:
        holders.setdefault(message, set()).add(path)
    asked: dict[str, Question] = {}
    taken: dict[str, int] = {}
    for path, line, message in material.drawn("error", found, lambda one: f"{one[0]}:{one[1]}"):
        if len(asked) == LIMIT:
            break
        query = shown(message, lot(material.name, message))
        unique = (
            len(holders[message]) == 1 and sum(message in material.text(source) for source in material.sources) == 1
        )
        if query and query not in asked and taken.get(path, 0) < _PER_FILE and unique:
            taken[path] = taken.get(path, 0) + 1
            asked[query] = Question(query, (Span(path, line, line),))
    return list(asked.values())


def _messages(material: Material) -> Iterator[tuple[str, int, str]]:
    """Yield (path, line, literal) of the messages that source files raise."""
    for path in material.sources:
        text = material.text(path)
        for match in _RAISED.finditer(text):
            if match["quote"] == "`" and material.language(path) not in _BACKQUOTED:
                continue
            line_start = text.rfind("\n", 0, match.start()) + 1
            if not re.match(r"\s*(?:#(?!\w)|//|\*|--|;)", text[line_start : match.start() + 1]):
                yield path, text.count("\n", 0, match.start("text")) + 1, match["text"]


def shown(literal: str, number: str) -> str:
    """Return a message as a user sees it, its placeholders filled or left out as `number` draws; "" if it says little.

    Args:
        number: hexadecimal digits.
    """
    text = re.sub(r"\\[nrt]", " ", literal).replace('\\"', '"').replace("\\'", "'")
    if re.search(r"\\[^\s(]|</|/>|=>|[{}]\s*[{}]|;\s*$|^\s*[\w.]+\s*[({=]", text):
        return ""
    fill = int(number[0], 16) % 2 == 1
    said: list[str] = []
    at = 0
    for turn, match in enumerate(_PLACEHOLDER.finditer(text)):
        before = text[at : match.start()]
        said.append(before)
        at = match.end()
        if match[0] == "%%":
            said.append("%")
        elif fill:
            digits = int(number[2 + turn % 50 : 5 + turn % 50], 16)
            numeric = (match[0][0] == "%" and match[0][-1] in "dui") or _NUMBER_BEFORE.search(before)
            said.append(str(digits % 100) if numeric else _NAMES[digits % len(_NAMES)])
    said.append(text[at:])
    query = re.sub(r"\s+", " ", re.sub(r"([\"'`(\[<])\s*([\"'`)\]>])", "", "".join(said))).strip(" .:,;-!")
    query = re.sub(r"\s+(?=[.,:;](?:\s|$))", "", query)
    bare = _PLACEHOLDER.sub(" ", text)
    wordy = (
        len(re.findall(r"[^\W\d_]{2,}", bare)) >= _WORDS
        and sum(len(word) > 2 for word in content_words(bare)) >= _WORDS - 1
    )
    if query.count("(") != query.count(")") or query.count("`") % 2 or "HTTP/1" in query:
        return ""
    if not wordy or len(query) > _MAX_CHARS or sum(c.isalpha() or c == " " for c in bare) < 0.8 * len(bare):
        return ""
    return query
