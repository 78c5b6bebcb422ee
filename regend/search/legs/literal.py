"""The literal contract: words that few chunks hold, words that none holds, and parts of words.

A person who types such a word wants the chunks that hold it. BM25 lets other words outweigh it, and vectors know
nothing of it, so its holders are looked up and lifted above all others (see the feature `rare_word`). In a question of
several words this applies to those that are spelt like code: a word of the language may be rare by chance.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from functools import partial
from heapq import nsmallest
from itertools import groupby
from operator import itemgetter

from regend.chunking.tokens import (
    asked_tokens,
    characters_of,
    folded,
    is_unspaced,
    split_identifier,
    whole_tokens,
    words_in,
)
from regend.search.legs.named import named_entries
from regend.search.legs.scope import Scope
from regend.search.query.parse import Query
from regend.search.query.words import QUESTION_WORDS, plain, standing
from regend.store.base import NO_CONDITIONS, ChunkConditions, LexicalQuery, Snapshot
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
_MAX_READ = 200
"""Maximum chunks read to look for a run without spaces."""
_MAX_RUN = 8
"""Maximum pairs of a run without spaces that is read as words; of a longer one, a sentence, no part is named."""
_MIN_PART = 3
_PART_FILES = 500
_PART_CHUNKS = 64
"""Maximum chunks read for the words that a part may stand for, of about so many files at most."""
_WORTH_OF_NAMES = 3
"""How often another word must be held to be likelier than the name of a definition. A guess."""
_MOST_LOOKED_INTO = 250_000
"""Maximum chunks whose words are looked into, which takes 40 ms for 40,000 of them; beginnings are cheap."""
_PHRASE = re.compile(r'"[^"\n]*"')
_LIKE_A_FILTER = re.compile(r"\w+:\s?\S*")
_NUMBER = re.compile(r"\d+(?:st|nd|rd|th)?")
"""Most files hold such a word by chance; `2fa` and `6965db` are words."""
_PATH = re.compile(r"/\S+")
_AROUND = "`'\"()[]{}<>,;!?"
_REFERENCE = re.compile(r"(?<![\w./-])(?:[A-Z][A-Z0-9]+(?:-\d+)*-\d{3,}|\d+(?:\.\d+){3,})(?![\w/-]|\.\w)")
"""A reference of several words, even among others: `ORA-00942`, `CVE-2021-44228`, `192.168.17.45`. Versions are rather
named in passing."""
_CODE = re.compile(r"[^\W_]_[^\W_]|[a-z0-9][A-Z]|[A-Z]{2}[a-z]|[^\W\d_]\d|\d[^\W\d_]|\$|[-.]\d")


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


def is_code_word(word: str) -> bool:
    """Return whether a word is spelt like a name in code, with underscores, humps or digits."""
    return _CODE.search(word) is not None


def literal_of(snapshot: Snapshot, scope: Scope, query: Query, conditions: ChunkConditions) -> Literal:
    """Look up the rare and the absent words of a query; quoted text has rules of its own.

    A path that no file has, such as that of a URL, is one word, and so is what signs join.
    """
    if query.kind == "path" or _PATH.fullmatch(query.text):
        path = query.path or query.text
        if named_entries(scope, query.text):
            return NO_LITERAL
        tokens = tuple(asked_tokens(path).split())
        docs = _holding(snapshot, scope, path, tokens, conditions)
        unheld = not docs and _is_unheld(snapshot, scope, path, tokens)
        return Literal((docs,) if 0 < len(docs) <= RARE_CHUNKS else (), (path,) if unheld else ())
    joined = _joined(query)
    docs = _holding(snapshot, scope, joined, whole_tokens(joined), conditions) if joined else frozenset[int]()
    if 0 < len(docs) <= RARE_CHUNKS:
        return Literal((docs,))
    words = _words(query, [joined] if any(map(str.isdigit, joined)) else _REFERENCE.findall(query.text)[:MAX_WORDS])
    asked = list(dict.fromkeys(token for tokens in words.values() for token in tokens))
    counts = dict(zip(asked, scope.frequencies(asked), strict=True))
    narrowed = scope.limited or scope.roots is not None  # Counts are those of whole pools.
    holding = partial(_holding, snapshot, scope)
    holders: list[frozenset[int]] = []
    absent: list[str] = []
    unknown: set[str] = set()
    for word, tokens in words.items():
        wanted = len(holders) < MAX_WORDS and (len(words) == 1 or is_code_word(word))
        count = min(counts[token] for token in tokens)
        few = _MAX_READ if _is_part(word, tokens) else RARE_CHUNKS
        if count and len(tokens) == 1 and not narrowed and not (wanted and count <= few):
            continue
        docs = holding(word, tokens, NO_CONDITIONS) if count else frozenset[int]()
        if not docs:
            lacking = [t for t in tokens if not counts[t] or (narrowed and not holding(t, (t,), NO_CONDITIONS))]
            if len(lacking) == len(tokens):
                unknown.add(word)
                absent.append(word)
            elif is_unspaced(word):
                absent += _lacking_parts(word, tokens, frozenset(lacking))
            elif _is_unheld(snapshot, scope, word, tokens):
                absent.append(word)
            continue
        kept = holding(word, tokens, conditions) if conditions else docs
        # A longer question that refers to an issue is about something else.
        passing = len(tokens) > 1 or len({doc >> DOC_ORDINAL_BITS for doc in docs}) > RARE_FILES
        is_rare = len(words) <= SHORT_WORDS or not passing
        if wanted and kept and is_rare and len(docs) <= RARE_CHUNKS:
            holders.append(kept)
    alone = words.keys() == unknown and bool(words) and not query.phrases
    return Literal(tuple(holders), tuple(absent), alone)


def _joined(query: Query) -> str:
    """Return the query where it is nothing but words that signs join, and no name; else an empty string."""
    text = query.text.strip(_AROUND)
    is_one = not query.identifiers and not query.phrases and not any(map(str.isspace, text))
    return text if is_one and len(words_in(text)) > 1 and not is_unspaced(text) else ""


def _lacking_parts(word: str, pairs: tuple[str, ...], lacking: frozenset[str]) -> list[str]:
    """Return the parts of a run without spaces, of two characters or more, that no pair which is held overlaps."""
    characters = characters_of(word)
    known = [False] * len(characters)
    for at, pair in enumerate(pairs):
        if pair not in lacking:
            known[at] = known[at + 1] = True
    groups = groupby(zip(known, characters, strict=True), key=itemgetter(0))
    parts = [[character for _, character in group] for is_known, group in groups if not is_known]
    return ["".join(part) for part in parts if len(part) > 1] if len(pairs) <= _MAX_RUN else []


def _words(query: Query, joined: list[str]) -> dict[str, tuple[str, ...]]:
    """Return the words that the query is about, each with the tokens that stand for the whole of it.

    Args:
        joined: parts of the query that are one word each.
    """
    text = _PHRASE.sub(" ", query.text)
    joined = [part for part in joined if part in text]
    for part in joined:
        text = text.replace(part, " ")
    if query.doubts:
        text = _LIKE_A_FILTER.sub(" ", text)  # A sentence of its own is about these.
    found = [*joined, *words_in(text)]
    typed = dict.fromkeys(word for word in found if len(found) == 1 or not _NUMBER.fullmatch(word))
    content = {word: tokens for word in typed if (tokens := whole_tokens(word))}
    about = {word: tokens for word, tokens in content.items() if not QUESTION_WORDS.issuperset(tokens)}
    return dict(list((about or content).items())[:_MAX_ASKED])


def _is_unheld(snapshot: Snapshot, scope: Scope, path: str, tokens: tuple[str, ...]) -> bool:
    """Return whether certainly no chunk in scope holds the path in its text, and no file or folder is called so."""
    found = _with_all(scope, tokens, NO_CONDITIONS, 1.0, _MAX_READ)
    return len(found) < _MAX_READ and not _verified(snapshot, path, found)


def _holding(
    snapshot: Snapshot, scope: Scope, word: str, tokens: tuple[str, ...], conditions: ChunkConditions
) -> frozenset[int]:
    """Return the chunks in scope that hold the word in their text or name, or else in their path."""
    limit = _MAX_READ if _is_part(word, tokens) else RARE_CHUNKS + 1
    found = _with_all(scope, tokens, conditions, 0.0, limit) or _with_all(scope, tokens, conditions, 1.0, limit)
    if not _is_part(word, tokens):
        return frozenset(found)
    # The index keeps no positions, so the pairs of a run may stand apart; nor does it keep underscores at the ends.
    return _verified(snapshot, word, found) or frozenset(found if len(tokens) == 1 else ())


def _with_all(
    scope: Scope, tokens: tuple[str, ...], conditions: ChunkConditions, path: float, limit: int
) -> dict[int, str]:
    """Return up to about `limit` chunks in scope with all tokens, the first one in the path only if that counts."""
    wanted = LexicalQuery(tokens[:1], path=path, conditions=replace(conditions, words=(*conditions.words, *tokens[1:])))
    return {
        hit.doc: entry.path
        for pool, allow in scope.pools
        for hit in pool.lexical(wanted, limit, allow=allow)
        if (entry := scope.entry(hit.doc >> DOC_ORDINAL_BITS)) is not None
    }


def _verified(snapshot: Snapshot, word: str, found: dict[int, str]) -> frozenset[int]:
    """Return the chunks whose text, name or path has the word to the letter."""
    wanted, views = plain(word), snapshot.chunks(list(found))
    return frozenset(v.doc for v in views if wanted in plain("\n".join((v.text, v.symbol, "/" + found[v.doc]))))


def _is_part(word: str, tokens: tuple[str, ...]) -> bool:
    """Return whether a chunk that has all tokens may not hold the word."""
    return tokens != (word.lower(),)


def longer_word(snapshot: Snapshot, scope: Scope, part: str, *, begins: bool) -> str:
    """Return the word in scope that begins with `part` or, not `begins`, holds it; empty if no chunk has such a word.

    It prefers words in the case of a part that has capitals, then what most files hold of those that are read: source
    first, and of many files each n-th by path.
    """
    wanted = folded(part).strip("_$")
    if len(wanted) < _MIN_PART or not (begins or sum(pool.doc_count for pool, _ in scope.pools) <= _MOST_LOOKED_INTO):
        return ""
    docs = sorted(doc for pool, _ in scope.pools for doc in pool.containing(wanted, prefix=begins))
    by_entry = {entry_id: list(own) for entry_id, own in groupby(docs, lambda doc: doc >> DOC_ORDINAL_BITS)}
    entries = sorted(filter(None, map(scope.entry, by_entry)), key=lambda entry: (entry.path, entry.entry_id))
    found = (
        (standing(entry.path, marks=entry.marks), entry.path, doc)
        for entry in entries[:: 1 + len(entries) // _PART_FILES]
        for doc in by_entry[entry.entry_id]
    )
    paths = {doc: path for _, path, doc in nsmallest(_PART_CHUNKS, found)}
    words: dict[int, set[str]] = {}
    names: set[str] = set()
    for view in snapshot.chunks(list(paths)):
        names.update(view.symbol.split("."))
        own = words.setdefault(view.doc >> DOC_ORDINAL_BITS, set())
        own.update(words_in("\n".join((view.text, view.symbol, paths[view.doc]))))
    counts = Counter(longer for own in words.values() for longer in _longer_ones(own, wanted, begins))
    any_case = part == part.lower()
    counts.update({name: (_WORTH_OF_NAMES - 1) * counts[name] for name in names if name in counts})
    return min(counts, key=lambda word: (not any_case and part not in word, -counts[word], len(word), word), default="")


def _longer_ones(words: set[str], part: str, begins: bool) -> set[str]:
    """Return those of the words and their parts that begin with a folded part, or hold it."""
    found: set[str] = set()
    for word in words:
        if part not in (whole := folded(word)):
            continue
        if not begins or whole.strip("_$").startswith(part):
            found.add(word.strip("_$"))
        else:
            found.update(each for each in split_identifier(word) if folded(each).startswith(part))
    return found
