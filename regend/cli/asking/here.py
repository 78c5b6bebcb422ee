"""Where a question is asked: the repository around the working directory, unless the command line says otherwise.

It knows the daemon's list of roots and looks for `.git` above a directory; it reads no other file.
"""

from __future__ import annotations

import os
from collections import namedtuple

from regend.cli.call import absolute
from regend.errors import PathError, RootError, count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any, NamedTuple

    from regend.rpc.client import Client

    class Where(NamedTuple):
        """The part of the index that is asked.

        Attributes:
            root: the only root to ask; empty for any.
            under: places to which the answer is limited; empty for all.
            anchor: the root in which globs of the command line are; empty if each root is to match them.
        """

        root: str
        under: tuple[str, ...]
        anchor: str
else:
    Where = namedtuple("Where", "root under anchor")

_MAX_POINTER_BYTES = 4_096


def working_directory() -> str:
    """Return the working directory without links, or nothing if it is gone."""
    try:
        return os.getcwd()  # noqa: PTH109 - pathlib is slower.
    except OSError:
        return ""


def split_paths(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Split the words of a search into query and paths: as with rg, what follows the query names files and directories.

    The query may be several words, so the last words that exist on disk are the paths. The first is never one.
    """
    end = len(words)
    while end > 1 and words[end - 1] and os.path.exists(os.path.expanduser(words[end - 1])):  # noqa: PTH110, PTH111
        end -= 1
    return list(words[:end]), list(words[end:])


def asked_where(arguments: argparse.Namespace, daemon: Client, paths: Sequence[str], beside: str = "") -> Where:
    """Return where a command asks.

    Args:
        paths: those of the command line that limit the answer; they must exist.
        beside: a file that the question is about; its repository is asked if the working directory is not indexed.

    Raises:
        RootError: the place is not indexed; the message says how to add it.
        PathError: a path does not exist.
    """
    if arguments.all and not paths and not arguments.root:
        return Where("", (), "")
    roots = daemon.call("list")["roots"]
    here = working_directory()
    if arguments.root:
        chosen = _chosen(arguments.root, roots)
    elif paths:
        chosen = ()
    elif beside and not indexed_parts(here, roots):
        chosen = _around(os.path.dirname(beside), roots)  # noqa: PTH120
    else:
        chosen = _around(here, roots)
    whole = chosen[0] if len(chosen) == 1 and any(root["path"] == chosen[0] for root in roots) else ""
    under = tuple(place for path in paths for place in _indexed(_existing(path), roots)) or chosen
    home = _innermost(here, roots)
    return Where(whole, () if under == (whole,) else under, whole or (home["path"] if home else ""))


def check_indexed(file: str, daemon: Client) -> None:
    """Raise a `RootError` that says how to add it if no root holds a file."""
    _indexed(file, daemon.call("list")["roots"])


def _existing(path: str) -> str:
    place = absolute(path)
    if not os.path.lexists(place):
        raise PathError(f"{path} does not exist; check the path, or quote the query if it is a part of it.")
    return place


def _chosen(named: str, roots: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the roots that `--root` means: by the name of their last directory, or by any directory in them."""
    if "/" not in named and named not in (".", ".."):
        called = [root["path"] for root in roots if os.path.basename(root["path"]) == named]  # noqa: PTH119
        if len(called) == 1:
            return (called[0],)
        if called:
            raise RootError(f"Root {named!r} could be any of {', '.join(called)}; give the full path.")
        if not os.path.isdir(named):  # noqa: PTH112
            known = ", ".join(root["path"] for root in roots) or "none; add one with `regenctl add DIR`"
            raise RootError(f"No root is called {named!r}; there are {known}.")
    directory = absolute(named)
    return indexed_parts(directory, roots) or tuple(_below(directory, roots)) or _around(directory, roots)


def _around(directory: str, roots: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return the places of the repository around a directory.

    Raises:
        RootError: it is not indexed.
    """
    if not directory:
        raise RootError("The working directory was deleted; go to one that exists, or ask all roots with --all.")
    found = indexed_parts(directory, roots) or indexed_parts(os.path.realpath(directory), roots)
    if not found:
        raise _not_indexed(_repository_top(directory) or directory, roots)
    return found


def indexed_parts(directory: str, roots: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return its root; of a repository inside a root its own part of that.

    Where no root holds the directory, those are returned that hold a part of its repository.
    """
    top = _repository_top(directory)
    inner = _innermost(directory, roots)
    if inner is not None and not _is_left_out(directory, inner):
        return (top if len(top) > len(inner["path"]) else inner["path"],)
    return tuple(path for path in _below(directory, roots) if top and _repository_top(path) == top)


def _indexed(place: str, roots: list[dict[str, Any]]) -> tuple[str, ...]:
    """Return what is indexed of a path, where its links lead: itself if it lies in a root, else the roots below it.

    Raises:
        RootError: nothing of it is.
    """
    path = os.path.realpath(place)
    inner = _innermost(path, roots)
    if inner is not None and not _is_left_out(path, inner):
        return (path,)
    if below := _below(path, roots):
        return tuple(below)
    raise _not_indexed(place, roots)


def _not_indexed(place: str, roots: list[dict[str, Any]]) -> RootError:
    below = _below(place, roots)
    if below:
        inside = count_text(len(below), "root below it answers", "roots below it answer")
        others = f"; {inside} with --root {quoted(place)}"
    else:
        others = "; other roots answer with --all or --root NAME" if roots else ""
    folder = place if os.path.isdir(place) else os.path.dirname(place)  # noqa: PTH112, PTH120
    if all(os.path.lexists(f"{folder}/{name}") for name in ("HEAD", "objects", "refs")):
        return RootError(f"{folder} holds git's own data, which is never indexed; ask in a worktree of it{others}.")
    return RootError(f"{place} is not indexed; add it with `regenctl add {quoted(folder)}`{others}.")


def quoted(path: str) -> str:
    """Return a path as a shell needs it."""
    if path and all(c.isalnum() or c in "/._-+,@%" for c in path):
        return path
    return "'" + path.replace("'", "'\\''") + "'"


def _innermost(place: str, roots: list[dict[str, Any]]) -> dict[str, Any] | None:
    holding = [root for root in roots if _holds(root["path"], place)]
    return max(holding, key=lambda root: len(root["path"]), default=None)


def _below(place: str, roots: list[dict[str, Any]]) -> list[str]:
    return [root["path"] for root in roots if _holds(place, root["path"])]


def _holds(directory: str, place: str) -> bool:
    return place == directory or place.startswith(directory.rstrip("/") + "/")


def _repository_top(directory: str) -> str:
    """Return the directory at or above `directory` that has a `.git`; empty if none has."""
    while not os.path.lexists(os.path.join(directory, ".git")):  # noqa: PTH118
        above = os.path.dirname(directory)  # noqa: PTH120
        if above == directory:
            return ""
        directory = above
    return directory


def _is_left_out(place: str, root: dict[str, Any]) -> bool:
    """Return whether a place in a root is another worktree of its repository, which the daemon leaves out."""
    top = _repository_top(place)
    if len(top) <= len(root["path"]):
        return False
    try:
        with open(os.path.join(top, ".git"), "rb") as file:  # noqa: PTH118, PTH123
            pointer = file.read(_MAX_POINTER_BYTES)
    except OSError:  # A directory: a repository of its own.
        return False
    git_dir = os.path.join(top, os.fsdecode(pointer.removeprefix(b"gitdir:").strip()))  # noqa: PTH118
    return os.path.realpath(git_dir).startswith(root["pool"].rstrip("/") + "/worktrees/")


def globs_of(values: Sequence[str], root: str) -> list[str]:
    """Return the globs of the command line as the daemon takes them: relative to the root.

    A glob with a slash, and the path of what exists, is relative to the working directory, if that lies in the root.

    Args:
        root: `Where.anchor`.
    """
    here = working_directory()
    return [_glob(value, root, here) for value in values]


def _glob(value: str, root: str, here: str) -> str:
    sign, glob = ("!", value[1:]) if value.startswith("!") else ("", value)
    if not glob.strip():
        return value  # The daemon says what is wrong with it.
    is_path = os.path.lexists(os.path.join(here, glob))  # noqa: PTH118 - even `[id].tsx`, as a shell would take it.
    if is_path:
        glob = _literal(glob)
    elif "/" not in glob.rstrip("/"):
        return value
    if glob.startswith("/"):
        anchored = os.path.normpath(glob)
        if not root or not _holds(_literal(root) if is_path else root, anchored):
            return sign + glob  # As in `.gitignore`: from the root on.
        root = _literal(root) if is_path else root
    elif root and _holds(root, here):
        anchored = os.path.normpath(os.path.join(_literal(here), glob))  # noqa: PTH118
        if not _holds(_literal(root), anchored):
            raise PathError(f"The glob {glob!r} leads out of the root {root}; name that place as a path instead.")
        root = _literal(root)
    else:
        return sign + glob
    return sign + (anchored[len(root.rstrip("/")) :] or "/**")


def _literal(path: str) -> str:
    """Return a glob that matches a path to the letter."""
    return "".join(f"[{c}]" if c in "*?[{" else c for c in path)


def shown_path(root: str, path: str, here: str) -> str:
    """Return a result's path as the user would write it: relative if its root is the one he is in, else absolute."""
    place = os.path.join(root, path)  # noqa: PTH118
    if here and (_holds(root, here) or _holds(here, place)):
        return os.path.relpath(place, here)
    return place
