"""Where queries run: quick ones at once, others in a thread, and quick ones too for a while after a slow one."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import pytest

from regend.daemon.handlers.query_runner import SLOW_S, THREADED_AFTER_SLOW, QueryRunner
from regend.daemon.telemetry import StageTimes
from regend.store.base import Snapshot


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def threads() -> AsyncIterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def here(_: Snapshot) -> bool:
    return threading.current_thread() is threading.main_thread()


async def test_only_quick_queries_run_on_the_loop(threads: ThreadPoolExecutor) -> None:
    runner = QueryRunner(threads, lambda: cast(Any, None), StageTimes())
    assert await runner.run(here, quick=True)
    assert not await runner.run(here)


async def test_after_a_slow_one_quick_queries_leave_the_loop_alone_for_a_while(threads: ThreadPoolExecutor) -> None:
    clock = Clock()
    runner = QueryRunner(threads, lambda: cast(Any, None), StageTimes(), clock)

    def slow(snapshot: Snapshot) -> bool:
        clock.now += 2 * SLOW_S
        return here(snapshot)

    assert await runner.run(slow, quick=True)
    places = [await runner.run(here, quick=True) for _ in range(THREADED_AFTER_SLOW + 1)]
    assert places == [False] * THREADED_AFTER_SLOW + [True]


async def test_an_error_reaches_the_caller_and_is_timed(threads: ThreadPoolExecutor) -> None:
    times = StageTimes()
    runner = QueryRunner(threads, lambda: cast(Any, None), times)

    def failing(_: Snapshot) -> bool:
        raise ValueError("no")

    for quick in (True, False):
        with pytest.raises(ValueError, match="no"):
            await runner.run(failing, quick)
    assert times.summary()["query"]["count"] == 2
