"""Counts what answers to agents save: answers and tokens, beside the index. No text, name or path is ever kept.

An answer stands for the first `MAX_FILES` files that it names: without it, the agent would have read such files. Tokens
of texts are estimated as two for every seven characters that are not blanks. Tokens of files are estimated by their
size, as 0.22 a byte: the mean of that formula over 29,638 source files and pages (288 MB). A file counts
`MAX_FILE_TOKENS` at most, because agents read long files in part.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec

from regend.errors import ConfigError

TOKENS_PER_BYTE = 0.22
MAX_FILE_TOKENS = 8_000
"""A guess that keeps the figure low: several agents read up to 2,000 lines of a file at once, which is more."""
MAX_FILES = 5
"""A guess, too: an agent that looks for one thing does not read every file that holds a word."""
_FILE = "savings.json"


def record(state_dir: str, tool: str, tokens: int, files: Iterable[str]) -> None:
    """Add an answer to the counts; other processes may do so at the same time.

    Args:
        files: absolute paths, best first; those that are gone count nothing.

    Raises:
        OSError: the counts cannot be written.
    """
    stood_for = round(sum(min(MAX_FILE_TOKENS, _size(file) * TOKENS_PER_BYTE) for file in list(files)[:MAX_FILES]))
    path = Path(state_dir) / _FILE
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        counts = _decoded(os.read(descriptor, 1 << 20))
        counts.setdefault("since_utc", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        own = counts.setdefault("tools", {}).setdefault(tool, {"answers": 0, "tokens": 0, "file_tokens": 0})
        for name, more in (("answers", 1), ("tokens", tokens), ("file_tokens", stood_for)):
            own[name] += more
        data = msgspec.json.encode(counts)
        os.pwrite(descriptor, data, 0)
        os.ftruncate(descriptor, len(data))
    finally:
        os.close(descriptor)


def counts(state_dir: Path) -> dict[str, Any]:
    """Return the counts: ``since_utc``, and for each tool answers, tokens and tokens of the files.

    Raises:
        ConfigError: the file cannot be read.
    """
    try:
        return _decoded((state_dir / _FILE).read_bytes())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise ConfigError(f"{state_dir / _FILE} cannot be read: {error.strerror}.") from error


def _decoded(data: bytes) -> dict[str, Any]:
    """Return the counts of a file; those of a damaged one begin again."""
    try:
        found = msgspec.json.decode(data or b"{}", type=dict[str, str | dict[str, dict[str, int]]])
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    tools = found.get("tools", {})
    whole = isinstance(tools, dict) and all(
        {"answers", "tokens", "file_tokens"} <= own.keys() for own in tools.values()
    )
    return dict(found) if whole else {}


def _size(file: str) -> int:
    try:
        return os.stat(file).st_size  # noqa: PTH116 - many, and strings already.
    except OSError:
        return 0
