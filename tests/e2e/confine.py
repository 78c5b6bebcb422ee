"""Run a command under the system call filter of the systemd unit, without systemd; a refused call ends the process.

``python -m tests.e2e.confine COMMAND ...``. The sets of calls are those of `systemd-analyze syscall-filter`, the filter
is made by libseccomp. systemd would answer with an error where we kill, so a call that is got over shows, too.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

UNIT = Path(__file__).parents[2] / "systemd" / "regend.service"
LIBRARY = "libseccomp.so.2"
_ALLOW, _KILL_PROCESS = 0x7FFF0000, 0x80000000
_EQUAL = 4
_FAMILIES = range(1, 46)


class _Comparison(ctypes.Structure):
    """`struct scmp_arg_cmp` of seccomp.h."""

    _fields_ = (
        ("argument", ctypes.c_uint), ("operation", ctypes.c_int), ("value", ctypes.c_uint64), ("mask", ctypes.c_uint64)
    )  # fmt: skip


def missing() -> str:
    """Say what this machine lacks for the filter; empty if it has everything."""
    if shutil.which("systemd-analyze") is None:
        return "systemd-analyze is not installed"
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return f"{LIBRARY} is not installed"
    return ""


def directive(name: str) -> list[str]:
    """The words of a line of the unit."""
    found = re.search(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert found is not None, f"{UNIT} has no {name}="
    return found[1].split()


def denied_calls() -> list[str]:
    """Names of all calls that the unit refuses."""
    first, *rest = directive("SystemCallFilter")
    assert first.startswith("~"), first
    waiting, seen, calls = [first[1:], *rest], set[str](), set[str]()
    while waiting:
        name = waiting.pop()
        if not name.startswith("@"):
            calls.add(name)
        elif name not in seen:
            seen.add(name)
            told = subprocess.run(
                ["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True
            )
            lines = [line.strip() for line in told.stdout.splitlines() if line.startswith(" ")]
            waiting += [line for line in lines if line and not line.startswith("#")]
    return sorted(calls)


def confine() -> None:
    """Put this process and all that it starts under the filter, for good."""
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(_ALLOW)))
    assert context, "seccomp_init"
    for name in [*denied_calls(), "unshare", "setns"]:  # The last two are most of RestrictNamespaces=.
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # Others are those of other processors, or newer than the library.
            _check(library.seccomp_rule_add_array(context, ctypes.c_uint32(_KILL_PROCESS), number, 0, None))
    number = library.seccomp_syscall_resolve_name(b"socket")
    allowed = {getattr(socket, family, 0) for family in directive("RestrictAddressFamilies")}
    for family in set(_FAMILIES) - allowed:
        only = _Comparison(0, _EQUAL, family, 0)
        _check(library.seccomp_rule_add_array(context, ctypes.c_uint32(_KILL_PROCESS), number, 1, ctypes.byref(only)))
    _check(library.seccomp_load(context))


def _check(result: int) -> None:
    assert result == 0, os.strerror(-result)


if __name__ == "__main__":
    confine()
    os.execvp(sys.argv[1], sys.argv[1:])
