"""Look-ups beside the search: definitions by name, a file's outline."""

from __future__ import annotations

import re

from regend.chunking.tokens import normalised
from regend.limits import SNIPPET_LINES
from regend.search.errors import QueryError
from regend.search.legs.legs import name_grade
from regend.search.legs.locate import Place, chunks_at
from regend.search.legs.scope import Scope, find_file
from regend.search.query.words import file_role
from regend.search.results.outcome import Definition, Outline, SearchOutcome, SearchResult
from regend.store.base import ChunkView, Entry, Snapshot, SymbolView

MAX_OF_A_KIND = 2_000
"""Maximum definitions of which those of a kind are taken: more than one name has in a large repository."""
MAX_OF_A_NAME = 500
"""Minimum definitions of which the best are taken: the index orders them only by how well the name fits."""
SIGNS = (".", "#", "$", "@", "%", "--", "::", ":", "`", "s:", "g:", "r#")
"""Signs that begin names and need not be typed: of variables, private members, selectors, keywords, raw identifiers."""
_SIGN_LEFT_OUT = 0.1
"""The score that a name loses where its sign was not typed: it comes between exact ones and those in another case."""
_OPENED_AGAIN = 0.05
"""The score that a namespace loses: many files open the same one, and hide the class that has its name."""
_SEPARATOR = re.compile(r"::|->|[.#:]")


def symbols(snapshot: Snapshot, name: str, k: int, scope: Scope, kinds: frozenset[str] = frozenset()) -> SearchOutcome:
    """Return definitions by name: exact, then without its sign, then equal but for case, then by prefix.

    In each, namespaces and tests come last.

    Args:
        kinds: only these kinds; empty for any.

    Raises:
        QueryError: the name is empty.
    """
    plain, signed = _spellings(name)
    if not plain:
        raise QueryError("The symbol name is empty; give a name such as `parse` or `Parser.parse`.")
    best: dict[SymbolView, tuple[float, str, str, SymbolView, Entry]] = {}
    limit = max(k, MAX_OF_A_KIND if kinds else MAX_OF_A_NAME)
    within = scope.holds if scope.limited else None
    for spellings, loss in ((plain, 0.0), (signed, _SIGN_LEFT_OUT)):
        if sum(score == 1.0 for score, *_ in best.values()) >= k:
            break
        for spelling in spellings:
            for view in snapshot.symbols(spelling, limit, prefix=spellings is plain, within=within):
                entry = scope.entry(view.entry_id)
                if entry is not None and (not kinds or view.kind in kinds):
                    score = name_grade(view, spelling) - loss - (_OPENED_AGAIN if view.kind == "module" else 0.0)
                    score -= 0.1 if file_role(entry.path, entry.marks) != "source" else 0.0
                    if view not in best or best[view][0] < score:
                        best[view] = (score, scope.shown_root(snapshot, entry), entry.path, view, entry)
    found = list(best.values())
    found.sort(key=lambda row: (-row[0], row[1], row[2], row[3].start_line))
    found = found[:k]
    chunks = chunks_at(snapshot, [Place(view.entry_id, view.start_line) for *_, view, _ in found])
    results = tuple(
        SearchResult(
            root=root,
            path=path,
            start_line=view.start_line,
            end_line=view.end_line,
            score=score,
            language=entry.language,
            symbol=view.path or view.name,
            kind=view.kind,
            snippet=_definition_lines(chunks.get(Place(view.entry_id, view.start_line)), view),
            snippet_line=view.start_line,
        )
        for score, root, path, view, entry in found
    )
    return SearchOutcome(results, snapshot.generation, snapshot.complete)


def _spellings(name: str) -> tuple[list[str], list[str]]:
    """Return how the symbol table may spell a name: as it is typed, and with a sign before its last part.

    The table has dots where a user types ``ns::Type#call()``, but signs belong to some names: ``str->int``,
    ``insertObject:atIndex:``. So the name counts with dots and without.
    """
    typed = normalised(name).strip()
    called = typed.removesuffix("()")
    dotted = ".".join(part for part in _SEPARATOR.split(called) if part)
    outer, dot, last = dotted.rpartition(".")
    plain = [spelling for spelling in dict.fromkeys((dotted, called, typed)) if spelling]
    signed = [f"{outer}{dot}{sign}{last}" for sign in SIGNS if last]
    return plain, [spelling for spelling in signed if spelling not in plain]


def _definition_lines(chunk: ChunkView | None, view: SymbolView) -> str:
    if chunk is None:
        return ""
    first = max(0, view.start_line - chunk.start_line)
    count = min(SNIPPET_LINES, view.end_line - view.start_line + 1)
    return "\n".join(chunk.text.split("\n")[first : first + count])


def outline(snapshot: Snapshot, root: str, path: str) -> Outline:
    """Return a file's definitions in order of lines.

    Raises:
        RootError, PathError: no such indexed file.
    """
    record, entry = find_file(snapshot, root, path)
    definitions = tuple(
        Definition(view.name, view.path or view.name, view.kind, view.start_line, view.end_line)
        for view in snapshot.outline(entry)
    )
    return Outline(record.path, entry.path, entry.language, definitions, snapshot.generation)
