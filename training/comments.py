"""Doc comments of many languages as plain sentences."""

from __future__ import annotations

import re

_HASH = frozenset(("python", "ruby", "bash", "elixir", "perl", "r"))
_DASH = frozenset(("haskell", "lua", "sql", "ada"))
_PERCENT = frozenset(("erlang",))
_SEMICOLON = frozenset(("clojure",))
_MARKERS = re.compile(
    r"^\s*(///?!?|//!|/\*+!?|\*+/|\*(?=\s|$)|\(\*+|\*\)|--\[=*\[|\]=*\]|--[-|^* ]*[|^]?|\{-\|?|-\}|#+(?!\[)'?|%+|;+|\"\"\"|''')\s?"
)
_TRAILING = re.compile(r"\s*(\*+/|\*\)|-\}|\]=*\]|\"\"\"|''')\s*$")
_TAG = re.compile(
    r"^\s*[@\\](param|return|returns|throws|exception|see|since|author|version|type|typedef|private|internal|api|tparam|treturn|raise|arg|deprecated|template|override|group|ingroup|file|copyright|license|spec|impl|defgroup|memberof|category|static|public|protected|ignore|hidden|example|default|name|class|function|todo)\b",
    re.IGNORECASE,
)
_BRIEF = re.compile(
    r"^\s*[@\\](brief|doc|summary|desc|description|short|details|remarks|moduledoc|note)\b\s*", re.IGNORECASE
)
_SECTION = re.compile(
    r"^\s*(args|arguments|parameters|params|returns?|raises|yields|examples?|usage|attributes|notes?|see also|references|# .*|:param.*|:return.*|:raises.*|>>>.*|```.*|-{3,}|={3,})\s*:?\s*$|^\s*(:param|:return|:raise|:type|>>>|```)",
    re.IGNORECASE,
)
_MARKUP = re.compile(r"</?[a-zA-Z][^<>]{0,80}>|\{@\w+\s*|\[\[|\]\]|[`*]{1,3}|:[a-z]+:(?=`)|~(?=[\w.]+`)")
_LICENCE = re.compile(r"copyright|licen[cs]e|all rights reserved|permission is hereby|spdx", re.IGNORECASE)
_NOISE = re.compile(
    r"\b(todo|fixme|xxx|hack|noqa|eslint|pylint|rubocop|clippy|nolint|istanbul|prettier|@ts-)\b|^[\W\d_]*$",
    re.IGNORECASE,
)


def is_comment(line: str, language: str) -> bool:
    """Tell whether the whole line is a line comment."""
    bare = line.lstrip()
    if language in _HASH:
        return bare.startswith("#") and not bare.startswith("#!")
    if language in _DASH:
        return bare.startswith("--")
    if language in _PERCENT:
        return bare.startswith("%")
    if language in _SEMICOLON:
        return bare.startswith(";")
    if language == "php" and bare.startswith("#") and not bare.startswith("#["):
        return True
    if language == "ocaml":
        return bare.startswith("(*") and bare.rstrip().endswith("*)")
    return bare.startswith("//")


def leading_rows(lines: list[str], first: int, start: int, language: str) -> list[int]:
    """Find the rows of a doc comment above a definition, decorators left out.

    Args:
        first: first row that the index counts to the definition, from 0.
        start: row of the definition proper.
    """
    rows, inside, here = [], False, ""
    top = first
    if language == "elixir":  # `@doc` is an attribute, not a comment.
        top = _elixir_doc(lines, start)
    for row in range(top, start):
        line = lines[row].strip()
        if inside:
            rows.append(row)
            inside = here not in line
        elif line.startswith(("/*", "(*", "{-", "--[[", "--[=")):
            here = {"/*": "*/", "(*": "*)", "{-": "-}", "--": "]"}[line[:2]]
            rows.append(row)
            inside = here not in line[2:]
        elif language == "elixir" and line.startswith(("@doc", "@moduledoc", "@typedoc")):
            rows.append(row)
            here, inside = '"""', '"""' in line
        elif is_comment(line, language):
            rows.append(row)
    return rows


def _elixir_doc(lines: list[str], start: int) -> int:
    """Find the first row of the attributes above a definition."""
    for row in range(start - 1, max(-1, start - 60), -1):
        line = lines[row].strip()
        if line.startswith("@doc"):
            return row
        if line.startswith(("def ", "defp ", "defmacro", "end", "defmodule")) and not lines[row].startswith("    " * 4):
            break
    return start


def docstring_rows(lines: list[str], first: int, last: int, language: str) -> list[int]:
    """Find the rows of the string or attribute that documents a definition from inside (Python, Elixir modules)."""
    if language == "elixir":
        return _quoted_rows(lines, first, last, "@moduledoc")
    if language != "python":
        return []
    for row in range(first, min(last, first + 12)):
        if lines[row].split("#")[0].rstrip().endswith(":"):
            return _quoted_rows(lines, row + 1, last, "")
    return []


def _quoted_rows(lines: list[str], first: int, last: int, before: str) -> list[int]:
    for row in range(first, min(last + 1, first + 4)):
        line = lines[row].strip()
        if not line or not line.startswith(before):
            continue
        opening = re.match(re.escape(before) + r"\s*~?[rRuUsS]*(\"\"\"|'''|\"|')", line)
        if opening is None:
            return []
        mark = opening[1]
        for end in range(row, min(last + 1, row + 80)):
            rest = line[opening.end() :] if end == row else lines[end]
            if mark in rest:
                return list(range(row, end + 1))
        return []
    return []


def clean_comment(lines: list[str], language: str) -> str:
    """Reduce a comment to one line without markers, tags, parameters, markup and examples; "" if nothing is left."""
    said: list[str] = []
    for raw in lines:
        line = _TRAILING.sub("", _MARKERS.sub("", raw, count=1)).strip()
        line = re.sub(r"^[rRuUbB]?(\"\"\"|'''|[\"'])", "", line)
        line = _BRIEF.sub("", line)
        line = re.sub(r"^~?[sS]?(\"\"\"|\")", "", line).strip()
        if _TAG.match(line) or _SECTION.match(line):
            if said and any(part for part in said):
                break
            continue
        if line in ("false", "nil"):
            continue
        if _NOISE.search(line):
            if not line and said:
                said.append("")
            continue
        said.append(line)
    text = " ".join(_paragraphs(said))
    text = re.sub(r"\s+", " ", _MARKUP.sub(" ", text)).strip(" \"'-:|")
    return text if len(text.split()) >= 2 and sum(map(str.isalpha, text)) > len(text) / 2 else ""


def _paragraphs(lines: list[str]) -> list[str]:
    """Return the lines of the first two paragraphs."""
    kept: list[str] = []
    breaks = 0
    for line in lines:
        if line:
            kept.append(line)
        elif kept and kept[-1]:
            breaks += 1
            if breaks == 2:
                break
    return kept


def mostly_licence(text: str) -> bool:
    """Tell a licence header from a description."""
    return _LICENCE.search(text) is not None


def first_sentence(text: str) -> str:
    """Cut a text at the first full stop that ends a sentence."""
    end = re.search(r"[.!?](?=\s+[A-Z(]|\s*$)", text)
    return text[: end.start()] if end is not None else text
