"""Unsaved buffers: the text of files as a client's editor has them, chunked and embedded for its connection only.

They go through the same workers as files and never reach the store, the log or another client. The chunks and vectors
of a buffer are kept while the connection lasts, so that a keystroke costs only the chunks it changes. Unsaved text is
not sent to embedding servers; without a local model buffers are found by words.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from weakref import WeakKeyDictionary

import numpy as np
import structlog

from regend.chunking.packing import unpack
from regend.daemon.roots import Roots, ServedRoot
from regend.disk.blob_names import name_blob
from regend.disk.names import skip_reason_of
from regend.embedding.base import ModelInfo
from regend.errors import ChunkError, EmbeddingError, WorkerError
from regend.rpc.connection import Connection
from regend.search.overlay import OverlayFile
from regend.store.base import FloatVector, Snapshot
from regend.types import ChunkedFile, ChunkId, Lane, RootId, embedded_text
from regend.workers.dispatcher import Dispatcher

MAX_BUFFERS = 64
"""Maximum buffers remembered for one connection."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Buffer:
    """A file as an editor has it."""

    served: ServedRoot
    path: str
    text: str


@dataclass(frozen=True, slots=True)
class PreparedBuffers:
    """Buffers ready to be laid over a snapshot, and sentences on those that are not."""

    files: tuple[OverlayFile, ...] = ()
    notes: tuple[str, ...] = ()


_Held = OrderedDict[tuple[RootId, str], OverlayFile]
"""The buffers of one connection, chunked and embedded, oldest first."""


class Buffers:
    """Owns the chunks and vectors of every connection's buffers; used on the event loop."""

    def __init__(self, roots: Roots, workers: Dispatcher, model: ModelInfo, snapshot: Callable[[], Snapshot]) -> None:
        self._roots = roots
        self._workers = workers
        self._model = model
        self._snapshot = snapshot
        self._held: WeakKeyDictionary[Connection, _Held] = WeakKeyDictionary()

    async def prepare(self, connection: Connection, buffers: Sequence[Buffer]) -> PreparedBuffers:
        """Chunk and embed those that differ from what is indexed and from what the connection sent before."""
        held = self._held.setdefault(connection, _Held())
        files: list[OverlayFile] = []
        notes: list[str] = []
        for buffer in buffers:
            decision = await self._roots.ask(buffer.served, partial(buffer.served.rules.decide, buffer.path, False))
            if decision.unsure:
                notes.append(f"{buffer.path} is not read now, because {decision.unsure}.")
                continue
            if decision.ignored:
                notes.append(f"{buffer.path} is ignored (`regenctl why`), so its unsaved text is not searched.")
                continue
            file, note = await self._prepared(held, buffer)
            if note:
                notes.append(note)
            if file is not None:
                files.append(file)
        while len(held) > MAX_BUFFERS:
            held.popitem(last=False)
        return PreparedBuffers(tuple(files), tuple(notes))

    async def _prepared(self, held: _Held, buffer: Buffer) -> tuple[OverlayFile | None, str]:
        """Return the buffer as an overlay (None where it is as indexed or cannot be chunked), and a note or nothing."""
        root, path = buffer.served.record.root, buffer.path
        attributes = await self._roots.ask(buffer.served, partial(buffer.served.rules.attributes, path))
        said = attributes.declared(path)
        if reason := skip_reason_of(path, said.marks):
            return None, f"The unsaved text of {path} is not searched: {reason}."
        content = buffer.text.encode("utf-8", "surrogateescape")
        blob, _ = name_blob(path, content, said)
        snapshot = self._snapshot()
        indexed = snapshot.pools[buffer.served.record.pool].entry_at(root, path) if root in snapshot.roots else None
        if indexed is not None and indexed.blob == blob:
            return None, ""
        before = held.get((root, path))
        if before is not None and before.file.blob == blob:
            held.move_to_end((root, path))
            return before, ""
        try:
            place, limits = str(Path(buffer.served.path)), buffer.served.limits
            packed = await self._workers.chunk(
                place, path, limits, Lane.EDIT, alone=False, content=content, declared=said
            )
        except (ChunkError, WorkerError) as error:
            log.warning("buffer_not_chunked", reason=str(error))
            return None, f"The unsaved text of {path} could not be read ({error}); its saved text was searched."
        file = unpack(packed)
        vectors, note = await self._vectors(file, {} if before is None else dict(before.vectors))
        overlay = held[root, path] = OverlayFile(root, path, file, vectors)
        held.move_to_end((root, path))
        if file.skip_reason:
            note = f"The unsaved text of {path} is not searched: {file.skip_reason}."
        return overlay, note

    async def _vectors(
        self, file: ChunkedFile, known: dict[ChunkId, FloatVector]
    ) -> tuple[dict[ChunkId, FloatVector], str]:
        """Return vectors of the file's chunks, known ones and those of the local model."""
        found = {chunk.chunk_id: known[chunk.chunk_id] for chunk in file.chunks if chunk.chunk_id in known}
        lacking = {
            chunk.chunk_id: embedded_text(chunk.symbol, chunk.text, chunk.outline)
            for chunk in file.chunks
            if chunk.chunk_id not in found
        }
        if not lacking or not self._model.local:
            return found, ""
        info = self._model
        texts = list(lacking.values())
        starts = range(0, len(texts), info.max_items)
        try:
            parts = [await self._workers.embed(texts[at : at + info.max_items], Lane.EDIT) for at in starts]
        except EmbeddingError as error:
            return found, f"Unsaved text was searched by words only: {error}"
        found.update(zip(lacking, np.concatenate(parts), strict=True))
        return found, ""
