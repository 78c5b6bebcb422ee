"""The command line of `regenctl`: one table of commands, the source of the parser, the help and the completions.

Only the parser of the called command is built, because argparse takes a large part of the start-up time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import namedtuple

from regend import limits
from regend.cli.argument import arg, number
from regend.cli.asking import arguments as asking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NamedTuple

    from regend.cli.argument import Argument

    class Command(NamedTuple):
        name: str
        doc: str
        module: str
        arguments: tuple[Argument, ...]
else:
    Command = namedtuple("Command", "name doc module arguments")


_SECONDS = number(float, "seconds", 0, limits.MAX_WAIT_S)
_DIRECTORY = arg("directory", metavar="DIR", complete="directory", help="a root")

COMMANDS = (
    Command("search", "find code by words and by meaning", asking.MODULE, asking.SEARCH),
    Command("symbols", "find definitions by name", asking.MODULE, asking.SYMBOLS),
    Command("related", "find code like the code at a line, or files like a file", asking.MODULE, asking.RELATED),
    Command("outline", "list a file's definitions", asking.MODULE, asking.OUTLINE),
    Command("status", "show what is indexed, what is not and why", "operations", (
        arg("--watch", action="store_true", help="update it live, with progress bars, until Ctrl-C"),
    )),
    Command("flush", "wait until every earlier write is searchable", "operations", (
        arg("--timeout", type=_SECONDS, default=60.0, metavar="S", help="maximum seconds to wait (default 60)"),
    )),
    Command("sync", "wait until every earlier write is searchable by words", "operations", (
        arg("--timeout", type=_SECONDS, default=5.0, metavar="S", help="maximum seconds to wait (default 5)"),
    )),
    Command("add", "add a root and index it", "roots", (
        arg("directory", metavar="DIR", complete="directory", help="a git worktree or a plain folder"),
        arg("--force", action="store_true", help="add it even if it looks unsuited, such as a home directory"),
    )),
    Command("remove", "remove a root", "roots", (
        _DIRECTORY,
        arg("--forget", action="store_true", help="also delete everything that only this root used"),
    )),
    Command("list", "list roots, or the files of one", "roots", (
        arg("--files", metavar="ROOT", complete="directory", help="list this root's files"),
        arg("--state", choices=("indexed", "skipped"), complete="indexed skipped", help="only files in this state"),
    )),
    Command("reindex", "read every file of a root again", "roots", (_DIRECTORY,)),
    Command("pause", "stop indexing; queries are still answered", "operations", ()),
    Command("resume", "resume indexing", "operations", ()),
    Command("why", "say whether a file is indexed, and if not, why", "roots", (
        arg("file", metavar="FILE", complete="file"),
    )),
    Command("doctor", "check the installation and this machine", "operations", (
        arg("--verify", action="store_true", help="also compare the index with the disk, and repair differences"),
    )),
    Command("config", "show the effective configuration", "operations", ()),
    Command("service", "run the daemon as a service of your login session", "operations", (
        arg("rest", nargs=argparse.REMAINDER, metavar="install|uninstall|status", complete="install uninstall status"),
    )),
    Command("stop", "shut the daemon down", "operations", ()),
    Command("completion", "print a completion script", "completion", (
        arg("shell", choices=("bash", "zsh", "fish"), complete="bash zsh fish", help="for this shell"),
    )),
)  # fmt: skip

COLOR = ("auto", "always", "never")
GLOBAL = (
    arg("--socket", metavar="PATH", complete="file", help="the daemon's socket (else $REGEND_SOCKET)"),
    arg("--json", action="store_true", help="print the daemon's answer as JSON (docs/rpc.md)"),
    arg(
        "--color", choices=COLOR, complete=" ".join(COLOR), metavar="WHEN",
        help="colours: auto (on a terminal), always or never",
    ),
    arg("--no-pager", action="store_true", help="do not send what is longer than the screen through a pager"),
)  # fmt: skip


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse a command line; the result has those of `GLOBAL`, `command` (a `Command`) and the command's own arguments.

    Raises:
        SystemExit: with status 2 for a wrong command line, 0 after `--help` or `--version`.
    """
    top = argparse.ArgumentParser(
        prog="regenctl",
        usage="regenctl [--socket PATH] [--json] [--color WHEN] COMMAND ...",
        description="Query and control the regend code-search daemon.",
        epilog="commands:\n" + "\n".join(f"  {c.name:<11} {c.doc}" for c in COMMANDS),
        formatter_class=_formatter(argparse.RawDescriptionHelpFormatter),
        allow_abbrev=False,
    )
    for argument in GLOBAL:
        top.add_argument(*argument.names, **argument.options)
    top.add_argument("--version", "-V", action="store_true", help="print the version")
    top.add_argument("command", metavar="COMMAND", nargs="?", help="one of the commands below")
    place = _command_place(argv)
    values = top.parse_args(argv[: place + 1])
    if values.version:
        from importlib.metadata import version

        print(f"regenctl {version('regend')}")
        raise SystemExit(0)
    if values.command is None:
        top.error("name a command; see `regenctl --help`")
    command = next((c for c in COMMANDS if c.name == values.command), None)
    if command is None:
        top.error(f"there is no command {values.command!r}; see `regenctl --help`")
    parser = command_parser(command)
    chosen = argparse.Namespace(**{**vars(values), "command": command})
    rest = argv[place + 1 :]
    return asking.parse(parser, rest, chosen) if command.module == asking.MODULE else parser.parse_args(rest, chosen)


def _formatter(kind: type[argparse.HelpFormatter]) -> Any:
    """Return the maker of a formatter that knows its width; argparse makes one for each argument, and imports `shutil`
    and all of its compressors to find the width out."""
    try:
        width = os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1).columns
    except (OSError, ValueError):
        width = 80
    asked = os.environ.get("COLUMNS", "")
    return lambda prog: kind(prog, width=(int(asked) if asked.isdecimal() else 0) or width - 2)


def _command_place(argv: list[str]) -> int:
    """Return the index of the command. argparse could split there itself, but would drop the command's ``--``."""
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        place += 2 if argv[place] in ("--socket", "--color") else 1
    return place


def command_parser(command: Command) -> argparse.ArgumentParser:
    """Return the parser of one command; it takes the global options too, so that they may follow its name."""
    takes_all = command.name == "service"
    parser = argparse.ArgumentParser(
        prog=f"regenctl {command.name}", description=command.doc[0].upper() + command.doc[1:] + ".",
        allow_abbrev=False, add_help=not takes_all, formatter_class=_formatter(argparse.HelpFormatter),
    )  # fmt: skip
    for argument in command.arguments:
        parser.add_argument(*argument.names, **argument.options)
    if not takes_all:
        for argument in GLOBAL:
            parser.add_argument(*argument.names, **{**argument.options, "default": argparse.SUPPRESS})
    return parser
