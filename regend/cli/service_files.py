"""The files that make regend a service of the user: their content, their place, and who wrote them.

The templates are `systemd/` and `launchd/` of the source tree; a wheel carries them in `regend/service_units`.
Every file we write ends with a line that names us and the hash of the rest, so that we overwrite and remove only our
own files.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from regend.errors import ConfigError, PathError
from regend.paths import absolute, default_socket_path, from_root, home_directory, xdg_directory

SOCKET_UNIT = "regend.socket"
SERVICE_UNIT = "regend.service"
AGENT_LABEL = "dev.regend.daemon"
PINNED_VARIABLES = ("REGEND_CONFIG", "REGEND_STATE_DIR", "XDG_CONFIG_HOME", "XDG_STATE_HOME")
"""Variables that decide where the daemon's files are. The service manager does not know the shell's values, so the unit
states them; else `regenctl` and the service would look in different places."""
_MARK = re.compile(r"\n(?:# |<!-- )written by regenctl service install, sha256 ([0-9a-f]{64})(?: -->)?\n\Z")
_UNSAFE = "\x00-\x1f\ud800-\udfff"
"""Control characters, and bytes that are not UTF-8: neither units nor property lists can hold them."""
_UNSAFE_IN_PROGRAM = re.compile(f"[\"'\\\\{_UNSAFE}]")


@dataclass(frozen=True, slots=True)
class ServiceFile:
    """One file to be installed.

    Attributes:
        content: the whole text, with our closing line.
    """

    path: Path
    content: str

    def state(self) -> str:
        """Return ``absent``, ``current``, ``outdated`` (ours, other content), ``edited`` or ``foreign``."""
        try:
            found = self.path.read_text()
        except FileNotFoundError:
            return "absent"
        except (OSError, UnicodeDecodeError) as error:
            raise PathError(f"{self.path} cannot be read: {error}; move it away.") from error
        if found == self.content:
            return "current"
        mark = _MARK.search(found)
        if mark is None:
            return "foreign"
        return "outdated" if mark[1] == _digest(found[: mark.start()]) else "edited"

    def write(self) -> None:
        """Replace the file as a whole.

        Raises:
            PathError: it cannot be written.
        """
        temporary = self.path.with_name(self.path.name + ".tmp")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(self.content)
            temporary.replace(self.path)
        except OSError as error:
            raise PathError(f"{self.path} cannot be written: {error.strerror}; check its directory.") from error


def service_files(platform: str, environ: Mapping[str, str], program: Path) -> tuple[ServiceFile, ...]:
    """Return the service files for a platform.

    Args:
        platform: as in `sys.platform`.
        environ: the user's environment: home, XDG directories and regend's own variables.
        program: absolute path of `regend`.

    Raises:
        ConfigError: the platform has no service manager that we know, or a path cannot be written into a unit.
    """
    pinned = _pinned(environ, PINNED_VARIABLES)
    if platform == "linux":
        directory = xdg_directory(environ, "XDG_CONFIG_HOME", ".config") / "systemd" / "user"
        service = _set(_template("systemd", SERVICE_UNIT), "ExecStart", _exec_start(program), pinned)
        socket = _template("systemd", SOCKET_UNIT)
        if environ.get("REGEND_SOCKET"):
            place = _writable(str(default_socket_path(environ)), "REGEND_SOCKET")
            socket = _set(socket, "ListenStream", _specifiers_escaped(place), {})
        return (
            ServiceFile(directory / SOCKET_UNIT, _marked(socket, "# {}")),
            ServiceFile(directory / SERVICE_UNIT, _marked(service, "# {}")),
        )
    if platform == "darwin":
        home = home_directory(environ)
        pinned |= _pinned(environ, ("REGEND_SOCKET",))
        agent = _agent(_template("launchd", f"{AGENT_LABEL}.plist"), program, home, pinned)
        return (ServiceFile(home / "Library" / "LaunchAgents" / f"{AGENT_LABEL}.plist", _marked(agent, "<!-- {} -->")),)
    raise ConfigError(f"There is no service support for {platform}; start `regend` from your session's own start-up.")


def _pinned(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return the variables that are set. regend's own may be relative to this directory, where no service starts."""
    given = {name: environ[name] for name in names if environ.get(name)}
    return {name: from_root(value) if name.startswith("REGEND_") else value for name, value in given.items()}


def installed_program(environ: Mapping[str, str]) -> Path:
    """Find `regend` beside the running Python, beside the called command, or on PATH.

    Raises:
        PathError: it is in none of these places.
    """
    for directory in (Path(sys.executable).parent, absolute(Path(sys.argv[0])).parent):
        if os.access(directory / "regend", os.X_OK):
            return directory / "regend"
    found = shutil.which("regend", path=environ.get("PATH"))
    if found is None:
        raise PathError("The program `regend` is not on PATH; install the package first (`pip install regend`).")
    return absolute(Path(found))


def _template(directory: str, name: str) -> str:
    package = Path(__file__).resolve().parent.parent
    for place in (package / "service_units", package.parent / directory):
        try:
            return (place / name).read_text()
        except FileNotFoundError:
            continue
    raise PathError(f"The template {name} is missing from this installation; reinstall regend.")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _marked(text: str, comment: str) -> str:
    body = text.rstrip("\n")
    return f"{body}\n{comment.format('written by regenctl service install, sha256 ' + _digest(body))}\n"


def _set(unit: str, key: str, value: str, variables: Mapping[str, str]) -> str:
    """Replace the value of a key that occurs once, and add `Environment=` lines after it."""
    lines = [f"{key}={value}", *(f"Environment={_quoted(f'{n}={v}', n)}" for n, v in sorted(variables.items()))]
    changed, count = re.subn(rf"^{key}=.*$", lambda _: "\n".join(lines), unit, flags=re.MULTILINE)
    if count != 1:
        raise PathError(f"The unit template has {count} lines `{key}=` instead of one; reinstall regend.")
    return changed


def _exec_start(program: Path) -> str:
    # systemd refuses these in a program's name however they are quoted ("contains special characters").
    if _UNSAFE_IN_PROGRAM.search(str(program)):
        raise ConfigError(
            f"systemd cannot start {str(program)!r}: quotes, backslashes, control characters and bytes that are "
            "not UTF-8 are not allowed in its path; install regend in another directory."
        )
    return f'"{_specifiers_escaped(str(program))}" --log-format json'


def _specifiers_escaped(value: str) -> str:
    return value.replace("%", "%%")


def _quoted(value: str, name: str) -> str:
    """Quote one word for systemd (`systemd.syntax(7)`); `$` has no meaning in `Environment=`."""
    escaped = _writable(value, name).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_specifiers_escaped(escaped)}"'


def _writable(value: str, name: str) -> str:
    """Return a value that a service file can hold.

    Raises:
        ConfigError: it cannot.
    """
    if re.search(f"[{_UNSAFE}]", value):
        raise ConfigError(
            f"The value of {name} has a control character or bytes that are not UTF-8, which a service file cannot "
            "hold; change it."
        )
    return value


def _agent(template: str, program: Path, home: Path, variables: Mapping[str, str]) -> str:
    logs = escape(_writable(str(home / "Library" / "Logs"), "HOME"))
    entries = "".join(
        f"    <key>{escape(name)}</key>\n    <string>{escape(_writable(value, name))}</string>\n"
        for name, value in variables.items()
    )
    environment = "<key>EnvironmentVariables</key>\n  <dict>\n"
    for old, new in (
        ("<string>/tmp/regend.", f"<string>{logs}/regend."),
        (
            "<string>/usr/local/bin/regend</string>",
            f"<string>{escape(_writable(str(program), 'the path of regend'))}</string>",
        ),
        (environment, environment + entries),
    ):
        if old not in template:
            raise PathError(f"The agent template lacks {old!r}; reinstall regend.")
        template = template.replace(old, new)
    return template
