"""`doctor` judges the state directory and the limits without a daemon to ask."""

from __future__ import annotations

import resource
import sqlite3
from pathlib import Path

import pytest

from regend import __version__
from regend.cli.checks.doctor import check_daemon, check_state
from regend.cli.checks.limits import FEW_OPEN_FILES, GOOD_OPEN_FILES, check_open_files
from regend.paths import STATE_FORMAT
from regend.rpc.server import ServerLimits, limits_of_process
from regend.store.store import open_store
from tests.rpc.scripted import Script, ServerThread, short_directory
from tests.store.samples import MODEL


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    with open_store(tmp_path, MODEL):
        pass
    return tmp_path


def results(state_dir: Path) -> list[str]:
    return [f"{check.result}: {check.detail}" for check in check_state(state_dir)]


def test_the_format_of_the_catalog(state_dir: Path) -> None:
    assert results(state_dir) == [f"ok: format {STATE_FORMAT}"]
    for version, said in (
        (STATE_FORMAT + 1, f"fail: {state_dir}/index.db has format {STATE_FORMAT + 1}, but this regend knows"),
        (STATE_FORMAT - 1, f"ok: format {STATE_FORMAT - 1}, which the next start changes to {STATE_FORMAT}"),
    ):
        connection = sqlite3.connect(state_dir / "index.db")
        connection.execute(f"PRAGMA user_version = {version}")
        connection.close()
        (found,) = results(state_dir)
        assert found.startswith(said)


@pytest.mark.parametrize("content", [b"nonsense" * 100, b"SQLite format 3\0" + bytes(84), b"x"])
def test_what_is_no_catalog(state_dir: Path, content: bytes) -> None:
    (state_dir / "index.db").write_bytes(content)
    assert results(state_dir) == [f"fail: {state_dir}/index.db is not a catalog of regend"]


def test_a_catalog_in_use_raises_no_alarm(tmp_path: Path) -> None:
    """All of a new one is in its log at first."""
    with open_store(tmp_path, MODEL) as store:
        store.add_root("/r", "/r", "1:2")
        assert [line[:3] for line in results(tmp_path)] == ["ok:"]


def test_a_catalog_that_a_daemon_has_just_changed_is_not_called_old(state_dir: Path) -> None:
    """The new format is in the log until the daemon moves it into the main file."""
    connection = sqlite3.connect(state_dir / "index.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute(f"PRAGMA user_version = {STATE_FORMAT - 1}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA user_version = {STATE_FORMAT}")
    assert results(state_dir) == ["ok: its write-ahead log is in use; a start checks both"]
    connection.close()
    assert results(state_dir) == [f"ok: format {STATE_FORMAT}"]


def test_no_catalog_yet(tmp_path: Path) -> None:
    assert results(tmp_path / "nowhere") == [f"ok: {tmp_path}/nowhere/index.db does not exist yet"]
    (tmp_path / "index.db").touch()
    assert results(tmp_path) == [f"ok: {tmp_path}/index.db is empty"]
    (tmp_path / "index.db").unlink()
    (tmp_path / "index.db").mkdir()
    assert results(tmp_path)[0].startswith("fail: ")


def test_damaged_ones_that_were_put_aside(state_dir: Path) -> None:
    for number in (1, 2):
        (state_dir / f"index.db.damaged-{number}").write_bytes(bytes(1_000_000))
    assert results(state_dir)[1].startswith("warn: 2 damaged catalogs were put aside, 2.0 MB")


def test_open_files() -> None:
    assert check_open_files(resource.RLIM_INFINITY).result == "ok"
    assert check_open_files(GOOD_OPEN_FILES).result == "ok"
    assert limits_of_process(GOOD_OPEN_FILES) == ServerLimits(), "enough for all clients"
    assert check_open_files(GOOD_OPEN_FILES - 1).result == "warn"
    assert f"LimitNOFILE={GOOD_OPEN_FILES}" in check_open_files(FEW_OPEN_FILES).remedy
    assert check_open_files(FEW_OPEN_FILES - 1).result == "fail"


def test_a_daemon_of_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    with short_directory() as directory, ServerThread(directory / "s", Script()):
        assert check_daemon(directory / "s")[1].result == "ok"
        monkeypatch.setattr("regend.cli.checks.doctor.__version__", "99.0.0")
        check = check_daemon(directory / "s")[1]
    assert (check.result, "99.0.0" in check.detail) == ("warn", True)
    assert __version__ in check.detail
