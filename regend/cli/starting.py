"""`regenctl start`, `restart` and `logs`: a daemon in the background, run by systemd if the user chose that."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import sleep

from regend.cli.background import is_active, start, systemctl
from regend.cli.call import call
from regend.cli.service_files import SERVICE_UNIT
from regend.cli.settings import check_config
from regend.cli.terminal import print_json, printable
from regend.config import config_file, load_config
from regend.errors import DaemonNotRunningError, PathError, RegendError
from regend.paths import log_file
from regend.rpc.launch import wait_for_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import BinaryIO

_FOLLOW_S = 0.25
_BLOCK_BYTES = 65_536


def run_start(arguments: argparse.Namespace) -> int:
    launched, by_service = start(arguments.socket, os.environ)
    if arguments.json:
        print_json({"pid": launched.pid, "started": launched.started, "log": str(launched.log)})
        return 0
    verb = "started" if launched.started else "running already"
    where = "`regenctl logs` shows its log" if by_service else f"log {printable(str(launched.log))}"
    print(f"regend is {verb} (pid {launched.pid}); {where}")
    if not call(arguments, "list")["roots"]:
        print("nothing is indexed yet; add a repository: regenctl add DIR")
    return 0


def run_restart(arguments: argparse.Namespace) -> int:
    environ = dict(os.environ)
    try:
        status = call(arguments, "status")
    except DaemonNotRunningError:
        return run_start(arguments)
    environ["REGEND_STATE_DIR"] = status["state_dir"]
    by_service = is_active(environ)
    # A daemon that runs is worth more than one that does not start. A service does not see this shell's settings.
    seen = {name: value for name, value in environ.items() if not (by_service and "__" in name)}
    check_config(load_config(environ=seen), config_file(seen))
    if by_service:
        systemctl("restart", SERVICE_UNIT)
    else:
        call(arguments, "stop")
        wait_for_end(status)
        arguments.socket = arguments.socket or status["socket"]
    launched, _ = start(arguments.socket, environ)
    if arguments.json:
        print_json({"pid": launched.pid, "started": launched.pid != status["pid"], "log": str(launched.log)})
    else:
        print(f"regend is started again (pid {launched.pid}, before {status['pid']})")
    return 0


def run_logs(arguments: argparse.Namespace) -> int:
    """Print the end of the log; with `--follow`, whatever is added, until Ctrl-C."""
    if arguments.json:
        raise RegendError("`regenctl logs` prints lines and has no JSON; leave `--json` out.")
    if is_active(os.environ):
        follow = ["-f"] if arguments.follow else []
        command = ["journalctl", "--user", "-u", SERVICE_UNIT, "-n", str(arguments.lines), "--no-pager", *follow]
        sys.stdout.flush()
        os.execvp(command[0], command)  # noqa: S606 - a program of systemd, found as systemctl was.
    file = log_file()
    try:
        stream = file.open("rb")
    except FileNotFoundError:
        raise PathError(
            f"There is no log {file}: `regenctl start` writes it, and a daemon in the foreground logs to its terminal."
        ) from None
    except OSError as error:
        raise PathError(f"The log {file} cannot be read: {error.strerror}.") from error
    with stream:
        for line in _last_lines(stream, arguments.lines):
            _print(line)
        if arguments.follow:
            _follow(file, stream)
    return 0


def _last_lines(stream: BinaryIO, count: int) -> list[bytes]:
    """Return the last lines of a file, and leave the stream at its end."""
    place = stream.seek(0, os.SEEK_END)
    found = b""
    while place and found.count(b"\n") <= count:
        start = max(0, place - _BLOCK_BYTES)
        stream.seek(start)
        found = stream.read(place - start) + found
        place = start
    stream.seek(0, os.SEEK_END)
    lines = found.splitlines(keepends=True)
    return lines[max(0, len(lines) - count) :]


def _follow(file: Path, stream: BinaryIO) -> None:
    """Print lines that are added to the log until Ctrl-C, also after the daemon has begun a new file."""
    while True:
        for line in stream:
            _print(line)
        sys.stdout.flush()
        sleep(_FOLLOW_S)
        if _is_replaced(file, stream):
            for line in stream:
                _print(line)
            stream.close()
            stream = file.open("rb")


def _is_replaced(file: Path, stream: BinaryIO) -> bool:
    try:
        return os.fstat(stream.fileno()).st_ino != file.stat().st_ino
    except FileNotFoundError:
        return False  # The daemon is about to make the new file.


def _print(line: bytes) -> None:
    sys.stdout.write(printable(line.decode("utf-8", "replace").rstrip("\n")) + "\n")
