"""Finds the root of a file that a client named."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from regend.daemon.roots import Roots, ServedRoot, check_path
from regend.errors import PathError, RootError


async def locate(
    roots: Roots, file: str, root: str, is_indexed: Callable[[ServedRoot, str], bool]
) -> tuple[ServedRoot, str]:
    """Return the innermost root of a file that a client named, and the path in it, see `locate_all`.

    Raises:
        PathError: the path is not absolute, or not valid.
        RootError: no root holds it.
    """
    return (await locate_all(roots, file, root, is_indexed))[0]


async def locate_all(
    roots: Roots, file: str, root: str, is_indexed: Callable[[ServedRoot, str], bool]
) -> list[tuple[ServedRoot, str]]:
    """Return every root that holds a file which a client named, innermost first, and the path in each.

    The path may lead over links, also inside a root. The disk is asked only about what is not indexed as it is named.

    Raises:
        PathError: the path is not absolute, or not valid.
        RootError: no root holds it.
    """
    path = absolute(file, root)
    found = roots.all_containing(path)
    if not any(is_indexed(served, relative) for served, relative in found):
        found = roots.all_containing(await roots.real_path(path)) or found
    if not found:
        raise RootError(f"{path} is in no root; add one that holds it with `regenctl add DIR`.")
    return found


def absolute(file: str, root: str) -> Path:
    """Return the absolute path of `file`, which may be relative to `root`, without `.` and `..`.

    Raises:
        PathError: the path is not absolute, or not valid.
    """
    check_path(file)
    check_path(root)
    path = Path(root, file) if root else Path(file)
    if not path.is_absolute():
        raise PathError(f"{file!r} is not an absolute path; give one, or name the root it is in.")
    # By name: what lies outside of a root must not look as if it were inside.
    return Path(os.path.normpath(path))
