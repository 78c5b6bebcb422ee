"""Vectors of whole files, made when idle or asked for. A blob's chunks never change, so neither does its vector."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from regend.store.base import FloatVector

_CAPACITY_BYTES = 12 << 20
"""Room for 12,288 files at 256 dimensions. Making one vector takes about 30 µs."""


class FileVectors:
    """A bounded cache of one model's vectors, by blob key; any thread may use it."""

    def __init__(self, capacity_bytes: int = _CAPACITY_BYTES) -> None:
        self._capacity_bytes = capacity_bytes
        self._size_bytes = 0
        self._known: OrderedDict[int, FloatVector] = OrderedDict()
        self._lock = Lock()

    @property
    def full(self) -> bool:
        """Whether one more vector would push another one out."""
        return self._size_bytes + self._size_bytes // max(1, len(self._known)) > self._capacity_bytes

    def __contains__(self, blob_key: int) -> bool:
        return blob_key in self._known

    def get(self, blob_key: int) -> FloatVector | None:
        """Return the vector (float32 [dim], L2-normalised), or None where it has to be made."""
        return self._known.get(blob_key)

    def put(self, blob_key: int, vector: FloatVector) -> None:
        """Remember a vector that was made of all chunks of the blob."""
        vector.flags.writeable = False
        with self._lock:
            before = self._known.get(blob_key)
            self._known[blob_key] = vector
            self._size_bytes += vector.nbytes - (0 if before is None else before.nbytes)
            while self._size_bytes > self._capacity_bytes:
                self._size_bytes -= self._known.popitem(last=False)[1].nbytes
