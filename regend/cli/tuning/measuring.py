"""Measures settings with daemons of their own: a state, socket and configuration that exist for one run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import perf_counter, sleep

from regend.cli.settings import toml
from regend.cli.tuning.choosing import Run
from regend.errors import DaemonNotRunningError, RegendError
from regend.rpc.client import Client

RUN_LIMIT_S = 300.0
"""Maximum time of one index of the sample."""
_START_LIMIT_S = 30.0
_END_LIMIT_S = 30.0
_POLL_S = 0.02
_TABLES = ("limits", "workers", "embedding")
"""Tables of the user's configuration that hold for a trial; the others have their defaults."""


def measure(tree: Path, config: Mapping[str, Mapping[str, object]], changes: Mapping[str, object]) -> Run:
    """Index the tree from nothing with these settings.

    Args:
        config: the user's settings by table.
        changes: other values by key, such as ``workers.count``.

    Raises:
        RegendError: the daemon did not start, or did not finish in time.
    """
    with tempfile.TemporaryDirectory(prefix="rg-") as name:
        place = Path(name)
        file = place / "config.toml"
        file.write_text(_configuration(config, changes))
        # The configuration has the values of variables already.
        environ = {name: value for name, value in os.environ.items() if not name.startswith("REGEND_")}
        command = [sys.executable, "-P", "-m", "regend", "--config", str(file), "--state-dir", str(place / "state")]
        command += ["--socket", str(place / "run" / "s"), "--log-level", "error"]
        with (place / "log").open("wb") as log:
            daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environ)
        try:
            took_s = _index(daemon, place, tree)
            daemon.send_signal(signal.SIGTERM)
            return Run(took_s, _cpu_s(daemon))
        finally:
            if daemon.returncode is None:
                daemon.kill()
                daemon.wait(_END_LIMIT_S)


def _configuration(config: Mapping[str, Mapping[str, object]], changes: Mapping[str, object]) -> str:
    lines = []
    for table in _TABLES:
        values = {**config[table], **{key.partition(".")[2]: v for key, v in changes.items() if key.startswith(table)}}
        lines += [f"[{table}]", *(f"{key} = {toml(value)}" for key, value in values.items())]
    return "\n".join(lines) + "\n"


def _index(daemon: subprocess.Popen[bytes], place: Path, tree: Path) -> float:
    """Add the tree once a worker is ready, and return how long it takes until everything is indexed."""
    deadline = perf_counter() + _START_LIMIT_S
    client = Client(place / "run" / "s", RUN_LIMIT_S, name="tune")
    while True:
        with suppress(DaemonNotRunningError), client:
            while not any(worker["state"] == "idle" for worker in client.call("status")["workers"]):
                if perf_counter() > deadline:
                    raise RegendError("No worker of the measured daemon is ready; see `regenctl doctor`.")
                sleep(_POLL_S)
            began_at = perf_counter()
            client.call("add", path=str(tree))
            client.call("flush", timeout_s=RUN_LIMIT_S)
            return perf_counter() - began_at
        if daemon.poll() is not None or perf_counter() > deadline:
            said = (place / "log").read_text(errors="replace").strip().splitlines()
            raise RegendError(f"The measured daemon does not start: {said[-1] if said else 'it says nothing'}")
        sleep(_POLL_S)


def _cpu_s(daemon: subprocess.Popen[bytes]) -> float:
    """Wait for the end of the daemon, which has waited for its workers; return what all of them used."""
    deadline = perf_counter() + _END_LIMIT_S
    while True:
        pid, status, usage = os.wait4(daemon.pid, os.WNOHANG)
        if pid:
            daemon.returncode = os.waitstatus_to_exitcode(status)
            return usage.ru_utime + usage.ru_stime
        if perf_counter() > deadline:
            raise RegendError(f"The measured daemon (pid {daemon.pid}) does not end.")
        sleep(_POLL_S)
