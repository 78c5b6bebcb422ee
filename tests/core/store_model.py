"""The rows of the simulated store and the contents of simulated files: the promises of `Commit`, over plain dicts."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from regend.chunking.packing import pack, rows_of
from regend.core import commands as cmd
from regend.core import events as ev
from regend.types import FIRST_TRACK, BlobId, Chunk, ChunkedFile, ChunkId, PackedFile, PoolId, RootId, StatSig, Track

SECOND_TRACK = Track(1)
TRACKS = (FIRST_TRACK, SECOND_TRACK)

Content = tuple[str, ...]
"""A file is a tuple of lines; each line is one chunk. `POISON` crashes its worker, `HUGE` is skipped unread, and
`BINARY` by its worker."""

POISON = "poison"
HUGE = "huge"
BINARY = "binary"
MUTE = "mute"
"""A chunk that the embedder refuses for good."""
SKIPS = {HUGE: "too_large", BINARY: "binary"}
"""Reasons of files that are skipped, by the line that they hold."""


def digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


MUTE_CHUNK = ChunkId(digest("chunk " + MUTE))


def blob_of(content: Content) -> BlobId:
    return BlobId(digest("\n".join(content)))


def chunked(content: Content, sig: StatSig) -> PackedFile:
    if BINARY in content:
        return pack(ChunkedFile(blob_of(content), sig, "text", len(content), (), (), skip_reason=SKIPS[BINARY]))
    chunks = tuple(
        Chunk(ChunkId(digest("chunk " + line)), n, n + 1, n + 1, "", "window", 3, line, line)
        for n, line in enumerate(content)
    )
    return pack(ChunkedFile(blob_of(content), sig, "text", len(content), chunks, ()))


@dataclass
class Store:
    """The durable part: what `Commit` promises, over plain dicts."""

    trees: dict[RootId, dict[str, ev.FileState]] = field(default_factory=dict)
    reasons: dict[tuple[RootId, str], str] = field(default_factory=dict)
    pools: dict[RootId, PoolId] = field(default_factory=dict)
    blobs: dict[PoolId, dict[BlobId, tuple[ChunkId, ...]]] = field(default_factory=dict)
    vectors: dict[Track, set[ChunkId]] = field(default_factory=lambda: {track: set() for track in TRACKS})
    skips: dict[BlobId, str] = field(default_factory=dict)
    forgone: set[ChunkId] = field(default_factory=set)
    generation: int = 0
    embedded_twice: int = 0

    def live_chunks(self) -> list[ChunkId]:
        found: dict[ChunkId, None] = {}
        for root, tree in self.trees.items():
            for path, state in tree.items():
                if (root, path) not in self.reasons and state.blob is not None:
                    found.update(dict.fromkeys(self.blobs[self.pools[root]][state.blob]))
        return list(found)

    def pending(self, chunks: list[ChunkId], track: Track = FIRST_TRACK) -> tuple[ev.PendingChunk, ...]:
        there = self.vectors[track] | (self.forgone if track == SECOND_TRACK else set())
        return tuple(ev.PendingChunk(c, 3, 10, self._version_with(c)) for c in chunks if c not in there)

    def unembedded(self, command: cmd.FetchUnembedded) -> ev.UnembeddedFound:
        pending = [c for c in self.pending(self.live_chunks(), command.track) if c.chunk not in command.exclude]
        pending = [c for c in pending if c.version is None or c.version.key not in command.spent]
        found = tuple(pending[: command.limit])
        return ev.UnembeddedFound(found, len(found) == len(pending), command.track)

    def _version_with(self, chunk: ChunkId) -> ev.FileVersion | None:
        for root, tree in self.trees.items():
            for path, state in tree.items():
                if state.blob is not None and chunk in self.blobs[self.pools[root]].get(state.blob, ()):
                    return ev.FileVersion(root, path, state.blob)
        return None

    def apply(self, commit: cmd.Commit) -> ev.Committed:
        self.generation += 1
        missing = []
        touched: dict[ChunkId, None] = {}
        for op in commit.ops:
            if isinstance(op, cmd.PutVectors):
                self.embedded_twice += sum(c in self.vectors[op.track] for c in op.chunks)
                self.vectors[op.track].update(op.chunks)
                if op.track == SECOND_TRACK:
                    self.forgone.update(op.forgone)
                continue
            if op.root not in self.trees:
                continue
            tree, blobs = self.trees[op.root], self.blobs[self.pools[op.root]]
            key = (op.root, op.path)
            if isinstance(op, cmd.PutFile):
                if op.chunked is not None:
                    blobs[op.blob] = tuple(ChunkId(c[0]) for c in rows_of(op.chunked).chunks)
                    if op.chunked.skip_reason:
                        self.skips[op.blob] = op.chunked.skip_reason
                elif op.blob not in blobs:
                    missing.append(key)
                    continue
                tree[op.path] = ev.FileState(op.sig, op.blob, op.blob in self.skips)
                self.reasons.pop(key, None)
                if op.blob in self.skips:
                    self.reasons[key] = self.skips[op.blob]
                touched.update(dict.fromkeys(blobs[op.blob]))
            elif isinstance(op, cmd.TouchFile):
                old = tree.get(op.path)
                if old is None:
                    missing.append(key)
                    continue
                tree[op.path] = ev.FileState(op.sig, old.blob, old.skipped)
            elif isinstance(op, cmd.SkipFile):
                tree[op.path] = ev.FileState(op.sig, op.blob, True)
                self.reasons[key] = op.reason
            else:
                tree.pop(op.path, None)
                self.reasons.pop(key, None)
        return ev.Committed(commit.commit_id, self.generation, self.pending(list(touched)), tuple(missing))
