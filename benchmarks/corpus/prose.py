"""The prose that people write about code, cleaned: references to issues, trailers and markup are taken out."""

from __future__ import annotations

import re

_REFERENCE = re.compile(
    r"\s*[(\[]\s*(?:(?:fix(?:e[sd])?|close[sd]?|resolve[sd]?|refs?|see|issues?|pr|pull request|bug|gh|re)\b[:\s]*)?"
    r"(?:[\w.-]+/[\w.-]+)?(?:#|GH-|!)\d+(?:\s*,?\s*(?:and\s+|&\s+)?(?:[\w.-]+/[\w.-]+)?(?:#|GH-|!)\d+)*\s*[)\]]"
    r"|[\s,;.:–-]*\b(?:fix(?:e[sd]|ing)?|close[sd]?|closing|resolve[sd]?|refs?|references|see|addresses|re|for|from|"
    r"(?:introduced |added |broken )?(?:in|by|since)|implements|related to|part of|issues?|pr|pull request|bug|ticket)"
    r"\b[:\s]*(?:(?:issues?|bug|ticket|pr|pull request)\b[:\s]*)?(?:[\w.-]+/[\w.-]+)?(?:#|GH-)\d+"
    r"(?:\s*(?:,|and|&)\s*(?:[\w.-]+/[\w.-]+)?(?:#|GH-)\d+)*"
    r"|\s*(?:[\w.-]+/[\w.-]+)?(?<![\w&])(?:#|GH-)\d+\b:?"
    r"|\s*[(\[]?\b(?:fix(?:e[sd])?|close[sd]?|see)?:?\s*https?://\S+",
    re.IGNORECASE,
)
_TRAILER = re.compile(
    r"^(?:[A-Z][\w-]*-(?:by|to|id|url|for|revid|from|on|type|version|with):|git-svn-id|cc:|co-?authored|signed-off|"
    r"piperorigin|change-id|ticket:?|(?:fix(?:e[sd])?|close[sd]?|resolve[sd]?|refs?|see|issue|bug|pr)\b[:\s]*(?:#|http|"
    r"GH-|\w+/\w+#)|\(?cherry[ -]picked|conflicts:|\(imported from|darcs-hash|---|reviewed|approved)",
    re.IGNORECASE,
)
_NO_PROSE = re.compile(r"^(?:\s{2,}|\t|[-*+•>|#=`~$%@]|\d+[.)]\s|```|\w+:$|<)")
_SENTENCE = re.compile(r"[.!?](?=[\"')\]]*\s+[A-Z`\"'(])")
_MARKUP = re.compile(r"``([^`]*)``|`([^`]*)`|\*\*([^*]+)\*\*|!?\[([^\]]*)\]\([^)]*\)")
_STOP = (
    "the and for with from into that this when are was were has have had not but all any its can may now more some "
    "use used uses using add added adds adding fix fixed fixes fixing remove removed removes update updated updates "
    "make makes made change changed changes improve improved minor small few also code file files bug issue new old "
    "feat chore refactor perf build"
)
_STOP_WORDS = frozenset(_STOP.split())
_WORD = re.compile(r"[^\W\d_]{2,}[\w.]*")


def without_references(text: str) -> str:
    """Take out numbers of issues and pull requests, and addresses."""
    text = _REFERENCE.sub("", text)
    text = re.sub(r"\s+(?=[.,;:!?](?:\s|$))", "", re.sub(r"\s+", " ", text).strip())
    return re.sub(r"\(\s*\)|\[\s*\]", "", text).strip(" -–,;:")


def without_markup(text: str) -> str:
    """Take out the signs of Markdown and the targets of links, and keep the words."""
    return _MARKUP.sub(lambda match: next(filter(None, match.groups()), ""), text).strip()


def content_words(text: str) -> list[str]:
    """Return the distinct words that say something, in lower case."""
    words = dict.fromkeys(word.lower() for word in _WORD.findall(text))
    return [word for word in words if word not in _STOP_WORDS]


def opening_sentences(body: str, max_chars: int = 240) -> str:
    """Return the first sentence or two of a message's first paragraph of prose, or ""."""
    for paragraph in re.split(r"\n\s*\n", body):
        lines = paragraph.splitlines()
        kept = []
        for line in lines:
            if _TRAILER.match(line.strip()) or _NO_PROSE.match(line):
                break
            kept.append(line.strip())
        text = without_references(without_markup(" ".join(kept)))
        if len(content_words(text)) < 4:
            continue
        ends = [match.end() for match in _SENTENCE.finditer(text)] + [len(text)]
        first = text[: ends[0]]
        both = text[: ends[1]] if len(ends) > 1 else first
        chosen = both if len(first) < 60 and len(both) <= max_chars else first
        if len(chosen) <= max_chars and not chosen.endswith(":"):
            return chosen
    return ""


def normalised(text: str) -> str:
    """Reduce a question to its words, to find duplicates."""
    return " ".join(re.findall(r"\w+", text.lower()))


def words_of(identifier: str) -> list[str]:
    """Split an identifier at its underscores, hyphens and humps; numbers stay with the word before."""
    parts = re.split(r"[\W_]+", identifier)
    humps = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*|\d+|[^\W\d_]+")
    return [
        word.lower() if not word.isupper() or len(word) == 1 else word for part in parts for word in humps.findall(part)
    ]
