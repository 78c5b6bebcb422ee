"""Files that must outlive a power cut are old or new at every step, and new once the writer is told so."""

from __future__ import annotations

from pathlib import Path

import pytest

from regend.store import envelope
from regend.store.envelope import Envelope, seal
from tests.store.power import durable

HEADER = Envelope("hnsw", "model-1", 16, "ip", 3, 7)


def check_small_file(directory: Path) -> None:
    target = directory / "roots"
    target.write_bytes(b"old " * 100)
    durable(directory, "roots", b"old " * 100, b"new", lambda: envelope.write_atomically(target, b"new"))


def check_envelope(directory: Path) -> None:
    """The header, once it is there, names a payload that is there, too."""

    def write(payload: bytes) -> Path:
        return seal(directory, "base", HEADER, lambda path: Path(path).write_bytes(payload))

    write(b"first")
    old = (directory / "base.envelope").read_bytes()
    twin = directory.with_name(f"{directory.name}-twin")
    wanted = seal(twin, "base", HEADER, lambda path: Path(path).write_bytes(b"second"))
    new = (twin / "base.envelope").read_bytes()
    durable(directory, "base.envelope", old, new, lambda: write(b"second"))
    assert (directory / wanted.name).read_bytes() == b"second"


@pytest.mark.parametrize("check", [check_small_file, check_envelope])
def test_every_durable_file_survives_a_power_cut(tmp_path: Path, check: object) -> None:
    directory = tmp_path / "disk"
    directory.mkdir()
    check(directory)  # type: ignore[operator]


def test_a_payload_is_whole_before_its_header_names_it(tmp_path: Path) -> None:
    data = b"payload " * 1_000
    digest = seal(tmp_path / "other", "base", HEADER, lambda path: Path(path).write_bytes(data)).name
    (tmp_path / "disk").mkdir()
    durable(
        tmp_path / "disk", digest, None, data,
        lambda: seal(tmp_path / "disk", "base", HEADER, lambda path: Path(path).write_bytes(data)),
    )  # fmt: skip
