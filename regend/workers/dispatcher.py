"""The warm workers: a few processes that are started once, kept, watched and replaced.

Each worker has a window of items sent ahead and answers in order, so the item at the head is the one being worked on.
When a worker dies, its head is to blame and fails with `WorkerError`; the others in its window go to another worker
as if nothing had happened. While no worker can be started, no item is to blame: files wait, and a caller that must not
wait without end is told so. One event loop owns all state here; nothing is locked. A single idle worker needs no
timer: it costs nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import structlog

from regend.config import LimitConfig, WorkerConfig
from regend.errors import ChunkError, NoWorkerError, ProviderRejectedError, ProviderUnavailableError, WorkerError
from regend.machine import Machine, this_machine
from regend.types import NOT_DECLARED, Declared, Lane, PackedFile
from regend.workers.frames import ChunkReply, ChunkTask, EmbedReply, EmbedTask, Failure, Reply, frame
from regend.workers.process import CLOSING, FIRST_PAUSE_S, LONGEST_PAUSE_S, Job, Spawner, Worker

GROW_AT_ITEMS = 10
"""Minimum items for more workers: with fewer, one warm worker is quicker than waking another."""
MAX_WORKERS = 8
"""Maximum workers. More never paid: the index thread is the next bottleneck. Measured on 2 cores only."""
CHECK_INTERVAL_S = 0.25
_STALL_S = 1.0
"""Minimum delay of a check that means that this process stood still; its deadlines then stood still, too."""
_UNABLE_PAUSE_S = 10.0
"""Pause before texts are given again to workers that could not load the model."""
_DAEMON_BYTES = 256_000_000
"""Memory of a small machine or container that is left to the daemon itself."""
_WORKER_BYTES = 192_000_000
"""Memory that each worker may need; measured: 110 to 130 MB with the built-in model."""
_CLOSE_TIMEOUT_S = 5.0
_START_AT_LEAST_S = 10.0
"""Minimum time that a process has to start on a busy machine, however short the deadline of an item is."""

log = structlog.get_logger(__name__)


class Dispatcher:
    """Hands items to workers; owns the processes.

    Attributes:
        restarts: workers that died by themselves, took too long, or grew too large, since the start.
        on_trouble: called when `trouble` may have changed.
    """

    def __init__(self, config: WorkerConfig, machine: Machine | None = None) -> None:
        """`machine`: what the workers may use of it; None: this one."""
        machine = machine or this_machine()
        self._config = config
        self._start_deadline_s = max(config.deadline_s, _START_AT_LEAST_S)
        self._size = min(config.count or worker_count(machine), MAX_WORKERS)
        self._rss_cap_bytes = config.rss_cap_mb * 1_000_000
        if machine.memory_bytes:  # In a small container, a worker at the usual cap would end the daemon, too.
            self._rss_cap_bytes = min(self._rss_cap_bytes, max(_WORKER_BYTES, machine.memory_bytes // 2))
        self._spawner = Spawner(self._rss_cap_bytes, self._on_reply, self._on_end)
        self._workers: list[Worker] = []
        self._unable: dict[str, str] = {}  # Files that wait for the machine or the installation, and why.
        self._queues: defaultdict[tuple[bool, Lane], deque[Job]] = defaultdict(deque)  # By `alone` and lane.
        self._reserved: Worker | None = None
        self._last_job = 0
        self._started = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._due_at = 0.0
        self._busy_at = time.monotonic()
        self._closing = False
        self.restarts = 0
        self.on_trouble: Callable[[], None] = lambda: None

    @property
    def trouble(self) -> str:
        """Why files wait or fewer workers run than could, in one line; empty where nothing is wrong."""
        wanted = self._waiting or not self.is_available
        return (self._spawner.trouble if wanted else "") or next(iter(self._unable.values()), "")

    @property
    def is_available(self) -> bool:
        """Whether a worker runs, or nothing is known against one being started."""
        return not self._spawner.trouble or any(w.is_ready and not w.retiring for w in self._workers)

    @property
    def slots(self) -> int:
        """Items worth having in progress: all windows full, and enough to show that more workers are needed."""
        return max(self._size * self._config.window, GROW_AT_ITEMS)

    @property
    def pending(self) -> int:
        """Items that wait or are in progress."""
        return self._waiting + sum(len(worker.jobs) for worker in self._workers)

    def status(self) -> tuple[Worker, ...]:
        """List the workers, oldest first, for the caller to read."""
        return tuple(self._workers)

    async def start(self) -> None:
        """Start the first worker, and wait until one answers or `trouble` says why not. Call it on the main thread."""
        self._grow()
        await self._started.wait()

    async def close(self) -> None:
        """End all workers and wait for them. Items in progress fail with `WorkerError`."""
        self._closing = True
        self._started.set()
        if self._timer is not None:
            self._timer.cancel()
        jobs = [job for queue in self._queues.values() for job in queue]
        for worker in self._workers:
            jobs += worker.jobs
            worker.kill(CLOSING)
        for job in jobs:
            _fail(job, "stopping")
        self._queues.clear()
        self._workers.clear()
        await self._spawner.reap_all(_CLOSE_TIMEOUT_S)

    async def chunk(
        self,
        root_path: str,
        path: str,
        limits: LimitConfig,
        lane: Lane,
        alone: bool,
        content: bytes | None = None,
        encode: bool = False,
        declared: Declared = NOT_DECLARED,
    ) -> PackedFile:
        """Read, hash and chunk one file.

        Args:
            alone: nothing else is in the worker's window meanwhile.
            content: the text to chunk instead of the one on disk.
            encode: give the chunks their vectors, too, with the built-in model.
            declared: what is said of the file.

        A file on disk waits as long as no worker can be started, or workers are unable to read any.

        Raises:
            FileNotFoundError: it is gone, or must not be read any more; observe again.
            ChunkError: the worker could not.
            WorkerError: ``crashed``, ``deadline`` or another word for how the worker ended; for a given `content`, also
                why no worker takes it now.
        """
        pause_s, where = FIRST_PAUSE_S, f"{root_path}/{path}"
        try:
            while True:
                reply = await self._submit(
                    lambda job: frame(ChunkTask(job, root_path, path, limits, content, encode, declared)),
                    lane, alone, root_path if content is None else "",
                )  # fmt: skip
                if not isinstance(reply, Failure):
                    assert isinstance(reply, ChunkReply), "the answer is of the task's kind"
                    return reply.result
                if reply.kind == "gone":
                    raise FileNotFoundError(reply.reason)
                if reply.kind != "unable" or content is not None:
                    raise ChunkError(reply.reason)
                log.warning("worker_unable", reason=reply.reason, pause_s=pause_s)
                self._unable[where] = reply.reason
                self.on_trouble()
                await asyncio.sleep(pause_s)
                pause_s = min(LONGEST_PAUSE_S, 2.0 * pause_s)
        finally:
            if self._unable.pop(where, ""):
                self.on_trouble()

    async def embed(self, texts: Sequence[str], lane: Lane = Lane.BULK, spec: str = "") -> npt.NDArray[np.float32]:
        """Embed documents with a local model: float32 [n, dim], rows L2-normalised. Read-only.

        Args:
            spec: of the model, see `embedding.registry.local_encoder`.

        Raises:
            ProviderRejectedError: these texts cannot be embedded, or end the worker: smaller batches show which.
            ProviderUnavailableError: the daemon is stopping, no worker can be started now, or workers are unable.
        """
        try:
            reply = await self._submit(lambda job: frame(EmbedTask(job, list(texts), spec)), lane, alone=False)
        except NoWorkerError as error:
            raise ProviderUnavailableError(str(error), max(FIRST_PAUSE_S, self._spawner.pause_s)) from error
        except (WorkerError, ChunkError) as error:
            if self._closing:
                raise ProviderUnavailableError("The daemon is stopping.") from error
            raise ProviderRejectedError(f"A worker process ended while embedding: {error}.") from error
        if isinstance(reply, Failure):
            if reply.kind == "unable":
                raise ProviderUnavailableError(f"The local model does not run: {reply.reason}", _UNABLE_PAUSE_S)
            raise ProviderRejectedError(f"The local model refused: {reply.reason}")
        assert isinstance(reply, EmbedReply), "the answer is of the task's kind"
        return np.frombuffer(reply.data, dtype="<f4").reshape(-1, reply.dim)

    def leave(self, root_path: str) -> None:
        """Give up on a root whose file system does not answer: its items are gone, and a worker that it holds ends."""
        for worker in self._workers:
            if worker.jobs and worker.jobs[0].root_path == root_path:
                worker.kill("the file system does not answer")
        for jobs in (*self._queues.values(), *(worker.jobs for worker in self._workers)):
            for job in jobs:
                if job.root_path == root_path and not job.future.done():
                    job.future.set_exception(FileNotFoundError("its file system does not answer"))

    # -- handing out -----------------------------------------------------------------------------------------------

    @property
    def _waiting(self) -> int:
        return sum(map(len, self._queues.values()))

    async def _submit(self, request: Callable[[int], bytes], lane: Lane, alone: bool, root_path: str = "") -> Reply:
        if self._closing:
            raise WorkerError("stopping")
        if not root_path and not self.is_available:
            raise NoWorkerError(self._no_worker())
        self._last_job += 1
        try:
            framed = request(self._last_job)
        except UnicodeEncodeError as error:
            raise ChunkError(f"A name or text is not valid Unicode: {error.reason}.") from error
        job = Job(self._last_job, framed, lane, alone, root_path, asyncio.get_running_loop().create_future())
        self._queues[alone, lane].append(job)
        self._busy_at = time.monotonic()
        self._dispatch()
        self._watch()
        return await job.future

    def _dispatch(self) -> None:
        """Fill the windows with edits, then bulk; grow when more items wait than the present workers can take."""
        if self._closing:
            return
        if not self._waiting:
            self._reserved = None
            return
        self._place_alone()
        for queue in (self._queues[False, lane] for lane in Lane):
            while queue:
                if queue[0].future.done():  # Its caller was cancelled.
                    queue.popleft()
                    continue
                free = [w for w in self._accepting() if len(w.jobs) < self._config.window]
                if not free:
                    break
                min(free, key=lambda w: len(w.jobs)).send(queue.popleft())
        while self._waiting and self._may_grow() and (self.pending >= GROW_AT_ITEMS or not self._accepting()):
            self._grow()

    def _place_alone(self) -> None:
        """Give items that must be alone to idle workers; while there is no such worker, keep one from new work."""
        self._reserved = self._reserved if self._reserved in self._workers else None
        for queue in (self._queues[True, lane] for lane in Lane):
            while queue:
                if queue[0].future.done():
                    queue.popleft()
                    continue
                fit = [w for w in self._workers if w.takes_work]
                idle = [w for w in fit if not w.jobs]
                if not idle:
                    if self._reserved not in fit:
                        self._reserved = min(fit, key=lambda w: len(w.jobs), default=None)
                    return
                idle[0].send(queue.popleft())
        self._reserved = None

    def _accepting(self) -> list[Worker]:
        return [w for w in self._workers if w.takes_work and w is not self._reserved]

    def _may_grow(self) -> bool:
        """Tell whether to start one more. No more start at once than work already: a broken start costs one process."""
        live = [w for w in self._workers if not w.retiring]
        ready = sum(w.is_ready for w in live)
        return len(live) < self._size and len(live) - ready < max(1, ready) and not self._spawner.pause_s

    def _grow(self) -> None:
        worker = self._spawner.start()
        if worker is not None:
            self._workers.append(worker)
        self._troubled()
        self._watch()

    def _troubled(self) -> None:
        """Tell those who must know if no worker can be started."""
        self.on_trouble()
        if self.is_available:
            return
        self._started.set()
        for queue in self._queues.values():
            for job in [job for job in queue if not job.root_path]:
                queue.remove(job)
                if not job.future.done():
                    job.future.set_exception(NoWorkerError(self._no_worker()))

    def _no_worker(self) -> str:
        return f"No worker process can be started: {self._spawner.trouble}"

    # -- what workers do -------------------------------------------------------------------------------------------

    def _on_reply(self, worker: Worker, job: Job | None, reply: Reply) -> None:
        """Take the reply of a worker that is ready (no job) or answered its head."""
        if job is None:
            self._started.set()
            self._spawner.succeeded()
            self.on_trouble()
        else:
            self._busy_at = time.monotonic()
            if worker.items == 1:  # Not an older worker: it goes on while no other can be started.
                self._spawner.failed_starts = 0
            if not job.future.done():
                job.future.set_result(reply)
            # Never before its first item: under a cap that is too low for anything, work is slow but gets done.
            if worker.rss_bytes > self._rss_cap_bytes and not worker.retiring:
                log.info("worker_recycled", pid=worker.pid, rss_bytes=worker.rss_bytes, items=worker.items)
                worker.retiring = True
                self.restarts += 1
        if worker.retiring and not worker.jobs:
            worker.kill("recycled")
        self._dispatch()

    def _on_end(self, worker: Worker) -> None:
        """Replace a worker whose process ended or whose connection broke."""
        if worker not in self._workers:
            return
        self._workers.remove(worker)
        jobs = list(worker.jobs)
        worker.jobs.clear()
        if worker.end_reason not in ("idle", "recycled"):
            self.restarts += 1
            reason = worker.end_reason or "crashed"
            log.warning("worker_lost", pid=worker.pid, reason=reason, exit=worker.exit_status, items=len(jobs))
            if jobs:
                _fail(jobs.pop(0), reason)
        for job in reversed(jobs):
            self._queues[job.alone, job.lane].appendleft(job)
        self._troubled()
        if not self._closing and not any(not w.retiring for w in self._workers) and not self._spawner.pause_s:
            self._grow()
        self._dispatch()
        self._watch()

    # -- the clock -------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Keep a timer as long as anything can become due."""
        now, delay_s = time.monotonic(), CHECK_INTERVAL_S
        if self._closing or (self._timer is not None and self._due_at <= now + delay_s):
            return  # It is asked with each item, and no check comes sooner.
        idle = all(worker.state == "idle" for worker in self._workers)
        if not self._workers:  # There is nothing to check until the next start.
            delay_s = max(delay_s, self._spawner.pause_s)
        elif idle and not self._waiting and self._spawner.process_count == len(self._workers):
            if len(self._workers) == 1:
                return
            delay_s = max(delay_s, self._busy_at + self._config.idle_shrink_s - now)
        if self._timer is not None:
            if self._due_at <= now + delay_s:
                return
            self._timer.cancel()
        self._due_at = now + delay_s
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._check)

    def _check(self) -> None:
        """Look after deadlines, starts that had to wait, and workers that are not needed."""
        self._timer = None
        now = time.monotonic()
        late_s = now - self._due_at
        for worker in list(self._workers):
            if late_s > _STALL_S:
                worker.head_since += late_s
                worker.started_at += late_s
            if worker.jobs and now - worker.head_since > self._config.deadline_s:
                worker.kill("deadline")
            elif not worker.is_ready and now - worker.started_at > self._start_deadline_s:
                worker.kill(f"it did not answer within {self._start_deadline_s:g} s of its start")
        if not self._workers and not self._spawner.pause_s:
            self._grow()
        if not self.pending and now - self._busy_at > self._config.idle_shrink_s:
            for worker in self._workers[1:]:
                worker.kill("idle")
        self._spawner.reap()
        self._dispatch()
        self._watch()


def _fail(job: Job, reason: str) -> None:
    if not job.future.done():
        job.future.set_exception(WorkerError(reason))


def worker_count(machine: Machine) -> int:
    """Return how many workers suit a machine: one for each core, fewer where memory is short."""
    if not machine.memory_bytes:
        return machine.workers
    fit = (machine.memory_bytes - _DAEMON_BYTES) // _WORKER_BYTES
    return max(1, min(machine.workers, fit))
