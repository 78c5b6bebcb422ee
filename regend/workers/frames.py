"""Messages between the daemon and a warm worker: length-prefixed msgpack frames over a socketpair.

The worker's first frame is `Ready`; then it answers each task, in order. Both ends are of one version, since the daemon
starts the worker, so there is nothing to negotiate.
"""

from __future__ import annotations

import struct

import msgspec

from regend.config import LimitConfig
from regend.types import NOT_DECLARED, Declared, PackedFile

LENGTH = struct.Struct("!I")
"""The length of a message in bytes, big-endian, in front of it."""
MAX_FRAME_BYTES = 256 * 1024 * 1024
"""Maximum length of a message, far above any real answer (the largest file makes some 10 MB)."""


class ChunkTask(msgspec.Struct, tag="chunk", frozen=True):
    """Read, hash and chunk one file, or `content` instead.

    Attributes:
        encode: give the chunks their vectors, too, with the built-in model.
        declared: what is said of the file.
    """

    job: int
    root_path: str
    path: str
    limits: LimitConfig
    content: bytes | None = None
    encode: bool = False
    declared: Declared = NOT_DECLARED


class EmbedTask(msgspec.Struct, tag="embed", frozen=True):
    """Embed documents with a local model; `spec` as `embedding.registry.local_encoder` takes it."""

    job: int
    texts: list[str]
    spec: str = ""


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """First frame: the worker takes tasks."""

    rss_bytes: int


class ChunkReply(msgspec.Struct, tag="chunked", frozen=True):
    """Answer to `ChunkTask`."""

    job: int
    result: PackedFile
    rss_bytes: int


class EmbedReply(msgspec.Struct, tag="embedded", frozen=True):
    """Answer to `EmbedTask`. `data`: float32 rows, little-endian, `dim` columns."""

    job: int
    dim: int
    data: bytes
    rss_bytes: int


class Failure(msgspec.Struct, tag="failure", frozen=True):
    """The task could not be done.

    Attributes:
        kind: ``gone`` (observe again), ``unable`` (the machine or the installation is to blame, not the item) or
            ``failed``.
    """

    job: int
    kind: str
    reason: str
    rss_bytes: int


Task = ChunkTask | EmbedTask
Reply = Ready | ChunkReply | EmbedReply | Failure

_encode = msgspec.msgpack.Encoder().encode


def frame(message: Task | Reply) -> bytes:
    """Encode a message with its length in front.

    Raises:
        UnicodeEncodeError: it holds a string that is not valid Unicode.
    """
    body = _encode(message)
    return LENGTH.pack(len(body)) + body
