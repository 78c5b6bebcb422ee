"""Memory of this process, measured in the same way by the daemon and its workers."""

from __future__ import annotations

import os
import resource
import sys

_STATM = "/proc/self/statm"
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


def rss_bytes() -> int:
    """Return the resident memory of this process; the peak where the current value is not available (macOS)."""
    try:
        statm = os.open(_STATM, os.O_RDONLY | os.O_CLOEXEC)  # A `Path` takes three times as long.
        try:
            return int(os.read(statm, 256).split()[1]) * _PAGE_BYTES
        finally:
            os.close(statm)
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
