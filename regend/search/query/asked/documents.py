"""Questions that documents answer: how people install, build, run, test and release a project, and its terms. Pure.

No single word of them is rare, and code has all of them more often. So a question counts only if it says nothing else.
"""

from __future__ import annotations

import re

from regend.search.query.words import listed, stem


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, listed(text)))


_PEOPLE_DO = re.compile(
    r"\bhow\s+(?:to\b|(?:do|can|could|should|would|must|may)\s+(?:i|we|you|one|people|users|developers|contributors|"
    r"someone|somebody)\b)|\b(?:commands?|steps|instructions)\s+(?:to|for)\b"
)
"""`how does the runner start` is about code."""
_FILLERS = listed(
    """a an and any are as at be by can command commands could do does for from get getting have here how i in
    into is it its make making may me must my need of on one our own people should show some somebody someone steps
    the there these this to under up use used users using want we what where which with would you your"""
)
_ASIDE = _FILLERS | listed(
    """about am but else ever i'd i'm if it's its just like look looks me most or out so than that that's they thing
    things tell them too what's when where's who whole whom whose why will"""
)
_DOING = _stems(
    """bootstrap build compile contribute debug deploy develop download execute host install launch lint package publish
    release report run serve setup start started submit test uninstall upgrade usage"""
)
_OF_A_PRODUCT = _stems("contribute download install uninstall upgrade")
"""With these one more word may name the product."""
_ABOUT = _stems(
    """app application benchmark binary bug changes checkout cli client clone code container contributor daemon
    dependencies dev development distribution docker documentation docs e2e editor env environment example feature
    first fork homebrew image integration issue latest library linux local locally mac machine macos new npm osx own
    patch pip platform production program project pull quick repo repository request scratch security server service
    single site source suite system time tool unit version vscode vulnerability website windows work"""
)
_DOCUMENTS = _stems(
    "changelog contributing copyright faq guidelines handbook licence license prerequisites quickstart readme roadmap"
)
_DOCUMENTS_OF = _stems("guide instructions manual notes process requirements setup tutorial walkthrough")
_OF_PEOPLE = _stems("build compile contribute deploy develop development install publish release uninstall upgrade")
"""With one of these, those of `_DOCUMENTS_OF` are documents; `start process` is code."""
_STARTED = re.compile(
    r"\b(?:getting|get) started\b|\bquick[ -]?start\b|\blocal(?:ly)? develop|\bdevelop\w* environment\b"
)
_AT_HOME = re.compile(r"\blocally\b|\bfrom (?:source|scratch)\b|\b(?:on|for) (?:windows|linux|mac\s?os|my machine)\b")
_ASKED_FOR = re.compile(
    r"(?:(?:where|is|are|there|show|me|find|read|see|the|any|some|an?|user|official)\s+)*"
    r"(?:docs?|documentation|guides?|tutorials?|manual|readme)\s+(?:(?:page|section|chapter)s?\s+)?"
    r"(?:about|for|on|of|to|describing|explaining|covering|how)\b.*"
    r"|(?:where|how|what|which|is|are|does|do)\b.*(?:\bdocumented\W*|\bin the (?:docs|documentation|readme|manual)\W*"
    r"|\b(?:do|does) the (?:docs|documentation|readme|manual) (?:say|mention|explain|describe|cover)\b.*)"
)
"""`update the docs of it` is what a commit does, and mostly to code."""
_MOST_WORDS = 16
_WORD = re.compile(r"[^\W_]+(?:'\w+)?")


def content_of(text: str) -> frozenset[str]:
    """Return the stems of the words that say what a question is about."""
    return frozenset(stem(word) for word in _WORD.findall(text.lower()) if word not in _ASIDE)


def asks_for_documents(text: str) -> bool:
    """Return whether documents answer the question: ``how do I run the tests``, ``installation instructions``."""
    lowered = re.sub(r"\bset(ting)?[ -]up\b", "setup", text.lower())
    if _ASKED_FOR.fullmatch(lowered.strip()):
        return True
    words = _WORD.findall(lowered)
    content = {stem(word) for word in words if word not in _FILLERS}
    if not words or len(words) > _MOST_WORDS:
        return False
    unknown = content - _DOING - _ABOUT - _DOCUMENTS - _DOCUMENTS_OF
    if _PEOPLE_DO.search(lowered) and (content & _DOING or "use" in words):
        return not unknown or (len(unknown) == 1 and bool(content & _OF_A_PRODUCT))
    named = content & _DOCUMENTS or (content & _DOCUMENTS_OF and content & _OF_PEOPLE) or _STARTED.search(lowered)
    named = named or (content & _DOING and _AT_HOME.search(lowered))
    return bool(named) and not unknown
