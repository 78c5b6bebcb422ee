"""The ignore files outside the tree: what git's configuration names, and a repository's `info/exclude`."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from regend.disk.ignore.rule_list import RuleList
from regend.disk.repository import read_small
from regend.paths import known_home

MAX_RULE_FILE_BYTES = 1_048_576
"""A larger rule file excludes everything: reading a part of it would let in paths that the rest keeps out."""
_GIT_TIMEOUT_S = 10.0
_SCRUBBED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")


@dataclass(frozen=True, slots=True)
class GitSettings:
    """The settings of git's configuration that concern ignoring.

    Attributes:
        excludes_file: the global excludes, whether or not it exists; None when switched off.
        fold: `core.ignoreCase`.
    """

    excludes_file: Path | None
    fold: bool


def git_settings(directory: Path) -> GitSettings:
    """Ask git for `core.excludesFile` and `core.ignoreCase` as they hold in `directory`.

    Without git on the machine the defaults hold: `$XDG_CONFIG_HOME/git/ignore`, and case matters except on macOS.
    """
    values = _git_config(directory)
    folds = values.get("core.ignorecase", "true" if sys.platform == "darwin" and not values else "false")
    fold = folds.lower() in ("true", "yes", "on", "1")
    named = values.get("core.excludesfile")
    if named is None:
        return GitSettings(next((home / "ignore" for home in _config_homes()), None), fold)
    try:
        return GitSettings(directory / Path(named).expanduser() if named else None, fold)
    except RuntimeError:  # `~` and a name that is no user's; git refuses it, too.
        return GitSettings(None, fold)


def settings_files(git_dir: Path | None) -> tuple[Path, ...]:
    """List the files whose change may change `git_settings`."""
    named = os.environ.get("GIT_CONFIG_GLOBAL")
    home = known_home()
    if named:
        user: tuple[Path, ...] = (Path(named),)
    else:
        user = (*([home / ".gitconfig"] if home else []), *(directory / "config" for directory in _config_homes()))
    return user if git_dir is None else (*user, git_dir / "config")


def read_rules(file: Path, source: str, fold: bool, skip: int, follow: bool = False) -> tuple[RuleList, ...]:
    """Read an ignore file; no list when it is not there, not readable, or holds no rule (git ignores those, too).

    Args:
        source, fold, skip: see `RuleList`.
        follow: a symbolic link may stand in for the file. git says no within the tree (since 2.32), yes outside.
    """
    try:
        content = read_small(file, MAX_RULE_FILE_BYTES + 1, 0 if follow else os.O_NOFOLLOW)
    except OSError:
        return ()
    if len(content) > MAX_RULE_FILE_BYTES:
        content, source = b"*", f"{source}, larger than {MAX_RULE_FILE_BYTES} bytes"
    rules = RuleList(content, source, fold, skip)
    return (rules,) if rules.rules else ()


def _git_config(directory: Path) -> dict[str, str]:
    scrubbed = {name: value for name, value in os.environ.items() if name not in _SCRUBBED}
    command = ["git", "-C", str(directory), "config", "--null", "--get-regexp", r"^core\.(excludesfile|ignorecase)$"]
    try:
        done = subprocess.run(
            command, env=scrubbed, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    values = {}
    for entry in done.stdout.split(b"\0"):
        key, equals, value = entry.partition(b"\n")
        if key:
            # A key without a value is "true" for a boolean; for a path git refuses it, and so it is left out here.
            values[key.decode().lower()] = os.fsdecode(value) if equals else "true"
    return values


def _config_homes() -> tuple[Path, ...]:
    """Return git's directory of the user, if one is known."""
    home = known_home()
    named = os.environ.get("XDG_CONFIG_HOME") or (home and home / ".config")
    return (Path(named) / "git",) if named else ()
