"""File names that are not UTF-8: Python shows their odd bytes as surrogates, which no event or message may carry."""

from __future__ import annotations

import os


def printable_name(name: str) -> str:
    """A file name that is not UTF-8, with its odd bytes written as ``\\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_utf8(name: str) -> bool:
    """Whether a name from the file system is UTF-8 (odd bytes arrive as surrogates)."""
    if name.isascii():
        return True
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
