"""Look-ups beside the search: definitions by name, chunks like the one at a line, a file's outline."""

from __future__ import annotations

import re
from collections import Counter

from regend.chunking.tokens import lexical_tokens
from regend.errors import PathError
from regend.search.errors import FilterError, QueryError
from regend.search.features import Candidate, query_context
from regend.search.fusion import vector_weight
from regend.search.legs import blended_candidates, name_tier
from regend.search.locate import Place, chunks_at
from regend.search.query import parse_query
from regend.search.ranking import RANKING, RankingTable, rank, shortlist
from regend.search.results import Definition, Outline, SearchOutcome, SearchResult, check_k
from regend.search.scope import Scope, find_file
from regend.search.snippets import SNIPPET_LINES, snippet
from regend.search.words import QUESTION_WORDS, file_role
from regend.store.base import ChunkView, Entry, Snapshot, SymbolView

_RELATED_TERMS = 24
_RELATED_FEATURES = frozenset({"blend", "file_evidence", "same_file_again", "too_short"})
_RELATED = RankingTable.of(tuple(feature for feature in RANKING.features if feature.name in _RELATED_FEATURES))
"""Likeness is to the chunk itself, so features about a typed query do not apply."""
_MAX_SYMBOLS = 8_000


def symbols(snapshot: Snapshot, name: str, k: int, scope: Scope) -> SearchOutcome:
    """Definitions by name: exact first, then equal but for case, then by prefix; within each, tests and the like last.

    Raises:
        QueryError: the name is empty.
        FilterError: `k` is out of range.
    """
    check_k(k)
    wanted = _dotted(name)
    if not wanted:
        raise QueryError("The symbol name is empty; give a name such as `parse` or `Parser.parse`.")
    found: list[tuple[float, str, str, SymbolView, Entry]] = []
    limit = k
    while True:
        views = snapshot.symbols(wanted, limit)
        found = []
        for view in views:
            entry = scope.entry(view.entry_id)
            if entry is not None:
                score = name_tier(view, wanted) - (0.1 if file_role(entry.path) != "source" else 0.0)
                found.append((score, scope.shown_root(snapshot, entry), entry.path, view, entry))
        # Filters are applied here, so ask for more until enough passed or there are no more.
        if len(found) >= k or len(views) < limit or limit >= _MAX_SYMBOLS:
            break
        limit *= 4
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


def _dotted(name: str) -> str:
    """A name as the symbol table spells it: ``ns::Type#call()`` -> ``ns.Type.call``."""
    return ".".join(part for part in re.split(r"::|->|[.#:]", name.strip().removesuffix("()")) if part)


def _definition_lines(chunk: ChunkView | None, view: SymbolView) -> str:
    if chunk is None:
        return ""
    first = max(0, view.start_line - chunk.start_line)
    count = min(SNIPPET_LINES, view.end_line - view.start_line + 1)
    return "\n".join(chunk.text.split("\n")[first : first + count])


def related(
    snapshot: Snapshot, root: str, path: str, line: int, k: int, scope: Scope, model_strength: float
) -> SearchOutcome:
    """Chunks like the one at a line, by its vector and by its most distinctive words; by words alone without a vector.

    Args:
        line: 1-based; a line between chunks belongs to the one before it.

    Raises:
        RootError, PathError: no such indexed file, or it has no chunks.
        FilterError: `k` or `line` is out of range.
    """
    check_k(k)
    if line < 1:
        raise FilterError(f"Line {line} does not exist; lines count from 1.")
    _, origin = find_file(snapshot, root, path)
    place = Place(origin.entry_id, line)
    here = chunks_at(snapshot, [place]).get(place)
    if here is None:
        raise PathError(f"File {path!r} has no chunks to compare with; it is empty or was skipped (`regenctl why`).")
    vector = snapshot.pools[origin.pool].vector(here.doc)
    notes = () if vector is not None else ("This chunk has no vector yet; compared by words only.",)
    terms = distinctive_terms(here.text)
    # A whole chunk is known here, so meaning may weigh as in a question of words.
    weight = 2.0 * vector_weight(model_strength, "language")
    blended = blended_candidates(scope, terms, vector, weight, k + 1)
    blended.pop(here.doc, None)
    context = query_context(parse_query(" ".join(terms) or origin.path))
    candidates = shortlist(blended, scope.entry, context, 2 * k + 10, _RELATED)
    views = {view.doc: view for view in snapshot.chunks([candidate.doc for candidate in candidates])}
    kept: list[Candidate] = []
    for candidate in candidates:
        view = candidate.view = views.get(candidate.doc)
        copy = view is not None and view.chunk == here.chunk and candidate.entry.path == origin.path
        if view is not None and not copy:  # A copy in another worktree's version of the file is the chunk itself.
            kept.append(candidate)
    ranked = rank(kept, lambda entry: scope.shown_root(snapshot, entry), context, _RELATED)[:k]
    results = []
    for score, shown_root, candidate in ranked:
        view = candidate.view
        assert view is not None
        shown = snippet(snapshot, view, terms)
        results.append(
            SearchResult(
                root=shown_root,
                path=candidate.entry.path,
                start_line=view.start_line,
                end_line=view.end_line,
                score=score,
                language=candidate.entry.language,
                symbol=view.symbol,
                kind=view.kind,
                snippet=shown.text,
                snippet_line=shown.line,
            )
        )
    return SearchOutcome(tuple(results), snapshot.generation, snapshot.complete, notes=notes)


def distinctive_terms(text: str) -> tuple[str, ...]:
    """Up to `_RELATED_TERMS` tokens that say most about a text.

    The store gives no document frequencies, so length stands for rarity (long tokens are compound identifiers) and
    BM25's own inverse document frequency does the rest.
    """
    counts = Counter(token for token in lexical_tokens(text).split() if len(token) > 2 and token not in QUESTION_WORDS)
    ranked = sorted(counts, key=lambda token: (-min(counts[token], 4) * min(len(token), 16), token))
    return tuple(ranked[:_RELATED_TERMS])


def outline(snapshot: Snapshot, root: str, path: str) -> Outline:
    """A file's definitions in order of lines, with their depth.

    Raises:
        RootError, PathError: no such indexed file.
    """
    record, entry = find_file(snapshot, root, path)
    definitions: list[Definition] = []
    open_ends: list[int] = []
    for view in snapshot.outline(entry):
        while open_ends and open_ends[-1] < view.start_line:
            open_ends.pop()
        definitions.append(
            Definition(view.name, view.path or view.name, view.kind, view.start_line, view.end_line, len(open_ends))
        )
        open_ends.append(view.end_line)
    return Outline(record.path, entry.path, entry.language, tuple(definitions), snapshot.generation)
