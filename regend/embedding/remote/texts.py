"""Texts as a model gets them: with its task prefix, counted, and cut at a line where they are too long.

Tokens are counted exactly where the model's own `tokenizer.json` is at hand, else estimated by a factor that is learnt
from what the server says it used.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from regend.chunking.tokens import estimate_tokens
from regend.embedding.pacing.tokenscale import TokenScale
from regend.errors import ConfigError

_CHARS_PER_TOKEN = 3.5
"""As in `estimate_tokens`: two tokens for every seven characters that are not spaces."""
_LEAST_KEPT = 0.5
"""A cut at a line must leave this share of what fits; else the cut is between words, or anywhere."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """A text that may be sent.

    Attributes:
        tokens: counted or estimated.
        estimate: without the learnt factor; equal to `tokens` where they were counted.
    """

    text: str
    tokens: float
    estimate: float


class TokenCounter:
    """Counts, and learns to estimate.

    Args:
        tokenizer: path of a `tokenizer.json`; empty where there is no such file.

    Raises:
        ConfigError: it cannot be loaded, or the package for it is not installed.
    """

    def __init__(self, tokenizer: str = "") -> None:
        self.scale = TokenScale()
        self._tokenizer: Any = _load_tokenizer(tokenizer) if tokenizer else None

    @property
    def is_exact(self) -> bool:
        return self._tokenizer is not None

    def prepare(self, text: str, limit: int) -> tuple[Prepared, bool]:
        """Count a text, and cut it to `limit` tokens (0: no limit); the flag says that it was cut."""
        if self._tokenizer is not None:
            return self._counted(text, limit)
        factor = self.scale.factor
        kept, estimate = text, estimate_tokens(text)
        room = int(limit / factor * _CHARS_PER_TOKEN)
        while limit and len(kept) > 1 and estimate * factor > limit:
            kept = cut_at_boundary(text, room)
            estimate = estimate_tokens(kept)
            room = room * 9 // 10
        return Prepared(kept, estimate * factor, estimate), len(kept) < len(text)

    def ids(self, texts: Sequence[str], limit: int, *, on_all_cores: bool = False) -> list[list[int]]:
        """Return the token numbers of texts, special ones included, cut to `limit`; only with a tokenizer."""
        assert self._tokenizer is not None, "there is a tokenizer"
        return [encoding.ids for _, encoding in self._within(texts, limit, on_all_cores=on_all_cores)]

    def _counted(self, text: str, limit: int) -> tuple[Prepared, bool]:
        ((kept, encoding),) = self._within([text], limit)
        count = float(len(encoding))
        return Prepared(kept, count, count), len(kept) < len(text)

    def _within(self, texts: Sequence[str], limit: int, *, on_all_cores: bool = False) -> list[tuple[str, Any]]:
        """Return texts of at most `limit` tokens (0: no limit) with their encodings."""
        encode, encode_together = self._tokenizer.encode, self._tokenizer.encode_batch

        def encoded(some: Sequence[str]) -> Iterable[tuple[str, Any]]:
            return zip(some, encode_together(some) if on_all_cores else map(encode, some), strict=True)

        done = list(encoded(texts))
        while long := [at for at, (text, tokens) in enumerate(done) if limit and text and len(tokens) > limit]:
            cut = encoded([_shorter(*done[at], limit) for at in long])
            for at, pair in zip(long, cut, strict=True):
                done[at] = pair
        return done


def _shorter(text: str, encoding: Any, limit: int) -> str:
    """Cut a text that has too many tokens to about `limit`."""
    # Special tokens have empty spans and come on top; a cut at a line is well below the limit anyway.
    ends = [end for _, end in encoding.offsets if end]
    ends = ends[: max(1, limit - (len(encoding) - len(ends)))]
    kept = cut_at_boundary(text, ends[-1] if ends else 0)
    return kept if len(kept) < len(text) else text[: len(text) // 2]


def _load_tokenizer(path: str) -> Any:
    """Load a `tokenizers.Tokenizer` without truncation and padding of its own."""
    try:
        tokenizers = importlib.import_module("tokenizers")
    except ImportError as error:
        raise ConfigError("`embedding.tokenizer` needs the package `tokenizers`: install `regend[tokens]`.") from error
    try:
        tokenizer = tokenizers.Tokenizer.from_file(path)
    except Exception as error:  # The package raises plain exceptions.
        raise ConfigError(
            f"`embedding.tokenizer`: {path} is not a tokenizer.json that can be read: {error}."
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def cut_at_boundary(text: str, chars: int) -> str:
    """Cut a text to `chars` characters: at the end of a line or else a word where that keeps enough, else anywhere."""
    if len(text) <= chars:
        return text
    least = int(chars * _LEAST_KEPT)
    for boundary in ("\n", " "):
        at = text.rfind(boundary, least, chars + 1)
        if at > 0:
            return text[:at]
    return text[:chars]
