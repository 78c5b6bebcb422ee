"""How long the stages of one query took."""

from __future__ import annotations

from time import perf_counter, thread_time


class StageClock:
    """Milliseconds by stage; owned by one query, on one thread. A stage that comes again is added to.

    Args:
        cpu: measure the thread's CPU time too, which takes a system call per stage.

    Attributes:
        wall_ms: by stage, in order of first use.
        cpu_ms: the same in CPU time of this thread; empty unless asked for.
    """

    def __init__(self, cpu: bool = False) -> None:
        self.wall_ms: dict[str, float] = {}
        self.cpu_ms: dict[str, float] = {}
        self._cpu = cpu
        self._cpu_at = thread_time() if cpu else 0.0
        self._at = perf_counter()

    def lap(self, stage: str) -> None:
        """Count the time since the last lap as spent in `stage`."""
        now = perf_counter()
        self.wall_ms[stage] = self.wall_ms.get(stage, 0.0) + (now - self._at) * 1e3
        if self._cpu:
            cpu_now = thread_time()
            self.cpu_ms[stage] = self.cpu_ms.get(stage, 0.0) + (cpu_now - self._cpu_at) * 1e3
            self._cpu_at = cpu_now
        self._at = perf_counter() if self._cpu else now
