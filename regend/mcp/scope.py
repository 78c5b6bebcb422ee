"""Which root an agent means: what it names, else what its client says, else where it was started."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regend.cli.asking.here import indexed_parts
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
    """The places that are searched.

    Attributes:
        roots: paths of the roots; empty for all.
        under: places in them to which answers are limited; empty for all of the roots.
        unknown: a directory that is in no root; empty if there is no such trouble.
    """

    roots: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    unknown: str = ""


def named_directory(argument: str, places: Places, client_roots: tuple[str, ...]) -> str:
    """Return the directory that is meant, not yet looked for among the roots; empty for all roots.

    Raises:
        PathError: the argument is a relative path, or no path at all.
    """
    if argument == ALL:
        return ""
    if argument:
        named = os.path.expanduser(argument)  # noqa: PTH111 - leaves unknown users alone.
        if not named.startswith("/"):
            raise PathError(f"`root` is {argument!r}; give an absolute path, or `{ALL}`.")
        if "\0" in named:
            raise PathError("`root` holds a NUL character, which no file name has; correct it.")
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


def scope_of(directory: str, roots: list[dict[str, Any]], whole: bool = True) -> Scope:
    """Find a directory among the roots, as `regenctl` finds its working directory.

    Args:
        roots: as `list` or `status` has them.
        whole: the repository around the directory is meant, and not the directory alone.
    """
    if not directory:
        return Scope()
    real = os.path.realpath(directory)
    parts = indexed_parts(real, roots)
    if not parts:
        return Scope(unknown=real)
    if not whole and len(parts) == 1 and real.startswith(f"{parts[0].rstrip('/')}/"):
        parts = (real,)
    paths = [root["path"] for root in roots]
    held = [max((p for p in paths if _holds(p, part)), key=len) for part in parts]
    return Scope(tuple(dict.fromkeys(held)), () if held == list(parts) else parts)


def _holds(root: str, place: str) -> bool:
    return place == root or place.startswith(f"{root.rstrip('/')}/")


def not_indexed(directory: str) -> RootError:
    """Say that the directory has to be added first."""
    return RootError(
        f"{directory} is not indexed, so nothing was searched. Ask the user to run `regenctl add {directory}`, search "
        f"another repository with `root`, or every one with `root` = `{ALL}`. Use grep meanwhile."
    )
