"""Usage of a process and its children, as Linux tells it: CPU, memory and its owners, and how often they woke."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

_TICK_S = 1.0 / os.sysconf("SC_CLK_TCK")
_MAPPING = re.compile(r"^[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \S+ *(.*)$")


def cpu_s(pid: int) -> float:
    """Return the CPU seconds of a process so far, without its children."""
    fields = _stat(pid)
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def ended_children_cpu_s(pid: int) -> float:
    """Return the CPU seconds of the children that have ended and were waited for."""
    fields = _stat(pid)
    return (int(fields[13]) + int(fields[14])) * _TICK_S


def running_ns(pids: Iterable[int]) -> int:
    """Return how long all threads of the processes have run, to the nanosecond."""
    return sum(int(Path(task, "schedstat").read_text().split()[0]) for task in _tasks(pids))


def wakeups(pids: Iterable[int]) -> int:
    """Return how often the threads of the processes have waited for something and woken up."""
    found = (
        re.search(r"^voluntary_ctxt_switches:\s*(\d+)", Path(task, "status").read_text(), re.M) for task in _tasks(pids)
    )
    return sum(int(match[1]) for match in found if match)


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process."""
    return _memory_mb(pid, "VmRSS")


def peak_rss_mb(pid: int) -> float:
    """Return the peak resident memory of a process."""
    return _memory_mb(pid, "VmHWM")


def owners_mb(pid: int, state_dir: Path) -> dict[str, float]:
    """Return the resident memory by what holds it: files of the index by kind, libraries, and memory of no file."""
    kb: Counter[str] = Counter()
    owner = ""
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        if match := _MAPPING.match(line):
            owner = _owner(match[1], state_dir)
        elif line.startswith("Rss:"):
            kb[owner] += int(line.split()[1])
    return {name: count / 1_000 for name, count in kb.most_common() if count >= 100}


def _owner(mapped: str, state_dir: Path) -> str:
    if not mapped or mapped.startswith("["):
        return "memory of no file (objects, arrays, graphs)"
    path = Path(mapped)
    if path.is_relative_to(state_dir):
        below = path.relative_to(state_dir).parts
        return f"index: {below[0] if len(below) > 1 else path.suffix.lstrip('.') or path.name}"
    return "libraries" if ".so" in path.name or "lib" in path.parts else "other files"


def _tasks(pids: Iterable[int]) -> list[str]:
    return [str(task) for pid in pids for task in Path(f"/proc/{pid}/task").iterdir()]


def _memory_mb(pid: int, name: str) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) / 1_000
    return 0.0


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
