"""Names of files: whether they are UTF-8, and whether they alone are a reason to skip the file.

Python shows odd bytes of names and texts as surrogates, which no event, message, index or catalog takes.
"""

from __future__ import annotations

import os
import re

_LOCK_FILES = (
    "bun.lock", "cargo.lock", "composer.lock", "flake.lock", "gemfile.lock", "go.sum", "mix.lock",
    "npm-shrinkwrap.json", "package-lock.json", "package.resolved", "packages.lock.json", "pdm.lock", "pipfile.lock",
    "pnpm-lock.yaml", "podfile.lock", "poetry.lock", "pubspec.lock", "uv.lock", "yarn.lock",
)  # fmt: skip
_GENERATED = re.compile(
    r".+\.(?:min\.(?:js|css|mjs)|(?:js|mjs|cjs|css|ts)\.map)|" + "|".join(map(re.escape, _LOCK_FILES)),
    re.IGNORECASE,
)
_EDITOR_FILES = re.compile(
    r"""
    .+~                       # Backups and undo files of Emacs, Vim, gedit, nano, joe.
    | \.\#.+ | \#.+\#         # Emacs: the lock, and what it saves by itself.
    | \.(?:.+\.)?sw[k-px]     # Vim and nano: .name.swp, then .swo and so on; .swx is a test of the directory.
    | \..+\.kate-swp
    | \.~lock\..+\# | ~\$.+   # LibreOffice, Microsoft Office.
    | \.goutputstream-\w+     # GLib, on its way to the real name.
    | .+___jb_(?:tmp|old)___  # JetBrains, likewise.
    """,
    re.VERBOSE,
)
"""Names that only an editor gives. `x.orig`, `x.rej` and `x.bak` are not among them: people and other programs make
these, too, and Vim's `4913` is empty and gone at once."""


def skip_reason_of(path: str, marks: str = "") -> str:
    """Return why a file of this name is skipped: ``generated``, ``editor_file``, or an empty string.

    Args:
        marks: as `Declared` has them.
    """
    name = path.rpartition("/")[2]
    if _GENERATED.fullmatch(name) and "-generated" not in marks:
        return "generated"
    return "editor_file" if _EDITOR_FILES.fullmatch(name) else ""


def printable_name(name: str) -> str:
    """Return a file name that is not UTF-8 with its odd bytes written as ``\\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_utf8(name: str) -> bool:
    """Tell whether a name from the file system is UTF-8 (odd bytes arrive as surrogates)."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def readable(text: str) -> str:
    """Return a text that a client sent, with each byte that is not UTF-8 replaced by a mark (U+FFFD)."""
    return text if is_utf8(text) else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
