"""The names in a git index, read from the file itself.

The format is documented (gitformat-index): versions 2 to 4, SHA-1 and SHA-256, split and sparse indexes. No git process
is started: git refuses a repository of another user, and runs what the repository's configuration names.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
from pathlib import Path

from regend.disk.inputs import read_small

MAX_INDEX_BYTES = 1 << 30
"""A larger index is not read: about eight million files."""
_MAX_CONFIG_BYTES = 1 << 20
_SHA256 = re.compile(rb"^\s*objectformat\s*=\s*\"?sha256", re.IGNORECASE | re.MULTILINE)
_GITLINK, _SPARSE_DIRECTORY = 0xE0, 0x40
"""The third byte of an entry's mode, where it is neither a file nor a link."""
_RUN_BITS, _LITERAL_BITS = 32, 31


class IndexFormatError(Exception):
    """The file is no index, or of a kind that is not known."""


def read_index(git_dir: Path, common_dir: Path) -> list[bytes]:
    """Return the names in the index of a worktree in git's order; a submodule's ends with ``/``.

    Without an index nothing is tracked. The directories of a sparse index are left out: their files are not on disk.

    Raises:
        OSError: it cannot be read.
        IndexFormatError: it is damaged, or of an unknown kind.
    """
    try:
        data = read_small(git_dir / "index", MAX_INDEX_BYTES + 1)
    except FileNotFoundError:
        return []
    if len(data) > MAX_INDEX_BYTES:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
    hash_bytes = 32 if _is_sha256(common_dir) else 20
    try:
        names, position = _entries(data, hash_bytes)
        link = _extension(data, position, hash_bytes, b"link")
        if link is not None and any(link[:hash_bytes]):
            base = read_small(git_dir / f"sharedindex.{link[:hash_bytes].hex()}", MAX_INDEX_BYTES)
            shared, _ = _entries(base, hash_bytes)
            gone = _bits(link, hash_bytes)
            names = sorted({*(name for at, name in enumerate(shared) if at not in gone), *filter(None, names)})
    except (ValueError, IndexError, struct.error) as error:
        raise IndexFormatError(f"damaged: {error}") from error
    return [name for name in names if name]


def _is_sha256(common_dir: Path) -> bool:
    try:
        return _SHA256.search(read_small(common_dir / "config", _MAX_CONFIG_BYTES)) is not None
    except OSError:
        return False


def _entries(data: bytes, hash_bytes: int) -> tuple[list[bytes], int]:
    """Return the names, an empty one where there is none to index, and where the extensions begin."""
    magic, version, count = struct.unpack_from(">4sII", data)
    if magic != b"DIRC" or version not in (2, 3, 4):
        raise IndexFormatError(f"version {version} is unknown" if magic == b"DIRC" else "it is no index")
    names: list[bytes] = []
    add, find = names.append, data.index
    position, head = 12, 40 + hash_bytes
    name = b""
    for _ in range(count):
        start = position + head + 2
        if data[position + head] & 0x40:  # Extended flags, which are two bytes more.
            start += 2
        if version == 4:
            dropped, start = _offset(data, start)
            end = find(0, start)
            name = name[: len(name) - dropped] + data[start:end]
            kind, position = data[position + 26], end + 1
        else:
            end = find(0, start)
            name = data[start:end]
            kind, position = data[position + 26], position + ((end - position + 8) & ~7)
        if kind == _GITLINK:
            add(name + b"/")
        else:
            add(b"" if kind == _SPARSE_DIRECTORY else name)
    return names, position


def _offset(data: bytes, position: int) -> tuple[int, int]:
    """Read a number in git's variable length (`varint.c`), and return where it ends."""
    byte = data[position]
    value = byte & 0x7F
    while byte & 0x80:
        position += 1
        byte = data[position]
        value = ((value + 1) << 7) | (byte & 0x7F)
    return value, position + 1


def _extension(data: bytes, position: int, hash_bytes: int, wanted: bytes) -> bytes | None:
    """Return the content of an extension.

    Raises:
        IndexFormatError: there is an unknown one that changes what the entries mean; git begins its name in lower case.
    """
    found = None
    while position + 8 <= len(data) - hash_bytes:
        name, size = struct.unpack_from(">4sI", data, position)
        if name == wanted:
            found = data[position + 8 : position + 8 + size]
        elif name[:1].islower() and name != b"sdir":
            raise IndexFormatError(f"extension {name!r} is unknown")
        position += 8 + size
    return found


def _bits(data: bytes, position: int) -> set[int]:
    """Return the positions that are set in a compressed bitmap (EWAH, gitformat-bitmap)."""
    _, count = struct.unpack_from(">II", data, position)
    words = struct.unpack_from(f">{count}Q", data, position + 8)
    found: set[int] = set()
    at = index = 0
    while index < count:
        word = words[index]
        run = (word >> 1) & ((1 << _RUN_BITS) - 1)
        literals = word >> (1 + _RUN_BITS) & ((1 << _LITERAL_BITS) - 1)
        if word & 1:
            found.update(range(at * 64, (at + run) * 64))
        at += run
        for literal in words[index + 1 : index + 1 + literals]:
            found.update(at * 64 + bit for bit in range(64) if literal >> bit & 1)
            at += 1
        index += 1 + literals
    return found


def index_state(git_dir: Path) -> tuple[int, ...]:
    """Return what tells one version of an index from another: git puts a new file in its place each time."""
    try:
        found = os.stat(git_dir / "index")  # noqa: PTH116  (called every second)
    except OSError as error:
        return (error.errno or errno.EINVAL,)
    return (stat.S_IFMT(found.st_mode), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
