"""An envelope gives back exactly what was sealed, and refuses everything else by name."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from regend.errors import EnvelopeError
from regend.store.envelope import MAGIC, Envelope, discard, seal, unseal

SEALED = Envelope("hnsw", "model-1", 16, "ip", 3, 7)


def seal_bytes(directory: Path, payload: bytes = b"payload" * 100) -> Path:
    return seal(directory, "base", SEALED, lambda path: Path(path).write_bytes(payload))


def reopen(directory: Path) -> tuple[Envelope, Path]:
    return unseal(directory, "base", replace(SEALED, count=0, generation=0))


def rewrite_header(directory: Path, change: Callable[[dict[str, object]], object]) -> None:
    """Change a field and sign the header again: only the field's own check can notice."""
    header = directory / "base.envelope"
    fields = json.loads(header.read_bytes()[len(MAGIC) : -32])
    change(fields)
    body = MAGIC + json.dumps(fields).encode()
    header.write_bytes(body + hashlib.sha256(body).digest())


def test_round_trip(tmp_path: Path) -> None:
    payload = seal_bytes(tmp_path)
    assert reopen(tmp_path) == (SEALED, payload)
    assert payload.read_bytes() == b"payload" * 100


def test_a_second_seal_replaces_the_first_and_leaves_no_other_file(tmp_path: Path) -> None:
    seal_bytes(tmp_path)
    payload = seal_bytes(tmp_path, b"other")
    assert reopen(tmp_path)[1].read_bytes() == b"other"
    assert sorted(tmp_path.iterdir()) == sorted([payload, tmp_path / "base.envelope"])
    discard(tmp_path, "base")
    assert list(tmp_path.iterdir()) == []


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path, Path], object]] = {
    "payload bit": lambda _d, p: flip(p, 300),
    "payload cut": lambda _d, p: p.write_bytes(p.read_bytes()[:-1]),
    "payload longer": lambda _d, p: p.write_bytes(p.read_bytes() + b"x"),
    "payload gone": lambda _d, p: p.unlink(),
    "header bit": lambda d, _p: flip(d / "base.envelope", 20),
    "header digest": lambda d, _p: flip(d / "base.envelope", -1),
    "header cut": lambda d, _p: (d / "base.envelope").write_bytes((d / "base.envelope").read_bytes()[:40]),
    "header empty": lambda d, _p: (d / "base.envelope").write_bytes(b""),
    "header gone": lambda d, _p: (d / "base.envelope").unlink(),
    "header huge": lambda d, _p: (d / "base.envelope").write_bytes(b"x" * 100_000),
    "format": lambda d, _p: rewrite_header(d, lambda f: f.update(format=99)),
    "model": lambda d, _p: rewrite_header(d, lambda f: f.update(model_id="other")),
    "dim": lambda d, _p: rewrite_header(d, lambda f: f.update(dim=17)),
    "metric": lambda d, _p: rewrite_header(d, lambda f: f.update(metric="l2")),
    "kind": lambda d, _p: rewrite_header(d, lambda f: f.update(kind="else")),
    "field missing": lambda d, _p: rewrite_header(d, lambda f: f.pop("count")),
    "torn pair": lambda d, _p: rewrite_header(d, lambda f: f.update(payload="base.0123456789abcdef.payload")),
    "payload elsewhere": lambda d, _p: rewrite_header(d, lambda f: f.update(payload="../../etc/passwd")),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_is_refused(tmp_path: Path, damage: Callable[[Path, Path], object]) -> None:
    damage(tmp_path, seal_bytes(tmp_path))
    with pytest.raises(EnvelopeError, match="rebuilt"):
        reopen(tmp_path)


def test_a_crash_before_the_header_is_renamed_keeps_the_old_pair(tmp_path: Path) -> None:
    payload = seal_bytes(tmp_path)
    (tmp_path / "base.ffffffffffffffff.payload").write_bytes(b"new")
    (tmp_path / "base.envelope.tmp").write_bytes(b"half")
    assert reopen(tmp_path) == (SEALED, payload)
