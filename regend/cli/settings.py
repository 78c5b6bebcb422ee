"""`regenctl config`: what the configuration file changes, and changes of it that keep the user's comments."""

from __future__ import annotations

import json
import os
import stat
import sys
from dataclasses import asdict
from pathlib import Path

from regend.cli.call import client
from regend.cli.terminal import Style, print_json, printable, say
from regend.config import (
    Config,
    config_file,
    config_from_text,
    known_keys,
    load_config,
    parse_toml,
)
from regend.errors import ConfigError, DaemonNotRunningError, PathError
from regend.fields import hidden, lines_of_keys, similar_key
from regend.overrides import overrides, scalar_of, variable_of
from regend.paths import default_socket_path, default_state_dir

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

EXIT_WRONG = 2
_ARGUMENTS = {"get": "KEY", "set": "KEY VALUE...", "unset": "KEY", "edit": "", "validate": ""}


def run_config(arguments: argparse.Namespace) -> int:
    action, words = arguments.action, arguments.words
    wanted = _ARGUMENTS.get(action, "")
    too_few = len(words) < len(wanted.split())
    if too_few or (len(words) > len(wanted.split()) and not wanted.endswith("...")):
        raise ConfigError(f"Write `{' '.join(filter(None, ('regenctl config', action, wanted)))}`.")
    match action:
        case "get":
            return _get(arguments, words[0])
        case "set":
            return _change(arguments, words[0], words[1:])
        case "unset":
            return _change(arguments, words[0], None)
        case "edit":
            return _edit(arguments)
        case "validate":
            file = config_file()
            check_config(load_config(), file)
            said = f"{file} is valid" if file.exists() else f"{file} does not exist yet"
            return say(arguments, {"file": str(file), "valid": True}, said)
    return _show(arguments)


def check_config(config: Config, file: Path, raw: bytes | None = None) -> None:
    """Check what a daemon refuses at its start and `load_config` takes.

    Args:
        raw: the text of the file, if it is not written yet.

    Raises:
        ConfigError: a name or an address of an embedding server cannot be used; the message names the line.
    """
    from regend.embedding.remote.presets import check

    try:
        check(config.embedding)
    except ConfigError as error:
        raw = raw if raw is not None else file.read_bytes() if file.exists() else b""
        line = lines_of_keys(raw).get(str(error).split("`")[1])
        raise ConfigError(f"{file}:{line}: {error}" if line else f"{file}: {error}") from error


def _show(arguments: argparse.Namespace) -> int:
    running = _running(arguments)
    problem: ConfigError | None = None
    try:
        config = asdict(load_config())
    except ConfigError as error:
        if running is None:
            raise
        # The daemon goes on with the values that it started with; its next start would fail.
        problem, config = error, running
    if arguments.json:
        print_json({"config": hidden(running or config)})
        return EXIT_WRONG if problem else 0
    style = Style.of(sys.stdout)
    for line in _page(config, arguments.all, problem is not None):
        print(style(line, "dim") if line.startswith("#") else line)
    if problem:
        print(f"regenctl: {printable(str(problem))} The running daemon has the values above.", file=sys.stderr)
        return EXIT_WRONG
    if running is not None and (other := _differences(config, running)):
        named = ", ".join(other[:3]) + (", …" if len(other) > 3 else "")
        print(f"note: the running daemon has other values ({named}); `regenctl restart` takes these", file=sys.stderr)
        if overrides(os.environ, known_keys()):
            print("note: a daemon that runs as a service does not see the variables of this shell", file=sys.stderr)
    return 0


def _page(config: dict[str, Any], every: bool, of_daemon: bool) -> Iterator[str]:
    """Yield the settings as TOML; comments say where each comes from."""
    file = config_file()
    there = "" if file.exists() else ", which does not exist yet"
    variables = (
        ("state directory", default_state_dir(), "REGEND_STATE_DIR"),
        ("socket", default_socket_path(), "REGEND_SOCKET"),
    )
    named = "REGEND_CONFIG" if os.environ.get("REGEND_CONFIG") else "the default place"
    yield f"# file: {printable(str(file))} ({named}){there}"
    for what, place, variable in variables:
        yield f"# {what}: {printable(str(place))} ({variable if os.environ.get(variable) else 'default'})"
    if of_daemon:
        yield "# of the running daemon; the file is wrong, see below"
    lines = lines_of_keys(file.read_bytes()) if file.exists() else {}
    given = {} if of_daemon else overrides(os.environ, known_keys())
    default = asdict(Config())
    is_changed = False
    for table, values in config.items():
        usual = default.get(table, {})
        shown = {
            key: value
            for key, value in values.items()
            if every or f"{table}.{key}" in given or _plain(value) != _plain(usual.get(key))
        }
        if shown:
            is_changed = True
            yield ""
            yield f"[{table}]"
        for key, value in shown.items():
            line = lines.get(f"{table}.{key}")
            origin = f"line {line}" if line else "default" if _plain(value) == _plain(usual.get(key)) else "set"
            if f"{table}.{key}" in given:
                origin = variable_of(f"{table}.{key}") + (f" over line {line}" if line else "")
            was = f", default {toml(usual[key])}" if key in usual and _plain(value) != _plain(usual[key]) else ""
            yield f"{key} = {toml(value)}  # {origin}{was}"
    if not is_changed:
        yield "# everything is as by default; `regenctl config --all` shows every key"


def _running(arguments: argparse.Namespace) -> dict[str, Any] | None:
    """Return the configuration that the running daemon has; None without a daemon."""
    try:
        with client(arguments) as daemon:
            answer: dict[str, Any] = daemon.call("config")["config"]
            return answer
    except DaemonNotRunningError:
        return None


def _differences(config: dict[str, Any], running: dict[str, Any]) -> list[str]:
    """Return the keys whose values the daemon would change at a restart; it does not read the client's own."""
    return [
        f"{table}.{key} = {toml(running[table][key])}"
        for table, values in config.items()
        if table != "client"
        for key, value in values.items()
        if _plain(running.get(table, {}).get(key, value)) != _plain(value)
    ]


def _get(arguments: argparse.Namespace, key: str) -> int:
    table, _, name = _known(key).partition(".")
    value = asdict(load_config())[table][name]
    if arguments.json:
        print_json(value)
    elif isinstance(value, (list, tuple)):
        for word in value:
            print(printable(word))
    else:
        print(printable(value) if isinstance(value, str) else toml(value))
    return 0


def _known(key: str) -> str:
    if key not in known_keys():
        near = similar_key(key, known_keys())
        hint = f"did you mean `{near}`?" if near else "`regenctl config --all` shows every key."
        raise ConfigError(f"There is no key `{key}`; {hint}")
    return key


def _change(arguments: argparse.Namespace, key: str, words: list[str] | None) -> int:
    """Set a key to the words, or remove it; the rest of the file stays as it is, comments included."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    table, _, name = _known(key).partition(".")
    file = _target()
    raw = file.read_bytes() if file.exists() else b""
    parse_toml(raw, f"Configuration file {file}")
    try:
        document = tomlkit.parse(raw.decode())
    except TOMLKitError as error:
        raise ConfigError(
            f"Configuration file {file} cannot be changed: {error}; `regenctl config edit` can."
        ) from error
    if words is None:
        if name not in document.get(table, {}):
            usual = asdict(Config())[table][name]
            return say(arguments, {"key": key, "value": hidden(usual)}, f"{key} is not set; it has its default")
        del document[table][name]
    else:
        if table not in document:
            document[table] = tomlkit.table()
        document[table][name] = _value(key, words)
    try:
        text = tomlkit.dumps(document).encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"`{key}` cannot be {' '.join(words or ())!r}: the file takes UTF-8 only.") from error
    config = config_from_text(text, file)
    check_config(config, file, text)
    _write(file, text)
    value = asdict(config)[table][name]
    said = f"{key} = {toml(value)}" + ("" if words is not None else ", the default")
    say(arguments, {"key": key, "value": hidden(value)}, said)
    if os.environ.get(variable_of(key)):
        print(f"note: {variable_of(key)} is set and overrides the file", file=sys.stderr)
    if table != "client" and _running(arguments) is not None:
        print("`regenctl restart` takes it", file=sys.stderr)
    return 0


def _value(key: str, words: list[str]) -> object:
    """Return the words as the kind of value that the key's default is."""
    usual = known_keys()[key].default
    if isinstance(usual, tuple):
        return list(words)
    if len(words) > 1:
        raise ConfigError(f"`{key}` takes one value, not {len(words)}.")
    return scalar_of(words[0], usual, "", key)


def _edit(arguments: argparse.Namespace) -> int:
    """Open a copy in the user's editor, and take it once it is valid."""
    import shlex
    import subprocess

    file = _target()
    copy = file.with_name(f"{file.name}.edited")
    if not copy.exists():  # Else it is what was wrong the last time.
        _write(copy, file.read_bytes() if file.exists() else _TEMPLATE)
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(copy)], check=False)
    except ValueError as error:  # Such as a quote without its end.
        raise PathError(f"The editor {editor} cannot be understood: {error}; set EDITOR.") from error
    except OSError as error:
        raise PathError(f"The editor {editor} cannot be started: {error.strerror}; set EDITOR.") from error
    if done.returncode:
        raise PathError(f"The editor {editor} ended with code {done.returncode}; nothing was changed.")
    text = copy.read_bytes()
    try:
        check_config(config_from_text(text, file), file, text)
    except ConfigError as error:
        raise ConfigError(
            f"{error} Nothing was changed; `regenctl config edit` goes on with your text, which is in {copy}."
        ) from error
    _write(file, text)
    copy.unlink()
    print(f"{printable(str(file))} is written")
    if _running(arguments) is not None:
        print("`regenctl restart` takes it", file=sys.stderr)
    return 0


_TEMPLATE = b"# Configuration of regend. `regenctl config --all` shows every key.\n"


def _target() -> Path:
    """Return the file itself: a link to it, as a repository of settings has it, stays.

    Raises:
        PathError: it is something else than a file, such as a device, which must not be replaced.
    """
    named = config_file()
    try:
        mode = named.stat().st_mode
    except FileNotFoundError:
        mode = stat.S_IFREG
    except OSError as error:  # Such as links that lead in a circle.
        raise PathError(f"{named} cannot be reached: {error}; set REGEND_CONFIG.") from error
    if not stat.S_ISREG(mode):
        raise PathError(f"{named} is not a regular file, so it is left alone; set REGEND_CONFIG to another one.")
    return named.resolve()


def _write(file: Path, text: bytes) -> None:
    """Replace a file as a whole; a new one is for its user only."""
    temporary = file.with_name(f"{file.name}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mode = file.stat().st_mode & 0o777 if file.exists() else 0o600
        temporary.write_bytes(text)
        temporary.chmod(mode)
        temporary.replace(file)
    except OSError as error:
        raise PathError(f"{file} cannot be written: {error.strerror}.") from error


def toml(value: object) -> str:
    """Return one value as TOML, to be shown. A JSON string is a TOML basic string: both escape alike."""
    value = hidden(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value) if isinstance(value, (str, bool)) else str(value)


def _plain(value: object) -> object:
    """Return a value that compares alike from a file and from the wire."""
    return list(value) if isinstance(value, (list, tuple)) else value
