"""`regenctl fzf`: fzf asks the daemon again with each key, shows files around the lines, and the choice is opened.

fzf runs `regenctl fzf --list` for its lines, which have three fields between tabs: path, line, and what it shows.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys

from regend.cli.asking.here import asked_where, globs_of, shown_path, working_directory
from regend.cli.asking.lines import Marks, best_line
from regend.cli.call import connected, given
from regend.cli.terminal import Style, printable
from regend.errors import PathError, RegendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

_RESULTS = 50
_NOTHING_CHOSEN = (1, 130)
"""Exit codes of fzf when no line is there, and when the user left."""
_PLACED_AS_ONE = ("code", "code-insiders", "codium", "cursor", "windsurf")
"""Editors that take `--goto FILE:LINE`."""
_PLACED_BY_COLON = ("hx", "helix", "subl", "zed")
"""Editors that take `FILE:LINE`; all others are given `+LINE FILE`, as vi understands it."""
_PLAIN_PREVIEW = 'awk -v best={2} \'NR == best { print "\\033[7m" $0 "\\033[0m"; next } { print }\' < {1}'
_BAT_PREVIEW = "--style=numbers --color=always --highlight-line {2} -- {1}"


def run_fzf(arguments: argparse.Namespace) -> int:
    """Run fzf and open what was chosen, or print the lines for fzf with ``--list``."""
    query = " ".join(arguments.query).strip()
    if arguments.list:
        return _list(query, arguments)
    if arguments.json:
        raise RegendError("`regenctl fzf` has no JSON form; ask `regenctl search --json`, or use `--print`.")
    connected(arguments).close()  # Starts a daemon that is missing, and says so before fzf has the screen.
    if shutil.which("fzf") is None:
        raise PathError("`fzf` is not installed; on Debian: apt-get install fzf.")
    chosen = subprocess.run(
        command(query, arguments), stdout=subprocess.PIPE, text=True, errors="surrogateescape", check=False,
        env={**os.environ, "SHELL": "/bin/sh", "FZF_DEFAULT_COMMAND": ":"},
    )  # fmt: skip
    if chosen.returncode in _NOTHING_CHOSEN:
        return chosen.returncode
    if chosen.returncode:
        raise RegendError(f"fzf ended with status {chosen.returncode}; `regenctl fzf` needs fzf 0.36 or newer.")
    path, line = chosen.stdout.split("\t")[:2]
    if not path:  # A sentence, and no result.
        return 1
    if arguments.print:
        print(f"{path}:{line}")
        return 0
    editor = editor_command(os.environ, path, int(line))
    try:
        return subprocess.run(editor, check=False).returncode
    except OSError as error:
        raise PathError(f"The editor {editor[0]} cannot be started: {error.strerror}; set EDITOR.") from error


def command(query: str, arguments: argparse.Namespace) -> list[str]:
    """Return the command line of fzf."""
    ask = [sys.executable, "-P", "-m", "regend.cli.main", "fzf", "--list", "--color", "always"]
    if arguments.socket:
        ask += ["--socket", arguments.socket]
    if arguments.all:
        ask.append("--all")
    for name, value in (("--root", arguments.root), ("--lang", ",".join(arguments.lang)), ("-k", arguments.k)):
        if value:
            ask += [name, str(value)]
    for glob in arguments.glob:
        ask += ["--glob", glob]
    reload = f"reload:{shlex.join(ask)} -- {{q}}"
    bat = shutil.which("bat") or shutil.which("batcat")
    preview = f"{shlex.quote(bat)} {_BAT_PREVIEW}" if bat else _PLAIN_PREVIEW
    return [
        "fzf", "--disabled", "--ansi", "--no-sort", "--no-multi", "--delimiter", "\t", "--with-nth", "3..",
        "--query", query, "--prompt", "regend> ", "--bind", f"start:{reload}", "--bind", f"change:{reload}",
        "--preview", f"test -z {{1}} || {preview}", "--preview-window", "+{2}-/2",
    ]  # fmt: skip


def editor_command(environ: Mapping[str, str], path: str, line: int) -> list[str]:
    """Return the user's editor with the arguments that open a file at a line."""
    editor = shlex.split(environ.get("VISUAL") or environ.get("EDITOR") or "vi")
    if path.startswith(("-", "+")):
        path = "./" + path
    name = os.path.basename(editor[0])  # noqa: PTH119 - pathlib is slower to import.
    if name in _PLACED_AS_ONE:
        return [*editor, "--goto", f"{path}:{line}"]
    if name in _PLACED_BY_COLON:
        return [*editor, f"{path}:{line}"]
    return [*editor, f"+{line}", path]


def _list(query: str, arguments: argparse.Namespace) -> int:
    """Print the results of a query for fzf. A failure is a line, too: fzf shows nothing else."""
    if not query:
        return 0
    style, here = Style.of(sys.stdout), working_directory()
    try:
        with connected(arguments) as daemon:
            where = asked_where(arguments, daemon, ())
            globs = globs_of(arguments.glob, where.anchor)
            answer = daemon.call(
                "search", query=query, k=arguments.k or _RESULTS,
                **given(
                    root=where.root or None, under=where.under or None, lang=",".join(arguments.lang) or None,
                    globs=globs or None,
                ),
            )  # fmt: skip
    except RegendError as error:
        print(f"\t0\t{style(printable(str(error)), 'red')}")
        return 0
    marks = Marks(answer.get("words", ()))
    for result in answer["results"]:
        path = shown_path(result["root"], result["path"], here)
        if "\t" in path or "\n" in path:
            continue  # Its fields could not be told apart.
        line, text = best_line(result)
        shown = f"{style(printable(path), 'magenta')}:{style(str(line), 'green')}: "
        print(f"{path}\t{line}\t{shown}{marks.marked(printable(text.strip()), style)}")
    for note in answer["notes"] if not answer["results"] else ():
        print(f"\t0\t{printable(note)}")
    return 0
