"""Calls on the files of roots go on with the threads that there are."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from regend.disk import calls
from regend.disk.calls import RootCalls

DEADLINE_S = 20.0


@pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()])
def test_the_last_thread_stays(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """The system grants no further thread: calls of every lane wait for the one that is left, and each runs once."""
    monkeypatch.setattr(calls, "_IDLE_S", 0.01)
    subject, done, ran = RootCalls(), threading.Semaphore(0), list[int]()

    def run(number: int) -> None:
        ran.append(number)
        done.release()

    def wait(count: int) -> None:
        for _ in range(count):
            assert done.acquire(timeout=DEADLINE_S)

    for number in range(20):
        subject.put(number, lambda number=number: run(number))  # type: ignore[misc]
    wait(20)
    with subject._work:
        subject._work.wait_for(lambda: subject._threads == subject._idle == 1, 0.2)  # They leave, except the last.
    left = subject._threads

    def refused(_: threading.Thread) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        for number in range(20, 40):
            subject.put(number % 3, lambda number=number: run(number))  # type: ignore[misc]
        wait(20)
    assert left >= 1 and sorted(ran) == list(range(40))
    subject.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how often a thread got a processor")
@pytest.mark.parametrize("threads", [1, 4])
def test_a_call_that_waits_for_a_processor_is_not_hung(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """Threads that share Python's lock make no progress for long; one that a file system holds gets no turn at all."""
    monkeypatch.setattr(calls, "HANG_S", 0.1)
    subject, ended, held = RootCalls(), threading.Event(), threading.Event()

    def busy() -> None:
        while not ended.is_set():
            sum(range(1_000))

    subject.put("held", held.wait)
    for number in range(threads):
        subject.put(number, busy)
    deadline = time.monotonic() + DEADLINE_S
    while "held" not in subject.hung() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert [subject.hung() for _ in range(5)] == [{"held"}] * 5
    held.set()
    while "held" in subject.hung() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert subject.hung() == frozenset()
    ended.set()
    subject.close()


def test_where_the_system_does_not_tell_time_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "HANG_S", 0.05)
    monkeypatch.setattr(calls, "_turns", lambda _thread: None)
    subject, held = RootCalls(), threading.Event()
    subject.put("held", held.wait)
    deadline = time.monotonic() + DEADLINE_S
    while not subject.hung() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert subject.hung() == {"held"}
    held.set()
    subject.close()
