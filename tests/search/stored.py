"""The real store behind the same small surface as `memory.MemoryStore`, so that one test can run on both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from regend.chunking.packing import pack
from regend.core.commands import Commit, PutFile, PutVectors
from regend.embedding.base import ModelInfo
from regend.store.base import Entry, Snapshot
from regend.store.store import open_store
from regend.types import ChunkedFile, ChunkId, RootId, StatSig, blob_id
from tests.search.memory import DIM, hashed_vector, split_source

MODEL = ModelInfo("hashed-test", DIM, True, "Hashed tokens, for tests.")


class StoredCorpus:
    """Files put straight into a real store."""

    def __init__(self, state_dir: Path) -> None:
        self.store = open_store(state_dir, MODEL)
        self._commits = 0

    @property
    def snapshot(self) -> Snapshot:
        return self.store.reads.snapshot

    def add_root(self, path: str, pool: int = 1) -> RootId:
        return self.store.add_root(path, f"pool-{pool}", f"1:{path}").root

    def put(self, root: RootId, path: str, text: str, language: str = "python", vectors: bool = True) -> Entry:
        self.fill(root, [(path, text, language)], vectors)
        entry = self.snapshot.pools[self.snapshot.roots[root].pool].entry_at(root, path)
        assert entry is not None
        return entry

    def fill(self, root: RootId, files: Sequence[tuple[str, str, str]], vectors: bool = True) -> None:
        """Put several files in one commit."""
        ops: list[PutFile | PutVectors] = []
        texts: dict[ChunkId, str] = {}
        for path, text, language in files:
            chunks, symbols = split_source(text)
            blob = blob_id(text.encode(), language, 1)
            sig = StatSig(1, 1, len(text), 1)
            lines = text.count("\n") + 1
            file = ChunkedFile(blob, sig, language, lines, tuple(chunks), tuple(symbols))
            ops.append(PutFile(root, path, sig, blob, pack(file)))
            texts.update((chunk.chunk_id, f"{chunk.symbol}\n{chunk.text}") for chunk in chunks)
        if vectors and texts:
            ops.append(PutVectors(tuple(texts), np.stack([hashed_vector(text) for text in texts.values()])))
        self._commits += 1
        self.store.apply(Commit(self._commits, tuple(ops)))

    def close(self) -> None:
        self.store.close()
