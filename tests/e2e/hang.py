"""Runs a daemon on a file system that can hang: while the file `$HANG_FLAG` is there, calls below `$HANG_ROOT` do not
return, as on a network mount whose server is gone. Only calls of Python's `os` hang; workers are not touched.

    python -m tests.e2e.hang python -m regend ARGUMENTS...
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

CALLS = ("access", "listdir", "lstat", "open", "readlink", "scandir", "stat")


def hanging(function: Callable[..., Any], root: str, hangs: Callable[[], bool]) -> Callable[..., Any]:
    def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
        named = os.fsdecode(path) if isinstance(path, (str, bytes, os.PathLike)) else ""
        while (named == root or named.startswith(root + "/")) and hangs():
            time.sleep(3_600)
        return function(path, *args, **kwargs)

    return call


def flagged(flag: str) -> Callable[[], bool]:
    lstat = os.lstat

    def hangs() -> bool:
        try:
            lstat(flag)
        except FileNotFoundError:
            return False
        return True

    return hangs


if __name__ == "__main__":
    hangs = flagged(os.environ["HANG_FLAG"])
    for name in CALLS:
        setattr(os, name, hanging(getattr(os, name), os.environ["HANG_ROOT"], hangs))
    from regend.__main__ import main

    sys.exit(main(sys.argv[sys.argv.index("regend") + 1 :]))
