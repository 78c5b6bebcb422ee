"""Questions that the definition of one name answers: ``class RetryPolicy``, `where is retry defined`. Pure.

Any code has their other words. So a question counts only if it says nothing else.
"""

from __future__ import annotations

import re
from itertools import permutations
from typing import NamedTuple

from regend.chunking.tokens import words_in
from regend.limits import KINDS
from regend.search.query.parse import Query
from regend.search.query.words import listed

_TYPES = listed("class struct interface trait protocol enum type record object union")
FUNCTIONS = listed("function func fun fn def method constructor macro")
_VALUES = listed("constant const variable var field property")
_KIND_WORDS = _TYPES | FUNCTIONS | _VALUES | listed("module namespace")
_KINDS_MEANT = {
    _TYPES: _TYPES | listed("constructor extension impl module table"),
    FUNCTIONS: FUNCTIONS,
    _VALUES: _VALUES | listed("enum"),
}
"""Kinds of definitions that such words of a question may mean."""
_DEFINED = listed("declaration declare declared defined definition definitions")
_IMPLEMENTED = listed("implement implementation implementations implemented implements")
_ABSTRACT = listed("interface protocol trait")
"""Kinds whose implementation is not their definition."""
_FILLERS = listed(
    """a about am an and any anyone are as asking at be been bit body but called can clarify code confused could
    curious describe details did do does everything exactly exist exists explain explanation figure find for found
    from get give go goto happens have having he hello here hey hi how i implementing in inside interested
    internally is it its jump just kindly know lead learn let like lives locate located look looking looks m make
    may me mean means might my name named need needs of on open or our out part particular please point pointing
    purpose quick quickly re really reside resides responsible s see seems should show snippet some somebody someone
    something somewhere source summarize summary tell thank thanks that the their them there these they thing things
    think this those to trying under understand understanding up us want wanted wants was way we well were what
    where which who why with wonder wondering work working works would you your"""
)
CALLED_OR_MADE = _TYPES | FUNCTIONS
"""Kinds of definitions that people name by their words alone; fields are often called like any phrase."""
_IN_CODE = KINDS - listed("block element key section window")
_BESIDE = _KIND_WORDS | _DEFINED | _IMPLEMENTED | _FILLERS
CONCRETE = _IN_CODE - _ABSTRACT
"""Kinds of definitions that are an implementation."""
_ABOVE = re.compile(
    r"\b(?:(?:base|parent|super)[ -]?(?:class|interface|type)(?:es|s)?\b|(?:extend|inherit(?: from)?)\W*$)",
    re.IGNORECASE,
)
"""A definition begins with what stands above it: ``superclass of RetryPolicy``, `what does RetryPolicy extend`."""
_ABOUT = listed(
    """accept accepts add adding adjust analyse analyze args argument arguments attribute attributes audit
    behave behaves behavior behaviour break breaks broken bug bugs call cat change changed changes check codebase
    construct contain containing contains copy crash crashes create debug declares define defines delete docstring
    edit enhance error errors extend fail fails fields file files fix fixing grep have help hold holding holds
    improve in inspect instantiate internals investigate issue issues learn line lines list location logic lookup
    maintain member members methods modify move navigate open optimise optimize overview package parameter
    parameters params path print problem problems project properties read refactor remove rename replace repo
    repository return returns review rewrite search signature simplify slow split study take takes through trace
    update use used value view visit walk wrong"""
)
"""Words for what a definition tells: `what does next_delay return`. One alone may be a member, too."""
_CODE_WORDS = listed(
    """abstract any array arraylist as async auto await bool boolean box byte callable catch char class collection
    const def deque dict dictionary double dyn enum except export extends false final float fn for from fun func
    function future hashmap if ilist impl implements import in instanceof int integer interface is isinstance
    issubclass iterable iterator let list long map maybe mut mutex never new nil none null object observable
    option optional override partial private promise protected public queue raise raises rc ref result self
    sequence set shared_ptr sizeof slice static std str stream string struct super task this throw throws true
    tuple type typeof undefined unique_ptr unknown using val var vec vector void"""
)
"""Words of code around a name that are not what is asked for: ``new RetryPolicy(``, `List<RetryPolicy>`."""
_SIGN_OF_CODE = re.compile(r"[<>()\[\]{}&*@;=!]|::|->|\w[.:]|/\d+$")
_BEGINS_CODE = re.compile(r"(?:const|export|import|impl|instanceof|let|new|raise|throws?|typeof|using|val|var)\s")
_FEW_WORDS = 2
"""Words beside the name of a function that a question may be about and still find the function first."""
_SPELT_AS_CODE = re.compile(r"[^\W_]_[^\W_]|[a-z0-9][A-Z]")
_MOST_WORDS = 16
_MOST_NAMES = 2
_SENTENCE = re.compile(r"[\w\s,`.-]+[.?!]?")
_PLAIN = re.compile(r"[\w\s]+[.?]?")
_JOINABLE = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[ -][A-Za-z0-9]+){1,5}")
"""Words that may be one name: ``http server``."""


class Wanted(NamedTuple):
    """A definition that a question asks for.

    Attributes:
        names: dotted where qualified; the first one counts that is defined.
        kinds: that the definition may have.
        exact: only a definition of exactly this name counts, because it may be a name by chance.
        else_function: if there is none, a function among the definitions of the query's names counts.
    """

    names: tuple[str, ...]
    kinds: frozenset[str]
    exact: bool
    else_function: bool = False


def joined_names(query: Query) -> tuple[str, ...]:
    """Return the names, in small letters, that the words of a query are if they are one name and nothing else."""
    if query.kind not in ("mixed", "language") or not _JOINABLE.fullmatch(query.text):
        return ()
    words = [word.lower() for word in re.split("[ -]", query.text)]
    return ("".join(words), "_".join(words))


def wanted_definition(query: Query) -> Wanted | None:
    """Return the name whose definition is all that the query asks for, or None.

    A word that is not spelt like a name is one where a word beside it, or one for definitions, says so (``retry
    function``). Two names are those of a member and its owner: ``method foo of Bar``.
    """
    if query.kind not in ("mixed", "language", "identifier") or query.phrases or query.line:
        return None
    text = query.text
    if name := _only_name(query):
        if query.identifiers == (name,):
            return Wanted((name,), _IN_CODE, exact=False)
        first = words_in(text)[0].lower()
        kinds = next((_KINDS_MEANT[group] for group in (_TYPES, FUNCTIONS) if first in group), _IN_CODE)
        return Wanted((name,), kinds, exact=True)
    if query.kind == "identifier":
        return None
    for place in sorted(query.places, key=lambda place: -place.start):
        text = text[: place.start] + text[place.end :]
    names = query.identifiers
    words = words_in(_ABOVE.sub(" ", text) if names else text)
    lowered = [word.lower() for word in words]
    parts = {part for name in names for part in name.split(".")}
    plain = [at for at, word in enumerate(words) if word not in parts and lowered[at] not in _BESIDE]
    kinds = CONCRETE if _IMPLEMENTED.intersection(lowered) else _IN_CODE
    if len(names) == 1 and len(words) <= _MOST_WORDS and all(lowered[at] in _ABOUT for at in plain):
        return Wanted((*(f"{names[0]}.{words[at]}" for at in plain), *names), kinds, exact=False)
    if len(names) == 1 and len(words) <= _MOST_WORDS and len(plain) <= _FEW_WORDS and _SENTENCE.fullmatch(text.strip()):
        members = (f"{left}.{right}" for at in plain for left, right in permutations((names[0], words[at])))
        return Wanted(tuple(members), kinds, exact=True, else_function=_SPELT_AS_CODE.search(names[0]) is not None)
    if len(words) > _MOST_WORDS or not 1 <= len(names) + len(plain) <= _MOST_NAMES:
        return None
    if len(names) > 1:
        return Wanted((f"{names[1]}.{names[0]}", f"{names[0]}.{names[1]}"), kinds, exact=True)
    word, said = words[plain[0]], _KIND_WORDS.intersection(lowered[max(0, plain[0] - 1) : plain[0] + 2])
    if not _PLAIN.fullmatch(text.strip()):
        return None
    if names:
        return None
    if len(plain) > 1:
        members = (".".join(pair) for pair in permutations(words[at] for at in plain))
        return Wanted(tuple(members), FUNCTIONS, exact=True) if _is_called(words, plain) else None
    if not (said or _DEFINED.intersection(lowered)):
        return None
    meant = (found for group, found in _KINDS_MEANT.items() if group & said)
    return Wanted((word,), next(meant, kinds), exact=True)


def asked_besides(query: Query, words: tuple[str, ...]) -> tuple[str, ...]:
    """Return those of the query's words that it asks for besides the definition that it wants."""
    wanted = wanted_definition(query)
    if wanted is None or not wanted.else_function:
        return ()
    return tuple(word for word in words if word.lower() not in _BESIDE | _ABOUT)


def _is_called(words: list[str], plain: list[int]) -> bool:
    """Return whether one of the words is spelt like the name of a type, as the first of a sentence always is."""
    return any(words[at][0].isupper() and (at > 0 or len(words) == len(plain)) for at in plain)


def _only_name(query: Query) -> str:
    """Return the one name in a piece of code where there are only a language's own words and short variables beside."""
    text = query.text
    if not (_SIGN_OF_CODE.search(text) or (_BEGINS_CODE.match(text) and query.identifiers)):
        return ""
    words = dict.fromkeys(words_in(text))
    names = [word for word in words if word.lower() not in _CODE_WORDS and len(word) > 1 and not word[0].isdigit()]
    return names[0] if len(names) == 1 and (len(words) > 1 or query.kind != "identifier") else ""
