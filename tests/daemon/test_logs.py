"""The log holds no code and no queries, is bounded, and never stands in the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.config import LimitConfig
from regend.daemon.logs import RotatingFile, Stream, own_files, set_up_logging, shown
from regend.errors import PathError, StoreError
from regend.rpc.client import Client
from regend.search.errors import QueryError
from regend.workers.frames import ChunkTask
from regend.workers.worker import answer
from tests.e2e.rig import daemon, wait_for

WORD = "quartzfjord"


def raised(error: BaseException) -> BaseException:
    try:
        try:
            raise KeyError(f"{WORD} in the cause")
        except KeyError as cause:
            raise error from cause
    except BaseException as caught:
        return caught


@pytest.mark.parametrize(
    "error",
    [
        ValueError(WORD),
        QueryError(f"The query {WORD} has no word."),
        ExceptionGroup(WORD, [ValueError(WORD), UnicodeDecodeError("utf-8", WORD.encode(), 0, 1, WORD)]),
    ],
    ids=lambda error: type(error).__name__,
)
def test_messages_that_may_quote_are_left_out(error: Exception) -> None:
    text = shown(raised(error))
    assert WORD not in text
    assert type(error).__name__ in text and "KeyError" in text
    assert "test_logs.py" in text, "where it came from is said"


def test_messages_about_files_are_kept() -> None:
    text = shown(raised(OSError(28, "No space left on device", "/state/index.db")))
    assert "/state/index.db" in text and "No space left" in text
    assert "the page is torn" in shown(StoreError("the page is torn"))


def test_a_file_is_rotated_and_bounded(tmp_path: Path) -> None:
    path = tmp_path / "log"
    file = RotatingFile(path, max_bytes=1_000, kept=2)
    lines = [f"line {number:04}\n" for number in range(400)]
    for line in lines:
        file.write(line)
    files = [path.with_name("log.2"), path.with_name("log.1"), path]
    assert sorted(tmp_path.iterdir()) == sorted(files)
    text = "".join(one.read_text() for one in files)
    assert "".join(lines).endswith(text) and len(text) > 2 * 900, "the last lines, without a gap"
    again = RotatingFile(path, max_bytes=1_000, kept=2)
    for line in lines[:120]:
        again.write(line)  # The file of before counts.
    assert all(one.stat().st_size <= 1_000 and one.stat().st_mode & 0o777 == 0o600 for one in files)
    assert len(list(tmp_path.iterdir())) == 3


@pytest.fixture
def log_file(tmp_path: Path) -> Iterator[Path]:
    set_up_logging("json", "info", tmp_path / "log")
    yield tmp_path / "log"
    set_up_logging("console", "info")


def test_own_files_are_the_log_its_older_files_and_the_output(log_file: Path) -> None:
    def identity(file: Path) -> tuple[int, int]:
        return file.stat().st_dev, file.stat().st_ino

    other = log_file.with_name("log.9")
    for file in (other, log_file.with_name("log.1")):
        file.write_text("of before\n")
    assert {identity(log_file), identity(log_file.with_name("log.1"))} <= own_files()
    moved = log_file.rename(log_file.with_name("log.2"))
    log_file.write_text("new\n")
    assert {identity(log_file), identity(moved)} <= own_files()
    assert identity(other) not in own_files()
    log_file.rename(log_file.with_name("data"))
    moved.rename(log_file.with_name("old"))
    log_file.with_name("log.1").unlink()
    log_file.write_text("not the daemon's")
    assert identity(log_file.with_name("old")) in own_files(), "it is still written to"
    assert identity(log_file.with_name("data")) not in own_files()
    ours = os.dup(1)
    try:
        with other.open("ab") as output:
            os.dup2(output.fileno(), 1)
        assert identity(other) in own_files()
    finally:
        os.dup2(ours, 1)
        os.close(ours)


def test_a_file_that_cannot_be_renamed_grows_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "rename", refuse)
    file = RotatingFile(tmp_path / "log", max_bytes=100)
    for number in range(100):
        file.write(f"line {number:04} \udcff\n")
    assert (tmp_path / "log").read_text().splitlines()[-1] == "line 0099 \\udcff"
    assert len((tmp_path / "log").read_text().splitlines()) == 100


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path, tmp_path / "no" / "log", tmp_path / "link"):
        with pytest.raises(PathError, match="cannot be written"):
            RotatingFile(path)
    RotatingFile(Path("/dev/full")).write("lost\n")
    with open("/dev/full", "wb", buffering=0) as full:
        Stream(full.fileno()).write("lost\n")
    Stream(10_000).write("lost\n")


def test_a_worker_quotes_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ValueError(f"cannot parse {WORD}")

    monkeypatch.setattr("regend.workers.worker.chunk_content", fails)
    (tmp_path / "a.py").write_text(WORD)
    reply = answer(ChunkTask(1, str(tmp_path), "a.py", LimitConfig()))
    assert WORD.encode() not in reply
    assert b"ValueError in test_logs.py:" in reply


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&-", "2>&1 | head -c 1 >/dev/null", "0<&- 1>&- 2>&-"])
def test_a_log_that_cannot_be_written_ends_nothing(tmp_path: Path, stderr: str) -> None:
    (tmp_path / "a.py").write_text(f"def {WORD}():\n    return 1\n")
    with daemon() as subject:
        command = (
            f'"{sys.executable}" -m regend --log-level debug --state-dir "{subject.state_dir}" '
            f'--socket "{subject.socket}" --root "{tmp_path}" {stderr}'
        )
        environ = {**os.environ, "HOME": str(subject.home)}
        shell = subprocess.Popen(["bash", "-o", "pipefail", "-c", command], env=environ, start_new_session=True)
        try:
            subject._process = shell
            wait_for(subject.answers, "the daemon answers")
            subject.flush()
            assert subject.paths(WORD) == ["a.py"]
            with Client(subject.socket) as client:
                client.call("stop")
            assert shell.wait(20) == 0
        finally:
            if shell.poll() is None:
                os.killpg(shell.pid, signal.SIGKILL)
                shell.wait(10)


def test_nothing_that_was_asked_or_read_is_logged(tmp_path: Path) -> None:
    """At the lowest level, with files, queries, buffers and requests that are right and wrong."""
    root = tmp_path.resolve() / "root"
    root.mkdir()
    (root / "a.py").write_text(f"def {WORD}():\n    return '{WORD}'\n")
    with daemon() as subject:
        subject.arguments = ["--log-level", "debug", "--log-file", str(tmp_path / "log")]
        subject.start(root).flush()
        file = str(root / "a.py")
        for method, params in [
            ("search", {"query": WORD}),
            ("search", {"query": f'"{WORD}" path:{WORD} lang:{WORD}'}),
            ("search", {"query": WORD, "overlays": [{"path": file, "text": f"{WORD} = (("}]}),
            ("search", {"query": "x", "lang": WORD, "path": f"[{WORD}"}),
            ("search", {"query": [WORD]}),
            ("search", {WORD: WORD}),
            ("symbols", {"name": WORD}),
            ("related", {"file": file, "line": 1, "lang": WORD}),
            ("outline", {"file": file}),
        ]:
            try:
                subject.call(method, **params)
            except Exception:
                continue
        (root / "b.py").write_bytes(WORD.encode() + b"\xff\xfe(((")
        subject.flush()
        assert subject.stop() == 0
        said = (tmp_path / "log").read_text()
        assert "rpc_request" in said and "debug" in said
        assert WORD not in said
        assert WORD not in subject.log()
        for line in said.splitlines():
            json.loads(line)
