"""Builds the library that makes calls fail; see `shim.cpp`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

KINDS = ("kill", "torn", "short", "eio", "dead", "enospc", "full", "short_full", "eacces", "emfile")
"""Faults of a call on a file; `shim.cpp` says what each does to which calls."""


def build(directory: Path) -> Path:
    """Compile the shim with the compiler that hnswlib needs, too."""
    compiler = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
    assert compiler, "no C++ compiler"
    library, source = directory / "shim.so", Path(__file__).with_name("shim.cpp")
    command = [*compiler.split(), "-std=c++17", "-O1", "-shared", "-fPIC", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library
