"""Routes: where code declares how a request is handled, found by the shape of its path."""

from __future__ import annotations

import re
from functools import partial

from regend.chunking.tokens import whole_tokens
from regend.search.legs.legs import NO_DEFINITIONS, Definitions
from regend.search.legs.reading import read_definitions
from regend.search.legs.scope import Scope
from regend.search.query.asked.routes import Route
from regend.store.base import ChunkConditions, Snapshot

_BESIDE = ("route", "router", "path", "app", "handler", "get", "mapping", "url")


def find_routes(snapshot: Snapshot, scope: Scope, route: Route, conditions: ChunkConditions) -> Definitions:
    """Return the definitions in scope that declare a route which the request takes.

    Args:
        conditions: that each chunk must meet.
    """
    beside = (*(token for part in route.parts for token in whole_tokens(part)), *_BESIDE)
    for word, shape in route.shapes():
        read = partial(read_definitions, snapshot, scope, whole_tokens(word), beside, conditions)
        found = read(partial(_lines, shape, ""))
        if found.views:
            own = read(partial(_lines, shape, route.method)) if route.method else found
            return own if own.views else found
    return NO_DEFINITIONS


def _lines(shape: re.Pattern[str], method: str, text: str, _language: str) -> list[int]:
    """Return the lines of a text, from 0, with such a path, and with the method in or around them."""
    found = {text.count("\n", 0, match.start()) for match in shape.finditer(text)}
    if not method or not found:
        return sorted(found)
    named = re.compile(rf"(?<![A-Za-z]){method}|(?i:\b{method})(?![a-z])|(?<=[a-z]){method.title()}(?![a-z])")
    lines = text.split("\n")
    return sorted(line for line in found if named.search("\n".join(lines[max(0, line - 1) : line + 2])))
