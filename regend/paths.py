"""Where regend keeps its files, after the XDG base directory specification.

Only the standard library is imported, because `regenctl` uses this too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

CATALOG = "index.db"
"""The SQLite file in the state directory that is the truth."""
STATE_FORMAT = 2
"""The catalog's format (SQLite's `user_version`); older ones are changed in place, newer ones refused."""
APPLICATION_ID = 0x7267_6E64  # "rgnd"


def home_directory(environ: Mapping[str, str]) -> Path:
    """Return `$HOME`, else what the password database says."""
    return Path(environ.get("HOME") or Path.home())


def xdg_directory(environ: Mapping[str, str], name: str, fallback: str) -> Path:
    """Return the directory that an XDG variable names, else `fallback` in the home directory."""
    value = environ.get(name, "")
    return Path(value) if value.startswith("/") else home_directory(environ) / fallback


def default_config_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return `$XDG_CONFIG_HOME/regend/config.toml`."""
    environ = os.environ if environ is None else environ
    return xdg_directory(environ, "XDG_CONFIG_HOME", ".config") / "regend" / "config.toml"


def default_state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Return `$REGEND_STATE_DIR`, else `$XDG_STATE_HOME/regend`."""
    environ = os.environ if environ is None else environ
    if environ.get("REGEND_STATE_DIR"):
        return Path(environ["REGEND_STATE_DIR"]).absolute()
    return xdg_directory(environ, "XDG_STATE_HOME", ".local/state") / "regend"


def default_socket_path(environ: Mapping[str, str] | None = None) -> Path:
    """Return `$REGEND_SOCKET`, else `regend/regend.sock` of `$XDG_RUNTIME_DIR`, else `run/regend.sock` of the state."""
    environ = os.environ if environ is None else environ
    if environ.get("REGEND_SOCKET"):
        return Path(environ["REGEND_SOCKET"]).absolute()
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        return Path(runtime) / "regend" / "regend.sock"
    return default_state_dir(environ) / "run" / "regend.sock"
