"""Vectors of whole files that were asked for before. A blob's chunks never change, so neither does its vector."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
import numpy.typing as npt

_CAPACITY = 8_192
"""At 256 dimensions 8 MB. Making one takes some 30 µs, so a larger cache would not pay."""


class FileVectors:
    """A bounded cache by blob key, of one model; any thread may use it."""

    def __init__(self, capacity: int = _CAPACITY) -> None:
        self._capacity = capacity
        self._known: OrderedDict[int, npt.NDArray[np.float32]] = OrderedDict()
        self._lock = Lock()

    def get(self, blob_key: int) -> npt.NDArray[np.float32] | None:
        """float32 [dim], L2-normalised, or None where it has to be made."""
        return self._known.get(blob_key)

    def put(self, blob_key: int, vector: npt.NDArray[np.float32]) -> None:
        """Remember a vector that all chunks of the blob went into."""
        vector.flags.writeable = False
        with self._lock:
            self._known[blob_key] = vector
            while len(self._known) > self._capacity:
                self._known.popitem(last=False)
