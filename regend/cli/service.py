"""`regenctl service install|uninstall|status`: run regend at every login, by systemd or launchd.

It lists every file that it changes and every command that it runs; with `--dry-run` it only lists them.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from regend.cli.parser import Parser
from regend.cli.service_files import (
    AGENT_LABEL,
    SERVICE_UNIT,
    SOCKET_UNIT,
    ServiceFile,
    installed_program,
    service_files,
)
from regend.cli.terminal import print_json
from regend.errors import PathError
from regend.paths import default_config_path, default_socket_path, default_state_dir

_COMMAND_TIMEOUT_S = 150.0
"""Time limit of a command: longer than `TimeoutStartSec=`, so that the user sees systemd's own message."""
_PROBE_TIMEOUT_S = 2.0
_DOMAIN = f"gui/{os.getuid()}"
"""Launchd's name for this user's session."""
_AGENT = f"{_DOMAIN}/{AGENT_LABEL}"


@dataclass(frozen=True, slots=True)
class Step:
    """One action that was taken, or that `--dry-run` plans.

    Attributes:
        action: ``write``, ``keep``, ``remove`` or ``run``.
        target: the file, or the command line.
        result: ``done``, ``planned``, ``unchanged``, ``failed`` or ``skipped``.
        detail: the error, or why it was skipped.
    """

    action: str
    target: str
    result: str
    detail: str = ""


class _Shell:
    """Changes files and runs the service manager's commands, unless this is a dry run; owns the report of it."""

    def __init__(self, environ: Mapping[str, str], dry_run: bool) -> None:
        self.environ = environ
        self.steps: list[Step] = []
        self.notes: list[str] = []
        self.status: dict[str, str] = {}
        self.ok = True
        self._dry_run = dry_run

    def step(self, action: str, target: str | Path, result: str, detail: str = "") -> None:
        self.steps.append(Step(action, str(target), result, detail))

    def change(self, action: str, target: Path, act: Callable[[], None]) -> None:
        """Change a file by calling `act`, unless this is a dry run."""
        if not self._dry_run:
            act()
        self.step(action, target, "planned" if self._dry_run else "done")

    def which(self, program: str) -> str | None:
        return shutil.which(program, path=self.environ.get("PATH", os.defpath))

    def run(self, *command: str) -> bool:
        """Run a command, or plan it; return whether it succeeded or is planned."""
        line = " ".join(command)
        if self._dry_run:
            self.step("run", line, "planned")
            return True
        status, output = self.ask(*command)
        self.step("run", line, "failed" if status else "done", output if status else "")
        return status == 0

    def systemctl(self, *command: str) -> bool:
        """Run a command of the user's systemd, as `run` does."""
        return self.run("systemctl", "--user", *command)

    def has_agent(self) -> bool:
        """Say whether launchd knows our agent."""
        return self.ask("launchctl", "print", _AGENT)[0] == 0

    def not_started(self, why: str) -> None:
        """Note why the files were written for nothing so far, and another way; a dry run has not failed."""
        self.ok = self._dry_run
        self.notes += [why, "To run the daemon in the background without a service manager: regenctl start"]

    def ask(self, *command: str) -> tuple[int, str]:
        """Return exit status and output of a command that changes nothing (127: not installed, 124: too slow)."""
        program = self.which(command[0])
        if program is None:
            return 127, f"{command[0]} is not installed"
        try:
            done = subprocess.run(
                [program, *command[1:]], env=dict(self.environ), stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="replace", timeout=_COMMAND_TIMEOUT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 124, f"no answer within {_COMMAND_TIMEOUT_S:g} s"
        except OSError as error:
            return 126, error.strerror or str(error)
        return done.returncode, (done.stdout + done.stderr).strip()


def service_command(
    argv: list[str], as_json: bool, *, platform: str = sys.platform, environ: Mapping[str, str] = os.environ
) -> int:
    """Carry out `regenctl service ARGV`.

    Args:
        platform: as `sys.platform`.
        environ: the user's environment.

    Returns:
        The exit code: 0, or 1 when the request failed (for `status`: the service is not installed or not running).

    Raises:
        RegendError: a file is not ours to touch, or cannot be written.
    """
    options = service_parser().parse_args(argv)
    shell = _Shell(environ, getattr(options, "dry_run", False))
    files = service_files(platform, environ, _program(options.action, environ))
    match options.action:
        case "install":
            _install(files, shell, platform)
        case "uninstall":
            _uninstall(files, shell, platform)
        case _:
            _status(files, shell, platform)
    if as_json:
        steps = [asdict(step) for step in shell.steps]
        report = {"steps": steps, "notes": shell.notes, "status": shell.status, "ok": shell.ok}
        print_json({"command": options.action, **report})
    else:
        print(_text(shell))
    return 0 if shell.ok else 1


def _program(action: str, environ: Mapping[str, str]) -> Path:
    try:
        return installed_program(environ)
    except PathError:
        if action == "install":
            raise
        return Path("/regend")  # Installed files can be shown and removed without the program.


def service_parser() -> argparse.ArgumentParser:
    """Return the parser of the words behind `regenctl service`."""
    parser = Parser(prog="regenctl service", description="Run regend at every login.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="install|uninstall|status")
    for name, text in (("install", "write the service files and start the service"),
                       ("uninstall", "stop the service and remove what install wrote")):  # fmt: skip
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    actions.add_parser("status", help="say whether it is installed and running")
    return parser


def _install(files: tuple[ServiceFile, ...], shell: _Shell, platform: str) -> None:
    states = {file: file.state() for file in files}
    for file, state in states.items():
        if state in ("edited", "foreign"):
            raise PathError(
                f"{file.path} was {'changed' if state == 'edited' else 'written'} by someone else and is left alone; "
                "move it away and install again (your own settings belong in a drop-in: `systemctl --user edit`)."
            )
    changed = [file for file, state in states.items() if state != "current"]
    for file in files:
        if file in changed:
            shell.change("write", file.path, file.write)
        else:
            shell.step("keep", file.path, "unchanged")
    if platform == "darwin":
        _start_agent(files[0], bool(changed), shell)
    else:
        _start_units(bool(changed), shell)


def _start_units(changed: bool, shell: _Shell) -> None:
    by_hand = "systemctl --user daemon-reload && systemctl --user enable --now regend.socket regend.service"
    if not shell.which("systemctl"):
        shell.not_started(f"systemctl is not installed, so nothing was started. Where systemd runs: {by_hand}")
        return
    if not shell.systemctl("daemon-reload"):
        shell.not_started(
            "No user service manager answers here (a container, or a session without systemd), so nothing was started. "
            f"In a systemd session, run: {by_hand}"
        )
        return
    active = shell.ask("systemctl", "--user", "is-active", SOCKET_UNIT)[0] == 0
    where = default_socket_path(shell.environ)
    if not active and _answers(where):
        # systemd unlinks any socket in its way, even a live one; its clients would lose their daemon.
        shell.ok = shell.systemctl("enable", SOCKET_UNIT, SERVICE_UNIT)
        shell.notes.append(
            f"A regend that was started by hand answers on {where}, so the service was enabled but not started. "
            f"Run: regenctl stop && systemctl --user start {SOCKET_UNIT} {SERVICE_UNIT}"
        )
        return
    if active and changed:
        # A socket unit does not restart under a running service, so both stop before both start.
        shell.systemctl("stop", SOCKET_UNIT, SERVICE_UNIT)
    shell.ok = shell.systemctl("enable", "--now", SOCKET_UNIT, SERVICE_UNIT)
    if shell.ok:
        shell.notes.append("The service runs while you are logged in; to run it always: loginctl enable-linger")
    else:
        shell.notes.append("The service was not started; see: journalctl --user -u regend.service")


def _start_agent(agent: ServiceFile, changed: bool, shell: _Shell) -> None:
    by_hand = f"launchctl bootstrap {_DOMAIN} {agent.path}"
    if not shell.which("launchctl"):
        shell.not_started(f"launchctl is not installed, so nothing was started. On macOS: {by_hand}")
        return
    if shell.has_agent():
        if not changed:
            return
        shell.run("launchctl", "bootout", _AGENT)
    shell.ok = shell.run("launchctl", "bootstrap", _DOMAIN, str(agent.path))


def _uninstall(files: tuple[ServiceFile, ...], shell: _Shell, platform: str) -> None:
    states = {file: file.state() for file in files}
    ours = [file for file, state in states.items() if state in ("current", "outdated")]
    if ours and platform == "darwin" and shell.has_agent():
        shell.run("launchctl", "bootout", _AGENT)
    systemd = platform == "linux" and shell.which("systemctl")
    if ours and systemd:
        shell.systemctl("disable", "--now", *(file.path.name for file in ours))
    for file, state in states.items():
        if state == "absent":
            shell.step("remove", file.path, "skipped", "not there")
        elif file not in ours:
            shell.ok = False
            shell.step("keep", file.path, "skipped", f"{state}: not as we wrote it; remove it yourself")
        else:
            _remove_links(file.path, shell)
            shell.change("remove", file.path, file.path.unlink)
    if ours and systemd:
        shell.systemctl("daemon-reload")
    kept = f"{default_state_dir(shell.environ)} {default_config_path(shell.environ).parent}"
    shell.notes.append(f"The index and the configuration are kept; to remove them: rm -r {kept}")


def _remove_links(unit: Path, shell: _Shell) -> None:
    """Remove the links that enabled a unit: `systemctl disable` does, but without a manager they would dangle."""
    for link in sorted(unit.parent.glob(f"*.wants/{unit.name}")):
        if link.is_symlink() and link.resolve() == unit.resolve():
            shell.change("remove", link, link.unlink)


def _status(files: tuple[ServiceFile, ...], shell: _Shell, platform: str) -> None:
    for file in files:
        state = file.state()
        shell.status[file.path.name] = state
        shell.ok = shell.ok and state != "absent"
    if platform == "darwin":
        status, _ = shell.ask("launchctl", "print", _AGENT)
        shell.status["active"] = {0: "active", 127: "unknown"}.get(status, "inactive")
    else:
        _, enabled = shell.ask("systemctl", "--user", "is-enabled", SERVICE_UNIT)
        status, active = shell.ask("systemctl", "--user", "is-active", SERVICE_UNIT)
        known = active in ("active", "activating", "reloading", "inactive", "failed", "deactivating")
        shell.status["enabled"] = enabled.splitlines()[0] if known and enabled else "unknown"
        shell.status["active"] = active if known else "unknown"
        if not known:
            shell.notes.append(f"The user service manager does not answer: {active or status}")
    if shell.status["active"] in ("inactive", "failed"):
        shell.ok = False
    if "outdated" in shell.status.values():
        shell.notes.append("The files are from another version or place; `regenctl service install` renews them.")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # Busy, slow or not ours, but a daemon is there.
        return True


def _text(shell: _Shell) -> str:
    lines = [f"{name:<24} {value}" for name, value in shell.status.items()]
    lines += [
        f"{step.result:<10} {step.action:<7} {step.target}" + (f"  ({step.detail})" if step.detail else "")
        for step in shell.steps
    ]
    return "\n".join([*lines, *shell.notes])
