"""Names and texts that are not UTF-8: Python shows their odd bytes as surrogates, which no event, message, index or
catalog takes."""

from __future__ import annotations

import os


def printable_name(name: str) -> str:
    """Return a file name that is not UTF-8 with its odd bytes written as ``\\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_utf8(name: str) -> bool:
    """Tell whether a name from the file system is UTF-8 (odd bytes arrive as surrogates)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """Return a text that a client sent, with each byte that is not UTF-8 replaced by a mark (U+FFFD)."""
    return text if is_utf8(text) else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
