"""The ignore files outside the tree: what git's configuration names, and a repository's `info/exclude`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from regend.disk.ignore.attributes import ATTRIBUTES_NAME, Attributes
from regend.disk.ignore.rule_list import RuleList, as_bytes_text
from regend.disk.inputs import NOT_THERE, Inputs, read_small
from regend.disk.repository import Repository
from regend.paths import known_home

MAX_RULE_FILE_BYTES = 1_048_576
"""A larger rule file excludes everything: reading a part of it would let in paths that the rest keeps out."""
_GIT_TIMEOUT_S = 10.0
_SCRUBBED = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")
_KEYS = r"^(core\.(excludesfile|ignorecase)|include\.path|includeif\..*\.path)$"
_MAX_INCLUDE_ROUNDS = 10
"""git itself follows includes ten files deep (its `config.c`)."""


@dataclass(frozen=True, slots=True)
class GitSettings:
    """The settings of git's configuration that concern ignoring.

    Attributes:
        excludes_file: the global excludes, whether or not it exists; None when switched off.
        fold: `core.ignoreCase`.
        problem: why git does not tell them all, or empty.
        unknown: git tells none of them, so what the user excludes is not known.
    """

    excludes_file: Path | None
    fold: bool
    problem: str = ""
    unknown: bool = False


class RuleReader:
    """Reads ignore files, and remembers why one could not be read.

    Attributes:
        problem: names a file that is there and was not read, so that what it excludes is not known; or empty.
    """

    def __init__(self, problem: str = "") -> None:
        self.problem = problem

    def read(self, file: Path, source: str, fold: bool, skip: int, follow: bool = False) -> tuple[RuleList, ...]:
        """Read an ignore file; no list when it is not there, or holds no rule.

        Args:
            source, fold, skip: see `RuleList`.
            follow: a symbolic link may stand in for the file. git says no within the tree (since 2.32), yes outside.
        """
        try:
            content = read_small(file, MAX_RULE_FILE_BYTES + 1, 0 if follow else os.O_NOFOLLOW)
        except OSError as error:
            if error.errno not in NOT_THERE:
                self.problem = f"{source} cannot be read: {error.strerror}"
            return ()
        if len(content) > MAX_RULE_FILE_BYTES:
            content, source = b"*", f"{source}, larger than {MAX_RULE_FILE_BYTES} bytes"
        rules = RuleList(content, source, fold, skip)
        return (rules,) if rules.rules else ()

    def read_base(
        self, settings: GitSettings, repository: Repository | None, root: Path, skip: int, inputs: Inputs
    ) -> tuple[RuleList, ...]:
        """Read `info/exclude` and the global excludes, which are relative to the top of the repository.

        Args:
            root: files within it are named from there.
            inputs: takes note of both.
        """
        lists: tuple[RuleList, ...] = ()
        if (file := settings.excludes_file) is not None:
            inputs.note(str(file))
            lists = self.read(file, str(file), settings.fold, skip, follow=True)
        if repository is not None:
            file = repository.common_dir / "info" / "exclude"
            inputs.note(str(file))
            shown = file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
            lists = self.read(file, shown, settings.fold, skip, follow=True) + lists
        return lists


def read_above(
    reader: RuleReader, top: Path, root: Path, git: tuple[RuleList, ...], fold: bool, inputs: Inputs
) -> tuple[tuple[RuleList, ...] | None, Attributes]:
    """Read the files from the top of a worktree down to above the root.

    Args:
        git: rules that the `.gitignore` files override.
        inputs: takes note of them.

    Returns:
        All rules, or None where they ignore the root; and what is declared of files in the root.
    """
    parts = root.relative_to(top).parts
    inner = as_bytes_text("/".join(parts)) + "/"
    attributes = Attributes(inner)
    directory, skip, ignored = top, 0, False
    for name in parts:
        for file in (directory / ".gitignore", directory / ATTRIBUTES_NAME):
            inputs.note(str(file))
        file = directory / ATTRIBUTES_NAME
        attributes = attributes.with_file(file, str(file), fold, skip, is_top=skip == 0)
        skip_after = skip + len(as_bytes_text(name))
        if not ignored:
            file = directory / ".gitignore"
            git = reader.read(file, str(file), fold, skip) + git
            matches = (rules.match(inner[:skip_after], as_bytes_text(name), True) for rules in git)
            rule = next((rule for rule in matches if rule is not None), None)
            ignored = rule is not None and not rule.negated
        skip = skip_after + 1
        directory = directory / name
    return None if ignored else git, attributes


def read_attributes(
    attributes: Attributes, root: Path, path: str, repository: Repository | None, fold: bool, inputs: Inputs
) -> Attributes:
    """Add what is declared in a directory to what is declared above it.

    Args:
        repository: the one whose worktree the directory is the top of, or, for the root, lies in.
        inputs: takes note of `info/attributes`.
    """
    at = len(as_bytes_text(path)) + 1 if path else 0
    shown, is_top = f"{path}/" if path else "", not path
    if repository is not None:
        file = repository.common_dir / "info" / "attributes"
        inputs.note(str(file))
        named = file.relative_to(root).as_posix() if file.is_relative_to(root) else str(file)
        attributes = attributes.with_info(file, named, fold, len(attributes.prefix) + at if path else 0)
        is_top = repository.top == root / path
    file = root / path / ATTRIBUTES_NAME
    return attributes.with_file(file, shown + ATTRIBUTES_NAME, fold, len(attributes.prefix) + at, is_top)


def git_settings(directory: Path, repository: Repository | None, inputs: Inputs) -> GitSettings:
    """Ask git for `core.excludesFile` and `core.ignoreCase` as they hold in `directory`.

    Without git on the machine the defaults hold: `$XDG_CONFIG_HOME/git/ignore`, and case matters except on macOS.

    Args:
        inputs: takes note of all files that the answer depends on, those that are not there included.
    """
    waiting = [str(file) for file in _settings_files(repository)]
    for file in waiting:
        inputs.note(file)
    values: dict[str, str] = {}
    problem = ""
    for _ in range(_MAX_INCLUDE_ROUNDS):
        # Outside of repositories for a plain folder: its `.git` may lead nowhere, which git would refuse.
        values, named, problem = _git_config(directory if repository else Path("/"))
        if repository is not None and any("onbranch:" in key for key in values):
            named.append(str(repository.git_dir / "HEAD"))
        fresh = [file for file in named if file not in inputs]
        for file in fresh:
            inputs.note(file)
        if not fresh:
            break  # Every file was noted before git read it.
    unknown = False
    if problem:
        # The mistake may lie in a file that another one includes, which git did not tell; each is asked by itself.
        for file in waiting:
            _, named, _ = _git_config(Path("/"), "--no-includes", "--file", file)
            fresh = [file for file in named if file not in inputs]
            for included in fresh:
                inputs.note(included)
            waiting += fresh
        # The repository may be the one at fault. The user's settings hold all the same.
        values, _, failure = _git_config(Path("/"))
        unknown = bool(failure)
    folds = values.get("core.ignorecase", "true" if sys.platform == "darwin" and not values else "false")
    fold = folds.lower() in ("true", "yes", "on", "1")
    excludes = values.get("core.excludesfile")
    if excludes is None:
        return GitSettings(_default_excludes(inputs), fold, problem, unknown)
    try:
        return GitSettings(directory / Path(excludes).expanduser() if excludes else None, fold, problem)
    except RuntimeError:  # `~` and a name that is no user's; git refuses it, too.
        return GitSettings(None, fold, problem)


def _settings_files(repository: Repository | None) -> tuple[Path, ...]:
    """List the files of git's configuration, without those that they include."""
    system: list[Path] = []
    if named := os.environ.get("GIT_CONFIG_SYSTEM"):
        system = [Path(named)]
    else:
        program = shutil.which("git")
        # git is built with one of these: the second where it was installed below a prefix of its own.
        system = [Path("/etc/gitconfig"), *([Path(program).resolve().parents[1] / "etc/gitconfig"] if program else [])]
    named = os.environ.get("GIT_CONFIG_GLOBAL")
    home = known_home()
    if named is not None:
        user = [Path(named)] if named else []
    else:
        user = [*([home / ".gitconfig"] if home else []), *(directory / "config" for directory in _config_homes())]
    own = [] if repository is None else [repository.common_dir / "config", repository.git_dir / "config.worktree"]
    return (*system, *user, *own)


def _git_config(directory: Path, *options: str) -> tuple[dict[str, str], list[str], str]:
    """Ask git; return the values by key, the files that hold them or are included, and why git failed."""
    scrubbed = {name: value for name, value in os.environ.items() if name not in _SCRUBBED}
    command = ["git", "-C", str(directory), "config", "--null", "--show-origin", *options, "--get-regexp", _KEYS]
    try:
        done = subprocess.run(
            command, env=scrubbed, stdin=subprocess.DEVNULL, capture_output=True, timeout=_GIT_TIMEOUT_S, check=False
        )
    except (FileNotFoundError, PermissionError):
        return {}, [], ""  # There is no git.
    except (OSError, subprocess.TimeoutExpired) as error:
        return {}, [], f"git does not tell its settings: {error}"
    if done.returncode not in (0, 1):  # 1: none of the keys is set.
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        return {}, [], f"git does not tell its settings: {said}"
    values: dict[str, str] = {}
    files: list[str] = []
    fields = done.stdout.split(b"\0")
    for origin, entry in zip(fields[::2], fields[1::2], strict=False):  # The last field is empty.
        key, equals, value = entry.partition(b"\n")
        # A key without a value is "true" for a boolean; for a path git refuses it, and so it is left out here.
        name, text = os.fsdecode(key).lower(), os.fsdecode(value) if equals else "true"
        values[name] = text
        kind, _, file = os.fsdecode(origin).partition(":")
        if kind == "file":
            holder = directory / file
            files.append(str(holder))
            if name.startswith("include") and equals:
                files += _included(holder, text)
    return values, files, ""


def _included(holder: Path, named: str) -> list[str]:
    """Return the file that an `include.path` names, whether or not it is there."""
    try:
        return [str(holder.parent / Path(named).expanduser())]
    except RuntimeError:
        return []


def _default_excludes(inputs: Inputs) -> Path | None:
    """Return git's default for `core.excludesFile`; None where the user may not even look whether it is there.

    A service that runs as another user than `HOME` says is such a case; git takes the file for absent, too.
    """
    for directory in _config_homes():
        file = directory / "ignore"
        inputs.note(str(file))
        try:
            file.lstat()
        except PermissionError:
            return None
        except OSError:
            pass
        return file
    return None


def _config_homes() -> tuple[Path, ...]:
    """Return git's directory of the user, if one is known."""
    home = known_home()
    named = os.environ.get("XDG_CONFIG_HOME") or (home and home / ".config")
    return (Path(named) / "git",) if named else ()
