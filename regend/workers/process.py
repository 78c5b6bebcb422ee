"""One worker process as the daemon sees it, and how processes are started and reaped."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import msgspec
import structlog

from regend.interpreter import child_command
from regend.types import Lane
from regend.workers.frames import LENGTH, MAX_FRAME_BYTES, Ready, Reply

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
_SAID_BYTES = 4_096
"""Maximum kept of what a worker says before it is ready; its last line is the cause of its end."""
CLOSING = "closing"
"""Why workers end with the daemon."""
_DOUBLINGS = 10
_STDERR = 2
_WORKER = "regend.workers.worker"
_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Each worker uses one core; more threads in one would only take from the others."""

log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class Job:
    """An item on its way: the framed task, and the future that takes the answer.

    Attributes:
        alone: nothing else may be in the worker's window meanwhile.
        root_path: of the file on disk, which stays in the queue while no worker can be started; empty where the caller
            cannot wait.
    """

    number: int
    request: bytes
    lane: Lane
    alone: bool
    root_path: str
    future: asyncio.Future[Reply]


class Worker(asyncio.Protocol):
    """One process and the socket to it.

    Attributes:
        jobs: sent and not answered, in order; the first is being worked on.
        head_since: since when; monotonic seconds.
        retiring: it gets no more work.
        end_reason: why we ended it; empty when it died by itself.
        said: the end of what it wrote to standard error before it was ready.
        rss_bytes: its memory when it last answered.
        items: tasks it has answered.
    """

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        on_reply: Callable[[Worker, Job | None, Reply], None],
        on_end: Callable[[Worker], None],
    ) -> None:
        self._process = process
        self._on_reply = on_reply
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._decoder: msgspec.msgpack.Decoder[Reply] = msgspec.msgpack.Decoder(Reply)
        self.pid = process.pid
        self.jobs: deque[Job] = deque()
        self.is_ready = False
        self.started_at = self.head_since = time.monotonic()
        self.retiring = False
        self.end_reason = ""
        self.rss_bytes = 0
        self.items = 0
        self.said = b""

    @property
    def takes_work(self) -> bool:
        """It has answered once, stays, and does not have an item that must be alone."""
        return self.is_ready and not self.retiring and not (self.jobs and self.jobs[0].alone)

    @property
    def state(self) -> str:
        """`starting`, `idle`, `busy` or `retiring`."""
        if self.retiring:
            return "retiring"
        if not self.is_ready:
            return "starting"
        return "busy" if self.jobs else "idle"

    def send(self, job: Job) -> None:
        """Put the job behind those already sent; only once `is_ready`."""
        assert self._transport is not None, "a worker that answered is connected"
        if not self.jobs:
            self.head_since = time.monotonic()
        self.jobs.append(job)
        self._transport.write(job.request)

    def kill(self, reason: str) -> None:
        """End the process now, by its own process id; `on_end` is called soon."""
        self.end_reason = self.end_reason or reason
        self.retiring = True
        self._process.kill()
        if self._transport is not None:
            self._transport.abort()

    @property
    def exit_status(self) -> int | None:
        """As `Popen.returncode`: negative for a signal, None while it is not known yet."""
        return self._process.poll()

    @property
    def why_ended(self) -> str:
        """The cause of its end in one line, as exactly as it is known."""
        lines = self.said.decode(errors="replace").strip().splitlines()
        status = self.exit_status
        if self.end_reason or lines:
            return self.end_reason or lines[-1].strip()
        if status is not None and status < 0:
            return f"signal {-status} ended it"
        return "it ended" if status is None else f"it ended with exit status {status}"

    # -- asyncio.Protocol ------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not derive from asyncio.Transport, so there is nothing to assert.
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        if not self.is_ready and not self._skip_said():
            return
        at = 0
        with memoryview(buffer) as view:
            while len(buffer) - at >= LENGTH.size:
                (size_bytes,) = LENGTH.unpack_from(buffer, at)
                if size_bytes > MAX_FRAME_BYTES:
                    self.kill("answer too large")
                    return
                start, end = at + LENGTH.size, at + LENGTH.size + size_bytes
                if len(buffer) < end:
                    break
                at = end
                with view[start:end] as body:
                    self._answered(body)
                if self.end_reason:
                    return
        del buffer[:at]

    def connection_lost(self, error: Exception | None) -> None:
        self._process.kill()  # It may only have closed its end.
        self._on_end(self)

    def _skip_said(self) -> bool:
        """Move what the worker said on standard error out of the buffer; return whether its first frame begins."""
        buffer = self._buffer
        start = buffer.find(0)  # A frame begins with a zero byte, because none is that long; a text has no such byte.
        end = len(buffer) if start < 0 else start
        self.said = (self.said + buffer[:end])[-_SAID_BYTES:]
        del buffer[:end]
        return start >= 0

    def _answered(self, body: memoryview) -> None:
        try:
            reply = self._decoder.decode(body)
        except msgspec.MsgspecError as error:
            self.kill(f"unreadable answer: {error}")
            return
        self.rss_bytes = reply.rss_bytes
        if isinstance(reply, Ready):
            self.is_ready = True
            self._on_reply(self, None, reply)
            return
        if not self.jobs or self.jobs[0].number != reply.job:
            self.kill("answered out of order")
            return
        job = self.jobs.popleft()
        self.head_since = time.monotonic()
        self.items += 1
        self._on_reply(self, job, reply)


class Spawner:
    """Starts worker processes, slows down when that fails, and reaps them.

    A start fails when the system refuses it, and when the process ends before it was of any use.

    Attributes:
        failed_starts: starts in a row that failed.
    """

    def __init__(
        self,
        rss_cap_bytes: int,
        on_reply: Callable[[Worker, Job | None, Reply], None],
        on_end: Callable[[Worker], None],
    ) -> None:
        self._rss_cap_bytes = rss_cap_bytes
        self._on_reply = on_reply
        self._on_end = on_end
        self._processes: list[subprocess.Popen[bytes]] = []
        self._connecting: set[asyncio.Task[None]] = set()
        self._next_start_at = 0.0
        self._refusal: str | Worker = ""
        self.failed_starts = 0

    @property
    def pause_s(self) -> float:
        """Seconds until another process may be started; 0 when it may now."""
        return max(0.0, self._next_start_at - time.monotonic())

    @property
    def trouble(self) -> str:
        """Why starts fail, in one line; empty once one succeeds, and while only one has failed, which may be chance."""
        if self.failed_starts <= 1:
            return ""
        return self._refusal if isinstance(self._refusal, str) else self._refusal.why_ended

    def succeeded(self) -> None:
        """Note that a worker is ready. Only its first item shows that it is of use, so the pauses stay as they are."""
        self._refusal = ""

    @property
    def process_count(self) -> int:
        """Processes that run, or have ended and were not reaped yet."""
        return len(self._processes)

    def start(self) -> Worker | None:
        """Start a process; return None if the system refuses, and `trouble` says why.

        Call it on the main thread: on Linux the process dies with the thread that started it.
        """
        try:
            process, ours = self._open()
        except (OSError, MemoryError, subprocess.SubprocessError) as error:
            # The system is to blame (no interpreter, no process, no descriptor, no memory), and no item that waits.
            self._note_failure(f"{sys.executable}: {getattr(error, 'strerror', '') or type(error).__name__}")
            return None
        self._processes.append(process)
        worker = Worker(process, self._on_reply, self._ended)
        task = asyncio.get_running_loop().create_task(self._connect(worker, ours), name=f"worker-{process.pid}")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        log.debug("worker_started", pid=process.pid)
        return worker

    def _open(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        """Start a process; return it and our end of the socket to it.

        Until it is ready, its standard error leads into the socket, too: the last line says why it cannot start.
        """
        with ExitStack() as closing:
            ours, theirs = socket.socketpair()
            closing.callback(theirs.close)
            failed = closing.enter_context(ExitStack())
            failed.callback(ours.close)
            ours.setblocking(False)
            stderr = os.dup(_STDERR)
            closing.callback(os.close, stderr)
            arguments = (theirs.fileno(), self._rss_cap_bytes, stderr)
            # A process group of its own keeps the terminal's signals away (Ctrl-C, Ctrl-Z, hang-up): they are for the
            # daemon.
            process = subprocess.Popen(
                [*child_command(f"from {_WORKER} import main; main(sys.argv)"), *map(str, arguments)],
                pass_fds=(theirs.fileno(), stderr),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=theirs.fileno(),
                cwd="/",
                env={**os.environ, **_ENVIRONMENT},
                process_group=0,
            )
            failed.pop_all()
        return process, ours

    async def _connect(self, worker: Worker, ours: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            transport, _ = await loop.create_unix_connection(lambda: worker, sock=ours)
        except Exception as error:  # The loop has no memory for it, say; without an end the worker would count as one.
            ours.close()
            worker.kill(f"no connection: {error or type(error).__name__}")
            self._ended(worker)
            return
        if worker.end_reason:  # Killed meanwhile.
            transport.abort()

    def _ended(self, worker: Worker) -> None:
        """Count failed starts. A worker that was ready and died over an item started well: the item is to blame."""
        if worker.is_ready and (worker.items or worker.jobs or worker.end_reason):
            self.failed_starts = 0
        elif worker.end_reason != CLOSING:
            self._note_failure(worker)
        self._on_end(worker)

    def _note_failure(self, refusal: str | Worker) -> None:
        """Pause after each failed start in a row but the first, which may be chance."""
        self._refusal = refusal
        self.failed_starts += 1
        if self.failed_starts > 1:
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(self.failed_starts - 2, _DOUBLINGS))
            self._next_start_at = time.monotonic() + pause_s
            log.error("workers_do_not_start", tries=self.failed_starts, reason=self.trouble, pause_s=pause_s)

    def reap(self) -> None:
        """Collect processes that have ended, without waiting."""
        self._processes = [process for process in self._processes if process.poll() is None]

    async def reap_all(self, timeout_s: float) -> None:
        """Wait for every process; all were told to end."""
        if self._connecting:
            await asyncio.wait(tuple(self._connecting), timeout=timeout_s)
        await asyncio.to_thread(self._wait, timeout_s)

    def _wait(self, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                log.error("worker_does_not_end", pid=process.pid)
        self._processes.clear()
