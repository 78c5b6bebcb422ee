"""The share of the machine that this process may use: cores and memory, as container and affinity limit them.

Linux gives a container its share through control groups, of version 1, 2, or both side by side. A group's limits hold
for all groups below it, so the smallest on the way up counts. Elsewhere, the machine's own figures hold.
See https://docs.kernel.org/admin-guide/cgroup-v2.html and .../cgroup-v1/; nothing here is cached.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_UNLIMITED_BYTES = 1 << 60
"""Version 1 says some number above this where a group has no limit."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The share of the machine that this process may use.

    Attributes:
        cores: may be a fraction, where a quota says so.
        memory_bytes: 0 where the system does not tell.
        cores_by: what limits them: ``machine``, ``affinity`` or ``cgroup``.
        memory_by: ``machine`` or ``cgroup``.
    """

    cores: float
    memory_bytes: int
    cores_by: str = "machine"
    memory_by: str = "machine"

    @property
    def workers(self) -> int:
        """Cores that may be busy at once."""
        return max(1, int(self.cores))


def this_machine(root: Path = Path("/")) -> Machine:
    """Measure what this process may use.

    Args:
        root: where `proc` and the mounts of control groups are looked for.
    """
    present = os.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else present
    memory_bytes, quotas, limits = _memory_bytes(root), [], []
    for directory, top, version in _groups(root):
        for group in _upwards(directory, top):
            quotas.append(_quota(group, version))
            limits.append(_limit_bytes(group, version))
    cores, cores_by = float(allowed), "affinity" if allowed < present else "machine"
    if (quota := min((q for q in quotas if q), default=0.0)) and quota < cores:
        cores, cores_by = quota, "cgroup"
    limit_bytes = min((one for one in limits if one), default=0)
    if limit_bytes and (limit_bytes < memory_bytes or not memory_bytes):
        return Machine(cores, limit_bytes, cores_by, "cgroup")
    return Machine(cores, memory_bytes, cores_by)


def _groups(root: Path) -> Iterator[tuple[Path, Path, int]]:
    """Yield the directory of each group that this process is in, where its hierarchy is mounted, and its version."""
    paths = {}
    for line in _lines(root / "proc/self/cgroup"):
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        # The one hierarchy of version 2 has no names.
        for name in controllers.split(",") if controllers else [""] if number == "0" else []:
            paths[name] = path
    for line in _lines(root / "proc/self/mountinfo"):
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(" "), after.split(" ")
        if len(fields) < 5 or kinds[0] not in ("cgroup", "cgroup2"):
            continue
        names = [""] if kinds[0] == "cgroup2" else [name for name in ("cpu", "memory") if name in kinds[-1].split(",")]
        version = 2 if kinds[0] == "cgroup2" else 1
        mounted, top = _unescaped(fields[3]), root / _unescaped(fields[4]).lstrip("/")
        for path in dict.fromkeys(paths[name] for name in names if name in paths):
            # A container sees the part of the hierarchy that is mounted, and often the name that its host uses.
            below = os.path.relpath(path, mounted) if Path(path).is_relative_to(mounted) else path.lstrip("/")
            directory = top / below
            yield (directory if directory.is_dir() and ".." not in below else top), top, version


def _upwards(directory: Path, top: Path) -> Iterator[Path]:
    yield directory
    while directory != top and top in directory.parents:
        directory = directory.parent
        yield directory


def _quota(group: Path, version: int) -> float:
    """Return the cores that a group may use on average; 0: not limited."""
    if version == 2:
        words = _word(group / "cpu.max").split()
    else:
        words = [_word(group / "cpu.cfs_quota_us"), _word(group / "cpu.cfs_period_us")]
    try:
        quota_us, period_us = map(int, words)
    except ValueError:
        return 0.0  # `max`, or no such file.
    return quota_us / period_us if quota_us > 0 and period_us > 0 else 0.0


def _limit_bytes(group: Path, version: int) -> int:
    """Return the memory that a group may use; 0: not limited."""
    names = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
    found = [int(word) for name in names if (word := _word(group / name)).isdecimal()]
    return min((limit for limit in found if 0 < limit < _UNLIMITED_BYTES), default=0)


def _memory_bytes(root: Path) -> int:
    for line in _lines(root / "proc/meminfo"):
        name, _, rest = line.partition(":")
        if name == "MemTotal" and rest.split()[:1] and rest.split()[0].isdecimal():
            return int(rest.split()[0]) * 1_024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError):
        return 0


def _unescaped(word: str) -> str:
    r"""Return a path of the mount table, in which a space is ``\040``."""
    return word.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def _lines(file: Path) -> list[str]:
    return _word(file).splitlines()


def _word(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""
