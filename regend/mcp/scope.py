"""Which root an agent means: what it names, else what its client says, else where it was started."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from regend.errors import PathError, RootError
from regend.paths import known_home

ALL = "all"
"""Given as a root, it means every indexed repository."""


@dataclass(frozen=True, slots=True)
class Places:
    """The directories in which the agent may work.

    Attributes:
        root: `--root` of the command line; empty if it was not given.
        project: `CLAUDE_PROJECT_DIR`, or what stands for it; empty if it is not set.
        working: the working directory at the start; empty if it is gone.
    """

    root: str = ""
    project: str = ""
    working: str = ""

    @classmethod
    def of_process(cls, root: str, environ: Mapping[str, str] = os.environ) -> Places:
        try:
            working = str(Path.cwd())
        except OSError:
            working = ""
        return cls(root, environ.get("CLAUDE_PROJECT_DIR", ""), working)


@dataclass(frozen=True, slots=True)
class Scope:
    """The roots that are searched.

    Attributes:
        root: a root; empty for all.
        inside: directory in it that was named, relative to it; empty for the whole root.
        unknown: a directory that is in no root; empty if there is no such trouble.
    """

    root: str = ""
    inside: str = ""
    unknown: str = ""


def named_directory(argument: str, places: Places, client_roots: tuple[str, ...]) -> str:
    """Return the directory that is meant, not yet looked for among the roots; empty for all roots.

    Raises:
        PathError: the argument is a relative path.
    """
    if argument == ALL:
        return ""
    if argument:
        named = os.path.expanduser(argument)  # noqa: PTH111 - leaves unknown users alone.
        if not named.startswith("/"):
            raise PathError(f"`root` is {argument!r}; give an absolute path, or `{ALL}`.")
        return named
    for directory in (places.root, places.project, *client_roots[:1]):
        if directory:
            return directory
    return places.working if repository_of(places.working) else ""


def repository_of(directory: str) -> str:
    """Return the git worktree that holds a directory; empty without one, and if that is the home directory."""
    if not directory:
        return ""
    real, home = Path(os.path.realpath(directory)), known_home()
    for at in (real, *real.parents):
        if os.path.lexists(at / ".git"):
            return "" if home is not None and at == Path(os.path.realpath(home)) else str(at)
    return ""


def scope_of(directory: str, roots: Iterable[str]) -> Scope:
    """Find a directory among the roots; of nested ones the innermost counts."""
    if not directory:
        return Scope()
    real = os.path.realpath(directory)
    holding = [root for root in roots if real == root or real.startswith(f"{root.rstrip('/')}/")]
    if not holding:
        return Scope(unknown=real)
    root = max(holding, key=len)
    return Scope(root, os.path.relpath(real, root) if real != root else "")


def not_indexed(directory: str) -> RootError:
    """Say that the directory has to be added first."""
    return RootError(
        f"{directory} is not indexed, so nothing was searched. Ask the user to run `regenctl add {directory}`, search "
        f"another repository with `root`, or every one with `root` = `{ALL}`. Use grep meanwhile."
    )
