"""Definitions told by single lines, for languages without a grammar and for what a parser did not understand.

A data file lists patterns under `lines`. A pattern finds where a definition begins and how it is called; a few words
say where it ends. It is a guess, so it never overrules a syntax tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from functools import cache

from regend.chunking.grammars import LanguageSpec, LineRule, spec_of
from regend.chunking.symbols import FUNCTIONS, MAX_SYMBOLS, TYPES, Definition, split_name
from regend.chunking.tokens import normalised

_COMMENT = re.compile(r"[ \t]*(?:#|//|/\*|\*|--|;|%|'|\"|(?i:rem\b|dnl\b)|::|\(\*|\{-|<!--|\.\.\s)")
_ATTRIBUTE = re.compile(r"[ \t]*(?:@\[|@[A-Za-z][\w.]*(?:\(|\s*$)|<[A-Z]\w*(?:\([^<>]*\))?>\s*_?\s*$)")
_QUOTED = re.compile(r"'(?:[^'\\\n]|\\.)*'|\"(?:[^\"\\\n]|\\.)*\"|//.*")
_MAX_ROWS = 5_000
"""Maximum rows in which the end of a definition is looked for."""
_OPENING_ROWS = 4
"""Maximum rows from a definition's first to that of its opening brace."""
_GROUP = re.compile(r"\(\?P<(\w+)>|\(\?P=(\w+)\)")


@dataclass(frozen=True, slots=True)
class _Rules:
    pattern: re.Pattern[str]
    rules: tuple[LineRule, ...]


@cache
def _rules(language: str, everywhere: bool) -> _Rules | None:
    """Put the patterns of a language together, so that each line is looked at once."""
    rules = tuple(rule for rule in spec_of(language).lines if rule.everywhere or not everywhere)
    if not rules:
        return None
    parts = []
    for number, rule in enumerate(rules):
        numbered = _GROUP.sub(
            lambda group: f"(?P<{group[1]}_{number}>" if group[1] else f"(?P={group[2]}_{number})",  # noqa: B023
            rule.pattern,
        )
        parts.append(f"(?P<rule_{number}>{numbered})")
    return _Rules(re.compile("|".join(parts), re.MULTILINE), rules)


def has_line_rules(language: str) -> bool:
    """Tell whether lines of a language may tell definitions."""
    return bool(spec_of(language).lines)


def definitions_by_line(text: str, language: str, wanted: Container[int] | None = None) -> list[Definition]:
    """Return the definitions that lines tell, nested by their rows.

    Args:
        wanted: only those that begin in these rows are returned, besides those of rules for all rows; None for all.
    """
    spec = spec_of(language)
    rules = _rules(language, everywhere=wanted is not None and not wanted)
    if rules is None:
        return []
    lines = text.split("\n")
    fenced = _fenced_rows(lines, spec.fences)
    starts: list[tuple[int, LineRule, list[str], int]] = []
    row = at = 0
    for match in rules.pattern.finditer(text):
        number = int((match.lastgroup or "rule_0").rpartition("_")[2])
        groups = match.groupdict()
        rule, name = rules.rules[number], groups.get(f"name_{number}") or ""
        begin = match.start(f"name_{number}") if f"name_{number}" in match.re.groupindex else match.start()
        row += text.count("\n", at, max(begin, at))
        at = max(begin, at)
        if row in fenced or (wanted is not None and not rule.everywhere and row not in wanted):
            continue
        if (parts := _parts(name, rule, spec)) and len(starts) < MAX_SYMBOLS:
            starts.append((row, rule, parts, len((groups.get(f"level_{number}") or "").expandtabs(4))))
    return _nested(starts, lines)


def _fenced_rows(lines: list[str], fence: str) -> set[int]:
    """Return the rows between two equal fences."""
    rows: set[int] = set()
    if not fence:
        return rows
    pattern, opened = re.compile(fence), ""
    for row, line in enumerate(lines):
        if opened:
            rows.add(row)
            opened = "" if line.strip() == opened else opened
        elif pattern.match(line):
            opened = line.strip()
    return rows


def _parts(name: str, rule: LineRule, spec: LanguageSpec) -> list[str]:
    if rule.whole:
        name = " ".join(name.split())
        return [name] if name else []
    parts = split_name(name, spec.separator)
    return [] if not parts or parts[-1] in spec.reserved else parts


def _nested(starts: list[tuple[int, LineRule, list[str], int]], lines: list[str]) -> list[Definition]:
    result: list[Definition] = []
    stack: list[Definition] = []
    last = len(lines) - 1
    while last > 0 and not lines[last].strip():
        last -= 1
    for number, (row, rule, parts, level) in enumerate(starts):
        if rule.ends == "section":
            later = starts[number + 1 :]
            end = next((at for at, other, _, above in later if _ends_section(other, above, level)), last + 1) - 1
        else:
            end = _ENDS.get(rule.ends, _by_pattern)(row, rule, lines)
        end = max(row, min(end, last))
        while stack and (
            stack[-1].end_row < row
            or (stack[-1].end_row < end and stack[-1].start_row < row)
            or (stack[-1].start_row == stack[-1].end_row and stack[-1].kind in FUNCTIONS)
        ):
            stack.pop()
        outer = stack[-1] if stack else None
        kind = rule.kind
        if kind in ("variable", "constant", "field") and any(d.kind in FUNCTIONS for d in stack):
            continue
        if kind == "function" and outer and outer.kind in TYPES:
            kind = "method"
        path = ".".join((outer.path, *parts) if outer else parts)
        first = row
        floor = outer.start_row if outer else -1
        while first - 1 > floor and (_COMMENT.match(lines[first - 1]) or _ATTRIBUTE.match(lines[first - 1])):
            first -= 1
        definition = Definition(normalised(parts[-1]), normalised(path), kind, first, row, end, len(stack))
        stack.append(definition)
        result.append(definition)
    return result


def _ends_section(rule: LineRule, above: int, level: int) -> bool:
    """Tell whether a definition ends the section before it; labels end where anything else of some length begins."""
    return above <= level if rule.ends == "section" else not level and rule.ends != "line"


# -- where a definition ends ------------------------------------------------------------------------------------------


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _by_indent(row: int, _rule: LineRule, lines: list[str]) -> int:
    """Return the last row that is indented deeper than the first, or closes it."""
    own, end = _indent(lines[row]), row
    for at in range(row + 1, min(len(lines), row + _MAX_ROWS)):
        line = lines[at]
        if not line.strip():
            continue
        if _indent(line) <= own:
            return at if re.match(r"\s*(?:\}|\)|\]|end\b|done\b)", line) else end
        end = at
    return end


def _by_brace(row: int, _rule: LineRule, lines: list[str]) -> int:
    """Return the row in which the first brace that opens closes again."""
    depth, opened = 0, False
    for at in range(row, min(len(lines), row + _MAX_ROWS)):
        code = _QUOTED.sub("", lines[at])
        opens = code.count("{")
        depth += opens - code.count("}")
        opened = opened or opens > 0
        if opened and depth <= 0:
            return at
        if not opened and (at - row >= _OPENING_ROWS or code.rstrip().endswith(";")):
            return at if code.rstrip().endswith(";") else row
    return row


def _by_pattern(row: int, rule: LineRule, lines: list[str]) -> int:
    """Return the first row from here on that matches what ends the definition, and is not indented deeper."""
    closing, own = re.compile(rule.ends, re.IGNORECASE), _indent(lines[row])
    if rule.ends.startswith(".*") and closing.match(lines[row]):
        return row  # A statement in one line.
    _, semicolon, tail = lines[row].rstrip("; \t\r").rpartition(";")
    if semicolon and closing.fullmatch(tail):
        return row  # Its end stands behind its beginning.
    for at in range(row + 1, min(len(lines), row + _MAX_ROWS)):
        line = lines[at]
        indent = _indent(line)
        if indent == own and closing.match(line):
            return at
        if indent < own and line.strip():
            return row  # The enclosing definition ends here, so this one has no body.
    return row


_ENDS: dict[str, Callable[[int, LineRule, list[str]], int]] = {
    "line": lambda row, _rule, _lines: row,
    "indent": _by_indent,
    "brace": _by_brace,
}
