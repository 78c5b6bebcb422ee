"""A warm worker process: reads, hashes and chunks files, and runs the local model. Started once and kept.

It speaks `frames` over the socket it inherits: its file descriptor is ``argv[1]``, ``argv[2]`` is the cap of the
worker's memory in bytes, and ``argv[3]`` the standard error to use once everything is imported. It ends when the daemon
does: the socket closes, and on Linux the kernel kills it at once. It opens no other socket and writes no file. It
imports only the modules that it needs: a worker that only chunks never loads numpy.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import signal
import socket
import sys
import traceback
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

import msgspec

from regend.chunking.chunker import chunk_content
from regend.chunking.notebooks import largest_bytes
from regend.chunking.packing import pack, texts_of
from regend.disk.blob_names import name_blob
from regend.disk.safe_read import FileRefusedError, read_file
from regend.errors import RegendError
from regend.types import UNSURE, ChunkedFile, PackedFile
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
from regend.workers.rss import rss_bytes

if TYPE_CHECKING:
    from regend.embedding.base import LocalEncoder

_NICENESS = 5
_OOM_SCORE = "500"
"""Between -1000 and 1000; other programs of the user have 0 to 200 (proc_pid_oom_score_adj(5))."""
_IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
_IOPRIO_WHO_PROCESS = 1
_IOPRIO_LOWEST = 2 << 13 | 7
_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)
"""Errors of a system that is short of something, whichever file is read."""
_PR_SET_PDEATHSIG = 1
_PR_SET_NAME = 15
_STDERR = 2
_HEADROOM_BYTES = 1 << 30
"""Address space beyond twice the RSS cap before allocation fails: a runaway parse must not take the machine down."""


def answer(task: Task) -> bytes:
    """Return the framed reply to one task. Never raises: a failure of an item is its answer."""
    kind = "failed"
    try:
        return frame(_do(task))
    except (FileNotFoundError, NotADirectoryError, FileRefusedError) as error:
        kind, reason = "gone", str(error)
    except RegendError as error:
        reason = str(error)
    except ImportError as error:
        kind, reason = "unable", f"{type(error).__name__}: {error}"
    except OSError as error:
        kind, reason = "unable" if error.errno in _SHORTAGES else kind, f"{type(error).__name__}: {error}"
    except MemoryError:
        reason = "out of memory"
    except Exception as error:
        # Without its message, which may quote the file: reasons are logged.
        frame_of = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__} in {Path(frame_of.filename).name}:{frame_of.lineno}"
    printable = reason.encode(errors="backslashreplace").decode()
    return frame(Failure(task.job, kind, printable, rss_bytes()))


def _do(task: Task) -> Reply:
    match task:
        case ChunkTask():
            if task.content is None:
                content, sig = read_file(
                    task.root_path, task.path, largest_bytes(task.path, task.limits.max_file_bytes)
                )
            else:
                content, sig = task.content, UNSURE
            said = task.declared
            _, language = name_blob(task.path, content, said)
            packed = _packed(chunk_content(content, language, said.sign(sig), task.limits, said.marks), task.encode)
            return ChunkReply(task.job, packed, rss_bytes())
        case EmbedTask():
            encoder = _encoder(task.spec)
            vectors = encoder.encode(task.texts, "document")
            return EmbedReply(task.job, encoder.info.dim, vectors.astype("<f4").tobytes(), rss_bytes())
        case _ as unreachable:
            assert_never(unreachable)


def _packed(file: ChunkedFile, encode: bool) -> PackedFile:
    texts = texts_of(file)
    if not (encode and texts):
        return pack(file, texts)
    from regend.embedding.base import unit_vectors  # Brings numpy; see the module's docstring.

    encoder = _encoder("")
    # The same steps, and so the same bits, as with vectors that the daemon asks for later.
    vectors = unit_vectors(encoder.encode(texts, "document"), len(texts), encoder.info.dim, "The built-in model")
    return pack(file, texts, encoder.info.model_id, vectors.astype("<f2").tobytes())


@cache
def _encoder(spec: str) -> LocalEncoder:
    from regend.embedding.registry import local_encoder  # Brings numpy; see the module's docstring.

    return local_encoder(spec)


def serve(connection: socket.socket) -> None:
    """Answer tasks until the daemon closes the connection."""
    decoder: msgspec.msgpack.Decoder[Task] = msgspec.msgpack.Decoder(Task)
    connection.sendall(frame(Ready(rss_bytes())))
    with connection.makefile("rb") as stream:
        while len(head := stream.read(LENGTH.size)) == LENGTH.size:
            (size_bytes,) = LENGTH.unpack(head)
            body = stream.read(size_bytes)
            if len(body) < size_bytes:
                return
            connection.sendall(answer(decoder.decode(body)))


def _bound_memory(rss_cap_bytes: int) -> None:
    """Let allocation fail far above the cap, before the system's memory is gone. Not on macOS, which ignores it."""
    limit = 2 * rss_cap_bytes + _HEADROOM_BYTES
    try:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    except (ValueError, OSError):
        pass  # A smaller limit is in force already.


def _go_first() -> None:
    """Ask Linux to end this process rather than the daemon when memory runs out: the daemon replaces it."""
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)


def _end_with_the_daemon() -> None:
    """Ask Linux to kill this process when the daemon's main thread ends; elsewhere the closed socket ends it.

    The kernel watches the *thread* that started us; the dispatcher starts workers on the event loop, the main thread.
    """
    if sys.platform != "linux":
        return
    daemon = os.getppid()
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    prctl(_PR_SET_NAME, b"regend-worker", 0, 0, 0)
    if os.getppid() != daemon:
        sys.exit(0)  # It ended before we asked.


def _yield_the_disk() -> None:
    """Take the lowest best-effort IO priority (ioprio_set(2)); glibc has no function for it. Linux only."""
    number = _IOPRIO_SET.get(os.uname().machine)
    if sys.platform == "linux" and number is not None:
        ctypes.CDLL(None, use_errno=True).syscall(number, _IOPRIO_WHO_PROCESS, 0, _IOPRIO_LOWEST)


def main(argv: list[str]) -> None:
    """Run a worker: with ``FD RSS_CAP_BYTES STDERR_FD`` as arguments."""
    _end_with_the_daemon()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Sent to the whole group or service, they mean the daemon. It finishes what it must and closes the connection.
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    _yield_the_disk()
    _bound_memory(int(argv[2]))
    _go_first()
    connection = socket.socket(fileno=int(argv[1]))
    os.dup2(int(argv[3]), _STDERR)
    try:
        serve(connection)
    except (ConnectionError, BrokenPipeError):
        pass  # The daemon went away in the middle of an answer.


if __name__ == "__main__":
    main(sys.argv)
