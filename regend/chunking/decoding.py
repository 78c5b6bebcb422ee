"""Bytes to text, or the reason why not. Line ends are counted as editors do: LF and CRLF, nothing else."""

from __future__ import annotations

import codecs
from dataclasses import dataclass

SAMPLE_BYTES = 8_192
_CONTROL = bytes(set(range(32)) - set(b"\t\n\v\f\r\x1b\b"))
_CONTROL_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Decoded:
    """Text with LF line ends, or why the bytes are not text.

    Attributes:
        skip_reason: ``binary``, or empty.
        degraded_reason: ``bad_encoding`` where the encoding was guessed, or empty.
    """

    text: str = ""
    skip_reason: str = ""
    degraded_reason: str = ""


def decode(content: bytes) -> Decoded:
    """Decode UTF-8, UTF-16 and UTF-32 with their marks, else Latin-1 as the last resort; never raises."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF32_LE, "utf-32"),
        (codecs.BOM_UTF32_BE, "utf-32"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            body = content[len(mark) :] if encoding == "utf-8" else content
            try:
                return Decoded(body.decode(encoding).replace("\r\n", "\n"))
            except UnicodeDecodeError:
                break
    sample = content[:SAMPLE_BYTES]
    if b"\0" in content or len(sample) - len(sample.translate(None, _CONTROL)) > _CONTROL_SHARE * len(sample):
        return Decoded(skip_reason="binary")
    try:
        return Decoded(content.decode("utf-8").replace("\r\n", "\n"))
    except UnicodeDecodeError:
        return Decoded(content.decode("latin-1").replace("\r\n", "\n"), degraded_reason="bad_encoding")
