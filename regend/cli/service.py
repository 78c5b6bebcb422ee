"""`regenctl service install|uninstall|status`: run regend at every login, by systemd or launchd.

Nothing is done behind the user's back: every file and every command is listed, and `--dry-run` lists them only.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from regend.cli.service_files import (
    AGENT_LABEL,
    SERVICE_UNIT,
    SOCKET_UNIT,
    ServiceFile,
    installed_program,
    service_files,
)
from regend.errors import PathError
from regend.paths import default_socket_path

_COMMAND_TIMEOUT_S = 150.0
"""Longer than `TimeoutStartSec=`, so that systemd's own message is the one that is seen."""
_PROBE_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, or would be.

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


@dataclass(slots=True)
class Report:
    """What `service` did, in order; owned by one call of `service_command`."""

    command: str
    steps: list[Step] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    status: dict[str, str] = field(default_factory=dict)
    ok: bool = True


class _Shell:
    """Runs the service manager's commands and writes down each."""

    def __init__(self, report: Report, environ: Mapping[str, str], dry_run: bool) -> None:
        self._report = report
        self._environ = environ
        self._dry_run = dry_run

    def has(self, program: str) -> bool:
        return shutil.which(program, path=self._environ.get("PATH", os.defpath)) is not None

    def run(self, *command: str) -> bool:
        """Run it, unless this is a dry run. Returns whether it succeeded, or would be run."""
        line = " ".join(command)
        if self._dry_run:
            self._report.steps.append(Step("run", line, "planned"))
            return True
        status, output = self.ask(*command)
        self._report.steps.append(Step("run", line, "failed" if status else "done", output if status else ""))
        return status == 0

    def ask(self, *command: str) -> tuple[int, str]:
        """Exit status and output of a command that changes nothing (127: not there, 124: took too long)."""
        program = shutil.which(command[0], path=self._environ.get("PATH", os.defpath))
        if program is None:
            return 127, f"{command[0]} is not installed"
        try:
            done = subprocess.run(
                [program, *command[1:]], env=dict(self._environ), stdin=subprocess.DEVNULL, capture_output=True,
                text=True, errors="replace", timeout=_COMMAND_TIMEOUT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            return 124, f"no answer within {_COMMAND_TIMEOUT_S:g} s"
        except OSError as error:
            return 126, error.strerror or str(error)
        return done.returncode, (done.stdout + done.stderr).strip()


def service_command(
    argv: list[str], as_json: bool, *, platform: str = sys.platform, environ: Mapping[str, str] | None = None
) -> int:
    """Carry out `regenctl service ARGV`.

    Args:
        platform: as `sys.platform`.
        environ: the user's environment; None for this process's.

    Returns:
        The exit code: 0, or 1 when something the user asked for is not so (for `status`: not installed or not running).

    Raises:
        RegendError: a file is not ours to touch, or cannot be written.
    """
    environ = os.environ if environ is None else environ
    options = _parser().parse_args(argv)
    report = Report(options.action)
    shell = _Shell(report, environ, getattr(options, "dry_run", False))
    files = service_files(platform, environ, _program(options.action, environ))
    if options.action == "install":
        _install(files, report, shell, platform, environ, options.dry_run)
    elif options.action == "uninstall":
        _uninstall(files, report, shell, platform, options.dry_run)
    else:
        _status(files, report, shell, platform)
    print(json.dumps(asdict(report)) if as_json else _text(report))
    return 0 if report.ok else 1


def _program(action: str, environ: Mapping[str, str]) -> Path:
    try:
        return installed_program(environ)
    except PathError:
        if action == "install":
            raise
        return Path("/regend")  # What is installed can be looked at and removed without the program.


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="regenctl service", description="Run regend at every login.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="install|uninstall|status")
    for name, text in (("install", "write the service files and start the service"),
                       ("uninstall", "stop the service and remove what install wrote")):  # fmt: skip
        action = actions.add_parser(name, help=text, description=text)
        action.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    actions.add_parser("status", help="say whether it is installed and running")
    return parser


def _install(
    files: tuple[ServiceFile, ...],
    report: Report,
    shell: _Shell,
    platform: str,
    environ: Mapping[str, str],
    dry_run: bool,
) -> None:
    states = {file: file.state() for file in files}
    for file, state in states.items():
        if state in ("edited", "foreign"):
            raise PathError(
                f"{file.path} was {'changed' if state == 'edited' else 'written'} by someone else and is left alone; "
                "move it away and install again (settings of your own belong into a drop-in: `systemctl --user edit`)."
            )
    changed = [file for file, state in states.items() if state != "current"]
    for file in files:
        if file not in changed:
            report.steps.append(Step("keep", str(file.path), "unchanged"))
        elif dry_run:
            report.steps.append(Step("write", str(file.path), "planned"))
        else:
            file.write()
            report.steps.append(Step("write", str(file.path), "done"))
    if platform == "darwin":
        _start_agent(files[0], bool(changed), report, shell)
    else:
        _start_units(bool(changed), report, shell, environ)


def _start_units(changed: bool, report: Report, shell: _Shell, environ: Mapping[str, str]) -> None:
    by_hand = "systemctl --user daemon-reload && systemctl --user enable --now regend.socket regend.service"
    if not shell.has("systemctl"):
        report.notes.append(f"systemctl is not installed, so nothing was started. Where systemd runs: {by_hand}")
        return
    if not shell.run("systemctl", "--user", "daemon-reload"):
        report.notes.append(
            "No user service manager answers here (a container, or a session without systemd), so nothing was started. "
            f"Log in to a systemd session and run: {by_hand}"
        )
        return
    active = shell.ask("systemctl", "--user", "is-active", SOCKET_UNIT)[0] == 0
    where = default_socket_path(environ)
    if not active and _answers(where):
        # systemd unlinks whatever socket is in its way, a live one too; its clients would lose their daemon.
        report.ok = shell.run("systemctl", "--user", "enable", SOCKET_UNIT, SERVICE_UNIT)
        report.notes.append(
            f"A regend that was started by hand answers on {where}, so the service was enabled but not started. "
            f"Run: regenctl stop && systemctl --user start {SOCKET_UNIT} {SERVICE_UNIT}"
        )
        return
    if active and changed:
        # A socket unit does not restart under a running service, so both stop before both start.
        shell.run("systemctl", "--user", "stop", SOCKET_UNIT, SERVICE_UNIT)
    report.ok = shell.run("systemctl", "--user", "enable", "--now", SOCKET_UNIT, SERVICE_UNIT)
    if report.ok:
        report.notes.append(
            "The service runs while you are logged in; for a machine nobody logs in to: loginctl enable-linger"
        )
    else:
        report.notes.append("The service was not started; see: journalctl --user -u regend.service")


def _start_agent(agent: ServiceFile, changed: bool, report: Report, shell: _Shell) -> None:
    domain = f"gui/{os.getuid()}"
    if not shell.has("launchctl"):
        report.notes.append(
            f"launchctl is not installed, so nothing was started. On macOS: launchctl bootstrap {domain} {agent.path}"
        )
        return
    loaded = shell.ask("launchctl", "print", f"{domain}/{AGENT_LABEL}")[0] == 0
    if loaded and not changed:
        return
    if loaded:
        shell.run("launchctl", "bootout", f"{domain}/{AGENT_LABEL}")
    report.ok = shell.run("launchctl", "bootstrap", domain, str(agent.path))


def _uninstall(files: tuple[ServiceFile, ...], report: Report, shell: _Shell, platform: str, dry_run: bool) -> None:
    states = {file: file.state() for file in files}
    ours = [file for file, state in states.items() if state in ("current", "outdated")]
    if ours and platform == "darwin" and shell.has("launchctl"):
        domain = f"gui/{os.getuid()}/{AGENT_LABEL}"
        if shell.ask("launchctl", "print", domain)[0] == 0:
            shell.run("launchctl", "bootout", domain)
    systemd = platform == "linux" and shell.has("systemctl")
    if ours and systemd:
        shell.run("systemctl", "--user", "disable", "--now", *(file.path.name for file in ours))
    for file, state in states.items():
        if state == "absent":
            report.steps.append(Step("remove", str(file.path), "skipped", "not there"))
        elif file not in ours:
            report.ok = False
            report.steps.append(
                Step("keep", str(file.path), "skipped", f"{state}: not as we wrote it; remove it yourself")
            )
        elif dry_run:
            report.steps.append(Step("remove", str(file.path), "planned"))
        else:
            _remove_links(file.path, report)
            file.path.unlink()
            report.steps.append(Step("remove", str(file.path), "done"))
    if ours and systemd:
        shell.run("systemctl", "--user", "daemon-reload")
    report.notes.append("The index and the configuration are kept; docs/operations.md says how to remove them.")


def _remove_links(unit: Path, report: Report) -> None:
    """`systemctl disable` removes the links that enabled a unit. Without a manager they would be left dangling."""
    for link in sorted(unit.parent.glob(f"*.wants/{unit.name}")):
        if link.is_symlink() and link.resolve() == unit.resolve():
            link.unlink()
            report.steps.append(Step("remove", str(link), "done"))


def _status(files: tuple[ServiceFile, ...], report: Report, shell: _Shell, platform: str) -> None:
    for file in files:
        state = file.state()
        report.status[file.path.name] = state
        report.ok = report.ok and state != "absent"
    if platform == "darwin":
        status, _ = shell.ask("launchctl", "print", f"gui/{os.getuid()}/{AGENT_LABEL}")
        report.status["active"] = {0: "active", 127: "unknown"}.get(status, "inactive")
    else:
        _, enabled = shell.ask("systemctl", "--user", "is-enabled", SERVICE_UNIT)
        status, active = shell.ask("systemctl", "--user", "is-active", SERVICE_UNIT)
        known = active in ("active", "activating", "reloading", "inactive", "failed", "deactivating")
        report.status["enabled"] = enabled.splitlines()[0] if known and enabled else "unknown"
        report.status["active"] = active if known else "unknown"
        if not known:
            report.notes.append(f"The user service manager does not answer: {active or status}")
    if report.status["active"] in ("inactive", "failed"):
        report.ok = False
    if "outdated" in report.status.values():
        report.notes.append("The files are from another version or place; `regenctl service install` renews them.")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # Busy, slow or not ours: somebody is there.
        return True


def _text(report: Report) -> str:
    lines = [f"{name:<24} {value}" for name, value in report.status.items()]
    lines += [
        f"{step.result:<10} {step.action:<7} {step.target}" + (f"  ({step.detail})" if step.detail else "")
        for step in report.steps
    ]
    return "\n".join([*lines, *report.notes])
