"""The embedding seam: one protocol that every provider implements and one contract test that each passes.

A provider turns texts into unit vectors. It never touches the store, the pipeline or the clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from regend.errors import ProviderRejectedError

Task = Literal["document", "query"]


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """What is fixed about a model.

    Attributes:
        model_id: stable name with version; vectors of different ids are never mixed.
        dim: length of each vector.
        local: True when no text leaves the machine.
        note: one sentence for `status`: what it is, and what it is not.
        max_items: texts per request at most.
        max_tokens: tokens per request at most.
    """

    model_id: str
    dim: int
    local: bool
    note: str
    max_items: int = 256
    max_tokens: int = 1_000_000


class EmbeddingProvider(Protocol):
    """Asynchronous so that remote providers fit; local ones run in the warm workers (`LocalEncoder`)."""

    info: ModelInfo

    async def embed(self, texts: Sequence[str], task: Task) -> npt.NDArray[np.float32]:
        """Embed all texts, in order.

        Returns:
            float32 [len(texts), dim], rows L2-normalised and finite.

        Raises:
            ProviderUnavailableError: worth a retry later.
            ProviderRejectedError: not worth a retry with the same texts.
        """
        ...

    async def close(self) -> None: ...


class LocalEncoder(Protocol):
    """A model that runs in this process: in a warm worker for bulk, in the daemon for queries."""

    info: ModelInfo

    def encode(self, texts: Sequence[str], task: Task) -> npt.NDArray[np.float32]:
        """As `EmbeddingProvider.embed`; the same text gives the same bits whatever the batch."""
        ...


def checked(vectors: npt.NDArray[np.float32], count: int, dim: int, who: str) -> npt.NDArray[np.float32]:
    """Return `vectors` L2-normalised, or say what is wrong with them.

    Raises:
        ProviderRejectedError: wrong shape, not finite, or a zero vector.
    """
    if vectors.shape != (count, dim):
        raise ProviderRejectedError(
            f"{who} returned vectors of shape {vectors.shape} where ({count}, {dim}) was asked for; "
            "check that the configured model and dimension match the server's."
        )
    if not np.isfinite(vectors).all():
        raise ProviderRejectedError(f"{who} returned a vector that is not finite; the model or server is faulty.")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if count and float(norms.min()) == 0.0:
        raise ProviderRejectedError(f"{who} returned a zero vector; the model or server is faulty.")
    return np.asarray(vectors / norms, dtype=np.float32)
