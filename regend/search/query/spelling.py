"""Spelling: a word that no indexed file holds is the beginning of one that some hold, or a typo of it.

Pure; the index is asked through functions. The lexical index gives no access to words that are near another one, but
tells in about a microsecond whether it has a word, so all edits of a word are tried: 56 times its length, which is
0.7 ms for a word of twelve letters, and only for words that would have found nothing. A scan of all 166,000 words of
a 58,000-chunk index took 230 ms.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from regend.chunking.tokens import MARKS, STOP_WORDS, asked_tokens, folded, is_unspaced

Frequencies = Callable[[Sequence[str]], list[int]]
"""For each term about how many chunks hold it; 0 if no chunk does."""

Longer = Callable[[str, bool], str]
"""For a word and True one that begins with it, for False one that holds it; empty where no chunk has such a word."""

MAX_CORRECTED = 4
"""Maximum words corrected; a text with more unknown words was not misspelt."""
_MIN_CHARS = 4
_MAX_CHARS = 64
_SURELY_MEANT = 5
"""Letters from which on a part of a word is no typo, however frequent another word is."""
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_ALPHABETS = ("абвгдежзийклмнопрстуфхцчшщъыьэюяёіїєґ", "αβγδεζηθικλμνξοπρστυφχψω")
"""Letters of words that have one of them."""
_DIGITS = "0123456789"
_WORD = re.compile(rf'"[^"\n]*"|(?<!\w)[^\W\d][\w{MARKS}]*')
_NUMBER = re.compile(
    r'"[^"\n]*"|(?<![\w.,:#/+-])(?:0[xX][0-9a-fA-F]{2,16}|[1-9]\d*(?:_\d+)+|[1-9]\d{2,18})(?![\w.:/-]*\w|,\d)'
)
_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]*|[a-z]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Correction(NamedTuple):
    """A word of the query and the one that was meant."""

    wrong: str
    right: str


def correct(
    text: str,
    frequencies: Frequencies,
    longer: Longer = lambda _word, _begins: "",
    is_meant: Callable[[str], bool] = lambda _word: True,
) -> tuple[str, tuple[Correction, ...]]:
    """Return the text with its misspelt and unfinished words corrected; words within double quotes stay.

    A word of five letters that a longer one begins with is no typo, and neither is a lone word that one holds. A
    shorter one becomes the word that more chunks hold.

    Args:
        is_meant: tells words that are searched for from those that only ask, which stay.

    Returns:
        The new text, and what was changed in it; nothing where every word is known or has no known neighbour.
    """
    text, numbers = _written_otherwise(text, frequencies)
    found = list(_WORD.finditer(text))
    words = [w for w in dict.fromkeys(m[0] for m in found) if not w.startswith('"') and not is_unspaced(w)]
    terms = {word: asked_tokens(word).split() for word in words}
    asked = list(dict.fromkeys(term for tokens in terms.values() for term in tokens if term not in STOP_WORDS))
    unknown = {term for term, count in zip(asked, frequencies(asked), strict=True) if not count}
    if not unknown:
        return text, numbers
    changes: dict[str, str] = {}
    suspects = [word for word in words if unknown.intersection(terms[word]) and is_meant(word)]
    for word in suspects[:MAX_CORRECTED]:
        other = _most_frequent(other_conventions(word), frequencies) if terms[word][0] in unknown else ""
        if other:
            changes[word] = other
            continue
        begun = longer(word, True) if terms[word][0] in unknown else ""
        if not begun and len(words) == 1 and terms[word][0] in unknown:
            begun = longer(word, False)
        right = begun if len(word) >= _SURELY_MEANT and not word.endswith("s") else ""
        right = right or _likelier(word, begun, _corrected(word, unknown, frequencies), frequencies)
        if right:
            changes[word] = right
    changed = _WORD.sub(lambda match: changes.get(match[0], match[0]), text)
    return changed, (*numbers, *(Correction(wrong, right) for wrong, right in changes.items()))


def _written_otherwise(text: str, frequencies: Frequencies) -> tuple[str, tuple[Correction, ...]]:
    """Return the text with the numbers that no chunk holds as code has them: ``1000000`` as `1_000_000`, or as hex."""
    numbers = [each for each in dict.fromkeys(_NUMBER.findall(text)) if not each.startswith('"')][:MAX_CORRECTED]
    changes: dict[str, str] = {}
    for number, count in zip(numbers, frequencies([each.lower() for each in numbers]) if numbers else (), strict=True):
        value = int(number.replace("_", ""), 16 if number[1:2] in ("x", "X") else 10)
        other = "" if count else _most_frequent((str(value), f"{value:_}", hex(value)), frequencies)
        if other:
            changes[number] = other
    changed = _NUMBER.sub(lambda match: changes.get(match[0], match[0]), text) if changes else text
    return changed, tuple(Correction(wrong, right) for wrong, right in changes.items())


def other_conventions(name: str) -> tuple[str, ...]:
    """Return a name of several words as other languages spell it: with underscores, and with capitals."""
    words = [word.lower() for word in _HUMP.sub("_", name).split("_") if word]
    return ("_".join(words), words[0] + "".join(map(str.capitalize, words[1:]))) if len(words) > 1 else ()


def _most_frequent(names: Sequence[str], frequencies: Frequencies) -> str:
    """Return the name that most chunks hold as a whole; empty where none is held."""
    counts = frequencies([name.lower() for name in names]) if names else []
    return max(zip(counts, names, strict=True), default=(0, ""), key=lambda found: found[0])[1] if any(counts) else ""


def _likelier(word: str, begun: str, right: str, frequencies: Frequencies) -> str:
    """Return the longer word or the one an edit away: the singular, what surely was meant, what more chunks hold."""
    if not begun or not right:
        return right or begun
    longer, near = frequencies([asked_tokens(either).split()[0] for either in (begun, right)])
    if near and right + "s" == word:
        return right
    return begun if len(word) >= _SURELY_MEANT or longer >= near else right


def _corrected(word: str, unknown: set[str], frequencies: Frequencies) -> str:
    """Return the word that was meant, in the case in which `word` was typed; empty if nothing fits."""
    if not word.isascii() and frequencies([folded(word)])[0]:
        return ""  # It is found without its accents.
    whole = _nearest(word, frequencies)
    if whole:
        return whole
    # The name itself does not exist, yet one of its parts may be misspelt: getUsreById where there is getUser.
    pieces: list[str] = []
    at = 0
    for part in _PART.finditer(word):
        right = _nearest(part[0], frequencies) if part[0].lower() in unknown and part[0] != word else ""
        if right:
            pieces += [word[at : part.start()], right]
            at = part.end()
    return "".join((*pieces, word[at:])) if pieces else ""


def _nearest(word: str, frequencies: Frequencies) -> str:
    """Return the most frequent word one edit away; among equals first one with the same first letter, then by name."""
    if not _MIN_CHARS <= len(word) <= _MAX_CHARS:
        return ""
    # An underscore at either end makes no other word of it: `queues` is `queue`, not `queue_`.
    edges = word.strip("_") != word
    near = dict.fromkeys(edits(word))
    variants = [e for e in near if len(e) >= _MIN_CHARS and (edges or e.strip("_") == e)]
    counts = frequencies([variant.strip("_$").lower() for variant in variants])
    most = max(counts)
    if not most:
        return ""
    best = (variant for variant, count in zip(variants, counts, strict=True) if count == most)
    return min(best, key=lambda variant: (variant[0] != word[0], variant))


def edits(word: str) -> Iterator[str]:
    """Return what one keystroke too many, too few, wrong or swapped makes of `word`; letters keep their case."""
    own = [] if word.isascii() else [a for a in _ALPHABETS if not set(a).isdisjoint(word.lower())]
    letters = "".join(own or [_LETTERS]) + "_" + (_DIGITS if any(letter.isdigit() for letter in word) else "")
    for at in range(len(word)):
        yield word[:at] + word[at + 1 :]
        if at and word[at] != word[at - 1]:
            yield word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :]
        for letter in letters.upper() if word[at].isupper() else letters:
            if letter != word[at]:
                yield word[:at] + letter + word[at + 1 :]
    for at in range(len(word) + 1):
        for letter in letters:
            yield word[:at] + letter + word[at:]
