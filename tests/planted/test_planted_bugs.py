"""Bugs that were planted on purpose, and the checks that catch each: a check that no bug can fail shows nothing.

Each test plants one and runs the check of a test that passes without it, in this order:
`test_every_durable_file_survives_a_power_cut`, `test_real_overflow_becomes_a_rescan`, and
`test_close_leaves_a_socket_that_is_not_ours_any_more`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from regend.rpc.listen import Listener
from regend.store import envelope
from regend.watch.inotify import InotifyRoot
from tests.ledger import record
from tests.rpc.scripted import short_directory
from tests.rpc.test_listen import close_beside_another
from tests.store.test_durable_writes import check_envelope, check_small_file
from tests.watch.test_watcher_faults import overflow


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    (made / "src").mkdir(parents=True)
    (made / "src" / "a.py").write_text("a")
    return made


def in_place(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def without_sync(path: Path, data: bytes) -> None:
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_bytes(data)
    temporary.replace(path)


@pytest.mark.parametrize("bug", [in_place, without_sync])
def test_a_skipped_sync_or_rename_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bug: object) -> None:
    monkeypatch.setattr(envelope, "write_atomically", bug)
    for check in (check_small_file, check_envelope):
        directory = tmp_path / check.__name__
        directory.mkdir()
        with pytest.raises(AssertionError, match=r"power cut|may be lost"):
            check(directory)
    record("planted bugs, caught", 1)


def test_a_dropped_overflow_rescan_is_caught(tmp_path: Path, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InotifyRoot, "_compare", lambda self: None)
    monkeypatch.setattr("tests.watch.watch_rig.DEADLINE_S", 4.0)
    with pytest.raises(AssertionError):
        overflow(tmp_path, top, monkeypatch)
    record("planted bugs, caught", 1)


def test_unlinking_anothers_socket_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def close(self: Listener) -> None:
        self.sock.close()
        self.path.unlink(missing_ok=True)

    monkeypatch.setattr(Listener, "close", close)
    with short_directory() as directory, pytest.raises(AssertionError):
        close_beside_another(directory)
    record("planted bugs, caught", 1)
