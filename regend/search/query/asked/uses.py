"""Questions about the uses of a name: ``who calls next_delay``, `where is RetryPolicy used`. Pure.

A name alone asks for its definition, and so do most questions that have one. A question counts only by how it is asked.
"""

from __future__ import annotations

import re

_KIND = "class|constant|field|function|interface|macro|method|module|struct|trait|type|variable"
_NAME = rf"(?:the\s+)?(?:(?:{_KIND})\s+)?\S+(?:\s+(?:{_KIND}))?"
_ASKING = "a|all|an|any|are|find|give|is|list|me|other|show|the|there|what|where|which"
_IN = r"(?:\s+(?:anywhere|else|elsewhere|from|in|here|within|throughout|now)\b.*)?\W*"
_USED = (
    "accessed|called|consumed|created|imported|instantiated|invoked|needed|raised|referenced|set|thrown|triggered|used"
)
_USE = "access|call|consume|create|import|instantiate|invoke|need|raise|reference|throw|trigger|use"
_USES = r"call(?:ing)?[ -]?sites?|callers?|consumers?|invocations?|references?|usages?|users?|uses"
_WHAT = r"who|what|what else|which\s+\w+(?:\s+\w+)?"
_ASKED = re.compile(
    rf"(?:(?:{_ASKING})\s+)*(?:{_USES})\s+(?:of|to|for)\s+{_NAME}{_IN}"
    rf"|(?:{_WHAT})\s+(?:{_USE})s?\s+{_NAME}{_IN}"
    rf"|(?:where|from where|by whom)(?:\s+else)?\s+(?:is|are|does|do|gets?)\s+{_NAME}\s+(?:(?:being|get)\s+)?"
    rf"(?:{_USED}){_IN}"
    rf"|where(?:\s+else)?\s+(?:do|does|did)\s+(?:we|i|you|they|it|anyone|anything)\s+(?:{_USE})\s+{_NAME}{_IN}"
    rf"|(?:(?:{_ASKING})\s+)*\S+\s+(?:{_USES})\W*"
)


def asks_for_uses(text: str) -> bool:
    """Return whether a question with a name asks for the uses of it: ``callers of next_delay``, `next_delay usages`."""
    return _ASKED.fullmatch(" ".join(text.lower().split())) is not None
