"""The files of a lexical index, and how they are checked before tantivy may open them.

tantivy looks at few of its own checksums, trusts `meta.json` wholly, and answers wrongly or panics on what was damaged
or mixed up. So: the marker is signed and names its owner; each segment file's own CRC-32 is compared; `sums.json` says
which CRC-32 belongs to which name, so that two files cannot be swapped; `meta.json` must have our schema and be no
older than the marker.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from isal import isal_zlib
from tantivy import Index, Schema

from regend.errors import EnvelopeError
from regend.store.envelope import parse_signed, signed

FORMAT_VERSION = 3
MARKER = "marker.json"
_SUMS = "sums.json"
_PARTS = ("term", "idx", "fieldnorm", "fast", "store", "pos")  # Positions are not asked for; their file is empty.
_FOOTER_MAGIC = 1337
_FOOTER_LIMIT_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Marker:
    """Names the current index.

    Attributes:
        owner: the catalog and pool that it was made from.
        directory: name of its directory.
        generation: of the catalog, up to which all is in it.
        opstamp: tantivy's number of that commit.
        deleted: documents deleted since it was written as a whole.
        added: documents added since then; None where an older version wrote it, which did not count them.
    """

    owner: str
    directory: str
    generation: int
    opstamp: int
    deleted: int
    added: int | None

    def encode(self) -> bytes:
        return signed({"format": FORMAT_VERSION, **asdict(self)})


def _unsigned(path: Path) -> dict[str, Any]:
    """Return the signed contents of a file.

    Raises:
        EnvelopeError: there is no such file, or it is damaged.
    """
    try:
        body = parse_signed(path.read_bytes())
        if body["format"] != FORMAT_VERSION:
            raise EnvelopeError(f"{path} has format {body['format']} where {FORMAT_VERSION} is known.")
    except OSError as error:
        raise EnvelopeError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise EnvelopeError(f"{path} is damaged, or of an older format.") from error
    return body


def is_panic(error: BaseException) -> bool:
    """Return whether tantivy panicked; the exception's type cannot be imported, and is no `Exception`."""
    return type(error).__name__ == "PanicException"


def read_marker(path: Path, owner: str) -> Marker:
    """Read and check the marker.

    Raises:
        EnvelopeError: it is missing, damaged, of another format, or of another owner.
    """
    body = _unsigned(path)
    marker = Marker(
        body["owner"], body["directory"], body["generation"], body["opstamp"], body["deleted"], body.get("added")
    )
    if marker.owner != owner:
        raise EnvelopeError(f"{path} was made from another catalog or pool.")
    return marker


def seal_files(directory: Path) -> None:
    """Record which checksums belong to which file of the committed segments."""
    names, _ = _committed(directory)
    footers = {name: _read_footer(directory / name) for name in names}
    versions = sorted({footer.version for footer in footers.values()})
    sums = {name: footer.crc for name, footer in footers.items()}
    temporary = directory / f"{_SUMS}.tmp"
    temporary.write_bytes(signed({"format": FORMAT_VERSION, "crc32": sums, "versions": versions}))
    temporary.replace(directory / _SUMS)


def check_files(directory: Path, schema: Schema, opstamp: int) -> None:
    """Verify all files of a committed index; a file younger than `sums.json` by its own checksum only.

    Args:
        opstamp: of the commit that the marker stands for; `meta.json` may be ahead of it, never behind.

    Raises:
        EnvelopeError: a file is missing, damaged, or not the one that belongs there.
    """
    names, found = _committed(directory)
    if found < opstamp:
        raise EnvelopeError(f"{directory / 'meta.json'} is older than its marker.")
    try:
        same = Index.open(str(directory)).schema == schema
    except (ValueError, OSError) as error:
        raise EnvelopeError(f"{directory} cannot be opened: {error}.") from error
    if not same:
        raise EnvelopeError(f"{directory / 'meta.json'} has another schema.")
    sealed = _unsigned(directory / _SUMS)
    sums, versions = sealed["crc32"], sealed["versions"]
    for name in names:
        footer = _check_body(directory / name)
        if sums.get(name, footer.crc) != footer.crc:
            raise EnvelopeError(f"{directory / name} is another file than the one that was written.")
        if versions and footer.version not in versions:
            # The checksum does not cover the version, and tantivy panics where it is wrong.
            raise EnvelopeError(f"{directory / name} says that it was written by another version of tantivy.")


def _committed(directory: Path) -> tuple[list[str], int]:
    """Return the names of the files of all committed segments, and the opstamp."""
    path = directory / "meta.json"
    try:
        meta = json.loads(path.read_bytes())
        names = [name for segment in meta["segments"] for name in _segment_files(segment)]
        return names, int(meta["opstamp"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise EnvelopeError(f"{path} is missing or damaged.") from error


def _segment_files(segment: dict[str, Any]) -> Iterator[str]:
    stem = segment["segment_id"].replace("-", "")
    for part in _PARTS:
        yield f"{stem}.{part}"
    if segment["deletes"]:
        yield f"{stem}.{segment['deletes']['opstamp']}.del"


class _Footer(NamedTuple):
    """The footer that tantivy appends to a file: the body's CRC-32, its own version, and the footer's whole length."""

    crc: int
    version: str
    size_bytes: int


def _footer(data: bytes, path: Path) -> _Footer:
    if len(data) < 8:
        raise EnvelopeError(f"{path} is cut short.")
    footer_bytes, magic = struct.unpack("<II", data[-8:])
    if magic != _FOOTER_MAGIC or footer_bytes > _FOOTER_LIMIT_BYTES or footer_bytes + 8 > len(data):
        raise EnvelopeError(f"{path} is damaged.")
    try:
        body = json.loads(data[-8 - footer_bytes : -8])
        return _Footer(int(body["crc"]), json.dumps(body["version"], sort_keys=True), footer_bytes + 8)
    except (ValueError, KeyError, TypeError) as error:
        raise EnvelopeError(f"{path} is damaged.") from error


def _read_footer(path: Path) -> _Footer:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _FOOTER_LIMIT_BYTES - 8))
            return _footer(file.read(), path)
    except OSError as error:
        raise EnvelopeError(f"{path} cannot be read: {error.strerror}.") from error


def _check_body(path: Path) -> _Footer:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EnvelopeError(f"{path} cannot be read: {error.strerror}.") from error
    footer = _footer(data, path)
    if isal_zlib.crc32(memoryview(data)[: len(data) - footer.size_bytes]) != footer.crc:
        raise EnvelopeError(f"{path} does not match its checksum.")
    return footer
