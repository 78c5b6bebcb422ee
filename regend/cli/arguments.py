"""The command line of `regenctl`: one table of commands, from which the parser, the help and the completions come.

Only the parser of the command that is called gets built, because argparse is a good part of the start-up time.
"""

from __future__ import annotations

import argparse
import re
from collections import namedtuple

from regend.limits import MAX_BUDGET_TOKENS, MAX_CONTEXT_LINES, MAX_OFFSET, MAX_RESULTS, MIN_BUDGET_TOKENS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NamedTuple

    class Argument(NamedTuple):
        names: tuple[str, ...]
        options: dict[str, Any]
        complete: str

    class Command(NamedTuple):
        name: str
        doc: str
        module: str
        arguments: tuple[Argument, ...]
else:
    Argument = namedtuple("Argument", "names options complete")
    Command = namedtuple("Command", "name doc module arguments")


def _arg(*names: str, complete: str = "", **options: Any) -> Argument:
    """`complete`: what a shell offers for the value: ``file``, ``directory``, words separated by spaces, or nothing."""
    return Argument(names, options, complete)


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def _number(low: int, high: int, what: str) -> Callable[[str], int]:
    def number(text: str) -> int:
        value = int(text)
        if not low <= value <= high:
            raise ValueError
        return value

    number.__name__ = f"number of {what} ({low} to {high})"
    return number


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 3_600:
        raise ValueError
    return value


_EXCLUSION = re.compile(r"-(?:(?:lang|path|kind|root):.+|(?!k\d)[^\W\d]\w{2,})", re.DOTALL)
"""What a query may exclude, see docs/queries.md; our own options with one dash have one letter."""
_count.__name__ = "count"
_seconds.__name__ = "number of seconds (0 to 3600)"

_K = _arg("-k", type=_count, metavar="N", help=f"results at most (1 to {MAX_RESULTS})")
_ROOT = _arg("--root", metavar="DIR", complete="directory", help="only this root")
_PATH = _arg("--path", metavar="GLOB", help="only paths that match, such as 'src/**/*.py'")
_LANG = _arg("--lang", metavar="NAME", help="only this language, such as python")
_CONTEXT = _arg(
    "--context",
    type=_number(0, MAX_CONTEXT_LINES, "lines"),
    metavar="N",
    help="lines of the file to show before and after each snippet",
)
_OFFSET = _arg(
    "--offset", type=_number(0, MAX_OFFSET, "results"), metavar="N", help="leave out the first N results: the next page"
)
_BUDGET = _arg(
    "--budget",
    type=_number(MIN_BUDGET_TOKENS, MAX_BUDGET_TOKENS, "tokens"),
    metavar="TOKENS",
    help="pack the best passages into so many tokens, by file",
)
_OVERLAY = _arg(
    "--overlay", action="append", metavar="FILE=COPY", complete="file",
    help="take the text of COPY (- is standard input) for FILE, which is not saved yet",
)  # fmt: skip
_DIRECTORY = _arg("directory", metavar="DIR", complete="directory", help="a root")

COMMANDS = (
    Command("search", "find code by words and by meaning", "queries", (
        _arg("query", nargs="+", metavar="QUERY", help="words, an identifier, or a question"),
        _K, _ROOT, _PATH, _LANG,
        _arg("--sync", action="store_true", help="see every write that finished before"),
        _arg("--explain", action="store_true", help="show what each ranking feature and each stage contributed"),
        _arg("--files", action="store_true", help="one result per file, ranked as a whole"),
        _CONTEXT, _OFFSET, _BUDGET, _OVERLAY,
    )),
    Command("symbols", "find definitions by name", "queries", (
        _arg("name", metavar="NAME", help="a name, or a dotted end of a qualified name"), _K, _ROOT, _PATH, _LANG,
    )),
    Command("related", "find code like the code at a line, or files like a file", "queries", (
        _arg("place", metavar="FILE[:LINE]", complete="file", help="a file, or a line in it"),
        _K, _ROOT, _PATH, _LANG, _CONTEXT, _OFFSET, _BUDGET, _OVERLAY,
    )),
    Command("outline", "list a file's definitions", "queries", (_arg("file", metavar="FILE", complete="file"),)),
    Command("status", "say what is indexed, what is not and why", "status", (
        _arg("--watch", action="store_true", help="keep showing it, with progress bars, until Ctrl-C"),
    )),
    Command("flush", "wait until every earlier write is searchable", "operations", (
        _arg("--timeout", type=_seconds, default=60.0, metavar="S", help="seconds to wait at most (default 60)"),
    )),
    Command("sync", "wait until every earlier write is searchable by words", "operations", (
        _arg("--timeout", type=_seconds, default=5.0, metavar="S", help="seconds to wait at most (default 5)"),
    )),
    Command("add", "add a root and index it", "roots", (
        _arg("directory", metavar="DIR", complete="directory", help="a git worktree or a plain folder"),
        _arg("--force", action="store_true", help="although it looks unsuited, such as a home directory"),
    )),
    Command("remove", "remove a root", "roots", (
        _DIRECTORY,
        _arg("--forget", action="store_true", help="and every byte of what only it used from the disk"),
    )),
    Command("list", "list roots, or the files of one", "roots", (
        _arg("--files", metavar="ROOT", complete="directory", help="list this root's files"),
        _arg("--state", choices=("indexed", "skipped"), complete="indexed skipped", help="only files in this state"),
    )),
    Command("reindex", "read every file of a root again", "roots", (_DIRECTORY,)),
    Command("pause", "stop indexing; queries go on", "operations", ()),
    Command("resume", "index again", "operations", ()),
    Command("why", "say whether a file is indexed, and if not, why", "roots", (
        _arg("file", metavar="FILE", complete="file"),
    )),
    Command("doctor", "check the installation and this machine", "operations", (
        _arg("--verify", action="store_true", help="compare the index with the disk too, and repair what differs"),
    )),
    Command("config", "show the effective configuration", "operations", ()),
    Command("service", "run the daemon as a service of your login session", "operations", (
        _arg("rest", nargs=argparse.REMAINDER, metavar="install|uninstall|status", complete="install uninstall status"),
    )),
    Command("stop", "shut the daemon down", "operations", ()),
    Command("completion", "print a completion script", "completion", (
        _arg("shell", choices=("bash", "zsh", "fish"), complete="bash zsh fish", help="for this shell"),
    )),
)  # fmt: skip

GLOBAL = (
    _arg("--socket", metavar="PATH", complete="file", help="the daemon's socket (else $REGEND_SOCKET)"),
    _arg("--json", action="store_true", help="print the daemon's answer as JSON (docs/rpc.md)"),
)  # fmt: skip


def parse(argv: list[str]) -> argparse.Namespace:
    """Parse a command line; the result has `socket`, `json`, `command` (a `Command`) and the command's own arguments.

    Raises:
        SystemExit: with status 2 for a wrong command line, 0 after `--help` or `--version`.
    """
    top = argparse.ArgumentParser(
        prog="regenctl",
        usage="regenctl [--socket PATH] [--json] COMMAND ...",
        description="Ask and look after the regend code-search daemon.",
        epilog="commands:\n" + "\n".join(f"  {c.name:<11} {c.doc}" for c in COMMANDS),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for argument in GLOBAL:
        top.add_argument(*argument.names, **argument.options)
    top.add_argument("--version", action="store_true", help="print the version")
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
    chosen = argparse.Namespace(socket=values.socket, json=values.json, command=command)
    rest = argv[place + 1 :]
    if command.name == "search":
        # argparse would take `-path:tests/**` and `-mock` for options; with a space in front it does not.
        rest = [f" {word}" if _EXCLUSION.fullmatch(word) else word for word in rest]
    return parser.parse_args(rest, chosen)


def _command_place(argv: list[str]) -> int:
    """Index of the command. argparse could hand on the rest by itself, but would swallow the command's ``--``."""
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        place += 2 if argv[place] == "--socket" else 1
    return place


def command_parser(command: Command) -> argparse.ArgumentParser:
    """The parser of one command; it takes the global options too, so that they may stand on either side."""
    takes_all = command.name == "service"
    parser = argparse.ArgumentParser(
        prog=f"regenctl {command.name}", description=command.doc[0].upper() + command.doc[1:] + ".",
        allow_abbrev=False, add_help=not takes_all,
    )  # fmt: skip
    for argument in command.arguments:
        parser.add_argument(*argument.names, **argument.options)
    if not takes_all:
        for argument in GLOBAL:
            parser.add_argument(*argument.names, **{**argument.options, "default": argparse.SUPPRESS})
    return parser
