"""Decisions about paths, and the first of several lists that makes one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from regend.disk.ignore.rule_list import RuleList
from regend.disk.inputs import Inputs


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about a path, and its reason.

    Attributes:
        source: the file of the deciding rule (relative to the root where it lies within), a name for a built-in
            rule, or empty where no rule matches. A rule that begins with ``!`` decides, too.
        line: the rule's line in it, from 1; 0 where there is no rule.
        pattern: the rule as written.
        unsure: why a rule file that may exclude the path is not known, or empty. Its index entries may stay.
    """

    ignored: bool
    source: str = ""
    line: int = 0
    pattern: str = ""
    unsure: str = ""


NOT_IGNORED = Decision(False)


@dataclass(slots=True)
class Frame:
    """One directory: the decision on it, and the lists that hold for what is in it, strongest first.

    Attributes:
        marks: which names that mean something to the rules were in it.
        inputs: what a decision on its content depends on beyond the tree.
    """

    decision: Decision
    git: tuple[RuleList, ...] = ()
    own: tuple[RuleList, ...] = ()
    marks: frozenset[str] = frozenset()
    inputs: Inputs | None = None
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
