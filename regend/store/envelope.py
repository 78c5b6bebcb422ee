"""The checked envelope around cache files that a foreign library writes and loads by path.

hnswlib loads a damaged file silently or crashes the process, so a payload is hashed before it is loaded. The payload
keeps its own file because the library wants a path; its name carries the start of its hash and the header names it,
so a header never meets another build's payload. Both are written temp -> fsync -> rename -> fsync directory, the
header last.
"""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from regend.errors import EnvelopeError

MAGIC = b"RGNDENV1"
FORMAT_VERSION = 2
_DIGEST_BYTES = 32
_MAX_HEADER_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Envelope:
    """The description of a payload.

    Attributes:
        kind: what the payload is, such as ``hnsw``.
        count: rows in it.
        generation: the store's generation when it was built.
        owner: what it was made from; another owner's payload may name other rows by the same numbers.
    """

    kind: str
    model_id: str
    dim: int
    metric: str
    count: int
    generation: int
    owner: str = ""


def fsync_dir(directory: Path) -> None:
    """Make renames in `directory` durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace `path` by `data` durably: temp -> fsync -> rename -> fsync directory."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    fsync_dir(path.parent)


def signed(body: dict[str, Any]) -> bytes:
    """Encode a small JSON file with its own CRC-32 in a second line."""
    data = json.dumps(body, sort_keys=True).encode()
    return data + f"\n{zlib.crc32(data):08x}\n".encode()


def parse_signed(raw: bytes) -> dict[str, Any]:
    """Decode the bytes that `signed` returned.

    Raises:
        ValueError: it is damaged.
    """
    data, _, crc = raw.partition(b"\n")
    if crc != f"{zlib.crc32(data):08x}\n".encode():
        raise ValueError("the checksum does not match")
    body: dict[str, Any] = json.loads(data)
    return body


def _sha256_of(path: Path) -> tuple[bytes, int]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
        return digest, os.fstat(file.fileno()).st_size


def seal(directory: Path, name: str, envelope: Envelope, write_payload: Callable[[str], object]) -> Path:
    """Write a payload and its header as `<name>.envelope`; remove the payloads of earlier headers of that name.

    Args:
        write_payload: called with the path to write to.

    Returns:
        The payload's path.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    temporary = directory / f"{name}.payload.tmp"
    write_payload(str(temporary))
    fd = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    digest, size_bytes = _sha256_of(temporary)
    payload = directory / f"{name}.{digest.hex()[:16]}.payload"
    temporary.replace(payload)
    fsync_dir(directory)
    fields = {
        "format": FORMAT_VERSION,
        "payload": payload.name,
        "payload_bytes": size_bytes,
        "payload_sha256": digest.hex(),
        **asdict(envelope),
    }
    body = MAGIC + json.dumps(fields, sort_keys=True).encode()
    write_atomically(directory / f"{name}.envelope", body + hashlib.sha256(body).digest())
    for old in directory.glob(f"{name}.*.payload"):
        if old != payload:
            old.unlink(missing_ok=True)
    return payload


def read_header(directory: Path, name: str) -> tuple[Envelope, dict[str, Any]]:
    """Return a verified header and all of its fields; the payload is not read.

    Raises:
        EnvelopeError: it is missing, damaged, or of another format.
    """
    header = directory / f"{name}.envelope"
    try:
        with header.open("rb") as file:
            raw = file.read(_MAX_HEADER_BYTES + 1)
    except OSError as error:
        raise EnvelopeError(f"{header} cannot be read ({error.strerror}); it is rebuilt.") from error
    body, digest = raw[:-_DIGEST_BYTES], raw[-_DIGEST_BYTES:]
    if not body.startswith(MAGIC) or len(raw) > _MAX_HEADER_BYTES or hashlib.sha256(body).digest() != digest:
        raise EnvelopeError(f"{header} is damaged; it is rebuilt.")
    try:
        fields = json.loads(body[len(MAGIC) :])
        if fields["format"] != FORMAT_VERSION:
            raise EnvelopeError(
                f"{header} has format {fields['format']} where {FORMAT_VERSION} is known; it is rebuilt."
            )
        return Envelope(**{key: fields[key] for key in Envelope.__slots__}), fields
    except (ValueError, KeyError, TypeError) as error:
        raise EnvelopeError(f"{header} lacks a field; it is rebuilt.") from error


def unseal(directory: Path, name: str, asked: Envelope) -> tuple[Envelope, Path]:
    """Verify a header and the payload that it names.

    Args:
        asked: what it must be about; its count and generation do not matter.

    Returns:
        The header's fields and the path of the verified payload.

    Raises:
        EnvelopeError: it is missing, damaged, of another format, or about something else than asked for.
    """
    found, fields = read_header(directory, name)
    header = directory / f"{name}.envelope"
    if replace(found, count=asked.count, generation=asked.generation) != asked:
        raise EnvelopeError(f"{header} is about {found}, not {asked}; it is rebuilt.")
    try:
        payload = directory / Path(fields["payload"]).name
        size_bytes, sha256 = fields["payload_bytes"], fields["payload_sha256"]
    except (KeyError, TypeError) as error:
        raise EnvelopeError(f"{header} lacks a field; it is rebuilt.") from error
    try:
        actual, actual_bytes = _sha256_of(payload)
    except OSError as error:
        raise EnvelopeError(f"{payload} cannot be read ({error.strerror}); it is rebuilt.") from error
    if actual_bytes != size_bytes or actual.hex() != sha256:
        raise EnvelopeError(f"{payload} does not match its checksum; it is rebuilt.")
    return found, payload


def discard(directory: Path, name: str) -> None:
    """Remove a header and its payloads, if any."""
    for path in (directory / f"{name}.envelope", *directory.glob(f"{name}.*payload*")):
        path.unlink(missing_ok=True)
