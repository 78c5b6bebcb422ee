"""Questions that the subtypes of one type answer: ``subclasses of RetryPolicy``, `who implements Parser`. Pure.

A file that declares such a type names the other one once, and many files use that name more. So a question counts only
if it says nothing else.
"""

from __future__ import annotations

import re

from regend.search.query.parse import Query

_MOST_CHARS = 200
_ASKING = (
    r"(?:(?:a|all|an|any|are|find|get|give|in|is|list|me|of|other|our|see|show|the|there|us|what|where|which|who)\s+)*+"
)
_IMPLEMENTERS = r"impl(?:s|ementations|ement(?:er|or)s?|ementing\s+(?:class(?:es)?|types?))"
_SUBTYPES = (
    r"(?:sub-?(?:class(?:es)?|types?|interfaces?|traits?)|(?:child|derived|extending|inherited|sub)\s+(?:class(?:es)?|types?)"
    rf"|conformers|descend[ae]nts|inheritors|{_IMPLEMENTERS})"
)
_TYPES = (
    r"(?:(?:code|concrete|else|everything|one|other)\s+)?(?:(?:class(?:es)?|components?|enums?|interfaces?|instances"
    r"|mod(?:ule|el)s?|objects?|(?:proto|data)?types?|protocols?|records?|structs?|traits?|actors?|else)\s+)?"
)
_IMPLEMENTS = r"(?:(?:does\s+)?implement(?:s|ed|ing)?(?:\s+by)?)"
_DERIVES = (
    r"(?:(?:(?:is|are)\s+)?(?:extend(?:s|ing)?|subclass(?:es|ing)?|inherit(?:s|ed|ing)?(?:\s+from)?"
    r"|deriv(?:es?|ed|ing)\s+from|(?:conform(?:s|ing)?|adher(?:es?|ing))\s+to|adopt(?:s|ing)?)"
    rf"|{_IMPLEMENTS})"
)
_KIND = (
    r"(?:abstract|base|behaviou?r|class|interface|mixin|parent|protocol|super-?class|trait|type(?:\s?class)?|role"
    r"|signature)"
)
_NAME = rf"(?:(?:the|our|a|an)\s+)?(?:{_KIND}\s+){{0,3}}?(?P<name>[^\s].*?)(?:\s+{_KIND}){{0,2}}"
_FORMS = tuple(
    re.compile(rf"{form}[\s?.!]*", re.IGNORECASE)
    for form in (
        rf"{_ASKING}{_SUBTYPES}\s+(?:of|for)\s+{_NAME}(?:\s+(?:are|exist|here|there|(?:are|is)\s+there|do\s+we\s+have))?",
        rf"{_ASKING}{_TYPES}(?:(?:that|which)\s+)?{_DERIVES}\s+{_NAME}",
        rf"{_ASKING}{_NAME}\s+{_SUBTYPES}",
        rf"where\s+(?:is|are)\s+{_NAME}\s+(?:subclassed|extended|inherited)",
        rf"impl\s+{_NAME}\s+for",
    )
)
_COMMANDED = re.compile(
    r"(?:implement|extend|derive|adopt|inherit|subclass)(?:ing|ed)?\s(?!\s*(?:class|type|of\b))", re.IGNORECASE
)
"""`implement retries` is what a change does."""
_BARE = re.compile(r"(?:extends|implements|inherits|subclasses|adopts|conforms|derives)\s(?!of\b|for\b)", re.IGNORECASE)
_SPELT = re.compile(r"`?[@:&*]?(?P<name>[A-Za-z_$][\w$]*(?:(?:\.|::|\\|/)[A-Za-z_$][\w$]*)*)(?:<[^\s]*>|\[[^\s]*\])?`?")
_SEPARATORS = re.compile(r"::|[\\/]")
_WORDS = re.compile(r"[A-Za-z][A-Za-z0-9]*(?: [A-Za-z][A-Za-z0-9]*){1,3}")
_IN_GENERAL = re.compile(r"it|this|that|them|these|those|something|anything|code|class(?:es)?|types?|interfaces?", re.I)


def asked_supertype(query: Query) -> tuple[str, ...]:
    """Return the type whose subtypes are all that the query asks for, if they are.

    Returns:
        Names of which one is meant, dotted where qualified; one without capitals is meant in any case.
    """
    text = query.text.strip()
    is_other = query.kind not in ("mixed", "language") or query.phrases or query.line
    if is_other or len(text) > _MOST_CHARS or _COMMANDED.match(text):
        return ()
    found = next((match for form in _FORMS if (match := form.fullmatch(text))), None)
    if found is None or _IN_GENERAL.fullmatch(found["name"]):
        return ()
    if spelt := _SPELT.fullmatch(found["name"]):
        name = _SEPARATORS.sub(".", spelt["name"])
        return () if _BARE.match(text) and name not in query.identifiers else (name,)
    if _WORDS.fullmatch(found["name"]) and not _BARE.match(text):
        words = found["name"].lower().split()
        return ("".join(words), "_".join(words))
    return ()
