"""Calls on the files of roots go on with the threads that there are."""

from __future__ import annotations

import threading

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
