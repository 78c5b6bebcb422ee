"""Cores and memory are those of the container: control groups of both versions, made up, and a real one if possible."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.machine import Machine, this_machine
from regend.workers.dispatcher import worker_count

GB = 1 << 30
V2 = "31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw"
V1 = (
    "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
)
NO_LIMIT = {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "100000", "memory.limit_in_bytes": str((1 << 63) - 4096)}
CORES = float(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1)


def made(place: Path, cgroup: str, mounts: str, groups: dict[str, dict[str, str]], memory: int = 8 * GB) -> Machine:
    """Write the files of a made-up machine below `place` and measure it."""
    proc = place / "proc" / "self"
    proc.mkdir(parents=True)
    (proc / "cgroup").write_text(cgroup)
    (proc / "mountinfo").write_text(f"23 1 0:5 / / rw - ext4 /dev/vda rw\n{mounts}\n")
    (place / "proc" / "meminfo").write_text(f"MemTotal:       {memory // 1024} kB\nMemFree: 1 kB\n")
    for group, files in groups.items():
        (place / "sys/fs/cgroup" / group).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / "sys/fs/cgroup" / group / name).write_text(text + "\n")
    return this_machine(place)


IN_D = "4:memory:/d\n3:cpu,cpuacct:/d"
IN_DOCKER = "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x"
V1_DOCKER = V1.replace(":29 / ", ":29 /docker/x ").replace(":32 / ", ":32 /docker/x ")
BOTH = V1 + "\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
HALF, WHOLE = {"cpu.max": "50000 100000"}, {"cpu.max": "max 100000"}
HALF_V1 = NO_LIMIT | {"cpu.cfs_quota_us": "10000", "cpu.cfs_period_us": "20000"}
ONE_GB, ONE_GB_V1 = {"memory.max": str(GB)}, {"memory.limit_in_bytes": str(GB)}
BEYOND = {"cpu.max": "9900000 100000", "memory.max": str(99 * GB)}
ABOVE = {"user": {"cpu.max": "25000 100000"}, "user/a b": WHOLE | ONE_GB}
MADE_UP: dict[str, tuple[str, str, dict[str, dict[str, str]], float, int]] = {
    "no limit": ("0::/", V2, {".": WHOLE | {"memory.max": "max"}}, CORES, 8 * GB),
    "a container": ("0::/", V2, {".": HALF | ONE_GB}, 0.5, GB),
    "a limit of a group above": ("0::/user/a b", V2, ABOVE, 0.25, GB),
    "throttled": ("0::/a", V2, {"a": {"memory.max": "max", "memory.high": str(GB)}}, CORES, GB),
    "outside of its namespace": ("0::/../../other", V2, {".": HALF}, 0.5, 8 * GB),
    "version 1": (IN_D, V1, {"cpu,cpuacct/d": HALF_V1, "memory/d": ONE_GB_V1}, 0.5, GB),
    "version 1, no limit": (IN_D, V1, {"cpu,cpuacct/d": NO_LIMIT, "memory/d": NO_LIMIT}, CORES, 8 * GB),
    "names of the host": (IN_DOCKER, V1_DOCKER, {"cpu,cpuacct": HALF_V1, "memory": ONE_GB_V1}, 0.5, GB),
    "both versions": ("4:memory:/d\n0::/", BOTH, {"memory/d": ONE_GB_V1, "unified": HALF}, 0.5, GB),
    "more than there is": ("0::/", V2, {".": BEYOND}, CORES, 8 * GB),
    "zeros": ("0::/", V2, {".": {"cpu.max": "0 100000", "memory.max": "0"}}, CORES, 8 * GB),
    "nonsense": ("0::/", V2, {".": {"cpu.max": "", "memory.max": "x"}}, CORES, 8 * GB),
    "no groups": ("nonsense", "x - y", {}, CORES, 8 * GB),
}


@pytest.mark.parametrize(("cgroup", "mounts", "groups", "cores", "memory"), MADE_UP.values(), ids=MADE_UP)
def test_limits_of_made_up_groups(
    tmp_path: Path, cgroup: str, mounts: str, groups: dict[str, dict[str, str]], cores: float, memory: int
) -> None:
    found = made(tmp_path, cgroup, mounts, groups)
    assert (found.cores, found.memory_bytes) == (min(cores, CORES), memory)
    assert (found.memory_by == "cgroup") == (memory != 8 * GB)
    assert (found.cores_by == "cgroup") == (found.cores < CORES)


@given(st.lists(st.integers(1, 400), min_size=1, max_size=4), st.lists(st.integers(1, 64), min_size=1, max_size=4))
def test_the_smallest_limit_on_the_way_up_counts(quotas: list[int], limits: list[int]) -> None:
    groups: dict[str, dict[str, str]] = {}
    for depth, percent in enumerate(quotas):
        groups.setdefault("/".join(["g"] * (depth + 1)), {})["cpu.max"] = f"{percent * 1000} 100000"
    for depth, count in enumerate(limits):
        groups.setdefault("/".join(["g"] * (depth + 1)), {})["memory.max"] = str(count * GB // 4)
    path = max(groups, key=len)
    with tempfile.TemporaryDirectory() as place:
        found = made(Path(place), f"0::/{path}", V2, groups)
    assert found.cores == min(CORES, *(percent / 100 for percent in quotas))
    assert found.memory_bytes == min(8 * GB, *(count * GB // 4 for count in limits))


@pytest.mark.parametrize(("groups", "mounts"), [("", ""), ("0::/\n", "\\ - cgroup2 x rw\n"), (":::\n5\n", V2)])
def test_broken_files_limit_nothing(tmp_path: Path, groups: str, mounts: str) -> None:
    assert made(tmp_path, groups, mounts, {}).cores == CORES


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_affinity_limits_cores() -> None:
    code = "import os; from regend.machine import this_machine; os.sched_setaffinity(0, {%d}); m = this_machine(); "
    code = code % min(os.sched_getaffinity(0)) + "print(m.cores, m.cores_by)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    said = done.stdout.split()
    assert float(said[0]) <= 1.0
    assert said[1] in ("affinity", "cgroup") or os.cpu_count() == 1


@pytest.mark.parametrize(
    ("cores", "memory", "count"),
    [
        (0.5, 512_000_000, 1),
        (2.0, 0, 2),
        (2.9, 8 * GB, 2),
        (8.0, 512_000_000, 1),
        (8.0, 1_100_000_000, 4),
        (64.0, 64 * GB, 64),
    ],
)
def test_workers_fit_cores_and_memory(cores: float, memory: int, count: int) -> None:
    assert worker_count(Machine(cores, memory)) == count


# --- a real group -----------------------------------------------------------------------------------------------------

ROOT = Path(__file__).parents[1]


@pytest.fixture
def half_a_core_and_512_mb() -> Iterator[list[Path]]:
    """The `cgroup.procs` files of groups that this test made, below those that it is in."""
    from regend.machine import _groups

    made_here: list[Path] = []
    name = f"regend-test-{os.getpid()}"
    try:
        for directory, _, version in list(_groups(Path("/"))):
            group = directory / name
            limits = (
                {"cpu.max": "50000 100000", "memory.max": "512000000"}
                if version == 2
                else {"cpu.cfs_quota_us": "50000", "memory.limit_in_bytes": "512000000"}
            )
            try:
                group.mkdir()
                made_here.append(group)
                for file, text in limits.items():
                    if (group / file).exists():
                        (group / file).write_text(text)
            except OSError:
                continue
        found = this_machine_in(made_here)
        if (found["cores"], found["memory_bytes"]) != (0.5, 512_000_000 // 4096 * 4096):
            pytest.skip(f"no control group with half a core and 512 MB can be made here: {found}")
        yield made_here
    finally:
        for group in made_here:
            deadline = time.monotonic() + 10
            while group.is_dir() and time.monotonic() < deadline:
                try:
                    group.rmdir()
                except OSError:  # The last process in it is about to end.
                    time.sleep(0.05)


def joining(groups: list[Path]) -> str:
    """Python that puts its own process into the groups."""
    return f"import os\nfor g in {list(map(str, groups))!r}: open(g + '/cgroup.procs', 'w').write(str(os.getpid()))\n"


def this_machine_in(groups: list[Path]) -> dict[str, float]:
    code = joining(groups) + (
        "import json, dataclasses; from regend.machine import this_machine\n"
        "print(json.dumps(dataclasses.asdict(this_machine())))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    found: dict[str, float] = json.loads(done.stdout)
    return found


@pytest.mark.slow
def test_a_daemon_in_a_small_container_indexes_with_one_worker(
    half_a_core_and_512_mb: list[Path], tmp_path: Path
) -> None:
    from tests.e2e.rig import daemon

    for number in range(300):
        (tmp_path / f"m{number}.py").write_text(f"def function_{number}():\n    return {number}\n" * 20)
    with daemon() as small:
        join = joining(half_a_core_and_512_mb) + "import sys; os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
        small.launcher = (sys.executable, "-c", join)
        small.program = ("-m", "regend")
        small.start(tmp_path)
        assert small.flush()["complete"]
        assert small.root(tmp_path)["files_indexed"] == 300
        assert len(small.worker_pids()) == 1
        members = {int(pid) for group in half_a_core_and_512_mb for pid in (group / "cgroup.procs").read_text().split()}
        assert {small.process.pid, *small.worker_pids()} <= members
        assert "function_7" in small.call("search", query="function_7", k=1)["results"][0]["snippet"]
        small.stop()
