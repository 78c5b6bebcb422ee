"""The engine: one query from text to results. Synchronous; runs in a query thread; reads snapshots and nothing else.

::

    scope -> spelling -> embedding -> symbols -> selection -> snippets

It owns small caches of scopes and of answers and no other state, so any number of threads may use one engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from regend.chunking.tokens import MAX_NAME_CHARS
from regend.errors import EmbeddingError
from regend.search import lookups
from regend.search.errors import QueryError
from regend.search.exact import exact_search
from regend.search.legs.conditions import conditions_of
from regend.search.legs.fusion import vector_weight
from regend.search.legs.legs import (
    Vector,
    are_named_in_code,
    exact_definitions,
    find_definitions,
)
from regend.search.legs.literal import NO_LITERAL, is_code_word, literal_of, longer_word
from regend.search.legs.locate import Place
from regend.search.legs.named import located, topic_entries, within_files
from regend.search.legs.own_names import ProjectNames
from regend.search.legs.scope import Scope, ScopeResolver
from regend.search.legs.wanted import find_wanted
from regend.search.options import RelatedOptions, SearchOptions
from regend.search.overlay import OverlaidSnapshot
from regend.search.query.asked.definitions import asked_besides, wanted_definition
from regend.search.query.asked.own_name import as_this_project
from regend.search.query.asked.routes import asked_route
from regend.search.query.asked.supertypes import asked_supertype
from regend.search.query.filters import Filters, canonical_kind
from regend.search.query.parse import Query, too_long
from regend.search.query.spelling import Correction, correct
from regend.search.query.words import forms
from regend.search.ranking.coverage import WordWeights, rarity, word_weights
from regend.search.ranking.features import QueryContext, query_context
from regend.search.ranking.files import select_files
from regend.search.ranking.history import HistoryOf, told_by
from regend.search.ranking.ranking import RANKING, Ranked, RankingTable
from regend.search.ranking.selection import FIRST_LOOK, Question, ResultPage, chunk_of, page_of, ranked
from regend.search.ranking.weights import MODEL_STRENGTH
from regend.search.related import related
from regend.search.results.budget import rows_for, shown
from regend.search.results.outcome import Outline, SearchOutcome
from regend.search.results.presentation import Show
from regend.search.results.recent import RecentAnswers
from regend.search.stages import StageClock
from regend.store.base import Snapshot

QueryEncoder = Callable[[str], Vector]

_SAME_NAME = 0.8
"""Grade of a definition that is called like the whole query, but for case, and not only like its last part."""
_ENCLOSING = re.compile(r"\w[<\[]\S")
"""A type that encloses others, such as `List<RetryPolicy>`, is not what is asked for."""
_SHOWN_WORDS = 4
_MIN_BEGUN = 5
_NEAREST = "; the results are the nearest by other words and by meaning"
FILE_WEIGHT = 0.3
"""Maximum that the likeness of a whole file adds in file-level search, times the vector leg's share."""


class Engine:
    """Answers queries.

    Args:
        encode_query: text to float32 [dim], L2-normalised, for a model that runs in this process; None where the caller
            brings query vectors or there is no model.
        model_strength: weight of the model beside BM25, see `fusion.vector_weight`; 0 leaves it out.
        table: features and weights.
        knows: tells whether the model knows a word of a text; without one, vectors of unknown words are noise.
        importance: tells how much each word says in a question, above 0, by what was learnt from many projects; without
            it, words are worth more the fewer chunks in scope hold them.
        history_of: the changes of a root, as far as they are known by now; who brings others calls `forget`.
    """

    def __init__(
        self,
        encode_query: QueryEncoder | None = None,
        model_strength: float = MODEL_STRENGTH,
        table: RankingTable = RANKING,
        knows: Callable[[str], bool] = lambda _text: True,
        importance: Callable[[Sequence[str]], Sequence[float]] | None = None,
        history_of: HistoryOf = lambda _: None,
    ) -> None:
        self._encode_query = encode_query
        self._knows = knows
        self._importance = importance
        self._history_of = history_of
        self._model_strength = model_strength
        self._table = table
        self._scopes = ScopeResolver()
        self._names = ProjectNames()
        self._answers = RecentAnswers()

    @property
    def encodes_queries(self) -> bool:
        """True where `search` embeds the query itself."""
        return self._encode_query is not None

    def search(self, snapshot: Snapshot, options: SearchOptions, query_vector: Vector | None = None) -> SearchOutcome:
        """Return the best chunks for a query.

        Args:
            query_vector: of the query's text, if the caller has it already.

        Raises:
            QueryError, FilterError, RootError: the request makes no sense; the message says what to change.
        """
        # Who asks for shares and times wants those of a real search, and unsaved text is another one each time.
        if options.explain or isinstance(snapshot, OverlaidSnapshot):
            return self._search(snapshot, options, query_vector)
        answers = self._answers  # Another history has others.
        known = answers.get(snapshot, options, query_vector)
        if known is None:
            known = self._search(snapshot, options, query_vector)
            answers.put(snapshot, options, query_vector, known)
        return known

    def forget(self) -> None:
        """Forget the answers that were given: files did not change, but their history did. Any thread."""
        self._answers = RecentAnswers()

    def _search(self, snapshot: Snapshot, options: SearchOptions, query_vector: Vector | None) -> SearchOutcome:
        clock = StageClock(cpu=options.explain)
        query, filters = options.query, options.filters
        scope = self._resolver(snapshot).resolve(snapshot, filters)
        notes = ["The query is long; only its beginning was searched for."] if query.truncated else []
        clock.lap("scope")
        if scope.empty:
            notes.append(_nothing_in_scope(snapshot, filters))
            return SearchOutcome(
                (), snapshot.generation, snapshot.complete, (*notes, *query.doubts), clock.wall_ms, clock.cpu_ms
            )
        if query.is_exact:
            outcome = exact_search(snapshot, scope, options)
            clock.lap("exact")
            return replace(outcome, notes=(*notes, *outcome.notes), stage_ms=clock.wall_ms, cpu_ms=clock.cpu_ms)
        query, places = self._located(snapshot, scope, query)
        places, doubts = within_files(snapshot, scope, places)
        query, corrections = self._spelt(snapshot, scope, query)
        notes += doubts
        notes += [f"No indexed file holds {wrong!r}; searched for {right!r}." for wrong, right in corrections]
        clock.lap("spelling")
        weight = vector_weight(self._model_strength, query.kind)
        if query_vector is None and self._encode_query is not None and weight > 0.0:
            try:
                query_vector = self._encode_query(query.text)
            except EmbeddingError as error:
                notes.append(f"Searched by words only: {error}")
        clock.lap("embed")
        question = replace(self._question(snapshot, scope, query, options, query_vector, weight), places=places)
        clock.lap("symbols")
        unknown = (
            question.literal.alone
            and not (question.definitions.views or places or question.topical)
            and not self._knows(query.text)
        )
        notes += _unheld(question.literal.absent, "" if unknown else _NEAREST)
        if unknown:
            return SearchOutcome(
                (), snapshot.generation, snapshot.complete, (*notes, *query.doubts), clock.wall_ms, clock.cpu_ms
            )
        if not query.terms and not question.definitions.views:
            quoted = query.text if '"' in query.text else f'"{query.text}"'
            instead = f"write `content:{quoted}` for the text itself, or give a name, a path, or words"
            message = f"Nothing is called {query.text!r}; {instead} that describe the code."
            raise QueryError(too_long(query.text) or message)
        page = _select(question, options, clock)
        if not page.rows and not page.beyond and question.phrases:
            # A word at either end of the text may be a part of one in the file, as in a message that goes on.
            loose = conditions_of(query, filters, question.phrases, whole_words=False)
            page = _select(replace(question, conditions=loose), options, clock)
        if not page.rows and not page.beyond and question.phrases:
            # The nearest chunks are better than nothing; the note says that they are not what was asked for.
            question = replace(question, conditions=conditions_of(query, filters, ()), phrases=())
            page = _select(question, options, clock)
            how = "to the letter" if loose.words or loose.pieces else "as whole words"
            nearest = "; these come nearest" if page.rows else ""
            notes.append(f"No chunk was found that holds {_quoted(query.phrases)} {how}{nearest}.")
        explained = (question.context, self._table) if options.explain else None
        show = Show(
            snapshot, scope, query.terms, question.definitions, options.context, options.lines, explained, places,
            question.phrases,
        )  # fmt: skip
        outcome = shown(page.rows, page.more, options, show)
        if page.rows and not outcome.results:
            notes.append(f"Not even the first result fits into {options.budget} tokens; give more.")
        clock.lap("snippets")
        return replace(outcome, notes=(*notes, *query.doubts), stage_ms=clock.wall_ms, cpu_ms=clock.cpu_ms)

    def embedded_text(self, snapshot: Snapshot, options: SearchOptions) -> str:
        """Return the text whose vector `search` compares chunks with; empty where it needs none."""
        scope = self._resolver(snapshot).resolve(snapshot, options.filters)
        if scope.empty or options.query.is_exact:
            return ""
        query, _ = self._located(snapshot, scope, options.query)
        query, _ = self._spelt(snapshot, scope, query)
        return query.text if vector_weight(self._model_strength, query.kind) > 0.0 else ""

    def candidates(self, snapshot: Snapshot, options: SearchOptions) -> tuple[QueryContext, list[Ranked]]:
        """Return all candidates of the first look at a query, in order, for those who fit the weights."""
        scope = self._resolver(snapshot).resolve(snapshot, options.filters)
        query, places = self._located(snapshot, scope, options.query)
        query, _ = self._spelt(snapshot, scope, query)
        weight = vector_weight(self._model_strength, query.kind)
        vector = self._encode_query(query.text) if self._encode_query is not None and weight > 0.0 else None
        question = replace(self._question(snapshot, scope, query, options, vector, weight), places=places)
        return question.context, ranked(question, FIRST_LOOK, StageClock())

    def _located(self, snapshot: Snapshot, scope: Scope, query: Query) -> tuple[Query, tuple[Place, ...]]:
        """Find the places that the query names; where it names none, ``this project`` stands for the project's name."""
        query, places = located(scope, query)
        if places or query.pasted or query.path or query.phrases:
            return query, places
        roots = [root for key, root in snapshot.roots.items() if scope.roots is None or key in scope.roots]
        names: frozenset[str] | None = None
        for root in roots:
            own = self._names.of(snapshot, root)
            names = own if names is None else names & own
            if not names:
                break  # Several projects rarely have a name together, and there may be hundreds of them.
        text = as_this_project(query.text, names or ())
        return (query if text == query.text else query.respelt(text)), places

    def _spelt(self, snapshot: Snapshot, scope: Scope, query: Query) -> tuple[Query, tuple[Correction, ...]]:
        """Return the query with its misspelt and unfinished words corrected, and the corrections."""
        if not query.terms or query.pasted or asked_route(query) is not None:
            return query, ()

        def longer(word: str, begins: bool) -> str:
            # In a sentence, a word that the model knows says more as it stands, and a short one says anything.
            if word != query.text and not is_code_word(word) and (len(word) < _MIN_BEGUN or self._knows(word)):
                return ""
            return longer_word(snapshot, scope, word, begins=begins)

        wanted = wanted_definition(query)
        names = " ".join(asked_supertype(query) or (wanted.names if wanted else ())).lower()
        text, corrections = correct(
            query.text, scope.frequencies, longer, lambda word: not names or word.lower() in names
        )
        return query.respelt(text) if corrections else query, corrections

    def _question(
        self,
        snapshot: Snapshot,
        scope: Scope,
        query: Query,
        options: SearchOptions,
        vector: Vector | None,
        weight: float,
    ) -> Question:
        """Join the query with its scope and with the definitions of its names."""
        conditions = conditions_of(query, options.filters, query.phrases)
        definitions = find_definitions(snapshot, scope, query.identifiers, conditions)
        literal = literal_of(snapshot, scope, query, conditions)
        context = query_context(query, options.path, self._word_weights(scope, query))
        if (query.kind == "path" or query.text != query.whole) and len(query.text) <= MAX_NAME_CHARS:
            # A heading, an operator, a name with signs in it: what is exactly a symbol is one, whatever it looks like,
            # unless there is a file of that name.
            exact = exact_definitions(snapshot, scope, query.text, conditions)
            if exact.views and not (query.kind == "path" and scope.has_file(query.path)):
                definitions = exact.joined(definitions)
                context = replace(context, whole_name=True)
        is_named = context.whole_name and max(definitions.grades.values(), default=0.0) >= _SAME_NAME
        is_named = is_named and not _ENCLOSING.search(query.text)
        if not (is_named or context.documents or context.topic or context.tests or context.uses):
            own = find_wanted(snapshot, scope, query, conditions, definitions)
            if own.views:
                definitions = own.joined(definitions)
                context = replace(context, whole_name=True)
                # Nearly all other words only ask, and a path with a number in it is that of tests.
                absent = asked_besides(query, literal.absent)
                literal = NO_LITERAL if asked_route(query) else replace(literal, absent=absent)
        topical: tuple[Place, ...] = ()
        if context.topic is not None:
            # The name of a definition is that of a definition, whatever else is called so.
            if not (context.whole_name and are_named_in_code(definitions)):
                topical = tuple(Place(entry.entry_id, 1) for entry in topic_entries(scope, context.topic))
            if not topical:
                context = replace(context, topic=None)
        if context.uses and definitions.views:
            literal = replace(literal, absent=())  # All other words only ask.
        return Question(
            snapshot, scope, query, context, conditions, query.phrases, definitions, vector, weight,
            self._table.asked(context), literal,
            topical=topical, told=told_by(self._history_of, query.terms),
        )  # fmt: skip

    def _word_weights(self, scope: Scope, query: Query) -> WordWeights:
        """Weigh the query's words; one that no chunk holds in any form counts nothing."""
        held = dict(zip(query.terms, scope.frequencies(query.terms), strict=True))
        held |= {term: sum(scope.frequencies(forms(term))) for term, count in held.items() if not count}
        if self._importance is not None:
            known = zip(held, self._importance(list(held)), strict=True)
            return word_weights({term: value if held[term] else 0.0 for term, value in known})
        chunks = sum(pool.doc_count for pool, _ in scope.pools)
        return word_weights({term: rarity(count, chunks) for term, count in held.items()})

    def _resolver(self, snapshot: Snapshot) -> ScopeResolver:
        """Return what finds scopes: the cache, which goes by generation, does not serve overlays."""
        return ScopeResolver() if isinstance(snapshot, OverlaidSnapshot) else self._scopes

    def symbols(
        self, snapshot: Snapshot, name: str, k: int = 10, filters: Filters | None = None, kinds: Iterable[str] = ()
    ) -> SearchOutcome:
        """Return definitions by name; see `lookups.symbols`.

        Raises:
            FilterError: a kind is unknown.
        """
        scope = self._scopes.resolve(snapshot, filters or Filters())
        return lookups.symbols(snapshot, name, k, scope, frozenset(map(canonical_kind, kinds)))

    def related(self, snapshot: Snapshot, options: RelatedOptions) -> SearchOutcome:
        """Return chunks like the one at a line, or files like a file; see `related.related`."""
        scope = self._resolver(snapshot).resolve(snapshot, options.filters)
        return related(snapshot, options, scope, self._model_strength)

    def outline(self, snapshot: Snapshot, root: str, path: str) -> Outline:
        """Return a file's definitions; see `lookups.outline`."""
        return lookups.outline(snapshot, root, path)


def _select(question: Question, options: SearchOptions, clock: StageClock) -> ResultPage:
    count = rows_for(options)
    if not options.files:
        return page_of(lambda depth: ranked(question, depth, clock), chunk_of, options.offset, count)
    weight = FILE_WEIGHT * question.weight / (1.0 + question.weight)
    return select_files(question, options.offset, count, weight, clock)


def _unheld(words: tuple[str, ...], what_follows: str) -> list[str]:
    """Return a sentence on words that no chunk holds, or a path that no file has either."""
    if not words:
        return []
    holds = "is called or holds" if "/" in words[0] else "holds"
    named = ", ".join(map(repr, words[:_SHOWN_WORDS]))
    more = f" and {len(words) - _SHOWN_WORDS} more" if len(words) > _SHOWN_WORDS else ""
    return [f"No indexed file in scope {holds} {named}{more}{what_follows}."]


def _quoted(phrases: tuple[str, ...]) -> str:
    return " and ".join(f'"{phrase}"' for phrase in phrases)


def _nothing_in_scope(snapshot: Snapshot, filters: Filters) -> str:
    if not snapshot.roots:
        return "No root is indexed; add one with `regenctl add DIR`."
    return (
        f"No indexed file matches {filters}; loosen the filter, or ask `regenctl why FILE` about a file you expected."
    )
