"""Headings of the documentation -> the one source file that the section below names, or that defines what it names."""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmarks.corpus.kinds.symbol import files_by_name
from benchmarks.corpus.material import Material, Question
from benchmarks.corpus.prose import content_words, normalised, without_markup, without_references
from benchmarks.corpus.sources import PROSE, is_test

LIMIT = 6
_PER_FILE = 2
_WORDS = 3
_MAX_CHARS = 100
_MARKDOWN = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*$|^(?=\S)([^\n|>*-]{4,80})\n(?:={3,}|-{3,})[ \t]*$", re.MULTILINE)
_STRUCTURED = re.compile(r"^(?=\S)()(.{4,100})\n([=\-~^\"'+#*])\3{3,}[ \t]*$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*(```|~~~).*?^[ \t]*\1[ \t]*$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"``([^`\n]+)``|`~?([^`\n]+)`|\]\(([^)\s]+)\)")
_NAME = re.compile(r"(?:[\w.:#/\\-]*[.:#/\\])?([A-Za-z_]\w{3,})(\(.*)?")
_ASIDE = re.compile(
    r"change|history|news|release|upgrad|migrat|contribut|security|conduct|licen|template|todo|agents|claude|copilot",
    re.IGNORECASE,
)
_OPENING_CHARS = 500
"""A section names its subject at its beginning."""
_EMPTY = (
    "common key issues solutions points overview tasks usage example examples notes note basic advanced simple general "
    "features feature what does how why using use run running tests test do the alias type function class method api "
    "options option configuration other others more about with without your custom list available"
)
_EMPTY_WORDS = frozenset(_EMPTY.split())
_UNASKED = re.compile(
    r"\d+\.\d+|^[a-z]+:\s|^(?:table of contents|how to (?:contribute|install)|getting started|code of conduct|"
    r"what'?s new|see also|installation|license|breaking changes|running (?:the )?tests|used by|table of|"
    r"frequently asked)",
    re.IGNORECASE,
)


def questions(material: Material) -> list[Question]:
    """Ask up to `LIMIT` questions, at most `_PER_FILE` about one source file."""
    files = files_by_name(material)
    found = []
    for path in material.contents:
        aside = path in material.ignored or is_test(path) or _ASIDE.search(path)
        if material.language(path) in PROSE and not aside:
            found += list(sections(material.text(path)))
    asked: dict[str, Question] = {}
    taken: dict[str, int] = {}
    for heading, section in material.drawn("heading", found, str):
        target = _only_named(section, files, material.sources)
        if target and taken.get(target, 0) < _PER_FILE and normalised(heading) not in asked:
            taken[target] = taken.get(target, 0) + 1
            asked[normalised(heading)] = Question(heading, (target,))
        if len(asked) == LIMIT:
            break
    return list(asked.values())


def sections(text: str) -> Iterator[tuple[str, str]]:
    """Yield (heading, beginning of the text below); headings that ask for nothing, and code blocks, are left out."""
    text = _FENCE.sub("", text)
    marks = [*_MARKDOWN.finditer(text)] or [*_STRUCTURED.finditer(text)]
    for number, mark in enumerate(marks):
        end = marks[number + 1].start() if number + 1 < len(marks) else len(text)
        heading = without_references(without_markup(mark[1] or mark[2])).strip(" .:`")
        heading = re.sub(r"\\(?=\W)|\s*\{[^}]*\}$|<[^>]*>|^\d+(?:\.\d+)*[.)]?\s+|[^\x00-\u2fff]", "", heading).strip()
        wordy = len(heading.split()) >= _WORDS and len(set(content_words(heading)) - _EMPTY_WORDS) >= 2
        if wordy and len(heading) <= _MAX_CHARS and not _UNASKED.search(heading):
            yield heading, text[mark.end() : min(end, mark.end() + _OPENING_CHARS)]


def _only_named(section: str, files: dict[str, set[str]], sources: tuple[str, ...]) -> str:
    """Return the only source file that a section names, by its path or by what it defines; "" if none or several."""
    named: set[str] = set()
    for match in _SPAN.finditer(section):
        span = next(filter(None, match.groups())).strip()
        path = re.sub(r"#.*$", "", span).removeprefix("./")
        is_path = "/" in path or re.search(r"\w\.\w{1,5}$", path)
        by_path = [source for source in sources if is_path and (source == path or source.endswith("/" + path))]
        by_path = by_path or [source for source in sources if path.endswith("/" + source) and "/" in source]
        if len(by_path) == 1:
            named.add(by_path[0])
            continue
        name = _NAME.fullmatch(span)
        # A plain word in a code span is as often a value as a name.
        if name is None or not (name[2] or re.search(r"[a-z][A-Z]|_|[.:#]\w", span) or name[1][:1].isupper()):
            continue
        if len(defining := files.get(name[1], set())) == 1:
            named |= defining
        elif len(defining) > 1:
            return ""
    return next(iter(named)) if len(named) == 1 else ""
