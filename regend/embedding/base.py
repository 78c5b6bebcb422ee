"""The embedding seam: one protocol that every provider implements and one contract test that each passes.

A provider turns texts into unit vectors. It never touches the store, the pipeline or the clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from regend.errors import ProviderRejectedError, count_text
from regend.types import Lane

Task = Literal["document", "query"]
Matrix = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """The properties of a model that do not change.

    Attributes:
        model_id: stable name with version; vectors of different ids are never mixed.
        dim: length of each vector; 0 until the server was asked for it.
        local: True when no text leaves the machine.
        note: one sentence for `status`: what the model is, and what it is not.
        max_items: maximum texts per request.
        max_tokens: maximum tokens per request.
        concurrency: maximum requests in progress at once.
        accelerated: it runs on an accelerator, so that the workers' cores are free.
        quick: every worker has it, and its vectors cost less than the text's way through the pipeline.
    """

    model_id: str
    dim: int
    local: bool
    note: str
    max_items: int = 64
    max_tokens: int = 32_000
    concurrency: int = 2
    accelerated: bool = False
    quick: bool = False


class EmbeddingProvider(Protocol):
    """Asynchronous so that remote providers fit; local ones run in the warm workers (`LocalEncoder`)."""

    info: ModelInfo

    async def prepare(self) -> ModelInfo:
        """Find out the properties that the first text needs, such as the length of vectors; quick when they are known.

        Returns:
            `info`, complete.

        Raises:
            EmbeddingError: they cannot be found out now.
        """
        ...

    async def embed(self, texts: Sequence[str], task: Task, lane: Lane = Lane.BULK) -> Matrix:
        """Embed all texts, in order.

        Args:
            lane: decides which request goes first where requests wait for each other.

        Returns:
            float32 [len(texts), dim], rows L2-normalised and finite.

        Raises:
            ProviderUnavailableError: worth a retry later.
            ProviderRejectedError: not worth a retry with the same texts.
        """
        ...

    def status(self) -> dict[str, Any]:
        """Return counters and state for `status`: numbers, strings, and lists of such tables."""
        ...

    async def close(self) -> None: ...


async def embed_parts(parts: Iterable[Awaitable[Matrix]], dim: int) -> Matrix:
    """Join the vectors of parts of one call, in order.

    All parts run to their end, so that no part goes on by itself after another failed.
    """
    vectors = [np.zeros((0, dim), np.float32)]
    for result in await asyncio.gather(*parts, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
        vectors.append(result)
    return np.concatenate(vectors)


class LocalEncoder(Protocol):
    """A model that runs in this process: in a warm worker for bulk, in the daemon for queries."""

    info: ModelInfo

    def encode(self, texts: Sequence[str], task: Task) -> Matrix:
        """Embed as `EmbeddingProvider.embed` does; the same text gives the same bits in every batch."""
        ...


class EmbedInWorkers(Protocol):
    """Embeds documents in the warm workers, with the encoder of a spec or (empty) the built-in one.

    Returns float32 [n, dim], rows L2-normalised.
    """

    async def __call__(self, texts: Sequence[str], lane: Lane, spec: str = "") -> Matrix: ...


def unit_vectors(value: object, count: int, dim: int, who: str) -> Matrix:
    """Check the numbers that a model or server returned, and bring each row to unit length.

    Every implementation calls this once, where the numbers enter; callers of the seam rely on it.

    Args:
        value: an array of floats; anything else is refused.
        who: names the model or server in messages.

    Returns:
        float32 [count, dim], rows L2-normalised and finite.

    Raises:
        ProviderRejectedError: wrong shape or type, not finite, or a zero vector.
    """
    given = np.asarray(value)
    if given.ndim == 2 and len(given) == count and given.shape[1] != dim:
        raise ProviderRejectedError(
            f"{who} returned vectors of length {given.shape[1]}, not {dim}; check that the configured model and "
            "dimension are the server's.",
            "dimension",
        )
    if given.shape != (count, dim) or given.dtype.kind != "f":
        raise ProviderRejectedError(
            f"{who} returned an array of shape {given.shape} and type {given.dtype} for "
            f"{count_text(count, 'text')}; the provider is faulty.",
            "count",
        )
    with np.errstate(over="ignore", invalid="ignore"):  # Too large for float32 is not finite, which is refused below.
        vectors = given.astype(np.float32, copy=False)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not np.isfinite(norms).all():
        raise ProviderRejectedError(
            f"{who} returned a vector that is not finite; the model or server is faulty.", "not_finite"
        )
    if count and float(norms.min()) == 0.0:
        raise ProviderRejectedError(f"{who} returned a zero vector; the model or server is faulty.", "zero")
    return np.asarray(vectors / norms, np.float32)
