"""Where regend keeps its files, following the XDG base directory specification.

Only the standard library and the errors are imported, because `regenctl` uses this too; and `pathlib` only where a path
is asked for as one, because it takes `regenctl` a tenth of its start-up.
"""

from __future__ import annotations

import os

from regend.errors import PathError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CATALOG = "index.db"
"""Name of the SQLite file in the state directory; it is the truth."""
STATE_FORMAT = 3
"""The catalog's format (SQLite's `user_version`); the daemon converts an older one in place and refuses a newer one."""
APPLICATION_ID = 0x7267_6E64  # "rgnd"


def known_home(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return `$HOME`, else the home directory in the password database; None for a user with neither."""
    from pathlib import Path

    home = _known_home(environ)
    return Path(home) if home else None


def _known_home(environ: Mapping[str, str]) -> str:
    home = environ.get("HOME") or os.path.expanduser("~")  # noqa: PTH111
    return "" if home.startswith("~") else home


def home_directory(environ: Mapping[str, str]) -> Path:
    """Return the home directory.

    Raises:
        PathError: none is known.
    """
    from pathlib import Path

    return Path(_home_directory(environ))


def _home_directory(environ: Mapping[str, str]) -> str:
    """Return the home directory.

    Raises:
        PathError: none is known, as in a container with an arbitrary user id.
    """
    home = _known_home(environ)
    if not home:
        raise PathError(
            "No home directory is known: HOME is not set, and the user is not in the password database; set HOME, or "
            "REGEND_CONFIG, REGEND_STATE_DIR and REGEND_SOCKET."
        )
    return home


def absolute(path: Path) -> Path:
    """Return the path from the root on.

    Raises:
        PathError: it is relative, and the working directory was deleted, or may not be looked at.
    """
    return type(path)(from_root(str(path)))


def from_root(path: str) -> str:
    """Return the name of a path from the root on, as `absolute` does."""
    try:
        return path if path.startswith("/") else os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118
    except OSError as error:
        raise PathError(
            f"{path} is a relative path, and the working directory cannot be found ({error.strerror}); go to a "
            "directory that exists, or give the path from the root on."
        ) from error


def _xdg_directory(environ: Mapping[str, str], name: str, fallback: str) -> str:
    """Return the directory that an XDG variable names, else `fallback` in the home directory."""
    value = environ.get(name, "")
    return value.rstrip("/") if value.startswith("/") else f"{_home_directory(environ).rstrip('/')}/{fallback}"


def xdg_directory(environ: Mapping[str, str], name: str, fallback: str) -> Path:
    """Return the directory that an XDG variable names, else `fallback` in the home directory.

    Raises:
        PathError: no home directory is known.
    """
    from pathlib import Path

    return Path(_xdg_directory(environ, name, fallback))


def default_config_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `$XDG_CONFIG_HOME/regend/config.toml`."""
    return xdg_directory(environ, "XDG_CONFIG_HOME", ".config") / "regend" / "config.toml"


def default_state_dir(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `$REGEND_STATE_DIR`, else `$XDG_STATE_HOME/regend`."""
    from pathlib import Path

    return Path(_state_dir(environ))


def _state_dir(environ: Mapping[str, str]) -> str:
    if environ.get("REGEND_STATE_DIR"):
        return from_root(environ["REGEND_STATE_DIR"])
    return _xdg_directory(environ, "XDG_STATE_HOME", ".local/state") + "/regend"


def default_socket_path(environ: Mapping[str, str] = os.environ) -> Path:
    """Return `$REGEND_SOCKET`, else `$XDG_RUNTIME_DIR/regend/regend.sock`, else `run/regend.sock` of the state.

    A runtime directory of another user counts as none: `su` and `sudo -E` leave it in the environment.
    """
    from pathlib import Path

    return Path(_socket(environ))


def _socket(environ: Mapping[str, str]) -> str:
    if environ.get("REGEND_SOCKET"):
        return from_root(environ["REGEND_SOCKET"])
    runtime = _runtime_dir(environ)
    return f"{runtime}/regend/regend.sock" if runtime else f"{_state_dir(environ)}/run/regend.sock"


def _runtime_dir(environ: Mapping[str, str]) -> str:
    """Return `$XDG_RUNTIME_DIR` if it is the user's own, or is still to be made; else an empty string.

    Root may ask the daemon of another user, but must not leave its own there.
    """
    runtime = environ.get("XDG_RUNTIME_DIR", "").rstrip("/")
    if not runtime.startswith("/"):
        return ""
    own = os.geteuid()
    try:
        is_own = os.stat(runtime).st_uid == own  # noqa: PTH116 - pathlib is slower to import.
        return runtime if is_own or (own == 0 and os.path.lexists(f"{runtime}/regend/regend.sock")) else ""
    except FileNotFoundError:
        return runtime
    except OSError:
        return ""


def socket_places(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Return where a client looks for the daemon: its own default, then those of other environments.

    Sandboxes and remote shells strip the environment, so the client may lack the variables that the daemon was started
    with. A socket that `$REGEND_SOCKET` names is the only place.
    """
    places = [_socket(environ)]
    if environ.get("REGEND_SOCKET"):
        return places
    # With another home or state directory the caller means another daemon.
    if not (_runtime_dir(environ) or environ.get("REGEND_STATE_DIR")) and _has_own_home(environ):
        places.append(f"/run/user/{os.geteuid()}/regend/regend.sock")  # Where systemd has it.
    try:
        places.append(f"{_state_dir(environ)}/run/regend.sock")
    except PathError:
        pass  # The user has no home directory, so the runtime directory is the only place.
    return list(dict.fromkeys(places))


def _has_own_home(environ: Mapping[str, str]) -> bool:
    """Say whether `$HOME` is as the password database has it, or not set."""
    import pwd

    try:
        return environ.get("HOME") in (None, "", pwd.getpwuid(os.geteuid()).pw_dir)
    except KeyError:
        return False


def holds_sockets_only(directory: Path) -> bool:
    """Say whether a directory is for sockets, so that its mode concerns no other program."""
    try:
        return all(entry.is_socket() or entry.name.endswith(".lock") for entry in directory.iterdir())
    except OSError:
        return False


def log_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the log file of a daemon that `regenctl start` has started."""
    return default_state_dir(environ) / "regend.log"
