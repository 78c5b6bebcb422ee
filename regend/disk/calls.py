"""Calls on the files of roots, on threads of their own.

A network or FUSE file system whose server is gone holds every call below it, for ever if it likes, and nothing but the
end of the process takes the thread back. So each root has lanes of its own: the calls of one lane run one after the
other, and no lane waits for another. A few threads are enough for all lanes that get answers; a thread that a file
system holds is replaced.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, TypeVar

import structlog

from regend.errors import RootError

_T = TypeVar("_T")
HANG_S = 1.5
"""Time without progress after which a call counts as hung. A disk that has to spin up takes longer, and costs a rescan
of its roots; a flush must learn of a hung root before it gives up on its watch, after two seconds."""
USUAL_THREADS = 8
"""Maximum threads for calls that get answers."""
_SLOW_S = 0.25
"""Time without progress after which a call no longer counts among those that get answers."""
_IDLE_S = 10.0
_LOOK_S = 0.02
"""Time in which a thread that waits for Python's lock wakes up several times; one that a file system holds does not."""

_here = threading.local()
log = structlog.get_logger(__name__)


@dataclass(slots=True, eq=False)
class _Lane:
    """Calls that run one after the other.

    Attributes:
        progress_at: when the running call began or went on (monotonic seconds); None while none runs.
        thread: the system's number of the thread that runs it.
        held_at: `progress_at` of the call that was found to be held, and not merely waiting for a processor.
    """

    owner: Hashable
    calls: deque[Callable[[], None]] = field(default_factory=deque)
    progress_at: float | None = None
    thread: int = 0
    held_at: float | None = None


def progress() -> None:
    """Note that the running call goes on: call this between the file calls of a long walk. Any thread."""
    lane: _Lane | None = getattr(_here, "lane", None)
    if lane is not None:
        lane.progress_at = time.monotonic()


class _Turns(NamedTuple):
    """A thread, as the system sees it.

    Attributes:
        runnable: it runs, or waits for a processor only.
        turns: how often it got one.
    """

    runnable: bool
    turns: int


def _turns(thread: int) -> _Turns | None:
    """Look at a thread of this process; None where the system does not tell, as only Linux does (proc_pid_stat(5))."""
    try:
        task = Path(f"/proc/self/task/{thread}")
        state = (task / "stat").read_text().rpartition(")")[2].split()[0]
        return _Turns(state == "R", int((task / "schedstat").read_text().split()[2]))
    except (OSError, ValueError, IndexError):
        return None


def _moved(before: _Turns | None, now: _Turns | None) -> bool:
    return before is not None and now is not None and (before != now or now.runnable)


class RootCalls:
    """Owns the lanes and their threads; any thread may call."""

    def __init__(self) -> None:
        self._work = threading.Condition()
        self._lanes: dict[tuple[Hashable, Hashable], _Lane] = {}
        self._ready: deque[tuple[Hashable, Hashable]] = deque()
        self._idle = 0
        self._threads = 0
        self._closed = False

    def put(self, owner: Hashable, call: Callable[[], None], lane: Hashable = "") -> None:
        """Run `call` after all earlier calls of the owner's lane. An exception of it is logged."""
        with self._work:
            if self._closed:
                return
            key = owner, lane
            queue = self._lanes.get(key)
            if queue is None:
                queue = self._lanes[key] = _Lane(owner)
            queue.calls.append(call)
            if queue.progress_at is None and len(queue.calls) == 1:
                self._ready.append(key)
            self._staff()

    async def ask(self, owner: Hashable, call: Callable[[], _T], place: str, limit_s: float = HANG_S) -> _T:
        """Return what `call` returns; to be called on an event loop.

        Args:
            owner: a root, or whatever stands for the file system that the call looks at.
            place: the same for people.

        Raises:
            RootError: no answer within `limit_s`.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def report(result: _T | None, error: BaseException | None) -> None:
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(result)  # type: ignore[arg-type]

        def answer() -> None:
            if future.done():
                return  # The caller has given up.
            result, error = None, None
            try:
                result = call()
            except Exception as raised:
                error = raised
            try:
                loop.call_soon_threadsafe(report, result, error)
            except RuntimeError:
                pass  # The event loop has ended.

        self.put(owner, answer, "ask")
        try:
            async with asyncio.timeout(limit_s):
                return await future
        except TimeoutError:
            raise RootError(
                f"No answer from the file system of {place} within {limit_s:g} s; check the mount, or ask again later."
            ) from None

    def hung(self) -> frozenset[Hashable]:
        """Return the owners of calls that have made no progress for `HANG_S`.

        A call whose thread runs, or would if it got a processor, counts from now on: on a busy machine threads
        wait for one another for seconds. Each call is looked at once.
        """
        before = time.monotonic() - HANG_S
        with self._work:
            late = [lane for lane in self._lanes.values() if lane.progress_at is not None and lane.progress_at < before]
            doubtful = [(lane, lane.progress_at) for lane in late if lane.held_at != lane.progress_at]
        if doubtful:
            seen = [_turns(lane.thread) for lane, _ in doubtful]
            time.sleep(_LOOK_S)
            with self._work:
                for (lane, at), before_it in zip(doubtful, seen, strict=True):
                    if lane.progress_at == at:
                        lane.held_at = at
                        if _moved(before_it, _turns(lane.thread)):
                            lane.progress_at = time.monotonic()
        with self._work:
            return frozenset(
                lane.owner for lane in late if lane.held_at is not None and lane.held_at == lane.progress_at
            )

    def forgive(self) -> None:
        """Measure from now on: this process stood still, and its calls with it."""
        now = time.monotonic()
        with self._work:
            for lane in self._lanes.values():
                if lane.progress_at is not None:
                    lane.progress_at = now

    def close(self) -> None:
        """Forget what waits and let the threads end; a thread that a file system holds ends with the process."""
        with self._work:
            self._closed = True
            self._ready.clear()
            self._work.notify_all()

    def _staff(self) -> None:
        """Give the lanes that are ready a thread. The caller holds the lock."""
        if not self._ready:
            return
        if self._idle:
            self._work.notify()
        if len(self._ready) <= self._idle:
            return
        before = time.monotonic() - _SLOW_S
        slow = sum(lane.progress_at is not None and lane.progress_at < before for lane in self._lanes.values())
        if self._threads - slow < USUAL_THREADS:
            try:
                threading.Thread(target=self._run, name="regend-files", daemon=True).start()
            except (RuntimeError, MemoryError) as error:
                # The next call tries again, and a thread that is there goes on with the lanes.
                log.error("thread_not_started", reason=str(error))
            else:
                self._threads += 1

    def _run(self) -> None:
        while True:
            with self._work:
                self._idle += 1
                idle_s = _IDLE_S if self._threads > 1 else None  # The last one stays: the system may refuse another.
                found = self._work.wait_for(lambda: self._ready or self._closed, idle_s)
                self._idle -= 1
                if not found and self._threads == 1:
                    continue
                if not found or not self._ready:
                    self._threads -= 1
                    return
                key = self._ready.popleft()
                lane = self._lanes[key]
                call = lane.calls.popleft()
                lane.progress_at, lane.thread = time.monotonic(), threading.get_native_id()
                self._staff()  # This thread may be held from now on.
            _here.lane = lane
            try:
                call()
            except Exception:
                log.exception("root_call_failed")
            finally:
                _here.lane = None
                with self._work:
                    lane.progress_at = None
                    if lane.calls and not self._closed:
                        self._ready.append(key)
                    else:
                        del self._lanes[key]
