"""Checks of the system's limits for `regenctl doctor`: which one is reached, and the line that raises it."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from regend.cli.checks.finding import Check
from regend.config import Config

GOOD_OPEN_FILES = 1_456
"""Limit on open files that suffices for all clients that the daemon admits, and for the index."""
FEW_OPEN_FILES = 128
MIN_INSTANCES = 8
"""The daemon takes one for all roots; editors and desktops take a few."""
GOOD_INSTANCES, GOOD_WATCHES = 1_024, 1_048_576
"""Values to raise a limit to that is used up; a watch takes about 1 kB of the kernel's memory once it is used."""
_NEARLY = 0.95
"""Share of a limit from which it counts as reached."""
_NAMED_LIMIT = re.compile(r"(?:fs\.inotify\.max_user|user\.max_inotify)_(watches|instances)")


def check_open_files(allowed: int) -> Check:
    """Check the hard limit on open files, to which the daemon raises its own."""
    if allowed == resource.RLIM_INFINITY or allowed >= GOOD_OPEN_FILES:
        return Check("open files", "ok", "no limit" if allowed == resource.RLIM_INFINITY else str(allowed))
    detail = f"{allowed} at most: fewer clients may connect"
    result = "warn" if allowed >= FEW_OPEN_FILES else "fail"
    return Check("open files", result, detail, _files_remedy())


def check_files_of(status: Mapping[str, Any], processes: Path = Path("/proc")) -> Iterator[Check]:
    """Check how near the running daemon is to its own limit on open files."""
    try:
        directory = processes / str(status["pid"])
        used = len(os.listdir(directory / "fd"))  # noqa: PTH208
        found = re.search(r"^Max open files\s+(\d+)", (directory / "limits").read_text(), re.MULTILINE)
    except (KeyError, OSError):
        return  # No daemon, or another process namespace.
    if found and used >= int(found[1]) * _NEARLY:
        detail = f"the daemon has {used} open, of {found[1]} that it may have"
        yield Check("open files", "warn", detail, _files_remedy())


def _files_remedy() -> str:
    return f"ulimit -Hn {GOOD_OPEN_FILES}; for the service, LimitNOFILE={GOOD_OPEN_FILES}."


def check_inotify(
    config: Config, status: Mapping[str, Any], settings: Path = Path("/proc/sys"), processes: Path = Path("/proc")
) -> Iterator[Check]:
    """Check the kernel's limits on watches: the lower of the user's and of the user namespace's.

    Args:
        status: the daemon's, whose roots say which limit was reached; empty without a daemon.
        settings: the kernel's settings.
        processes: this user's processes, whose watches count towards the limits.
    """
    wanted = {"watches": config.watch.max_watches, "instances": MIN_INSTANCES}
    reached = {found[1] for root in status.get("roots", ()) for found in _NAMED_LIMIT.finditer(_said(root))}
    in_use = _in_use(processes)
    for what, least in wanted.items():
        name, value = f"fs.inotify.max_user_{what}", -1
        try:
            value = _number(settings / "fs/inotify" / f"max_user_{what}")
            in_namespace = settings / "user" / f"max_inotify_{what}"
            if in_namespace.exists() and (lower := _number(in_namespace)) < value:
                name, value = f"user.max_inotify_{what}", lower
        except (OSError, ValueError) as error:
            yield Check(f"inotify {what}", "warn", f"cannot be read: {error}", "Roots may be polled.")
            continue
        used = in_use[what]
        if what in reached or used >= value * _NEARLY:
            detail = f"the limit is reached: your programs use {used:,} of {value:,} ({name})"
            yield Check(f"inotify {what}", "warn", detail, _raise(name, max(2 * value, least)))
        elif value < least:
            detail = f"{value:,}, less than {least:,} ({name}); your programs use {used:,}"
            yield Check(f"inotify {what}", "warn", detail, _raise(name, least))
        else:
            yield Check(f"inotify {what}", "ok", f"{value:,}, of which your programs use {used:,}")


def sysctl_remedy(reason: str) -> str:
    """Return the line that raises the limit which a root's reason names; empty if it names none."""
    found = _NAMED_LIMIT.search(reason)
    if found is None:
        return ""
    return _raise(found[0], GOOD_INSTANCES if found[1] == "instances" else GOOD_WATCHES)


def _raise(name: str, value: int) -> str:
    line = f"{name}={value}"
    return (
        f"sudo sysctl {line}; to make it permanent: echo {line} | sudo tee /etc/sysctl.d/60-regend.conf. "
        "Until then a tree that needs more is polled."
    )


def _said(root: Mapping[str, Any]) -> str:
    return f"{root.get('reason', '')} {root.get('watching', '')}"


def _in_use(processes: Path) -> dict[str, int]:
    """Count the inotify instances and watches of this user's processes, as far as they may be looked at."""
    used = {"watches": 0, "instances": 0}
    for directory in processes.glob("[0-9]*"):
        try:
            if directory.stat().st_uid != os.geteuid():
                continue
            for descriptor in os.scandir(directory / "fd"):
                if str(Path(descriptor.path).readlink()).endswith("inotify"):
                    used["instances"] += 1
                    lines = (directory / "fdinfo" / descriptor.name).read_text().splitlines()
                    used["watches"] += sum(line.startswith("inotify wd") for line in lines)
        except OSError:
            continue  # It has ended, or is protected.
    return used


def _number(file: Path) -> int:
    return int(file.read_text())
