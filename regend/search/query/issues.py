"""An issue or a message as a query: what its form says, and politeness, is left out, and what it tells stays. Pure.

Headings, hints, checkboxes and the versions of everything are often most of an issue. They have words that all code
has, and stand before the report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from regend.chunking.tokens import STOP_WORDS
from regend.search.query.frames import without_frame

MAX_ISSUE_CHARS = 20_000
"""Maximum characters of a text that are looked at."""


def _listed(text: str) -> frozenset[str]:
    return frozenset(text.split())


_COMMENT = re.compile(
    r"^[ \t]*<!--.*?(?:-->|\Z)"
    r"|^\[//\]: ?#.*?$|<summary>.{0,300}?</summary>|</?(?:b|br|code|details|kbd|p|pre|sub)\b[^>\n]*>"
    r"|^\[\s[^\[\]]{0,300}(?:\[[^\[\]]{0,99}\][^\[\]]{0,300}){0,3}\s\]\s*$|(?<=\])\(https?://(?![^)\s]*/blob/)[^)\s]*\)",
    re.DOTALL | re.MULTILINE,
)
"""Comments, tags, hints in brackets and the addresses of links."""
_HEADING = re.compile(
    r"""\s{0,3}(?:\#{1,6}\s+(?P<marked>.+?)\s*\#*|(?P<mark>\*\*|__)(?P<bold>[^*_]+?)\s*(?P=mark)\s*:?
    |(?P<plain>Environment|Versions?|System\ info|(?:Steps\ to\ )?Reproduc\w+|(?:Expected|Actual)(?:\ \w+)?|Summary
    |Description|Additional\ \w+):)\s*\Z""",
    re.VERBOSE,
)
_FENCE = re.compile(r"\s*(?:```|~~~)")
_OF_FORM = _listed(
    """actual additional alternative alternatives applicable behavior behaviour bug case checklist clear code
    concise context current describe description detail details duplicate duplicates enhancement example examples
    existing expect expectation expected expecting explain feature happen happened happening happens idea ideas
    impact implementation information issue issues link links log logs message minimal motivation observed output
    possible problem propose proposal proposed question related relevant repro reproduce reproducible reproducing
    reproduction request report result results sample snippet solution stack step steps submit suggest suggested
    suggestion summary symptoms title trace traceback use used workaround workarounds wrong"""
)
"""Words of headings that a form has, and not the reporter."""
_ASIDE = _listed(
    """architecture browser browsers checklist conduct confirmation contact contribute contribution dependencies
    desktop device devices environment environments freeze info installed kernel manager operating os package
    packages participate participation platform platforms prerequisite prerequisites runtime screenshot screenshots
    searched severity smartphone submitting system systems terms validation validations version versions willing"""
)
"""The section is about the reporter's machine, or about the form."""
_OF_CODE = re.compile(r"\s*(?:#\s|\[)|[ \t]+\S")
_HEADINGS = 2
"""A text with so many headings of any kind is an issue."""
_BOX = re.compile(r"\s*(?:[-*+]\s+)?\[[ xX]?\](?=\s)")
_NOTHING = re.compile(
    r"\s*(?:\[\s.*\s\]|_?(?:[-*+] )?(?:no response|n/?a|none|yes|no)_?\.?|[-*_=>.]*|[-*+]?\s*!?\[[^\]]*\]\(\S*\))\s*\Z",
    re.IGNORECASE,
)
"""An empty answer, a hint in brackets, a picture, a link."""
_FACT = re.compile(
    r"""\s*(?:[-*+]\s+|\|\s*)?[*_`]*(?:[\w.]+\ ){0,3}(?:arch(?:itecture)?|browser|build|cpu|commit|date|device|docker|
    go|java|kernel|language|memory|node(?:js|\.js)?|npm|os|platform|python|ruby|runtime|rust|shell|system|terminal|toolchain|
    versions?|yarn)[*_`]*(?:\ \([^)]*\))?\s*[:=|].{0,80}\Z""",
    re.IGNORECASE | re.VERBOSE,
)
"""A fact about a machine: ``- OS: Ubuntu``."""
_HINT = re.compile(
    r"""[-*+>\d.\s]*(?:
    an?\ clear\ and\ concise\b
    | if\ (?:applicable|possible|relevant)\b
    | is\ (?:your|the)\ (?:feature|proposal|bug|question)\b
    | i'm\ always\ frustrated
    | steps\ to\ reproduce\b
    | make\ sure\ (?:that\ )?you
    | what\ (?:you\ expected|actually\ happened)\b
    | (?:go\ to|click\ on|scroll\ down\ to)\ ['"`.]
    | see\ error\W*\Z
    | (?:what|which)\ (?:did|do|version|were|would)\b.*\byou\b
    | please\ (?:be\ sure|briefly|check|complete|describe|ensure|explain|fill|follow|keep\ in\ mind|make\ sure|note|read
        |report|review|search|see|specify|state|tell|try)\b
    | (?:in\ that\ case\ |for\ \w+(?:\ \w+)?,\ )?(?:please\ )?
        (?:(?:add|give|list|write)\ (?:additional|any|as|here|links?|more|other|relevant|screenshots?|us)
        |attach|describe|include|mention|paste|provide|share|specify|upload)\b[^.]{0,60}?
        \b(?:context|descriptions?|details?|examples?|here|information|logs?|motivation|outputs?|repro\w*|screenshots?
        |snippets?|steps|versions?|you)\b
    | (?:i|we)\ (?:have|agree|confirm|understand|am|would)\b[^.]*
        \b(?:docs|documentation|code\ of\ conduct|duplicates?|existing|faq|guide(?:lines)?|issues?|latest|pull\ request
        |template|terms|willing)\b
    | (?:ex|e\.g)\W*\Z
    | thank(?:s|\ you)\b)""",
    re.IGNORECASE | re.VERBOSE,
)
"""Beginnings of sentences by which forms ask, and of those that they are answered with."""
_WORD = re.compile(r"[^\W_]+")
_SENTENCE = re.compile(r"(?<=[^\d\s][.!?])\s+(?=[A-Z(\[])")


def told_in(text: str) -> str:
    """Return what an issue or a message tells; a text that has nothing of both, or nothing else, as it is."""
    told = _without_form(text[:MAX_ISSUE_CHARS]) if "\n" in text else text
    return without_frame(told) or text


def _without_form(text: str) -> str:
    """Leave out what the form of an issue has, where a text has the marks of one."""
    lines = _COMMENT.sub("", text).split("\n")
    # A comment of code looks like a heading of one sign, but for the blank line, and an index like a box.
    followed = zip(lines, [*lines[1:], "."], strict=True)
    marked = [one for one, after in followed if not _OF_CODE.match(one) or (one.startswith("# ") and not after.strip())]
    headings = sum(map(bool, map(_HEADING.match, marked)))
    is_form = headings >= _HEADINGS or text.lstrip().startswith("<!--")
    is_form = is_form or any(_BOX.match(line) or _heading_of(line) for line in marked)
    return "\n".join(_told(lines)).strip() if is_form else text


def _told(lines: list[str]) -> Iterator[str]:
    """Yield the lines that are none of the form's."""
    aside = in_box = fenced = hinted = False
    for line in lines:
        if _FENCE.match(line):
            fenced = not fenced
        elif fenced:
            if not aside:
                yield line
        elif _HEADING.match(line):
            heading = _heading_of(line)
            aside, in_box, hinted = not heading.isdisjoint(_ASIDE), False, False
            if not heading:
                yield line
        elif _BOX.match(line):
            in_box = True
        elif not (in_box := in_box and line[:1].isspace()) and not aside:
            # A sentence may go on in the next line.
            sentences = [] if _NOTHING.match(line) or _FACT.match(line) else _SENTENCE.split(line)
            hints = [bool(_HINT.match(one)) or (hinted and not number) for number, one in enumerate(sentences)]
            if told := [one for one, is_hint in zip(sentences, hints, strict=True) if not is_hint]:
                yield " ".join(told)
            hinted = bool(hints) and hints[-1] and line.rstrip()[-1:] not in ".!?:"


def _heading_of(line: str) -> frozenset[str]:
    """Return the words of a form's heading; no words of other lines. Half of what it says is what forms say."""
    found = _HEADING.match(line)
    if found is None:
        return frozenset()
    said = frozenset(_WORD.findall((found["marked"] or found["bold"] or found["plain"]).lower())) - STOP_WORDS
    return said if 2 * len(said & (_OF_FORM | _ASIDE)) >= len(said) else frozenset()
