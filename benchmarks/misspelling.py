"""Questions as people type them in a hurry: one edit in each identifier, or else in the longest word.

Pure and seeded by the question's own text, so that a question is misspelt in the same way in every run.
"""

from __future__ import annotations

import random
import re
import string
import zlib

_WORD = re.compile(r"\w+")
_IDENTIFIER = re.compile(r"\w*(?:[a-z0-9][A-Z]|[A-Z]{2}[a-z]|[^\W_]_[^\W_])\w*")
MIN_CHARS = 4
"""Shorter words are left alone: one edit makes another word of them."""


def misspelt(text: str, seed: int = 1) -> str:
    """Make one random edit in each word of `text` spelt like code, else in its longest word."""
    rng = random.Random(zlib.crc32(text.encode()) + seed)
    words = [found for found in _WORD.finditer(text) if len(found[0]) >= MIN_CHARS]
    chosen = [found for found in words if _IDENTIFIER.fullmatch(found[0])]
    if not chosen and words:
        chosen = [max(words, key=lambda found: len(found[0]))]
    for found in reversed(chosen):
        text = text[: found.start()] + edited(found[0], rng) + text[found.end() :]
    return text


def edited(word: str, rng: random.Random) -> str:
    """Drop, replace or insert one letter of `word`, or swap two; the first letter stays.

    Args:
        word: of at least three characters.
    """
    while True:
        at = rng.randrange(1, len(word))
        letter = rng.choice(string.ascii_lowercase)
        found = rng.choice(
            (
                word[:at] + word[at + 1 :],
                word[:at] + letter + word[at:],
                word[:at] + letter + word[at + 1 :],
                word[: at - 1] + word[at] + word[at - 1] + word[at + 1 :] if at > 1 else word,
            )
        )
        if found != word:
            return found
