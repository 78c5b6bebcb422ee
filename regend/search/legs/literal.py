"""The literal contract: words that few chunks hold, and words that none holds.

A person who types such a word wants the chunks that hold it. BM25 lets other words outweigh it, and vectors know
nothing of it, so its holders are looked up and lifted above all others (see the feature `rare_word`). In a question of
several words this applies to those that are spelt like code: a word of the language may be rare by chance.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from regend.chunking.tokens import lexical_tokens
from regend.search.legs.scope import Scope
from regend.search.query.parse import Query
from regend.search.query.words import QUESTION_WORDS
from regend.store.base import NO_CONDITIONS, ChunkConditions, LexicalQuery
from regend.types import DOC_ORDINAL_BITS

RARE_CHUNKS = 24
"""Maximum chunks that hold a rare word: about two pages of results."""
SHORT_WORDS = 3
"""Maximum words of a query each of which is certainly meant."""
RARE_FILES = 2
"""Maximum files that hold a rare word of a longer question, which may name it in passing: with any number of them,
NDCG@10 on commit subjects was 0.016 lower, with two 0.006."""
MAX_WORDS = 4
"""Maximum rare words of a query; one with more is mostly a pasted text."""
_MAX_ASKED = 32
_PHRASE = re.compile(r'"[^"\n]*"')
_WORD = re.compile(r"[^\W\d_][\w$]*|_+[^\W_][\w$]*")
_LIKE_A_FILTER = re.compile(r"\w+:\s?\S*")
_CODE = re.compile(r"[^\W_]_[^\W_]|[a-z0-9][A-Z]|[A-Z]{2}[a-z]|[^\W\d_]\d|\$")


@dataclass(frozen=True, slots=True)
class Literal:
    """The rare and the absent words of a query.

    Attributes:
        holders: for each rare word the chunks in scope that hold it, at least one.
        absent: words as typed that no chunk in scope holds.
        alone: there is no other word in the query than those of `absent`.
    """

    holders: tuple[frozenset[int], ...] = ()
    absent: tuple[str, ...] = ()
    alone: bool = False

    @property
    def docs(self) -> frozenset[int]:
        """All chunks that hold a rare word."""
        return frozenset[int]().union(*self.holders)

    def share(self, doc: int) -> float:
        """Return the share of the rare words that a chunk holds."""
        return sum(doc in holders for holders in self.holders) / len(self.holders) if self.holders else 0.0


NO_LITERAL = Literal()


def literal_of(scope: Scope, query: Query, conditions: ChunkConditions) -> Literal:
    """Look up the rare and the absent words of a query; quoted text has rules of its own, and so have paths."""
    if query.kind == "path":
        return NO_LITERAL
    words = _words(query)
    counts = scope.frequencies(list(words.values()))
    narrowed = scope.limited or scope.roots is not None  # Counts are those of whole pools.
    holders: list[frozenset[int]] = []
    absent: list[str] = []
    for (word, token), count in zip(words.items(), counts, strict=True):
        wanted = len(holders) < MAX_WORDS and (len(words) == 1 or _CODE.search(word) is not None)
        if count and not narrowed and not (wanted and count <= RARE_CHUNKS):
            continue
        docs = _holding(scope, token, NO_CONDITIONS) if count else frozenset[int]()
        if not docs:
            absent.append(word)
            continue
        kept = _holding(scope, token, conditions) if conditions else docs
        few = len(words) <= SHORT_WORDS or len({doc >> DOC_ORDINAL_BITS for doc in docs}) <= RARE_FILES
        if wanted and kept and few and len(docs) <= RARE_CHUNKS:
            holders.append(kept)
    return Literal(tuple(holders), tuple(absent), alone=len(absent) == len(words) > 0 and not query.phrases)


def _words(query: Query) -> dict[str, str]:
    """Return the words that the query is about, each with the token of the whole word."""
    text = _PHRASE.sub(" ", query.text)
    if query.doubts:
        text = _LIKE_A_FILTER.sub(" ", text)  # A sentence of its own is about these.
    typed = dict.fromkeys(_WORD.findall(text))
    content = {word: tokens[0] for word in typed if (tokens := lexical_tokens(word).split())}
    about = {word: token for word, token in content.items() if token not in QUESTION_WORDS}
    return dict(list((about or content).items())[:_MAX_ASKED])


def _holding(scope: Scope, token: str, conditions: ChunkConditions) -> frozenset[int]:
    """Return the chunks in scope that hold the token in their text or name, or else in their path."""
    for path in (0.0, 1.0):
        wanted = LexicalQuery((token,), path=path, conditions=conditions)
        found = frozenset(
            hit.doc
            for pool, allow in scope.pools
            for hit in pool.lexical(wanted, RARE_CHUNKS + 1, allow=allow)
            if scope.entry(hit.doc >> DOC_ORDINAL_BITS) is not None
        )
        if found:
            return found
    return frozenset()
