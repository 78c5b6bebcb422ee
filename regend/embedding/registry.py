"""Which providers and local encoders exist: one line each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regend.config import PROVIDERS, EmbeddingConfig
from regend.embedding.base import EmbeddingProvider, EmbedInWorkers, LocalEncoder, ModelInfo, Task
from regend.embedding.static import built_in
from regend.errors import ConfigError
from regend.types import Lane

QueryEncoder = Callable[[str], npt.NDArray[np.float32]]
"""A query's vector: float32 [dim], L2-normalised."""


class LocalProvider:
    """A local encoder as a provider: documents in the warm workers, queries in this process."""

    def __init__(self, encoder: LocalEncoder, embed_in_workers: EmbedInWorkers) -> None:
        self.info: ModelInfo = encoder.info
        self._encoder = encoder
        self._embed_in_workers = embed_in_workers

    async def prepare(self) -> ModelInfo:
        """See `EmbeddingProvider.prepare`; nothing has to be found out."""
        return self.info

    async def embed(self, texts: Sequence[str], task: Task, lane: Lane = Lane.BULK) -> npt.NDArray[np.float32]:
        """See `EmbeddingProvider.embed`."""
        if task == "query":
            return self._encoder.encode(texts, task)
        return await self._embed_in_workers(texts, lane)

    def status(self) -> dict[str, Any]:
        """See `EmbeddingProvider.status`; the workers have their own."""
        return {}

    async def close(self) -> None:
        """Close nothing: the workers are the daemon's."""


def local_encoder(spec: str = "") -> LocalEncoder:
    """Open the built-in encoder, or that of a spec.

    Raises:
        ConfigError: a model of the user's own cannot be used.
    """
    if not spec:
        return built_in()
    from regend.embedding.onnx import open_spec  # Its packages are an extra.

    return open_spec(spec)


def query_encoder(config: EmbeddingConfig) -> QueryEncoder | None:
    """Return what gives queries their vectors in this process; None where a server or a worker has to be asked."""
    if config.provider != "builtin":
        return None
    encoder = built_in()
    return lambda text: encoder.encode([text], "query")[0]


def known_words(config: EmbeddingConfig) -> Callable[[str], bool]:
    """Return what tells whether the model knows a word of a text; models of subwords know all."""
    return built_in().knows if config.provider == "builtin" else lambda _text: True


def word_importance(words: Sequence[str]) -> list[float]:
    """Return how much each word says in a question, by the built-in model, whichever one serves the vectors."""
    return built_in().importance(words)


def open_provider(
    config: EmbeddingConfig, embed_in_workers: EmbedInWorkers, cache: Path | None = None
) -> EmbeddingProvider:
    """Open the provider that the configuration names; its `info.local` tells whether texts leave the machine.

    Args:
        cache: file that keeps the findings about servers.

    Raises:
        ConfigError: no provider has that name, or it is not usable as configured.
    """
    match config.provider:
        case "builtin":
            return LocalProvider(built_in(), embed_in_workers)
        case "onnx":
            from regend.embedding.onnx import OnnxProvider  # Its packages are an extra.

            return OnnxProvider(config, embed_in_workers)
        case name if name in PROVIDERS:
            from regend.embedding.remote.provider import HttpProvider  # aiohttp takes 0.2 s; workers never need it.

            return HttpProvider(config, cache)
        case name:
            raise ConfigError(f"`embedding.provider` is {name!r}, which is unknown; there are: {', '.join(PROVIDERS)}.")
