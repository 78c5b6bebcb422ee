"""Keeps the last durations of each stage for `status`. No averages over the whole run, no estimates."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter

KEPT = 512


class StageTimes:
    """The last `KEPT` durations by stage, in milliseconds; owned by the event loop."""

    def __init__(self) -> None:
        self._stages: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._counts: Counter[str] = Counter()

    def add(self, stage: str, took_s: float) -> None:
        """Record one duration."""
        self._stages[stage].append(took_s * 1e3)
        self._counts[stage] += 1

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Record the duration of the block, also when it raises."""
        started_at = perf_counter()
        try:
            yield
        finally:
            self.add(stage, perf_counter() - started_at)

    def summary(self) -> dict[str, dict[str, float]]:
        """Return by stage the `count` since the start, and `p50_ms`, `p95_ms` and `max_ms` of the last `KEPT`."""
        answer = {}
        for stage, durations in sorted(self._stages.items()):
            ordered = sorted(durations)
            answer[stage] = {
                "count": float(self._counts[stage]),
                "p50_ms": round(ordered[len(ordered) // 2], 3),
                "p95_ms": round(ordered[min(len(ordered) - 1, len(ordered) * 95 // 100)], 3),
                "max_ms": round(ordered[-1], 3),
            }
        return answer
