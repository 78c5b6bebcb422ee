"""Puts the server into a client's configuration and takes it out again: with a backup, twice without harm, checked."""

from __future__ import annotations

import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regend.errors import ConfigError, RegendError
from regend.mcp.install.clients import NAME, Client, Command, shape

BACKUP = ".before-regend"
"""Behind the name of a file that was changed: as it was before. `uninstall` puts it back, or deletes it."""
CHECK_LIMIT_S = 15.0
"""Maximum time until our own server lists its tools."""
CLIENT_LIMIT_S = 60.0
"""Maximum time of a client's own command; some start every configured server."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a client's configuration.

    Attributes:
        before: None: there is no file.
        after: None: there will be no file.
        is_removal: it takes the server out. The user's own entry of the same name may come back.
    """

    client: Client
    file: Path
    before: str | None
    after: str | None
    is_removal: bool = False

    @property
    def changes_nothing(self) -> bool:
        return self.before == self.after

    def shown(self) -> str:
        """Return the difference as lines that `patch` reads; without one, an empty text."""
        return difference(self.file, self.before or "", self.after or "")


def difference(file: Path, before: str, after: str) -> str:
    """Return the difference of two texts of a file as lines that `patch` reads; without one, an empty text."""
    lines = before.splitlines(keepends=True), after.splitlines(keepends=True)
    return "".join(difflib.unified_diff(*lines, str(file), str(file)))


def own_command(socket: Path, root: str, adds: bool, manages: bool) -> Command:
    """Return the command that clients start: an absolute path, because they have another PATH, and the socket."""
    script = Path(sys.executable).with_name("regenctl")
    start = (str(script),) if script.exists() else (sys.executable, "-m", "regend.cli.main")
    options = ["mcp", "--socket", str(socket)]
    options += ["--root", root] if root else []
    options += ["--add"] if adds else []
    options += ["--manage"] if manages else []
    return Command(start[0], (*start[1:], *options))


def is_present(client: Client, environ: Mapping[str, str]) -> bool:
    """Return whether the client seems to be used here: its program is found, or it has a configuration."""
    file = client.file(environ)
    folder = file if file.parent == _home(environ) else file.parent
    own_folder = folder.parent if client.name in ("cline", "continue", "vscode") else folder
    return bool(_program(client, environ)) or own_folder.exists()


def installed(client: Client, environ: Mapping[str, str]) -> Any:
    """Return the entry in the client's configuration, or None."""
    text = _read(client.file(environ))
    try:
        return _entry(client, text)
    except ConfigError as error:
        raise _unusable(client, client.file(environ), error) from error


def installation(client: Client, environ: Mapping[str, str], command: Command) -> Change:
    """Return the change that puts the server in.

    Raises:
        ConfigError: the file cannot be changed safely; the message says what to put in by hand.
    """
    file = client.file(environ)
    before = _read(file)
    keys, entry = shape(client, before or "", command)
    try:
        if before is not None and client.form.entry(before, keys) == entry:
            return Change(client, file, before, before)
        return Change(client, file, before, client.form.added(before or "", keys, entry))
    except ConfigError as error:
        wanted = json.dumps({keys[-1]: entry}, ensure_ascii=False)
        raise ConfigError(
            f"{_unusable(client, file, error)} Put this below `{'.'.join(keys[:-1])}`: {wanted}"
        ) from error


def removal(client: Client, environ: Mapping[str, str], command: Command) -> Change:
    """Return the change that takes the server out: the file as it was, if nothing else was changed meanwhile.

    An entry of the same name that is the user's own stays.
    """
    file = client.file(environ)
    before, backup = _read(file), _read(_backup(file))
    keys, entry = shape(client, before or "", command)
    form = client.form
    try:
        if before is None or not _is_ours(form.entry(before, keys)):
            return Change(client, file, before, before, is_removal=True)
        left = form.removed(before, keys)

        def settled(text: str) -> str:
            # A second time, because an empty object may change its form once.
            for _ in range(2):
                text = form.removed(form.added(text, keys, entry), keys)
            return text

        if backup is not None and settled(left) == settled(backup):
            return Change(client, file, before, backup, is_removal=True)
        is_ours = backup is None and settled(left) == settled("")
    except ConfigError as error:
        raise _unusable(client, file, error) from error
    return Change(client, file, before, None if is_ours else left, is_removal=True)


def carry_out(change: Change, environ: Mapping[str, str]) -> None:
    """Write a change, or let the client's own program make it.

    Raises:
        RegendError: the file cannot be written, or the program failed.
    """
    client, program = change.client, _program(change.client, environ) if change.client.adds else ""
    file = Path(os.path.realpath(change.file))  # A link of a dotfile manager stays a link.
    backup = _backup(change.file)
    replaced = _entry(client, change.before)
    try:
        # The client's own program adds an entry without a backup, but it must not lose one.
        needs_backup = not _is_ours(replaced) if replaced is not None else not program
        if not change.is_removal and change.before is not None and needs_backup:
            _write(backup, change.before, file)
        if program:
            _by_program(program, change, environ)
        elif change.after is None:
            file.unlink(missing_ok=True)
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, change.after, file)
        # A backup with the user's own entry stays until that is back.
        if change.is_removal and (_read(backup) == change.after or _entry(client, _read(backup)) is None):
            backup.unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{change.file} cannot be written: {error.strerror}; nothing was changed.") from error


def lists_tools(command: Command, environ: Mapping[str, str]) -> str:
    """Start the server as a client would, with hardly an environment; return an empty text or what is wrong."""
    asked = (
        b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
        b'"clientInfo":{"name":"regenctl","version":"1"}}}\n{"jsonrpc":"2.0","id":2,"method":"tools/list"}\n'
    )
    bare = {name: environ[name] for name in ("HOME", "PATH", "USER", "LANG") if name in environ}
    try:
        done = subprocess.run(
            [command.program, *command.arguments], input=asked, capture_output=True, timeout=CHECK_LIMIT_S, env=bare,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"the command does not start: {error}"
    lines = done.stdout.splitlines()
    if len(lines) == 2 and b'"search_code"' in lines[1]:
        return ""
    return f"the command ends with status {done.returncode}: {done.stderr.decode(errors='replace').strip()[-300:]}"


def client_says(client: Client, environ: Mapping[str, str]) -> str | None:
    """Return what the client's own program says about the server, which is nothing if it does not list it.

    Returns:
        None: the program is missing, or cannot be asked.
    """
    program = _program(client, environ)
    if not program or not client.lists:
        return None
    try:
        done = subprocess.run(
            [program, *client.lists], capture_output=True, text=True, timeout=CLIENT_LIMIT_S, env=dict(environ),
            stdin=subprocess.DEVNULL, check=False, errors="replace",
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = (_COLOURS.sub("", line).strip() for line in (done.stdout + done.stderr).splitlines())
    return next((line for line in lines if re.search(rf"\b{NAME}\b", line)), "")


def _by_program(program: str, change: Change, environ: Mapping[str, str]) -> None:
    client = change.client
    if _entry(client, change.before) is not None:
        _run([program, *client.removes], environ)
    if (entry := _entry(client, change.after)) is not None:
        _run([program, *client.adds, json.dumps(entry)], environ)


def _run(command: list[str], environ: Mapping[str, str]) -> None:
    try:
        subprocess.run(
            command, capture_output=True, text=True, timeout=CLIENT_LIMIT_S, env=dict(environ), check=True,
            stdin=subprocess.DEVNULL, errors="replace",
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip()[-300:]
        raise RegendError(f"`{' '.join(command[:3])}` failed: {said}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegendError(f"`{' '.join(command[:3])}` failed: {error}") from error


def _entry(client: Client, text: str | None) -> Any:
    return client.form.entry(text or "", shape(client, text or "", Command("", ()))[0])


def _is_ours(entry: Any) -> bool:
    """Return whether an entry starts our server, and is not another one that the user gave the same name."""
    return entry is not None and any(name in json.dumps(entry, default=str) for name in ("regenctl", "regend.cli.main"))


def _program(client: Client, environ: Mapping[str, str]) -> str:
    return (shutil.which(client.program, path=environ.get("PATH")) or "") if client.program else ""


def _home(environ: Mapping[str, str]) -> Path:
    return Path(environ.get("HOME") or Path.home())


def _backup(file: Path) -> Path:
    return file.with_name(file.name + BACKUP)


def _read(file: Path) -> str | None:
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8, so it was left alone.") from error
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.") from error


def _write(file: Path, text: str, like: Path) -> None:
    """Replace a file at once; it has the mode of `like` if that exists."""
    mode = like.stat().st_mode & 0o7777 if like.exists() else 0o600
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(text.encode())
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).chmod(mode)
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _unusable(client: Client, file: Path, error: ConfigError) -> ConfigError:
    return ConfigError(f"The configuration of {client.title} in {file} was left alone: {error}.")
