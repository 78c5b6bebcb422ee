"""semble, where it is importable: its index and its ranking over the same checkouts, for the comparison table.

Results are its chunks as it ranks them, as its own published figures are made. Its default model is not downloaded; the
hybrid mode runs with the encoder that it is given, so that both engines are compared with the same vectors.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.metrics import TOP, Found
from regend.embedding.base import LocalEncoder

MODES: dict[str, float | None] = {"semble-words": 0.0, "semble-hybrid": None}
"""The share of the vectors in each mode; None is semble's own choice by the kind of query."""


def missing() -> str:
    """Say why semble cannot be run; empty if it can."""
    return "" if importlib.util.find_spec("semble") else "semble is not installed; `pip install semble` adds its rows."


class _Model:
    """A local encoder with the few methods of a model that semble calls."""

    def __init__(self, encoder: LocalEncoder) -> None:
        self._encoder = encoder
        self.dim = encoder.info.dim

    def encode(self, texts: Sequence[str], **_: Any) -> np.ndarray[Any, Any]:
        return self._encoder.encode(list(texts), "query" if len(texts) == 1 else "document")


class SembleIndex:
    """One checkout as semble indexes it."""

    def __init__(self, directory: Path, encoder: LocalEncoder) -> None:
        from semble.index.create import create_index_from_path
        from semble.types import ContentType

        self._model = _Model(encoder)
        self._words, self._vectors, self._chunks, _ = create_index_from_path(
            directory, model=self._model, content=(ContentType.CODE,), display_root=directory
        )

    @property
    def chunk_count(self) -> int:
        return len(self._chunks)

    @property
    def file_count(self) -> int:
        return len({chunk.file_path for chunk in self._chunks})

    def search(self, query: str, mode: str) -> list[Found]:
        """Find the best chunks, with paths relative to the directory."""
        chunks = self._chunks_for(query, mode, TOP)
        return [Found(chunk.file_path, chunk.start_line, chunk.end_line) for chunk in chunks]

    def passages(self, query: str, mode: str, count: int) -> list[tuple[str, int, str]]:
        """Find the best chunks as path, first line and text."""
        chunks = self._chunks_for(query, mode, count)
        return [(chunk.file_path, chunk.start_line, chunk.content) for chunk in chunks]

    def _chunks_for(self, query: str, mode: str, count: int) -> list[Any]:
        from semble.search import search

        results = search(query, self._model, self._vectors, self._words, self._chunks, count, alpha=MODES[mode])
        return [result.chunk for result in results]
