"""Files that a client named: made absolute by name alone, and found in their root."""

from __future__ import annotations

import asyncio
from pathlib import Path

from regend.daemon.roots import Roots, ServedRoot, check_path, real_path
from regend.errors import PathError, RootError


async def locate(roots: Roots, file: str, root: str) -> tuple[ServedRoot, str]:
    """The root and relative path of a file that a client named.

    Raises:
        PathError: it is not an absolute path, or no path at all.
        RootError: it is in no root.
    """
    return (await locate_all(roots, file, root))[0]


async def locate_all(roots: Roots, file: str, root: str) -> list[tuple[ServedRoot, str]]:
    """Every root that holds a file which a client named, innermost first, and its path in each.

    Raises:
        PathError: it is not an absolute path, or no path at all.
        RootError: it is in no root.
    """
    path = absolute(file, root)
    found = roots.all_containing(path) or roots.all_containing(await asyncio.to_thread(real_path, path))
    if not found:
        raise RootError(f"{path} is in no root; add one that holds it with `regenctl add DIR`.")
    return found


def absolute(file: str, root: str) -> Path:
    """The absolute path of `file`, which may be relative to `root`, without `.` and `..`.

    Raises:
        PathError: it is none.
    """
    check_path(file)
    check_path(root)
    path = Path(root, file) if root else Path(file)
    if not path.is_absolute():
        raise PathError(f"{file!r} is not an absolute path; give one, or name the root it is in.")
    return Path(*(_normal(path.parts)))


def _normal(parts: tuple[str, ...]) -> tuple[str, ...]:
    """Without `.` and `..`, by name: what lies outside of a root must not look as if it were inside."""
    kept: list[str] = []
    for part in parts:
        if part == "..":
            kept = kept[:-1] if len(kept) > 1 else kept
        elif part != ".":
            kept.append(part)
    return tuple(kept)
