"""Definitions, routes and subtypes that are all that a query asks for."""

from __future__ import annotations

from itertools import chain

from regend.search.legs.legs import NO_DEFINITIONS, Definitions, exact_definitions, find_definitions
from regend.search.legs.routes import find_routes
from regend.search.legs.scope import Scope, has_path
from regend.search.legs.subtypes import find_subtypes
from regend.search.query.asked.definitions import CALLED_OR_MADE, CONCRETE, FUNCTIONS, joined_names, wanted_definition
from regend.search.query.asked.routes import asked_route
from regend.search.query.asked.supertypes import asked_supertype
from regend.search.query.parse import Query
from regend.search.query.words import standing
from regend.store.base import ChunkConditions, Snapshot, SymbolView


def find_wanted(
    snapshot: Snapshot, scope: Scope, query: Query, conditions: ChunkConditions, definitions: Definitions
) -> Definitions:
    """Return the definitions that are all that the query asks for, in the file that it names, if it names one.

    Args:
        definitions: of the query's names.
    """
    route = asked_route(query)
    if route is not None:
        return find_routes(snapshot, scope, route, conditions)
    joined = joined_names(query)
    if any(scope.frequencies(joined)):
        named = find_definitions(snapshot, scope, joined, conditions)
        named = named.among(lambda view: view.kind in CALLED_OR_MADE and _is_source(scope, view))
        if named.views:
            return named
    subtypes = find_subtypes(snapshot, scope, asked_supertype(query), conditions)
    if subtypes.views:
        return subtypes
    wanted = wanted_definition(query)
    if wanted is None:
        return NO_DEFINITIONS

    def counts(view: SymbolView) -> bool:
        entry = scope.entry(view.entry_id)
        return view.kind in wanted.kinds and entry is not None and has_path(entry, query.path)

    found = chain(
        (
            exact_definitions(snapshot, scope, name, conditions)
            for name in wanted.names
            if wanted.exact or name not in query.identifiers
        ),
        () if wanted.exact else (definitions,),
    )
    own = next((own for one in found if (own := one.among(counts)).views), NO_DEFINITIONS)
    if wanted.else_function and not own.views:
        return definitions.among(lambda view: view.kind in FUNCTIONS and counts(view))
    if own.views or wanted.kinds != CONCRETE:
        return own
    return find_subtypes(snapshot, scope, wanted.names, conditions)


def _is_source(scope: Scope, view: SymbolView) -> bool:
    entry = scope.entry(view.entry_id)
    return entry is not None and standing(entry.path, marks=entry.marks) == 0
