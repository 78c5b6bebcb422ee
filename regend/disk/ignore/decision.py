"""Decisions about paths, and the first of several lists that makes one."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from regend.disk.ignore.attributes import ATTRIBUTES_NAME, NO_ATTRIBUTES, Attributes
from regend.disk.ignore.builtin import STATE_MARK
from regend.disk.ignore.rule_list import RuleList
from regend.disk.ignore.tracked import TrackedFiles
from regend.disk.inputs import Inputs
from regend.disk.repository import REPOSITORY_CONFIG_NAME

RULE_FILE_NAMES = frozenset((".gitignore", ".regenignore", ATTRIBUTES_NAME, ".git", STATE_MARK))
SHAPE_NAMES = frozenset(("HEAD", "commondir", "config", "objects", "refs"))
"""A directory becomes or ceases to be a git directory by these."""
MARKS = RULE_FILE_NAMES | SHAPE_NAMES | {REPOSITORY_CONFIG_NAME}


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about a path, and its reason.

    Attributes:
        source: the file of the deciding rule (relative to the root where it lies within), a name for a built-in
            rule, or empty where no rule matches. A rule that begins with ``!`` decides, too.
        line: the rule's line in it, from 1; 0 where there is no rule.
        pattern: the rule as written.
        unsure: why a rule file that may exclude the path is not known, or empty. Its index entries may stay.
        tracked: the rule would exclude the file, or the directory, but git tracks it, or files in it.
    """

    ignored: bool
    source: str = ""
    line: int = 0
    pattern: str = ""
    unsure: str = ""
    tracked: bool = False


NOT_IGNORED = Decision(False)


@dataclass(slots=True)
class Frame:
    """One directory: the decision on it, and the lists that hold for what is in it, strongest first.

    Attributes:
        marks: which names that mean something to the rules were in it.
        tracked: what git tracks in the repository that it belongs to.
        shut: git's rules exclude it, and so all in it that git does not track.
        inputs: what a decision on its content depends on beyond the tree.
        attributes: what is declared of the files in it.
    """

    decision: Decision
    git: tuple[RuleList, ...] = ()
    own: tuple[RuleList, ...] = ()
    marks: frozenset[str] = frozenset()
    tracked: TrackedFiles | None = None
    shut: Decision | None = None
    inputs: Inputs | None = None
    attributes: Attributes = NO_ATTRIBUTES
    children: set[str] = field(default_factory=set)


def compile_patterns(skip: int, patterns: tuple[str, ...], source: str) -> tuple[RuleList, ...]:
    """Return the list of these patterns, or none where there is no rule among them."""
    rules = RuleList("\n".join(patterns).encode(), source, skip=skip)
    return (rules,) if rules.rules else ()


def first_match(lists: Iterable[RuleList], path: str, name: str, is_dir: bool) -> Decision | None:
    """Return what the first list with a rule for the path says; see `RuleList.match`."""
    for rules in lists:
        rule = rules.match(path, name, is_dir)
        if rule is not None:
            return Decision(not rule.negated, rules.source, rule.line, rule.text)
    return None


def marks_in(directory: str) -> frozenset[str]:
    """Return which of `MARKS` lie in a directory: one listing is cheaper than a question for each."""
    try:
        return MARKS.intersection(os.listdir(directory))  # noqa: PTH208  (called for every directory of a walk)
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError:  # A directory that may not be listed may have readable files all the same.
        return frozenset(name for name in MARKS if os.path.lexists(f"{directory}/{name}"))
