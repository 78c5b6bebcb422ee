"""Conditions: which chunks may be an answer at all, by their words, their kinds and quoted text.

The index knows words and kinds, so the legs leave out chunks that do not meet them. Quoted text is looked for in the
chunks themselves, because the index keeps no positions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from regend.chunking.tokens import RUN, STOP_WORDS, asked_tokens, folded, is_unspaced, words_in
from regend.search.legs.scope import Scope
from regend.search.query.filters import Filters
from regend.search.query.literals import MAX_GROUPS, MAX_PIECE_CHARS, MIN_PIECE_CHARS, Pieces
from regend.search.query.parse import Query
from regend.search.query.words import plain
from regend.store.base import ChunkConditions, ChunkView, Snapshot
from regend.types import DOC_ORDINAL_BITS, MAX_CHUNKS_PER_BLOB

MAX_VERIFIED = 2_000
"""Maximum chunks read to look for quoted text, which takes some 30 ms. Each of them holds the text's words."""
ENOUGH_VERIFIED = 200
"""Holders of a quoted text after which no further chunks are read, so common text takes some 3 ms."""
_BATCH = 200
_MAX_WORDS = 16


def conditions_of(query: Query, filters: Filters, phrases: Sequence[str], whole_words: bool = True) -> ChunkConditions:
    """Return the conditions that the index can check; `phrases` are those that a chunk must hold.

    Args:
        whole_words: False where the first and the last word of a phrase may be parts of words, which the index lacks.
    """
    words = dict.fromkeys(
        token for phrase in phrases for token in asked_tokens(phrase if whole_words else _inner(phrase)).split()
    )
    # To look through the words of the index takes time, so what stands between these two words has to do where it can.
    parts = () if whole_words or not STOP_WORDS.issuperset(words) else phrases
    pieces = tuple(group for part in parts for group in _outer(part))
    return ChunkConditions(
        pieces=pieces[:MAX_GROUPS],
        words=tuple(words)[:_MAX_WORDS],
        without=query.without,
        kinds=frozenset(filters.wanted("kind")),
        without_kinds=frozenset(filters.unwanted("kind")),
        sifted=bool(phrases or query.without_phrases),
    )


def _inner(phrase: str) -> str:
    """Return the phrase without a first and a last word that may be parts of words."""
    found = list(RUN.finditer(phrase))
    starts = [run for run in found if run.start() > 0]
    whole = [run for run in starts if run.end() < len(phrase)]
    return " ".join(run[0] for run in whole)


def _outer(phrase: str) -> list[Pieces]:
    """Return what the first and the last word of the phrase, or the parts of words, demand of a chunk's words."""
    found = RUN.findall(phrase)
    words = [word for run in dict.fromkeys(found[:1] + found[-1:]) for word in words_in(run) if not is_unspaced(word)]
    pieces = [folded(word).strip("_$")[:MAX_PIECE_CHARS] for word in words]  # The index has all words without accents.
    return [frozenset((piece,)) for piece in sorted(pieces, key=len, reverse=True) if len(piece) >= MIN_PIECE_CHARS]


def passing(scope: Scope, docs: Collection[int], conditions: ChunkConditions) -> set[int]:
    """Return those of `docs` that are in scope and meet the conditions."""
    kept: set[int] = set()
    for pool, allow in scope.pools:
        mine = [
            doc
            for doc in docs
            if (entry := doc >> DOC_ORDINAL_BITS) in pool.entries and (allow is None or entry in allow)
        ]
        kept |= pool.passing(mine, conditions)
    return kept


def verified(
    snapshot: Snapshot, scope: Scope, blended: dict[int, float], phrases: Sequence[str], without: Sequence[str]
) -> dict[int, float]:
    """Keep those of the best `MAX_VERIFIED` chunks that hold all of `phrases` and none of `without`, in any case.

    The words of a text may stand apart in far more chunks than hold the text, and those often rank higher. So reading
    goes on until `ENOUGH_VERIFIED` are found. Without `phrases` most chunks pass, and all of the best are read.
    """

    def place(doc: int) -> tuple[float, str, int]:
        entry = scope.entry(doc >> DOC_ORDINAL_BITS)
        return -round(blended[doc], 4), entry.path if entry else "", doc & (MAX_CHUNKS_PER_BLOB - 1)

    best = sorted(blended, key=place)[:MAX_VERIFIED]
    found: dict[int, float] = {}
    for at in range(0, len(best), _BATCH):
        views = snapshot.chunks(best[at : at + _BATCH])
        found.update((view.doc, blended[view.doc]) for view in views if holds(view, phrases, without))
        if phrases and len(found) >= ENOUGH_VERIFIED:
            break
    return found


def holds(view: ChunkView, phrases: Sequence[str], without: Sequence[str]) -> bool:
    """Return whether the chunk's text holds all of `phrases` and none of `without`, see `words.plain`."""
    text = plain(view.text)
    return all(plain(phrase) in text for phrase in phrases) and not any(plain(phrase) in text for phrase in without)
