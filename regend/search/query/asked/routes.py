"""Questions for the handler of a request: ``GET /items/42``, `https://example.com/items/42?full=1`. Pure.

Code has a name where a request has a number, and documents and tests are full of the same words.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from regend.search.query.parse import Query

_METHODS = r"GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS"
_ASKING = (
    r"(?:(?:\d{3}|a|calls?|does|endpoint|errors?|fails|for|from|handle[rs]?|handles|handling|in|is|of|on|request"
    r"|returns?|route|serves?|the|to|what|where|which|with|who)\s+)*+"
)
_ASKED = r"(?:\s+(?i:\d+|endpoint|handlers?|is|handled|routes?|returns|implemented|defined))*"
_ROUTE = re.compile(
    rf"[\"'`]?(?i:{_ASKING})[\"'`]?(?:(?P<method>{_METHODS})\s+)?(?:\w+://[^\s/]+)?"
    rf"(?P<path>(?:/[^\s/?#\"'`]+)+)/?(?:[?#][^\s\"'`]*)?[\"'`]?(?:\s+HTTP/\d(?:\.\d)?[\"'`]?)?{_ASKED}\W*"
)
_VARIABLE = re.compile(
    r"\d+|[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|(?=\w*\d)(?:[0-9a-fA-F]{8,}|\w{16,})"
    r"|\{.*\}|:.+|<.*>|\[.*\]|\*+|\$.+"
)
_HELD = (
    r"(?:\{[^{}/\"'`]*\}|:\w+(?:\([^()/]*\))?\??|<[^<>/\"'`]*>|\[[^\[\]/\"'`]*\]|\$\w+|[$#]\{[^{}/]*\}|\*{1,2}"
    r"|\((?:[^()/]|\([^()]*\))*\)\??|%[sd])"
)
"""A variable part of a path as routers of all kinds write it."""
_SEGMENT = re.compile(r"[\w.~%@!+-]+")
_MOST_SEGMENTS = 12
_MOST_SHAPES = 6


class Route(NamedTuple):
    """A request that a question asks about.

    Attributes:
        method: in capitals, or empty.
        parts: of the path; empty where it is variable.
    """

    method: str
    parts: tuple[str, ...]

    def shapes(self) -> list[tuple[str, re.Pattern[str]]]:
        """Return a word of the path, and what finds it in code, first the likeliest: a router may have a prefix."""
        shapes = []
        for loose in (False, True):
            for start, first in enumerate(self.parts):
                if not first:
                    break
                rest = [_HELD if not part else f"(?:{re.escape(part)}|{_HELD})" if loose else re.escape(part)
                        for part in self.parts[start + 1 :]]  # fmt: skip
                if loose and not any(self.parts[start + 1 :]):
                    continue
                path = "/".join((re.escape(first), *rest))
                shapes.append(
                    (first, re.compile(rf"(?<![\w.-]){path}/?(?=[\"'`\s,;)?#$\\]|:(?:\s|$)|$)", re.MULTILINE))
                )
        return shapes[:_MOST_SHAPES]


def asked_route(query: Query) -> Route | None:
    """Return the request whose handler is all that a query asks for, or None."""
    found = None if query.places or query.phrases else _ROUTE.fullmatch(query.text.strip())
    if found is None:
        return None
    parts = found["path"].split("/")[1:]
    fixed = tuple("" if _VARIABLE.fullmatch(part) else part for part in parts)
    is_request = found["method"] or not all(fixed)  # Other addresses are those of web pages.
    readable = len(parts) <= _MOST_SEGMENTS and all(not part or _SEGMENT.fullmatch(part) for part in fixed)
    return Route(found["method"] or "", fixed) if is_request and readable and fixed[0] else None
