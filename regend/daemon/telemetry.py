"""Keeps the last durations of each stage for `status`, and all of them for a trace that the user asked for.

No averages over the whole run, no estimates. Perfetto and Chrome's viewer open the file of a trace: it is in Chrome's
"Trace Event Format", with one row for each stage, and more rows where spans of a stage overlap.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import structlog

KEPT = 512
MAX_SPANS = 500_000
"""Maximum spans kept, about 60 MB; later ones are counted only."""
_ROWS = 1_000
"""Row numbers that each stage has for itself."""

log = structlog.get_logger(__name__)


class Span(NamedTuple):
    """A stretch of time, in seconds on one clock."""

    stage: str
    began_at: float
    took_s: float


class Trace:
    """Keeps spans until `write`; owned by the event loop."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._spans: list[Span] = []
        self._left_out = 0

    def add(self, span: Span) -> None:
        """Keep a span."""
        if len(self._spans) < MAX_SPANS:
            self._spans.append(span)
        else:
            self._left_out += 1

    def write(self) -> None:
        """Write all spans to the file, and log where that fails: a trace is not worth a daemon's exit status."""
        try:
            text = json.dumps({"traceEvents": list(events(self._spans)), "displayTimeUnit": "ms"})
            self._file.write_text(text)
        except OSError as error:
            log.warning("trace_not_written", file=str(self._file), reason=error.strerror)
        else:
            log.info("trace_written", file=str(self._file), spans=len(self._spans), left_out=self._left_out)


def events(spans: Iterable[Span]) -> Iterator[dict[str, object]]:
    """Yield the events of a trace. Times are in microseconds from the first span; spans of a row never overlap."""
    ordered = sorted(spans, key=lambda span: span.began_at)
    zero = ordered[0].began_at if ordered else 0.0
    ends: dict[str, list[float]] = {}
    for span in ordered:
        rows = ends.setdefault(span.stage, [])
        base = list(ends).index(span.stage) * _ROWS + 1
        row = next((number for number, ended_at in enumerate(rows) if ended_at <= span.began_at), len(rows))
        if row == len(rows):
            rows.append(0.0)
            name = span.stage if not row else f"{span.stage} {row + 1}"
            yield {"ph": "M", "name": "thread_name", "pid": 1, "tid": base + row, "args": {"name": name}}
        rows[row] = span.began_at + span.took_s
        yield {
            "ph": "X", "name": span.stage, "cat": "stage", "pid": 1, "tid": base + row,
            "ts": round((span.began_at - zero) * 1e6, 1), "dur": round(span.took_s * 1e6, 1),
        }  # fmt: skip


class StageTimes:
    """The last `KEPT` durations by stage, in milliseconds; owned by the event loop."""

    def __init__(self, trace: Trace | None = None) -> None:
        """`trace`: keeps each duration besides, with the time at which it was recorded."""
        self._trace = trace
        self._stages: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._counts: Counter[str] = Counter()

    def add(self, stage: str, took_s: float) -> None:
        """Record one duration."""
        self._stages[stage].append(took_s * 1e3)
        self._counts[stage] += 1
        if self._trace is not None:
            self._trace.add(Span(stage, perf_counter() - took_s, took_s))

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
