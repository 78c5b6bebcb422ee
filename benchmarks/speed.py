"""`python -m benchmarks all`, or one name: the figures of speed and size, all from one run, as tables and as JSON."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import beside, indexing, loading, modes, queries, resting, switching, trees
from benchmarks.annotations import load as load_questions
from benchmarks.daemons import commit
from benchmarks.figures import Section, as_json, describe, joined, table
from benchmarks.setup import Setup

BENCHMARKS: Mapping[str, Callable[[Setup], Section]] = {
    "index": indexing.run,
    "query": queries.run,
    "freshness": queries.freshness,
    "restart": resting.restart,
    "memory": resting.memory,
    "idle": resting.idle,
    "switch": switching.run,
    "modes": modes.run,
    "load": loading.load,
    "scale": loading.scale,
}
NAMES = (*BENCHMARKS, "all")


def main(arguments: list[str]) -> int:
    options = _parser().parse_args(arguments)
    setup = _setup(options)
    wanted = tuple(BENCHMARKS) if options.name == "all" else (options.name,)
    report: dict[str, Any] = {"machine": machine(setup), "benchmarks": {}}
    print(f"{describe(report['machine'])}\n")
    for name in wanted:
        section = BENCHMARKS[name](setup)
        report["benchmarks"][name] = as_json(section)
        remarks = "\n".join(f"- {remark}" for remark in section.remarks)
        print(joined((f"## {name} ({describe(section.about)})", table(section), remarks)) + "\n", flush=True)
        if options.out is not None:  # After each, so that an end in the middle loses only the rest.
            options.out.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    return 0


def machine(setup: Setup, module: str = "benchmarks") -> dict[str, Any]:
    """Return what the figures depend on besides the code, and how busy the machine is with other work."""
    return {
        "processor": _line("/proc/cpuinfo", "model name") or platform.machine(),
        "cores": os.cpu_count(),
        "cores used": ",".join(map(str, sorted(setup.cores))) or "all",
        "memory": f"{int((_line('/proc/meminfo', 'MemTotal') or '0 kB').split()[0]) / 1e6:.0f} GB",
        "system": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "load before": round(os.getloadavg()[0], 2),
        "command": f"python -m {module} {' '.join(sys.argv[1:])}",
    }


def _line(file: str, name: str) -> str:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument(
        "--tree", default="django", metavar="DIR", help="the tree to index; `django` and `linux` are fetched"
    )
    parser.add_argument("--cores", default="", metavar="LIST", help="cores of the daemon, such as 0,1 (default: all)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write everything there, as JSON")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="repetitions (default: %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=60.0, help="idle: how long to watch; load: at most (default: %(default)s)"
    )
    parser.add_argument("--questions", type=Path, help="ask these annotated questions; default: words of the tree")
    parser.add_argument("--checkouts", type=Path, help="folder with the repositories of the questions")
    parser.add_argument(
        "--beside", default=",".join(beside.PROGRAMS), metavar="LIST", help="index and query: other programs; `-`: none"
    )
    parser.add_argument(
        "--chunks", default="10000,100000", metavar="LIST", help="scale: sizes of the trees (default: %(default)s)"
    )
    parser.add_argument(
        "--directories", type=int, default=10_000, metavar="N", help="idle: size of the tree (default: %(default)s)"
    )
    return parser


def _setup(options: argparse.Namespace) -> Setup:
    tree = Path(options.tree)
    if not tree.is_dir():
        tree = trees.fetched(options.tree)
    if unknown := set(_split(options.beside)) - {*beside.PROGRAMS, "-"}:
        raise SystemExit(f"--beside has {', '.join(sorted(unknown))}; there are: {', '.join(beside.PROGRAMS)}.")
    if options.out is not None and not options.out.resolve().parent.is_dir():
        raise SystemExit(f"--out {options.out} lies in no folder; make {options.out.resolve().parent} first.")
    if options.rounds < 1 or options.seconds <= 0 or options.directories < 1:
        raise SystemExit("--rounds, --seconds and --directories must be positive.")
    cores = _numbers("--cores", options.cores)
    if absent := set(cores) - os.sched_getaffinity(0):
        raise SystemExit(f"--cores has {', '.join(map(str, sorted(absent)))}, which this process may not use.")
    questions = load_questions(options.questions, options.checkouts or tree) if options.questions else []
    return Setup(
        tree.resolve(), frozenset(cores), options.rounds, options.seconds,
        tuple(question.text for repository in questions for question in repository.questions),
        tuple(name for name in _split(options.beside) if name != "-"),
        _numbers("--chunks", options.chunks), options.directories,
    )  # fmt: skip


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _numbers(option: str, text: str) -> tuple[int, ...]:
    try:
        return tuple(map(int, _split(text)))
    except ValueError:
        raise SystemExit(f"{option} takes numbers with commas between, not {text!r}.") from None
