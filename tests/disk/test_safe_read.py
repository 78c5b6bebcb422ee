"""Files are read below their root only, whole or not at all, and a signature is given only when it can be believed."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from regend.disk.safe_read import FileRefusedError, is_settled, read_file, signature
from regend.types import UNSURE, StatSig
from tests.watch.watch_rig import wait_for

SECOND = 1_000_000_000


def test_reads_bytes_and_signature(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    file = tmp_path / "d/f"
    file.write_bytes(b"content\0\xff")
    assert read_file(str(tmp_path), "d/f", 9) == (b"content\0\xff", UNSURE)
    wait_for(lambda: time.time_ns() - file.stat().st_ctime_ns > 60_000_000, "an older file")
    assert read_file(str(tmp_path), "d/f", 9) == (b"content\0\xff", signature(file.stat()))


@pytest.mark.parametrize("path", ["missing", "d/missing", "f/below", "link/f", "../f", "d/../f", "d//f", ""])
def test_what_is_not_there(tmp_path: Path, path: str) -> None:
    top = tmp_path / "top"
    (top / "d").mkdir(parents=True)
    (top / "f").touch()
    (tmp_path / "f").touch()
    (top / "link").symlink_to("d")
    (top / "d/f").touch()
    with pytest.raises(FileNotFoundError):
        read_file(str(top), path, 10)


def test_what_is_refused(tmp_path: Path) -> None:
    (tmp_path / "f").write_text("x" * 11)
    (tmp_path / "link").symlink_to("f")
    (tmp_path / "d").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for path, reason in {"f": "too_large", "link": "symlink", "d": "not_regular", "fifo": "not_regular"}.items():
        with pytest.raises(FileRefusedError) as caught:
            read_file(str(tmp_path), path, 10)
        assert caught.value.reason == reason and path in str(caught.value)


def test_settled_needs_distance_from_the_clock() -> None:
    now = 1_000 * SECOND + 1
    assert is_settled(StatSig(now - 60_000_000, now - 60_000_000, 1, 1), now)
    assert not is_settled(StatSig(now - 40_000_000, now - 60_000_000, 1, 1), now)
    assert not is_settled(StatSig(now - 60_000_000, now - 40_000_000, 1, 1), now)
    assert not is_settled(StatSig(now + SECOND, now - SECOND, 1, 1), now)
    whole = StatSig(999 * SECOND, 999 * SECOND, 1, 1)
    assert not is_settled(whole, now), "whole seconds: the file system has no finer ones"
    assert is_settled(whole, now + 2 * SECOND)


def test_a_signature_fits_into_64_bits_in_every_year(tmp_path: Path) -> None:
    """The catalog cannot hold other numbers, and one file that it refuses would hold up all that wait with it."""
    most = 2**63 - 1
    for real, kept in (
        (most + 1, most),
        (2**70, most),
        (most, most),
        (0, 0),
        (-most - 1, -most - 1),
        (-(2**64), -most - 1),
    ):
        for times in ({"st_mtime_ns": real, "st_ctime_ns": 7}, {"st_mtime_ns": 7, "st_ctime_ns": real}):
            sig = signature(os.stat_result((0, 5, 0, 1, 0, 0, 9, 0, 0, 0), times))
            assert sorted(sig) == sorted((kept, 7, 9, 5))
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "file").write_text("text")
    for name in ("link", "file"):
        for year in (1, 2400):
            seconds = (year - 1970) * 31_556_952
            os.utime(tmp_path / name, (seconds, seconds), follow_symlinks=False)
            sig = signature((tmp_path / name).lstat())
            assert all(-most - 1 <= number <= most for number in sig[:3])
    assert read_file(str(tmp_path), "file", 9) == (b"text", UNSURE)


def test_file_that_keeps_changing_has_no_sure_signature(tmp_path: Path) -> None:
    """A believed signature always belongs to the bytes that came with it."""
    file = tmp_path / "f"
    file.write_bytes(b"a" * 50_000)
    stop = threading.Event()

    def rewrite() -> None:
        with file.open("r+b", buffering=0) as stream:
            while not stop.is_set():
                for letter in (b"a", b"b"):
                    stream.seek(0)
                    stream.write(letter * 50_000)

    writer = threading.Thread(target=rewrite)
    writer.start()
    try:
        for _ in range(200):
            content, sig = read_file(str(tmp_path), "f", 100_000)
            assert sig == UNSURE and len(content) == 50_000
    finally:
        stop.set()
        writer.join(20)
