"""Declarations of files in `.gitattributes`: the attributes of GitHub Linguist, by the rules of git.

The source is git's `attr.c` (git 2.39) and gitattributes(5): in each file the last match wins for each attribute, the
file of the deepest directory wins over those above it, and `info/attributes` over all; ``-name`` unsets, ``!name``
takes back what others say, and macros (``[attr]name …``) count at the top of a worktree. As Linguist does, this leaves
out the attributes of the user and of the system.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from regend.disk.ignore.rule_list import Rule, RuleList, as_bytes_text
from regend.disk.inputs import read_small
from regend.types import NOT_DECLARED, Declared

ATTRIBUTES_NAME = ".gitattributes"
MARKS = {
    "linguist-detectable": "detectable",
    "linguist-documentation": "documentation",
    "linguist-generated": "generated",
    "linguist-vendored": "vendored",
}
_LANGUAGE = "linguist-language"
_KNOWN = frozenset({*MARKS, _LANGUAGE})
_MACRO = "[attr]"
_OF_GIT = frozenset(
    ("binary", "conflict-marker-size", "crlf", "delta", "diff", "encoding", "eol", "export-ignore", "export-subst",
     "filter", "ident", "lfs", "merge", "text", "whitespace", "working-tree-encoding")
)  # fmt: skip
"""Attributes that are no macros of the repository; lines with these only do not matter here."""
_MAX_FILE_BYTES = 1 << 20
_MAX_LINE_CHARS = 2_048
"""git ignores longer lines."""
_BOM = b"\xef\xbb\xbf"
_BLANK = " \t\r\n"
_NAME = re.compile(r"[A-Za-z0-9_.][-A-Za-z0-9_.]*\Z")
_QUOTED = re.compile(r'"((?:[^"\\]|\\(?:[abfnrtv"\\]|[0-3][0-7]{2}))*)"')
_ESCAPE = re.compile(r'\\([abfnrtv"\\]|[0-3][0-7]{2})')
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}

_Value = str | bool | None
"""Set (True), unset (False), a text, or taken back (None)."""
_Values = tuple[tuple[str, _Value], ...]


@dataclass(frozen=True, slots=True)
class Declaration:
    """One attribute that holds for a file, and the line that says so.

    Attributes:
        source: the file, as decisions name theirs.
        line: from 1.
        text: the line as written.
    """

    attribute: str
    value: str | bool
    source: str
    line: int
    text: str

    @property
    def sentence(self) -> str:
        """Say it to a person."""
        where = f"`{self.text}` in {self.source}:{self.line}"
        if self.attribute == _LANGUAGE:
            return f"{where} declares its language as {self.value}."
        return f"{where} marks it as {'not ' if self.value in (False, 'false') else ''}{MARKS[self.attribute]}."


@dataclass(frozen=True, slots=True)
class _List:
    """The lines of one file that matter here.

    Attributes:
        values: line -> what it says.
    """

    rules: RuleList
    values: dict[int, _Values]


@dataclass(frozen=True, slots=True)
class Attributes:
    """The attributes that hold in one directory.

    Attributes:
        prefix: what lies between the top of the worktree and the root, as Latin-1 text of bytes.
        first: the list of `info/attributes`.
        lists: those of the directories, the deepest first.
    """

    prefix: str = ""
    first: tuple[_List, ...] = ()
    lists: tuple[_List, ...] = ()
    macros: Mapping[str, _Values] = field(default_factory=dict)

    def with_info(self, file: Path, shown: str, fold: bool, skip: int = 0) -> Attributes:
        """Add the attributes in the repository's own data; their macros win."""
        macros, lists = _read(file, shown, fold, skip, follow=True)
        return replace(self, first=lists, macros={**self.macros, **macros}) if macros or lists else self

    def with_file(self, file: Path, shown: str, fold: bool, skip: int, is_top: bool = False) -> Attributes:
        """Add the file of a directory below those that were added before.

        Args:
            shown: how declarations name it.
            skip: length of the directory's path from `prefix` on, `prefix` included, with its ``/``.
            is_top: macros count in it.
        """
        macros, lists = _read(file, shown, fold, skip)
        macros = {**macros, **self.macros} if is_top else self.macros
        return replace(self, lists=lists + self.lists, macros=macros)

    def declared(self, path: str) -> Declared:
        """Return what holds for a file, by its path relative to the root."""
        if not (self.first or self.lists):
            return NOT_DECLARED
        found = {said.attribute: said.value for said in self.declarations(path)}
        language = found.pop(_LANGUAGE, "")
        # As Linguist reads them: every text but this one is a yes.
        no = {name: "-" if value in (False, "false") else "" for name, value in found.items()}
        marks = sorted(no[name] + mark for name, mark in MARKS.items() if name in found)
        return Declared(language if isinstance(language, str) else "", " ".join(marks))

    def declarations(self, path: str) -> list[Declaration]:
        """Return all that holds for a file, and who says so."""
        full = self.prefix + as_bytes_text(path)
        name = full.rpartition("/")[2]
        values: dict[str, _Value] = {}
        said: dict[str, tuple[str, Rule]] = {}

        def fill(given: _Values, source: str, rule: Rule) -> None:
            for attribute, value in reversed(given):
                if attribute not in values:
                    values[attribute] = value
                    said[attribute] = source, rule
                    if value is True and attribute in self.macros:
                        fill(self.macros[attribute], source, rule)

        for listed in (*self.first, *self.lists):
            for rule in listed.rules.matches(full, name):
                fill(listed.values[rule.line], listed.rules.source, rule)
        return [
            Declaration(attribute, value, source, rule.line, rule.text)
            for attribute, (source, rule) in said.items()
            if attribute in _KNOWN and (value := values[attribute]) is not None
        ]


NO_ATTRIBUTES = Attributes()


def _read(
    file: Path, shown: str, fold: bool, skip: int, follow: bool = False
) -> tuple[Mapping[str, _Values], tuple[_List, ...]]:
    """Read a file's macros and lines; nothing where it is not there, cannot be read, or is too large to be one."""
    try:
        content = read_small(file, _MAX_FILE_BYTES + 1, 0 if follow else os.O_NOFOLLOW)
    except OSError:
        return {}, ()
    lines = list(_lines(content)) if len(content) <= _MAX_FILE_BYTES else []
    macros = {name.removeprefix(_MACRO): values for _, name, _, values in lines if name.startswith(_MACRO)}
    rules: list[Rule] = []
    said: dict[int, _Values] = {}
    for number, pattern, text, values in lines:
        if pattern.startswith((_MACRO, "!")) or all(name in _OF_GIT for name, _ in values):
            continue
        glob = pattern.removesuffix("/")
        rules.append(Rule(number, text, False, glob, glob != pattern, "/" in glob))
        said[number] = values
    return macros, (_List(RuleList(tuple(rules), shown, fold, skip), said),) if rules else ()


def _lines(content: bytes) -> Iterator[tuple[int, str, str, _Values]]:
    """Yield the lines that git takes: number, pattern or macro, the line as written, and what it says."""
    for number, raw in enumerate(content.removeprefix(_BOM).split(b"\n"), 1):
        line = raw.partition(b"\0")[0].decode("latin-1").strip(_BLANK)
        if not line or line.startswith("#") or len(raw) > _MAX_LINE_CHARS:
            continue
        if quoted := _QUOTED.match(line):
            pattern, rest = _ESCAPE.sub(_unescaped, quoted[1]), line[quoted.end() :]
        else:
            pattern, *others = line.split(maxsplit=1)
            rest = "".join(others)
        values = tuple(map(_value, rest.split()))
        if all(_NAME.match(name) for name, _ in values):
            yield number, pattern, line.encode("latin-1").decode("utf-8", "backslashreplace"), values


def _unescaped(found: re.Match[str]) -> str:
    sign = found[1]
    return chr(int(sign, 8)) if sign[0].isdigit() else _ESCAPED.get(sign, sign)


def _value(word: str) -> tuple[str, _Value]:
    name, equals, value = word.partition("=")
    if name[:1] in ("-", "!"):
        return name[1:], False if name[0] == "-" else None
    return name, value.encode("latin-1").decode("utf-8", "replace") if equals else True
