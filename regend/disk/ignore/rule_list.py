"""One list of ignore rules: the lines of one file in `.gitignore` syntax, compiled for fast questions.

Rules are pathspec patterns. Only their translation to a regular expression is ours (`wildmatch`), because pathspec's
differs from git's; which rule wins is pathspec's to say.

A list first asks a cheap superset of itself (two dictionary look-ups and at most two regular expressions, whatever the
number of rules) and walks its rules only on a hit, since nearly all paths match nothing.
"""

from __future__ import annotations

import os
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass

from pathspec import PathSpec
from pathspec.pattern import RegexPattern

from regend.disk.ignore.wildmatch import literal_length, path_regex, translate

_BOM = b"\xef\xbb\xbf"
_NEVER = r"(?!)"
_KEPT = re.compile(r"(?: *+(?:\\.|[^\\ ]))*+", re.DOTALL)
_FOLD = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


@dataclass(frozen=True, slots=True)
class Rule:
    """One line that holds a pattern.

    Attributes:
        line: its number in the file, from 1.
        text: as written, without trailing blanks.
        negated: it began with ``!``.
        glob: the pattern proper, as Latin-1 text of its bytes.
        dir_only: it ended with ``/``.
        anchored: it contains a ``/``, so it is compared with the path and not with the name.
    """

    line: int
    text: str
    negated: bool
    glob: str
    dir_only: bool
    anchored: bool

    def regex(self, fold: bool) -> str:
        """Return a regular expression for the name (or the path, where `anchored`), without anchors."""
        if not self.glob:
            return _NEVER
        found = path_regex(self.glob, fold) if self.anchored else translate(self.glob, fold)
        return _NEVER if found is None else found

    def pattern(self, fold: bool) -> RegexPattern:
        """Build the pathspec pattern, which is compared with paths and means what git means by the rule."""
        lead = r"\A" if self.anchored else r"\A(?:[\s\S]*/)?"
        return RegexPattern(re.compile(f"{lead}(?:{self.regex(fold)})\\Z"), not self.negated)


def as_bytes_text(path: str) -> str:
    """Return a path as the Latin-1 text of its bytes, which rules are compared with."""
    return path if path.isascii() else os.fsencode(path).decode("latin-1")


def parse_rules(content: bytes) -> tuple[Rule, ...]:
    """Read the lines of an ignore file as git's `add_patterns_from_buffer` does."""
    rules = []
    for number, raw in enumerate(content.removeprefix(_BOM).split(b"\n"), 1):
        if not raw or raw.startswith(b"#"):
            continue
        line = raw.removesuffix(b"\r").partition(b"\0")[0].decode("latin-1")
        text = _trim(line)
        glob = text.removeprefix("!")
        negated = glob != text
        dir_only = glob.endswith("/")
        if dir_only:
            glob = glob[:-1]
        shown = text.encode("latin-1").decode("utf-8", "backslashreplace")
        rules.append(Rule(number, shown, negated, glob, dir_only, "/" in glob))
    return tuple(rules)


def _trim(line: str) -> str:
    """Drop trailing spaces that are not escaped (git's `trim_trailing_spaces`; tabs stay)."""
    kept = _KEPT.match(line)
    # A lone backslash at the end is in no such pair; git leaves such a line as it is.
    return line if kept is None or line[kept.end() :].strip(" ") else kept.group()


class RuleList:
    """The rules of one file, whose answers never change, and so safe to share between threads.

    Args:
        content: the file's bytes, or what was read from it.
        source: how decisions name the file.
        fold: ASCII letters match in either case (`core.ignoreCase`).
        skip: length of the path prefix that the rules are relative to.
    """

    def __init__(self, content: bytes | tuple[Rule, ...], source: str, fold: bool = False, skip: int = 0) -> None:
        self.source = source
        self.rules = parse_rules(content) if isinstance(content, bytes) else content
        self._fold = fold
        self._skip = skip
        self._specs: dict[bool, tuple[tuple[Rule, ...], PathSpec[RegexPattern]]] = {}
        names: set[str] = set()
        endings: set[str] = set()
        name_regexes: list[str] = []
        path_regexes: list[str] = []
        for rule in self.rules:
            glob = rule.glob
            if rule.anchored:
                path_regexes.append(rule.regex(fold))
            elif literal_length(glob) == len(glob):
                names.add(glob.translate(_FOLD) if fold else glob)
            elif glob.startswith("*.") and literal_length(glob[1:]) == len(glob) - 1 and "." not in glob[2:]:
                endings.add(glob[1:].translate(_FOLD) if fold else glob[1:])
            else:
                name_regexes.append(rule.regex(fold))
        self._names = frozenset(names)
        self._endings = frozenset(endings)
        self._name = _any_of(name_regexes)
        self._path = _any_of(path_regexes)

    def match(self, path: str, name: str, is_dir: bool) -> Rule | None:
        """Find the last rule that matches, or None.

        Args:
            path: as `as_bytes_text` gives it, with the prefix.
            name: its last component.
        """
        path = path[self._skip :]
        if not self._may_match(path, name):
            return None
        rules, spec = self._compiled(is_dir)
        index = spec.check_file(path).index
        return None if index is None else rules[index]

    def matches(self, path: str, name: str) -> Iterator[Rule]:
        """Yield all rules that match a file, the last first; `path` and `name` as for `match`."""
        path = path[self._skip :]
        if self._may_match(path, name):
            rules, spec = self._compiled(is_dir=False)
            for rule, pattern in zip(reversed(rules), reversed(tuple(spec.patterns)), strict=True):
                if pattern.match_file(path) is not None:
                    yield rule

    def _may_match(self, path: str, name: str) -> bool:
        plain = name.translate(_FOLD) if self._fold else name
        dot = plain.rfind(".")
        return (
            plain in self._names
            or (dot >= 0 and plain[dot:] in self._endings)
            or (self._name is not None and self._name.match(name) is not None)
            or (self._path is not None and self._path.match(path) is not None)
        )

    def _compiled(self, is_dir: bool) -> tuple[tuple[Rule, ...], PathSpec[RegexPattern]]:
        if is_dir not in self._specs:
            rules = tuple(rule for rule in self.rules if is_dir or not rule.dir_only)
            patterns = [rule.pattern(self._fold) for rule in rules]
            self._specs[is_dir] = rules, PathSpec(patterns, backend="simple")
        return self._specs[is_dir]


def _any_of(regexes: list[str]) -> re.Pattern[str] | None:
    return re.compile("(?:" + "|".join(f"(?:{regex})" for regex in regexes) + r")\Z") if regexes else None
