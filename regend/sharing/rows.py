"""Rows of stores: parts that one statement takes, and bitmaps over the numbers of chunks. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

_T = TypeVar("_T")


def parts(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    """Yield `size` items at a time, in their order."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def mask_of(bits: bytes, size: int) -> npt.NDArray[np.bool_]:
    """Return a bitmap as bool [size]; numbers beyond its end are outside."""
    mask = np.zeros(size, np.bool_)
    held = np.unpackbits(np.frombuffer(bits, np.uint8), count=min(size, 8 * len(bits)), bitorder="little")
    mask[: len(held)] = held
    return mask


def union(bitmaps: Sequence[bytes]) -> bytes:
    """Return the bitmap of the numbers that are in any of them."""
    size = max(map(len, bitmaps), default=0)
    found = np.zeros(size, np.uint8)
    for bits in bitmaps:
        found[: len(bits)] |= np.frombuffer(bits, np.uint8)
    return found.tobytes()


def members_of(bits: bytes) -> npt.NDArray[np.int64]:
    """Return the numbers of a bitmap, ascending."""
    return np.flatnonzero(mask_of(bits, 8 * len(bits)))
