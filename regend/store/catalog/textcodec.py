"""Texts in the catalog: short ones are stored as they are, the others deflated.

Measured on 20,003 windows of 35 lines from the Python standard library (mean 1,170 bytes): level 1 leaves 472 bytes, at
19 µs per window on the way in and 6 to 9 µs on the way out; level 6 leaves 449 bytes at 23 µs.
"""

from __future__ import annotations

import zlib

_SHORT_CHARS = 200
_LEVEL = 1


def pack(text: str) -> str | bytes:
    """Return the SQLite value for `text`: TEXT if short, else a deflated BLOB. Lone surrogates survive."""
    if len(text) < _SHORT_CHARS:
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return zlib.compress(text.encode("utf-8", "surrogatepass"), _LEVEL)


def unpack(value: str | bytes) -> str:
    """Return the text that was given to `pack`."""
    if isinstance(value, str):
        return value
    return zlib.decompress(value).decode("utf-8", "surrogatepass")
