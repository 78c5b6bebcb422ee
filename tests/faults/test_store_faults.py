"""Whichever writing call of a store fails, comes up short or is the last: what is found is old, new, or being rebuilt.

The calls are those of the C library, so SQLite, tantivy, hnswlib and our own files are all among them. A scripted life
of a store is run once to count its calls, and then again for each call and each kind of fault (`make test` takes a few
of each). The process that lived through a fault must still be right, and so must the next one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.shim import KINDS, build
from tests.ledger import record

SAMPLE = 1
"""Cases of each kind in `make test`."""
SLICES = 4

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are injected by LD_PRELOAD")


class Cases:
    """A server of forked cases."""

    def __init__(self, directory: Path) -> None:
        environ = {**os.environ, "LD_PRELOAD": str(build(directory)), "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tests.faults.forks", str(directory)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environ)

    def ask(self, kind: str, nth: int) -> dict[str, Any]:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{kind} {nth}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        assert answer, "the server of cases ended"
        found: dict[str, Any] = json.loads(answer)
        return found

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(20)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cases]:
    made = Cases(tmp_path_factory.mktemp("faults"))
    yield made
    made.close()


def judge(answer: dict[str, Any]) -> str:
    """``survived``, ``diverged``, ``lost`` or ``leaked``."""
    first, second = answer["first"], answer["second"]
    if first.get("signal", 9) != 9 or "error" in first or first.get("wrong"):
        return "diverged"
    if second.get("found") == "lost":
        return "lost"
    if second.get("found") not in ("old", "new") or second["again"] or second["aside"]:
        return "diverged"
    return "leaked" if first.get("leaked") or second["leaked"] else "survived"


def run(cases: Cases, kind: str, numbers: range) -> None:
    """Each call once; fails showing the cases that went wrong."""
    found = {number: cases.ask(kind, number) for number in numbers}
    verdicts = [judge(answer) for answer in found.values()]
    counts = {what: verdicts.count(what) for what in ("diverged", "lost", "leaked")}
    record(f"store: {kind} at call n", len(found), **counts)
    bad = [answer for answer in found.values() if judge(answer) != "survived"]
    assert not bad, json.dumps(bad[:5], indent=1)


def test_without_a_fault_nothing_is_struck(cases: Cases) -> None:
    answer = cases.ask("kill", 0)
    assert (answer["raised"], answer["struck"], answer["second"]["found"]) == ([], "", "old")
    assert answer["first"]["calls"] > 300


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_here_and_there(cases: Cases, kind: str) -> None:
    calls = cases.ask(kind, 0)["first"]["calls"]
    step = max(1, calls // SAMPLE)
    run(cases, kind, range(1 + KINDS.index(kind) * step // len(KINDS), calls, step))


@pytest.mark.slow
@pytest.mark.parametrize("part", range(SLICES))
@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_every_call(cases: Cases, kind: str, part: int) -> None:
    calls = cases.ask(kind, 0)["first"]["calls"]
    run(cases, kind, range(1 + part, calls + 1, SLICES))
