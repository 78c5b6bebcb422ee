"""Roots on disk: the git repository that a root belongs to, the pool it shares, and its own configuration file.

No git process is started: the layout of `.git` directories, `.git` files and `commondir` is documented
(gitrepository-layout) and stable.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regend.config import LimitConfig, parse_toml
from regend.disk.inputs import Inputs, read_small
from regend.disk.names import is_utf8
from regend.errors import ConfigError, PathError, RootError

REPOSITORY_CONFIG_NAME = ".regend.toml"
_MAX_POINTER_BYTES = 8_192
_MAX_CONFIG_BYTES = 16_384
"""A key of many dotted parts costs the parser their square: 7 s for 40 kB, 1 s for this."""
_REFUSED = frozenset(map(Path, ("/", "/proc", "/sys", "/dev")))
_NO_SOURCES = frozenset(map(Path, ("/proc", "/sys")))
"""Nothing below these is a source tree either; below `/dev` may be a file system in memory that holds one."""


@dataclass(frozen=True, slots=True)
class RootIdentity:
    """A root as found on disk.

    Attributes:
        path: absolute, without symbolic links.
        pool_key: the real path of the git common directory; the root's own path for a plain folder.
        marker: ``device:inode`` of the root directory.
        git_dir: this worktree's git directory (it holds `HEAD` and `index`), or None for a plain folder.
    """

    path: Path
    pool_key: str
    marker: str
    git_dir: Path | None


@dataclass(frozen=True, slots=True)
class Repository:
    """A worktree that contains a directory.

    Attributes:
        top: where its `.git` is.
        git_dir: this worktree's git directory.
        common_dir: the directory that all its worktrees share.
    """

    top: Path
    git_dir: Path
    common_dir: Path


class RepositoryConfigError(ConfigError):
    """A `.regend.toml` that says what it may not say.

    Attributes:
        excludes: the ignore patterns in it all the same, without those that bring something back: a mistake must not
            let in what the file keeps out.
    """

    def __init__(self, message: str, excludes: tuple[str, ...]) -> None:
        super().__init__(message)
        self.excludes = excludes


@dataclass(frozen=True, slots=True)
class RepositoryConfig:
    """The settings of `.regend.toml` in a root. Limits can only be lowered.

    Attributes:
        patterns: ignore patterns in `.gitignore` syntax, relative to the root.
        max_file_bytes: None where it says nothing.
        max_line_bytes: None where it says nothing.
    """

    patterns: tuple[str, ...] = ()
    max_file_bytes: int | None = None
    max_line_bytes: int | None = None

    def apply(self, limits: LimitConfig) -> LimitConfig:
        """Lower the user's limits where the repository asks for less.

        A repository cannot raise them: it could otherwise make the daemon spend more than its user allowed.
        """
        return replace(
            limits,
            max_file_bytes=min(limits.max_file_bytes, self.max_file_bytes or limits.max_file_bytes),
            max_line_bytes=min(limits.max_line_bytes, self.max_line_bytes or limits.max_line_bytes),
        )


def identify(path: Path) -> RootIdentity:
    """Look at a directory that is to be a root.

    A directory inside a worktree belongs to that worktree's repository, as it does for git.

    Raises:
        RootError: it does not exist, or is refused.
        PathError: it is not a directory, cannot be read, or its name is not UTF-8.
    """
    try:
        real = path.resolve(strict=True)
    except (FileNotFoundError, NotADirectoryError):
        raise RootError(f"There is no directory {path}; check the path.") from None
    except (OSError, RuntimeError) as error:
        raise PathError(f"Root {path} cannot be resolved: {error}; check its permissions and links.") from error
    if not is_utf8(str(real)):
        raise PathError(f"Root {str(real)!a} has a name that is not UTF-8; rename the directory.")
    found = real.stat()
    if not stat.S_ISDIR(found.st_mode):
        raise PathError(f"{real} is not a directory, and a root is one; add {real.parent} or a directory above it.")
    if not _NO_SOURCES.isdisjoint((real, *real.parents)):
        raise RootError(f"{real} is refused: it is the kernel's view of this machine, not a source tree.")
    if real in _REFUSED:
        raise RootError(f"{real} is refused because it is not a source tree; add a directory below it.")
    if not os.access(real, os.R_OK | os.X_OK):
        raise PathError(f"Root {real} cannot be read by this user; change its permissions or choose another one.")
    repository = find_repository(real)
    key = str(repository.common_dir) if repository else str(real)
    return RootIdentity(real, key, _marker(found), repository.git_dir if repository else None)


def marker_of(path: Path) -> str | None:
    """Return ``device:inode`` of the directory at `path`; None when no directory is there, or a link."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return _marker(found) if stat.S_ISDIR(found.st_mode) else None


def find_repository(directory: Path, inputs: Inputs | None = None) -> Repository | None:
    """Find the worktree that contains `directory`, looking upwards from it, or None.

    Args:
        inputs: takes note of all that was looked at, here and below.
    """
    inputs = Inputs() if inputs is None else inputs
    return next(filter(None, (repository_at(top, inputs) for top in (directory, *directory.parents))), None)


def repository_at(top: Path, inputs: Inputs | None = None) -> Repository | None:
    """Find the worktree whose top is exactly `top`, or None.

    A `.git` that leads nowhere does not count: the files around it are still to be indexed.
    """
    inputs = Inputs() if inputs is None else inputs
    dot_git = os.path.join(top, ".git")  # noqa: PTH118
    inputs.note(dot_git)
    try:
        mode = os.lstat(dot_git).st_mode
    except OSError as error:
        inputs.failed(dot_git, error)
        return None
    target = _pointer(dot_git, b"gitdir:", inputs) if stat.S_ISREG(mode) else ".git"
    if target is None or not is_git_directory(os.path.join(top, target), inputs):  # noqa: PTH118
        return None
    try:
        git_dir = (top / target).resolve(strict=True)
        common = _pointer(f"{git_dir}/commondir", b"", inputs)
        common_dir = git_dir if common is None else (git_dir / common).resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    return Repository(top, git_dir, common_dir)


def is_git_directory(directory: str, inputs: Inputs | None = None) -> bool:
    """Tell whether a directory is a `.git` or a bare repository, whatever its name.

    The test is git's (`is_git_directory` in `setup.c`): `HEAD`, and `objects` and `refs` in the common directory. The
    content of `HEAD` does not matter here.
    """
    inputs = Inputs() if inputs is None else inputs
    head, commondir = f"{directory}/HEAD", f"{directory}/commondir"
    if not inputs.note_presence(head):
        return False
    inputs.note(commondir)
    common = _pointer(commondir, b"", inputs)
    base = directory if common is None else os.path.join(directory, common)  # noqa: PTH118
    parts = (f"{base}/objects", f"{base}/refs")
    for part in parts:
        inputs.note(part)
    return all(map(os.path.isdir, parts))


def holds_git_data(directory: str, inputs: Inputs | None = None) -> bool:
    """Tell whether a directory is a git directory, or what is left or not yet there of one.

    A copy in progress, or one that lost its empty directories, is no repository to git; but its `config` holds the same
    URLs with their tokens.
    """
    inputs = Inputs() if inputs is None else inputs
    if is_git_directory(directory, inputs):
        return True
    config = f"{directory}/config"
    if not os.path.lexists(f"{directory}/HEAD"):
        return False
    inputs.note(config)
    try:
        return b"repositoryformatversion" in read_small(config, _MAX_POINTER_BYTES).lower()
    except OSError:
        return False


def load_repository_config(root: Path) -> RepositoryConfig:
    """Read `.regend.toml` of a root; without one, nothing is set.

    It may hold ``[ignore] patterns`` and ``[limits] max_file_bytes, max_line_bytes`` only. A repository is other
    people's text: it must not choose URLs, models or commands.

    Raises:
        ConfigError: it cannot be read, is not TOML, or has any other key or a value of the wrong type.
    """
    file = root / REPOSITORY_CONFIG_NAME
    try:
        raw = read_small(file, _MAX_CONFIG_BYTES + 1, os.O_NOFOLLOW)
    except FileNotFoundError:
        return RepositoryConfig()
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}; make it a plain readable file.") from error
    if len(raw) > _MAX_CONFIG_BYTES:
        raise ConfigError(f"{file} is larger than {_MAX_CONFIG_BYTES} bytes; shorten it.")
    table = parse_toml(raw, str(file))
    try:
        return _checked(table, file)
    except ConfigError as error:
        raise RepositoryConfigError(str(error), _excludes(table)) from None


def _checked(table: dict[str, Any], file: Path) -> RepositoryConfig:
    allowed = {"ignore": {"patterns"}, "limits": {"max_file_bytes", "max_line_bytes"}}
    for section, values in table.items():
        if section not in allowed or not isinstance(values, dict):
            raise ConfigError(
                f"{file}: `{section}` may not be set in a repository; only `[ignore]` and `[limits]` may. "
                "Move it to your own configuration."
            )
        for key in values:
            if key not in allowed[section]:
                known = ", ".join(sorted(allowed[section]))
                raise ConfigError(f"{file}: `{section}.{key}` may not be set in a repository; allowed here: {known}.")
    patterns = table.get("ignore", {}).get("patterns", [])
    if not isinstance(patterns, list) or not all(isinstance(p, str) and "\n" not in p for p in patterns):
        raise ConfigError(f"{file}: `ignore.patterns` must be a list of one-line strings.")
    limits = table.get("limits", {})
    for key, value in limits.items():
        if type(value) is not int or value <= 0:
            raise ConfigError(f"{file}: `limits.{key}` must be a positive whole number.")
    return RepositoryConfig(tuple(patterns), limits.get("max_file_bytes"), limits.get("max_line_bytes"))


def _excludes(table: dict[str, Any]) -> tuple[str, ...]:
    section = table.get("ignore")
    patterns = section.get("patterns") if isinstance(section, dict) else None
    if not isinstance(patterns, list):
        return ()
    return tuple(p for p in patterns if isinstance(p, str) and "\n" not in p and not p.startswith("!"))


def _pointer(file: str, prefix: bytes, inputs: Inputs) -> str | None:
    """Read the path that a `.git` or `commondir` file holds, or None."""
    try:
        raw = read_small(file, _MAX_POINTER_BYTES)
    except (OSError, ValueError) as error:  # The path itself may come from such a file, and hold anything.
        inputs.failed(file, error)
        return None
    if not raw.startswith(prefix) or b"\0" in raw:  # No system call takes a path with NUL.
        return None
    return os.fsdecode(raw.removeprefix(prefix).strip(b" \r\n")) or None


def _marker(found: os.stat_result) -> str:
    return f"{found.st_dev}:{found.st_ino}"
