"""Commands: work that the pipeline asks the shell to do.

Exactly one event answers each command but `ResolveFlush` (`Observe`: one or more `Observed`, of which one is the last).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from regend.types import FIRST_TRACK, BlobId, ChunkId, Lane, PackedFile, RootId, StatSig, Track


@dataclass(frozen=True, slots=True)
class Observe:
    """Look at the disk. Answered by `Observed` with the same `scan_id`.

    Attributes:
        scopes: paths relative to the root; each stands for itself and all below it. ``("",)`` is the whole root.
        known: signatures within the scopes that may be trusted: an equal one means `unchanged`, without reading.
    """

    scan_id: int
    root: RootId
    scopes: tuple[str, ...]
    known: Mapping[str, StatSig]


@dataclass(frozen=True, slots=True)
class ChunkFile:
    """Read, hash and chunk one file in a warm worker. Answered by `Chunked` or `ChunkFailed`.

    Attributes:
        alone: this file failed before: give it a worker with nothing else in its window.
        is_new: the tree has no such path, so its chunks are likely new, too.
    """

    root: RootId
    path: str
    version: int
    lane: Lane
    alone: bool = False
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class Embed:
    """Embed these chunks; the shell reads their texts from the store. Answered by `Embedded` or `EmbedFailed`."""

    batch_id: int
    chunks: tuple[ChunkId, ...]
    token_count: int
    lane: Lane
    track: Track = FIRST_TRACK


@dataclass(frozen=True, slots=True)
class PutFile:
    """The path now has this blob. `chunked` is None when the pool holds the blob's chunks already."""

    root: RootId
    path: str
    sig: StatSig
    blob: BlobId
    chunked: PackedFile | None


@dataclass(frozen=True, slots=True)
class TouchFile:
    """The path has the same blob and a new signature."""

    root: RootId
    path: str
    sig: StatSig


@dataclass(frozen=True, slots=True)
class SkipFile:
    """The path exists but is not indexed, for this reason; the store drops what it indexed there."""

    root: RootId
    path: str
    sig: StatSig
    blob: BlobId | None
    reason: str


@dataclass(frozen=True, slots=True)
class DeleteFile:
    """The path is gone from disk, or now ignored."""

    root: RootId
    path: str


@dataclass(frozen=True, slots=True)
class PutVectors:
    """Vectors for chunks, in order; `vectors` is opaque here (float32 [n, dim], rows L2-normalised).

    Attributes:
        forgone: chunks that will get no vector of this track; the track's takeover does not wait for them.
    """

    chunks: tuple[ChunkId, ...]
    vectors: object
    track: Track = FIRST_TRACK
    forgone: tuple[ChunkId, ...] = ()


FileOp = PutFile | TouchFile | SkipFile | DeleteFile
Op = FileOp | PutVectors


@dataclass(frozen=True, slots=True)
class Commit:
    """Apply all operations atomically, in order, and publish a snapshot. Answered by `Committed` or `CommitFailed`."""

    commit_id: int
    ops: tuple[Op, ...]


@dataclass(frozen=True, slots=True)
class FetchUnembedded:
    """List up to `limit` live chunks without a vector of the track's model. Answered by `UnembeddedFound`.

    Attributes:
        exclude: chunks that are known already (waiting, in flight, or quarantined).
        spent: (root, path) of files whose chunks must not be listed now; they hold up no takeover.
    """

    limit: int
    exclude: frozenset[ChunkId]
    track: Track = FIRST_TRACK
    spent: frozenset[tuple[RootId, str]] = frozenset()


@dataclass(frozen=True, slots=True)
class ResolveFlush:
    """Answer the flush: everything older than the ticket is done.

    Attributes:
        failed: (root, path, reason) of files that could not be indexed and of places that could not be looked at.
        complete: everything was looked at, and no vector is missing for anything searchable by words.
    """

    ticket: int
    generation: int
    failed: tuple[tuple[RootId, str, str], ...]
    complete: bool


Command = Observe | ChunkFile | Embed | Commit | FetchUnembedded | ResolveFlush
