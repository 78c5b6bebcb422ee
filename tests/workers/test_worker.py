"""The worker process by itself: its frames, its failures, and its end."""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from regend.chunking.packing import unpack
from regend.config import LimitConfig
from regend.errors import ChunkError
from regend.workers import worker
from regend.workers.frames import (
    LENGTH,
    ChunkReply,
    ChunkTask,
    EmbedReply,
    EmbedTask,
    Failure,
    Ready,
    Reply,
    Task,
    frame,
)
from tests.workers.dispatcher_rig import LIMITS, write_long_file


def reply_of(body: bytes) -> Reply:
    reply: Reply = msgspec.msgpack.decode(body, type=Reply)
    return reply


class Line:
    """One worker process and our end of its socket."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(30.0)
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "regend.workers.worker", str(theirs.fileno()), "512000000", "2"],
                pass_fds=(theirs.fileno(),),
            )
        assert isinstance(self.read(), Ready)

    def ask(self, *tasks: Task) -> list[Reply]:
        """Send all tasks at once, and read as many answers."""
        self.socket.sendall(b"".join(map(frame, tasks)))
        return [self.read() for _ in tasks]

    def read(self) -> Reply:
        size_bytes = LENGTH.unpack(self._exactly(LENGTH.size))[0]
        return reply_of(self._exactly(size_bytes))

    def _exactly(self, size_bytes: int) -> bytes:
        data = self.socket.recv(size_bytes, socket.MSG_WAITALL)
        assert len(data) == size_bytes, "the worker closed the connection"
        return data


@pytest.fixture
def line() -> Iterator[Line]:
    opened = Line()
    yield opened
    opened.socket.close()
    assert opened.process.wait(10.0) in (0, -signal.SIGKILL)


def test_answers_in_order(line: Line, tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("def f():\n    return 1\n")
    replies = line.ask(
        ChunkTask(1, str(tmp_path), "a.py", LIMITS),
        EmbedTask(2, ["x", "y z"]),
        ChunkTask(3, str(tmp_path), "missing", LIMITS),
        ChunkTask(4, str(tmp_path), "a\0", LIMITS),
        EmbedTask(5, []),
        ChunkTask(6, str(tmp_path), "a.py", LimitConfig(max_file_bytes=5)),
    )
    chunked, embedded, gone, failed, nothing, refused = replies
    assert isinstance(chunked, ChunkReply) and chunked.job == 1 and chunked.rss_bytes > 1_000_000
    assert [(c.text, c.symbol) for c in unpack(chunked.result).chunks] == [("def f():\n    return 1", "f")]
    assert isinstance(embedded, EmbedReply) and (embedded.dim, len(embedded.data)) == (256, 2 * 256 * 4)
    assert isinstance(gone, Failure) and (gone.job, gone.kind) == (3, "gone")
    assert (
        isinstance(failed, Failure)
        and (failed.job, failed.kind) == (4, "failed")
        and "ValueError in safe_read.py" in failed.reason
    )
    assert isinstance(nothing, EmbedReply) and nothing.data == b""
    assert isinstance(refused, Failure) and refused.kind == "gone" and "too_large" in refused.reason


def test_an_unknown_model_is_an_answer(line: Line) -> None:
    (failed,) = line.ask(EmbedTask(1, ["x"], "no-such-model"))
    assert isinstance(failed, Failure) and failed.kind == "failed" and "DecodeError" in failed.reason


def test_ends_with_the_connection(line: Line) -> None:
    line.socket.close()
    assert line.process.wait(10.0) == 0


def test_ends_in_the_middle_of_a_file(line: Line, tmp_path: Path) -> None:
    """Where the kernel does not kill it with the daemon, the failing answer ends it."""
    line.socket.sendall(frame(ChunkTask(1, str(tmp_path), write_long_file(tmp_path), LIMITS)))
    line.socket.close()
    assert line.process.wait(20.0) == 0


def test_ends_in_the_middle_of_a_frame(line: Line) -> None:
    line.socket.sendall(LENGTH.pack(1_000) + b"only this")
    line.socket.close()
    assert line.process.wait(10.0) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="reads the limits of another process")
def test_memory_is_bounded(line: Line) -> None:
    assert resource.prlimit(line.process.pid, resource.RLIMIT_AS)[0] == 2 * 512_000_000 + (1 << 30)


def test_what_cannot_be_encoded_is_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker answers whatever the chunker does."""
    (tmp_path / "a.py").write_text("x = 1\n")
    faults = [
        (ChunkError("odd \udcff"), "odd \\udcff"),
        (MemoryError(), "out of memory"),
        (RecursionError("deep"), "RecursionError in test_worker.py:LINE"),
        (OSError(errno.EIO, "bad disk"), "OSError: [Errno 5] bad disk"),
        (OSError(errno.EMFILE, "short"), "OSError: [Errno 24] short"),
        (OSError(errno.ENFILE, "short"), "OSError: [Errno 23] short"),
        (OSError(errno.ENOMEM, "short"), "OSError: [Errno 12] short"),
        (ModuleNotFoundError("gone"), "ModuleNotFoundError: gone"),
    ]
    for fault, reason in faults:
        kind = "unable" if "short" in reason or "gone" in reason else "failed"

        def fail(*_: object, fault: Exception = fault) -> None:
            raise fault

        monkeypatch.setattr(worker, "chunk_content", fail)
        raw = worker.answer(ChunkTask(7, str(tmp_path), "a.py", LIMITS))
        reply = reply_of(raw[LENGTH.size :])
        assert isinstance(reply, Failure)
        assert (reply.job, reply.kind, re.sub(r":\d+", ":LINE", reply.reason)) == (7, kind, reason)


def test_reports_its_memory() -> None:
    assert 1_000_000 < worker.rss_bytes() < 10_000_000_000


def test_starts_without_what_it_does_not_need() -> None:
    code = "import sys, regend.workers.worker; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60, env=dict(os.environ)
    )
    assert not {"numpy", "aiohttp", "hnswlib", "tantivy", "asyncio", "structlog", "sqlite3"} & set(done.stdout.split())
