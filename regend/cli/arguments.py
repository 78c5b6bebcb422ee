"""The command line of `regenctl`: one table of commands, the source of the parser, the help and the completions.

Only the parser of the called command is built, because argparse takes a large part of the start-up time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections import namedtuple

from regend import limits
from regend.cli.argument import arg, number, place
from regend.cli.asking import arguments as asking
from regend.cli.parser import Parser, suggestion

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
_DIRECTORY = arg("directory", metavar="DIR", complete="roots", help="a root: its directory, or the last part of it")

COMMANDS = (
    Command("search", "find code by words and by meaning", asking.MODULE, asking.SEARCH),
    Command("symbols", "find definitions by name", asking.MODULE, asking.SYMBOLS),
    Command("related", "find code like the code at a line, or files like a file", asking.MODULE, asking.RELATED),
    Command("outline", "list a file's definitions", asking.MODULE, asking.OUTLINE),
    Command("fzf", "search as you type in fzf, and open the choice in $EDITOR", asking.FZF_MODULE, asking.FZF),
    Command("status", "show what is indexed, what is not and why", "operations", (
        arg("--watch", action="store_true", help="update it live, with progress bars, until Ctrl-C"),
        arg("--until-ready", action="store_true", help="wait until everything is indexed; with --watch, end then"),
    )),
    Command("flush", "wait until every earlier write is searchable", "operations", (
        arg("--timeout", type=_SECONDS, default=60.0, metavar="S", help="maximum seconds to wait (default 60)"),
    )),
    Command("sync", "wait until every earlier write is searchable by words", "operations", (
        arg("--timeout", type=_SECONDS, default=5.0, metavar="S", help="maximum seconds to wait (default 5)"),
    )),
    Command("add", "add roots and index them", "roots", (
        arg("directory", nargs="*", metavar="DIR", complete="directory",
            help="a git worktree or a plain folder (default: the working directory)"),
        arg("--no-wait", action="store_true", help="return at once; the daemon indexes in the background"),
        arg("--force", action="store_true", help="add it even if it looks unsuited, such as a home directory"),
    )),
    Command("remove", "remove a root", "roots", (
        _DIRECTORY,
        arg("--forget", action="store_true", help="also delete everything that only this root used"),
    )),
    Command("list", "list roots, or the files of one", "roots", (
        arg("--files", metavar="ROOT", type=place, complete="roots", help="list this root's files"),
        arg("--state", choices=("indexed", "skipped"), complete="indexed skipped", help="only files in this state"),
    )),
    Command("reindex", "read every file of a root again", "roots", (
        _DIRECTORY,
        arg("--mode", choices=limits.MODES, complete=" ".join(limits.MODES), default="",
            help="how, until nothing waits (default: as configured)"),
    )),
    Command("pause", "stop indexing; queries are still answered", "operations", ()),
    Command("resume", "resume indexing", "operations", ()),
    Command("why", "say whether a file is indexed, and if not, why", "roots", (
        arg("file", metavar="FILE", complete="file"),
    )),
    Command("doctor", "check the installation and this machine", "operations", (
        arg("--verify", action="store_true", help="also compare the index with the disk, and repair differences"),
    )),
    Command("tune", "measure this machine, and propose settings that index faster", "tuning.tune", (
        arg("directory", nargs="?", metavar="DIR", complete="roots",
            help="the root whose files are measured with (default: the one around the working directory)"),
        arg("--files", type=number(int, "files", limits.MIN_TUNE_FILES, 100_000), default=400, metavar="N",
            help="how many of its files (default 400)"),
        arg("--rounds", type=number(int, "rounds", 2, 100), default=3, metavar="N",
            help="how often each value is measured (default 3)"),
        arg("--out", metavar="FILE", type=place, complete="file", help="also write the proposal there, as TOML"),
    )),
    Command("config", "show and change the configuration", "settings", (
        arg("action", nargs="?", choices=("get", "set", "unset", "edit", "validate"), metavar="ACTION",
            complete="get set unset edit validate",
            help="get KEY, set KEY VALUE..., unset KEY, edit or validate; without one, show what the file changes"),
        arg("words", nargs="*", metavar="KEY [VALUE]", complete="keys|setting", help="a key such as watch.quiet_ms"),
        arg("--all", action="store_true", help="show every key with its default, too"),
    )),
    Command("service", "run the daemon as a service of your login session", "operations", (
        arg("rest", nargs=argparse.REMAINDER, metavar="install|uninstall|status", complete="install uninstall status"),
    )),
    Command("mcp", "serve coding agents (MCP), or put the server into their configurations", "mcp", (
        arg("action", nargs="?", default="serve", choices=("serve", "install", "uninstall", "list", "hook", "plugin"),
             complete="serve install uninstall list hook plugin",
             help="serve on standard input and output (default); change or list configurations; answer a hook; print "
             "the folder of the Claude Code plugin"),
        arg("clients", nargs="*", metavar="CLIENT", complete="clients",
            help="agents to install for; all that are found if left out"),
        arg("--root", metavar="DIR", type=place, complete="directory",
            help="the repository to search unless an agent names one"),
        arg("--add", action="store_true", help="index the agent's repository if it is not indexed"),
        arg("--manage", action="store_true", help="also offer a tool that adds and re-reads repositories"),
        arg("--http", action="store_true", help="print the configuration of clients that come by HTTP"),
        arg("--dry-run", action="store_true", help="show what would change, and change nothing"),
        arg("--skill", action="store_true", help="also install the skill that says when to use which tool"),
        arg("--guide", metavar="FILE", type=place, complete="file",
            help="also keep a marked block in FILE, such as AGENTS.md"),
    )),
    Command("lsp", "serve editors on standard input and output (LSP)", "mcp", (
        arg("--document-symbols", action="store_true", help="also list the definitions of the open file"),
    )),
    Command("pipe", "answer commands that come on standard input, for programs", "asking.pipe", ()),
    Command("http", "print the link to the page in the browser", "operations", (
        arg("--header", action="store_true", help="print the header that other HTTP clients must send instead"),
    )),
    Command("savings", "show how many tokens the answers to agents saved", "mcp", ()),
    Command("store", "look after the store that daemons share", "shared.store", (
        arg("action", nargs="?", default="status", choices=("status", "setup", "sweep", "migrate"), metavar="ACTION",
            complete="status setup sweep migrate",
            help="status (default): what the store holds; setup: make its tables, as an administrator; sweep: remove "
            "what no daemon needs any more; migrate: copy its vectors to another store"),
        arg("--url", metavar="URL", help="the store (else `shared.url` of the configuration)"),
        arg("--to", metavar="URL", help="migrate: the store that gets the vectors"),
        arg("--pool", metavar="NAME", help="sweep and migrate: only this pool"),
    )),
    Command("push", "give the shared store the vectors of a commit, so that no other daemon embeds it", "shared.push", (
        arg("--commit", default="HEAD", metavar="REV", help="the commit (default HEAD)"),
        arg("--timeout", type=_SECONDS, default=3600.0, metavar="S", help="maximum seconds to wait (default 3600)"),
    )),
    Command("start", "start the daemon in the background", "starting", ()),
    Command("stop", "shut the daemon down", "operations", ()),
    Command("restart", "shut the daemon down and start it again", "starting", ()),
    Command("logs", "show the daemon's log", "starting", (
        arg("-f", "--follow", action="store_true", help="go on with what is added, until Ctrl-C"),
        arg("-n", "--lines", type=number(int, "lines", 0, 1_000_000), default=50, metavar="N",
            help="how many of the last lines (default 50)"),
    )),
    Command("completion", "print a completion script", "completion", (
        arg("shell", nargs="?", choices=("bash", "zsh", "fish"), complete="bash zsh fish", help="for this shell"),
        arg("--values", metavar="WHAT", complete="roots languages kinds clients keys",
            help="print roots, languages, kinds, clients, keys, or the values of a key, one a line, for the scripts"),
    )),
    Command("help", "explain a command", "help", (
        arg("topic", nargs="?", metavar="COMMAND", complete="commands", help="a command; without one, list them"),
    )),
)  # fmt: skip

COLOR = ("auto", "always", "never")
GLOBAL = (
    arg("--socket", metavar="PATH", type=place, complete="file", help="the daemon's socket (else $REGEND_SOCKET)"),
    arg("--json", action="store_true", help="print the daemon's answer as JSON"),
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
    top = top_parser()
    place = _command_place(argv)
    values = top.parse_args(argv[: place + 1])
    if values.version:
        from importlib.metadata import version

        print(f"regenctl {version('regend')}")
        raise SystemExit(0)
    if values.command is None:
        top.error("name a command")
    command = command_named(top, values.command)
    chosen = argparse.Namespace(**{**vars(values), "command": command})
    rest = argv[place + 1 :]
    if command.name == "service":  # It has commands of its own.
        chosen.rest = rest
        return chosen
    parser = command_parser(command)
    if command.module in (asking.MODULE, asking.FZF_MODULE):
        return asking.parse(parser, rest, chosen)
    # Options may stand between the words of `mcp`.
    return parser.parse_intermixed_args(rest, chosen) if command.name == "mcp" else parser.parse_args(rest, chosen)


def top_parser() -> Parser:
    """Return the parser of what stands before the command and of the command's name."""
    top = Parser(
        prog="regenctl",
        usage="regenctl [--socket PATH] [--json] [--color WHEN] COMMAND ...",
        description="Query and control the regend code-search daemon. `regenctl help COMMAND` explains a command.",
        epilog="commands:\n" + "\n".join(f"  {c.name:<11} {c.doc}" for c in COMMANDS),
        formatter_class=_formatter(argparse.RawDescriptionHelpFormatter),
        allow_abbrev=False,
    )
    for argument in GLOBAL:
        top.add_argument(*argument.names, **argument.options)
    top.add_argument("--version", "-V", action="store_true", help="print the version")
    top.add_argument("command", metavar="COMMAND", nargs="?", help="one of the commands below")
    return top


def command_named(top: Parser, name: str) -> Command:
    """Return the command of this name.

    Raises:
        SystemExit: with status 2: there is no such command.
    """
    for command in COMMANDS:
        if command.name == name:
            return command
    return top.error(f"there is no command {name!r}{suggestion(name, (command.name for command in COMMANDS))}")


def _formatter(kind: type[argparse.HelpFormatter]) -> Any:
    """Return the maker of a formatter that knows its width; argparse makes one for each argument, and imports `shutil`
    and all of its compressors to find the width out."""
    try:
        width = os.get_terminal_size(sys.__stdout__.fileno() if sys.__stdout__ else 1).columns
    except (OSError, ValueError):
        width = 80
    asked = os.environ.get("COLUMNS", "")
    return lambda prog: kind(prog, width=(int(asked[:6]) if asked.isdecimal() else 0) or width - 2)


def _command_place(argv: list[str]) -> int:
    """Return the index of the command. argparse could split there itself, but would drop the command's ``--``."""
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        place += 2 if argv[place] in ("--socket", "--color") else 1
    return place


def command_parser(command: Command) -> Parser:
    """Return the parser of one command; it takes the global options too, so that they may follow its name."""
    parser = Parser(
        prog=f"regenctl {command.name}", description=command.doc[0].upper() + command.doc[1:] + ".",
        allow_abbrev=False, formatter_class=_formatter(argparse.HelpFormatter),
    )  # fmt: skip
    for argument in command.arguments:
        parser.add_argument(*argument.names, **argument.options)
    for argument in GLOBAL:
        parser.add_argument(*argument.names, **{**argument.options, "default": argparse.SUPPRESS})
    return parser
