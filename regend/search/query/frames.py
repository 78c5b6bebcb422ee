"""Frames: what people put around a question that says nothing of it, as in a chat. Pure.

A clause at either end counts as one if it has no other word than greetings, thanks and words that ask, and something
else is left: ``Thanks, that worked. Now another question:``. So does a beginning that speaks of the asker, up to the
words of the question: ``I'm trying to understand``. Question words themselves stay, because they say what is asked.
"""

from __future__ import annotations

import re

from regend.search.query.words import listed

_POLITE = listed(
    """a advance afternoon again all any best cheers day dear evening everybody everyone folks for good great
    greetings guys hello help hey hi in kind lot many morning much ok okay please regards so sorry team thank thanks
    the there this very work yes you your"""
)
_ASKING = listed(
    """able about am another answer anybody anyone are ask asking assist at be been bother can code codebase could
    curious did do does explain find first following from get give glad go guess had has have having here how i idea
    ideas if information into is it just know let like little locate look looking m maybe me might mind moment more
    my need new newcomer next now of on one or our point pointer pointers possible project question questions quick
    quickly repo repository right s search see show some somebody someone something stuck sure tell that these thing
    think those to try trying understand up us want was we well what where which who with wonder wondering worked
    would"""
)
_FRAME = _POLITE | _ASKING
_LABELS = listed("hello hey hi ok okay please question so sorry thanks")
"""Words that count before a colon or a comma though they stand alone; others are scopes and keys: ``kind: Service``."""
_THANKFUL = listed("cheers please thank thanks you")
_BORDER = re.compile(
    r"(?:(?<=[^\d\s]\.)|(?<=[!?]))\s{1,4}(?=[A-Za-z`(\[])|(?<=\w):\s{1,4}|\s{1,4}[-\u2013\u2014]\s{1,4}|(?<=\w),\s{1,4}"
)
_BEGINNING = re.compile(
    r"""(?:(?:please|kindly|also|now|then|so|and)\s+)*
    (?:(?:can|could|would|will)\s+(?:you|(?:some|any)(?:one|body))\s+(?:please\s+|kindly\s+)?)?
    (?:i(?:['\u2019]?m|\s+am|\s+was|['\u2019]d|\s+would|\s+want|\s+need|\s+have|['\u2019]ve)?\s+)?
    (?:(?:like|been|also|just|currently|still|a|quick|question)\s+)*
    (?:(?:help|tell|show|give|find|get|let|teach)\s+(?:me|us)
      |trying\s+to|try\s+to|want(?:ed)?\s+to|to|looking|wondering|curious|asking|about|interested
      |(?:search|look)\s+(?:through\s+|in\s+)?(?:the|this|my|our)\s+(?:code\s?base|code|repo|repository|project|sources?)
      |find\s+(?:the\s+)?code)
    (?:\s+(?:about|for|find|figure|out|understand(?:ing)?|know|see|learn|locate|to|in|that|if|please|into|with|on|at|up))*
    [\s:,]+(?=\S)""",
    re.IGNORECASE | re.VERBOSE,
)
_PERSON = re.compile(r"\b(?:i|me|us|you|(?:some|any)(?:one|body)|codebase|code|repo|repository)\b", re.IGNORECASE)
_THANKS = re.compile(
    r"(?<=[\w?!.,;:)'\"`])\s{1,4}(?:thanks|thank\s{1,4}you|thx|cheers)(?:\s{1,4}(?:in\s{1,4}advance|a\s{1,4}lot|so\s{1,4}much|very\s{1,4}much))?[!.]+\Z",
    re.IGNORECASE,
)
_WORD = re.compile(r"[^\W_]+")
_MANY = 2
_MAX_CHARS = 2_000
"""Longer texts are pasted, and have no frame."""


def without_frame(text: str) -> str:
    """Return the text without its frame; a text that is nothing else, as it is."""
    if len(text) > _MAX_CHARS:
        return text
    text = _THANKS.sub("", text)
    clauses, borders = _BORDER.split(text), _BORDER.findall(text)
    first, last = 0, len(clauses)
    while first < last - 1 and _opens(clauses[first], borders[first]):
        if borders[first].strip() == "," and len(_words("".join(clauses[first + 1 :]))) < _MANY:
            break  # `Hello, world` is a text.
        first += 1
    while last > first + 1 and _closes(clauses[last - 1], borders[last - 2]):
        last -= 1
    if (first, last) != (0, len(clauses)):
        text = "".join(clauses[at] + (borders[at] if at < last - 1 else "") for at in range(first, last))
    while (begun := _BEGINNING.match(text)) is not None:
        rest = text[begun.end() :]
        if not _PERSON.search(begun[0]) or _FRAME.issuperset(_words(rest)):
            break
        text = rest
    return text


def _opens(clause: str, border: str) -> bool:
    """Return whether a clause at the beginning says nothing.

    Args:
        border: between it and the next one.
    """
    words = _words(clause)
    if not words or not _FRAME.issuperset(words):
        return False
    if len(words) == 1:
        return words[0] in _LABELS
    return border.strip() != "," or _POLITE.issuperset(words)


def _closes(clause: str, border: str) -> bool:
    """Return whether a clause at the end says nothing: thanks, or a question without a subject.

    Args:
        border: between the one before and it.
    """
    words = _words(clause)
    if border.strip():
        return bool(words) and _THANKFUL.issuperset(words)
    return bool(words) and (_FRAME if clause.rstrip().endswith("?") else _POLITE).issuperset(words)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
