"""BM25 search in one view of a lexical index. Pure reading; any thread may do it."""

from __future__ import annotations

from collections.abc import Callable

from tantivy import Occur, Query

from regend.store.base import Hit, LexicalQuery
from regend.store.lexical import LexicalView
from regend.types import DOC_ORDINAL_BITS

TERM_SET_LIMIT = 1_000
"""Up to this many allowed entries are part of the query; more are filtered afterwards from a longer list."""


def lexical_search(
    view: LexicalView,
    query: LexicalQuery,
    limit: int,
    allow: frozenset[int] | None,
    allowed_share: float,
    is_live: Callable[[int], bool],
) -> list[Hit]:
    """The best `limit` live documents, by score descending, then document ascending.

    Args:
        allow: entries to which the answer is limited, or None.
        allowed_share: about which share of all entries `allow` is, above 0.
        is_live: whether an entry belongs to the snapshot.
    """
    terms = dict.fromkeys(term for term in query.terms if term)
    if not terms or limit <= 0 or (allow is not None and not allow):
        return []
    schema = view.schema
    boosts = (("body", query.body), ("symbol", query.symbol), ("path", query.path))
    clauses = [
        (Occur.Should, Query.boost_query(Query.term_query(schema, name, term, "freq"), boost))
        for term in terms
        for name, boost in boosts
        if boost > 0.0
    ]
    if not clauses:
        return []
    wanted = Query.boolean_query(clauses)
    if allow is None:
        return _collect(view, wanted, limit, limit, is_live)
    if len(allow) <= TERM_SET_LIMIT:
        members = Query.const_score_query(Query.term_set_query(schema, "entry", list(allow)), 0.0)
        filtered = Query.boolean_query([(Occur.Must, wanted), (Occur.Must, members)])
        return _collect(view, filtered, limit, limit, is_live)
    live = is_live
    first = int(limit / max(allowed_share, 0.01) * 1.3) + 16
    return _collect(view, wanted, limit, first, lambda entry: entry in allow and live(entry))


def _collect(view: LexicalView, query: Query, limit: int, fetch: int, keep: Callable[[int], bool]) -> list[Hit]:
    """Fetch, filter, and fetch more while too few passed and there are more."""
    total = view.searcher.num_docs
    while True:
        fetch = min(fetch, max(total, 1))
        found = view.searcher.search(query, fetch, count=False).hits
        docs = view.searcher.fast_field_values("doc", [address for _, address in found])
        make = Hit._make
        hits = [
            make((doc, score))
            for doc, (score, _) in zip(docs, found, strict=True)
            if keep(doc >> DOC_ORDINAL_BITS)  # type: ignore[operator]
        ]
        if len(hits) >= limit or len(found) < fetch or fetch >= total:
            # tantivy breaks ties by segment and position, which differ between two indexes of the same content.
            hits.sort(key=lambda hit: (-hit.score, hit.doc))
            return hits[:limit]
        fetch *= 4
