"""Runs cases of `workload` in forked processes: one under a fault, then one that looks at what is left.

`python -m tests.faults.forks DIRECTORY` with the shim preloaded reads ``KIND NTH`` lines and answers each by a JSON
object; it forks because importing everything takes ten times as long as a case.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import os
import pickle
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import structlog

from regend.store import memory, upkeep
from regend.store.store import Store, open_store
from regend.store.vectors import merge
from tests.faults import workload
from tests.store.damage import BASE_ROWS
from tests.store.oracle import Oracle
from tests.store.samples import MODEL

CASE_LIMIT_S = 60.0
THREADS_END_S = 3.0


def open_fds() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except OSError:
            pass  # The listing's own.
    return found


def left_open(state: Path, before: set[str]) -> list[str]:
    """Files of the state directory that are still open; threads of a writer that failed may take a moment to end."""
    deadline = time.monotonic() + THREADS_END_S
    while True:
        found = sorted(path for path in open_fds() - before if str(state) in path)
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


def settled(store: Store) -> None:
    """Give upkeep the time that it has in a daemon to repair what failed."""
    for _ in range(5):
        store.maintain(idle=True)
        if not any(pool.lexical.behind for pool in store._memory.pools.values()):
            return


def under_fault(directory: Path, kind: str, nth: int, start: Oracle, faults: ctypes.CDLL) -> dict[str, object]:
    """The scripted life with the fault, and whether the process that lived through it is still right."""
    state, log = directory / "state", os.open(directory / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    before = open_fds()
    report = str(directory / "struck").encode()
    armed = faults.faults_arm(str(state).encode(), kind.encode(), ctypes.c_long(nth), 0, report)
    assert armed, kind
    store = workload.run(state, lambda line: os.write(log, line.replace("\n", " ").encode() + b"\n"))
    calls = int(faults.faults_disarm())
    wrong = ""
    if store is not None:
        settled(store)
        events = (directory / "events").read_text().splitlines()
        wrong = workload.equals(store, next(workload.candidates(start, events)))
        store.close()
    return {"calls": calls, "wrong": wrong, "leaked": left_open(state, before)}


def afterwards(directory: Path, start: Oracle) -> dict[str, object]:
    """Say what a new process finds: ``old`` (confirmed), ``new`` (and the unfinished commit), ``lost``, ``wrong``."""
    state, events = directory / "state", (directory / "events").read_text().splitlines()
    before = open_fds()
    with open_store(state, MODEL) as store:
        reasons = [workload.equals(store, oracle) for oracle in workload.candidates(start, events)]
        found = "old" if not reasons[0] else "new" if not reasons[-1] else "wrong"
        if found == "wrong" and any(not workload.equals(store, past) for past in workload.earlier(start, events)):
            found = "lost"
        right = list(workload.candidates(start, events))[0 if found == "old" else -1]
        workload.finish_jobs(store)
        settled(store)
        again = workload.equals(store, right) if found in ("old", "new") else ""
    leaked = left_open(state, before)
    leaked += [str(path.relative_to(state)) for path in state.rglob("*") if "tmp" in path.name]
    aside = [path.name for path in state.glob("*.damaged-*")]
    return {"found": found, "reasons": reasons, "again": again, "leaked": leaked, "aside": aside}


def forked(directory: Path, name: str, function: Callable[[], dict[str, object]]) -> dict[str, object]:
    """Return the function's result from a child, or how the child ended."""
    answer = directory / name
    pid = os.fork()
    if pid == 0:
        trace = (directory / f"{name}.trace").open("w")
        faulthandler.dump_traceback_later(CASE_LIMIT_S - 5, file=trace)
        try:
            result = function()
        except BaseException:
            result = {"error": traceback.format_exc()[-3000:]}
        answer.write_text(json.dumps(result))
        os._exit(0)
    deadline = time.monotonic() + CASE_LIMIT_S
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            where = (directory / f"{name}.trace").read_text()
            return {"error": f"no end within {CASE_LIMIT_S:g} s: {where}"}
        time.sleep(0.001)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    result = json.loads(answer.read_text())
    assert isinstance(result, dict)
    return result


def case(top: Path, kind: str, nth: int, start: Oracle, faults: ctypes.CDLL) -> dict[str, object]:
    directory = top / "case"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir()
    shutil.copytree(top / "start", directory / "state")
    first = forked(directory, "first", lambda: under_fault(directory, kind, nth, start, faults))
    second = forked(directory, "second", lambda: afterwards(directory, start))
    struck = directory / "struck"
    events = directory / "events"
    return {
        "kind": kind,
        "nth": nth,
        "struck": struck.read_text().strip().replace(str(directory), "") if struck.exists() else "",
        "first": first,
        "second": second,
        "raised": [line for line in events.read_text().splitlines() if not line.startswith(("begin", "done"))],
    }


def main(top: str) -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    merge.BASE_ROWS = BASE_ROWS
    merge.BUILD_AFTER_S = 0.0
    memory.MEMORY_DOCS = 0  # Words are files, which faults can strike.
    upkeep._PURGE_IDLE_S = upkeep._WRITER_IDLE_S = -1.0
    faults, directory = ctypes.CDLL(None), Path(top)
    forked(directory, "made", lambda: {"made": _begin(directory)})
    start = pickle.loads((directory / "oracle").read_bytes())
    for line in sys.stdin:
        kind, nth = line.split()
        print(json.dumps(case(directory, kind, int(nth), start, faults)), flush=True)


def _begin(directory: Path) -> str:
    (directory / "oracle").write_bytes(pickle.dumps(workload.begin(directory / "start")))
    return "yes"


if __name__ == "__main__":
    main(sys.argv[1])
