"""The trace: spans of a row never overlap, nothing is lost, and a daemon's own file shows its stages."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.daemon import telemetry
from regend.daemon.telemetry import Span, StageTimes, Trace, events
from tests.e2e.rig import daemon

SPANS = st.lists(
    st.builds(Span, st.sampled_from(("chunk", "embed", "commit")), st.floats(0, 100), st.floats(0, 5)), max_size=40
)


@given(SPANS)
def test_spans_of_a_row_follow_each_other(spans: list[Span]) -> None:
    made = list(events(spans))
    json.loads(json.dumps(made))
    complete = [event for event in made if event["ph"] == "X"]
    named = {event["tid"]: event["args"] for event in made if event["ph"] == "M"}
    assert sorted((str(e["name"]), e["dur"]) for e in complete) == sorted(
        (s.stage, round(s.took_s * 1e6, 1)) for s in spans
    )
    rows: dict[Any, list[dict[str, Any]]] = {}
    for event in complete:
        rows.setdefault(event["tid"], []).append(event)
    assert rows.keys() == named.keys()
    for row in rows.values():
        assert len({event["name"] for event in row}) == 1
        for before, after in pairwise(row):
            assert before["ts"] + before["dur"] <= after["ts"] + 0.2, "to the rounding"


def test_spans_beyond_the_bound_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "MAX_SPANS", 2)
    trace = Trace(tmp_path / "t.json")
    times = StageTimes(trace)
    for _ in range(3):
        times.add("chunk", 0.001)
    trace.write()
    written = json.loads((tmp_path / "t.json").read_text())["traceEvents"]
    assert sum(event["ph"] == "X" for event in written) == 2
    assert times.summary()["chunk"]["count"] == 3.0
    Trace(tmp_path / "no" / "t.json").write()  # It says so in the log, and ends.


def test_a_daemon_writes_its_stages_when_it_stops(tmp_path: Path) -> None:
    root, file = tmp_path / "root", tmp_path / "trace.json"
    root.mkdir()
    for number in range(20):
        (root / f"m{number}.py").write_text(f"def function_{number}():\n    return {number}\n")
    with daemon() as subject:
        subject.arguments = ["--trace", str(file)]
        subject.start(root)
        assert subject.flush()["complete"]
        assert subject.stop() == 0
    made = json.loads(file.read_text())["traceEvents"]
    counts = [event["name"] for event in made if event["ph"] == "X"]
    assert counts.count("chunk") >= 20
    assert {"scan", "chunk", "commit"} <= set(counts)
    assert all(event["ts"] >= 0 and event["dur"] >= 0 for event in made if event["ph"] == "X")
