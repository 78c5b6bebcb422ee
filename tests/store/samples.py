"""Files and vectors for the store's tests: small, deterministic, and shaped like what workers send."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from regend.chunking.packing import pack
from regend.core.commands import Commit, Op, PutFile, PutVectors
from regend.embedding.base import ModelInfo
from regend.store.store import Store
from regend.types import Chunk, ChunkedFile, ChunkId, RootId, StatSig, Symbol, blob_id, chunk_id

DIM = 16
MODEL = ModelInfo("test-model-1", DIM, local=True, note="for tests")


def sig(number: int) -> StatSig:
    return StatSig(10**18 + number, 10**18 + number, 100 + number, 2**63 + number)


def chunked(bodies: list[str], language: str = "python", skip_reason: str = "") -> ChunkedFile:
    """A file with one function per body; equal bodies under equal names are equal chunks."""
    content = "\n".join(bodies).encode()
    chunks, symbols = [], []
    for ordinal, body in enumerate(bodies):
        symbol = f"Outer.{body.split()[0]}"
        start = ordinal * 10 + 1
        chunks.append(
            Chunk(chunk_id(symbol, body), ordinal, start, start + 9, symbol, "method", len(body.split()), body, body)
        )
        symbols.append(Symbol(body.split()[0], symbol, "method", start, start + 9))
    if skip_reason:
        chunks, symbols = [], []
    blob = blob_id(content, language, 1)
    lines = 10 * len(bodies)
    return ChunkedFile(blob, sig(1), language, lines, tuple(chunks), tuple(symbols), skip_reason)


def put(root: RootId, path: str, file: ChunkedFile, number: int = 1, *, known: bool = False) -> PutFile:
    return PutFile(root, path, sig(number), file.blob, None if known else pack(file))


def vector_of(chunk: ChunkId) -> npt.NDArray[np.float32]:
    """The "embedding" of a chunk: a unit vector that depends on its id only."""
    seed = int.from_bytes(hashlib.blake2b(chunk, digest_size=8).digest(), "big")
    vector = np.random.default_rng(seed).standard_normal(DIM).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def put_vectors(chunks: list[ChunkId]) -> PutVectors:
    return PutVectors(tuple(chunks), np.stack([vector_of(chunk) for chunk in chunks]) if chunks else np.zeros((0, DIM)))


def apply(store: Store, *ops: Op) -> list[ChunkId]:
    """Commit and return the chunks that still need a vector."""
    return [pending.chunk for pending in store.apply(Commit(1, ops)).pending]


def clustered(count: int, dim: int, seed: int) -> npt.NDArray[np.float32]:
    """Unit vectors in clusters, as embeddings are; independent random ones break HNSW."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(4, count // 50), dim))
    rows = centres[rng.integers(0, len(centres), count)] + 0.3 * rng.standard_normal((count, dim))
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
