"""Hands free memory back to the system.

glibc keeps what a thread has freed for that thread's next call, in one of eight arenas a core. A lexical writer is a
new thread each time and frees tens of megabytes, so these add up: 100 MB after a hundred branch switches.
"""

from __future__ import annotations

import ctypes


def give_back() -> bool:
    """Hand free memory back; return whether there was any. False, too, where the C library does so by itself."""
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return False
    return bool(trim(ctypes.c_size_t(0)))
