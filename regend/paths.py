"""Where regend keeps its files, after the XDG base directory specification, and how a root is told apart.

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


def _base(environ: Mapping[str, str], name: str, fallback: str) -> Path:
    value = environ.get(name, "")
    return Path(value) if value.startswith("/") else Path(environ.get("HOME") or str(Path.home())) / fallback


def default_config_path(environ: Mapping[str, str] | None = None) -> Path:
    """`$XDG_CONFIG_HOME/regend/config.toml`."""
    return _base(os.environ if environ is None else environ, "XDG_CONFIG_HOME", ".config") / "regend" / "config.toml"


def default_state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`$REGEND_STATE_DIR`, else `$XDG_STATE_HOME/regend`."""
    environ = os.environ if environ is None else environ
    if environ.get("REGEND_STATE_DIR"):
        return Path(environ["REGEND_STATE_DIR"]).absolute()
    return _base(environ, "XDG_STATE_HOME", ".local/state") / "regend"


def default_socket_path(environ: Mapping[str, str] | None = None) -> Path:
    """`$REGEND_SOCKET`, else `$XDG_RUNTIME_DIR/regend/regend.sock`, else `run/regend.sock` in the state directory."""
    environ = os.environ if environ is None else environ
    if environ.get("REGEND_SOCKET"):
        return Path(environ["REGEND_SOCKET"]).absolute()
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/"):
        return Path(runtime) / "regend" / "regend.sock"
    return default_state_dir(environ) / "run" / "regend.sock"
