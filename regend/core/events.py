"""Events: facts that the shell reports to the pipeline. Every asyncio task, thread and process answers with one.

An event states what has happened and asks for nothing. All are immutable.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from regend.core.batcher import BatchConfig
from regend.core.modes import Mode
from regend.types import FIRST_TRACK, BlobId, ChunkId, PackedFile, PoolId, RootId, StatSig, Track


@dataclass(frozen=True, slots=True)
class FileState:
    """The catalog's entry for one path.

    Attributes:
        blob: None where the file was skipped before it was hashed.
        skipped: the file is not indexed; the catalog keeps the reason.
    """

    sig: StatSig
    blob: BlobId | None
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class RootAdded:
    """A root is now served. The pipeline reconciles it at once.

    Attributes:
        files: the tree as last committed, path -> state.
        pool_blobs: every blob whose chunks the pool holds, live or not.
    """

    root: RootId
    pool: PoolId
    files: Mapping[str, FileState]
    pool_blobs: frozenset[BlobId]


@dataclass(frozen=True, slots=True)
class RootRemoved:
    """The user removed the root; the pipeline drops all work in flight for it."""

    root: RootId


@dataclass(frozen=True, slots=True)
class RootLost:
    """The root's directory or its marker is gone: hold everything, delete nothing."""

    root: RootId


@dataclass(frozen=True, slots=True)
class RootFound:
    """A lost root is back: reconcile it."""

    root: RootId


@dataclass(frozen=True, slots=True)
class RootBusy:
    """`.git/index.lock` appeared (`busy`) or went away: changes wait, for a bounded time."""

    root: RootId
    busy: bool


@dataclass(frozen=True, slots=True)
class PathChanged:
    """A hint that `path` (relative, ``/``) may differ on disk: a file, a directory, or gone."""

    root: RootId
    path: str


@dataclass(frozen=True, slots=True)
class RescanNeeded:
    """Hints were lost, or may have been: compare `path` and all below it (empty: the whole root) with the disk.

    Attributes:
        rehash: read every file, even where its signature is unchanged.
        mode: work in this mode until nothing waits, with `rehash` only; None: as before.
    """

    root: RootId
    path: str = ""
    rehash: bool = False
    mode: Mode | None = None


@dataclass(frozen=True, slots=True)
class Observation:
    """One regular file that exists.

    Attributes:
        blob: its content's name; None when `unchanged` or skipped before reading.
        skip_reason: why it is not indexed (``too_large``, ``unreadable``, ``symlink`` …), or empty.
        unchanged: its signature equals the one in `Observe.known`, so it was not read.
        size_bytes: how much was read.
    """

    path: str
    sig: StatSig
    blob: BlobId | None = None
    skip_reason: str = ""
    unchanged: bool = False
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Observed:
    """Part of the answer to an `Observe`: files that exist within its scopes, each reported once.

    Attributes:
        last: no more parts follow. A known path within the scopes that was not reported is gone,
            unless it lies in `unsure`.
        unsure: paths (and all below) that could not be looked at, with the reason; nothing is concluded about them.
        root_gone: the root itself was not there before or after the scan; nothing is concluded at all.
        linked: inode -> names known before, of the files of which the scan found a new name. A file that gets a further
            name is reported under that name only, so an older one that is not known must be looked at.
    """

    scan_id: int
    files: tuple[Observation, ...]
    last: bool
    unsure: tuple[tuple[str, str], ...] = ()
    root_gone: bool = False
    linked: Mapping[int, frozenset[tuple[RootId, str]]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chunked:
    """A worker read and chunked the file. `result.blob` is what was read, not what was planned."""

    root: RootId
    path: str
    version: int
    result: PackedFile


@dataclass(frozen=True, slots=True)
class ChunkFailed:
    """A worker could not chunk the file. It is retried once alone, then quarantined until it is written again.

    Attributes:
        gone: the file no longer exists, or is no longer to be read (too large, a link): the pipeline looks again
            and counts no failure.
    """

    root: RootId
    path: str
    version: int
    reason: str
    gone: bool = False


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A path and its content."""

    root: RootId
    path: str
    blob: BlobId

    @property
    def key(self) -> tuple[RootId, str]:
        return self.root, self.path


@dataclass(frozen=True, slots=True)
class PendingChunk:
    """A committed chunk that has no vector of the current model yet.

    Attributes:
        version: a file that has the chunk, to count the file's texts; None where the model is local.
    """

    chunk: ChunkId
    token_count: int
    size_bytes: int
    version: FileVersion | None = None


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors arrived for a batch, or for a part of it, in the order of its chunks.

    Attributes:
        vectors: opaque to the core; handed on to the commit as it is (float32 [n, dim], rows L2-normalised):
            one row for each chunk of the batch that is neither failed nor unanswered, in the batch's order.
        failed: chunks of the batch that have no vector and will not get one, with the reason.
        unanswered: chunks of the batch that the provider had not answered when it failed; tried again.
        reason: why some are failed or unanswered; empty when all have vectors.
        retry_after_s: seconds after which trying them again makes sense.
        token_factor: the provider's tokens per estimated token, as learnt so far.
    """

    batch_id: int
    vectors: object
    failed: tuple[tuple[ChunkId, str], ...] = ()
    unanswered: tuple[ChunkId, ...] = ()
    reason: str = ""
    retry_after_s: float = 0.0
    token_factor: float = 1.0
    track: Track = FIRST_TRACK


@dataclass(frozen=True, slots=True)
class EmbedFailed:
    """The whole batch failed.

    Attributes:
        retry_after_s: seconds after which a retry makes sense; None when a retry with the same input cannot help.
    """

    batch_id: int
    reason: str
    retry_after_s: float | None
    track: Track = FIRST_TRACK


@dataclass(frozen=True, slots=True)
class Committed:
    """The commit is durable and published.

    Attributes:
        pending: chunks of its files that still need a vector.
        missing: (root, path) of operations that named a blob the store does not hold, or touched a path that it does
            not hold; not applied.
    """

    commit_id: int
    generation: int
    pending: tuple[PendingChunk, ...] = ()
    missing: tuple[tuple[RootId, str], ...] = ()


@dataclass(frozen=True, slots=True)
class CommitFailed:
    """Nothing of the commit was applied; it is tried again after a pause."""

    commit_id: int
    reason: str


@dataclass(frozen=True, slots=True)
class UnembeddedFound:
    """The store answered `FetchUnembedded`; `exhausted`: it holds no others."""

    chunks: tuple[PendingChunk, ...]
    exhausted: bool
    track: Track = FIRST_TRACK


@dataclass(frozen=True, slots=True)
class TrackOffered:
    """A stronger model is available and the store keeps its vectors: embed with it when nothing else waits.

    Attributes:
        slots: maximum batches in flight.
    """

    batch: BatchConfig
    slots: int


@dataclass(frozen=True, slots=True)
class FlushRequested:
    """Everything reported before this event must be searchable before the ticket resolves.

    Attributes:
        ticket: chosen by the shell, unique.
        wait_vectors: wait for embeddings too (a `flush`), not only for words (a `sync` query).
    """

    ticket: int
    wait_vectors: bool


@dataclass(frozen=True, slots=True)
class FlushAbandoned:
    """The caller of the flush went away or timed out."""

    ticket: int


@dataclass(frozen=True, slots=True)
class PauseRequested:
    """Stop taking up new work (`paused`) or take it up again; changes are still collected."""

    paused: bool


@dataclass(frozen=True, slots=True)
class CapacityChanged:
    """The number of files that the warm workers take at once changed."""

    chunk_slots: int


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; sent when `next_deadline()` is reached."""


Hint = PathChanged | RescanNeeded | RootBusy
RootEvent = RootAdded | RootFound | RootLost | RootRemoved
FileEvent = Observed | Chunked | ChunkFailed | Committed | CommitFailed
VectorEvent = Embedded | EmbedFailed | UnembeddedFound | TrackOffered
FlushEvent = FlushRequested | FlushAbandoned
Event = Hint | RootEvent | FileEvent | VectorEvent | FlushEvent | PauseRequested | CapacityChanged | Tick
