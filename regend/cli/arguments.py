"""The command line of `regenctl`: one table of commands, the source of the parser, the help and the completions.

Only the parser of the called command is built, because argparse takes a large part of the start-up time.
"""

from __future__ import annotations

import argparse
import re
from collections import namedtuple

from regend import limits

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
    """Declare an argument; `complete` says what a shell offers for it: ``file``, ``directory``, words, or nothing."""
    return Argument(names, options, complete)


def _number(kind: type, what: str, low: int, high: float) -> Callable[[str], Any]:
    """Return a parser of numbers; argparse quotes its name when a number is wrong."""

    def parse_number(text: str) -> Any:
        value = kind(text)
        if not low <= value <= high:
            raise ValueError
        return value

    parse_number.__name__ = f"number of {what} ({low} to {high:g})"
    return parse_number


_COUNT = _number(int, "results", 1, limits.MAX_RESULTS)
_LINES = _number(int, "lines", 0, limits.MAX_CONTEXT_LINES)
_SKIPPED = _number(int, "results", 0, limits.MAX_OFFSET)
_TOKENS = _number(int, "tokens", limits.MIN_BUDGET_TOKENS, limits.MAX_BUDGET_TOKENS)
_SECONDS = _number(float, "seconds", 0, limits.MAX_WAIT_S)
_EXCLUSION = re.compile(r"-(?:(?:lang|path|kind|root):.+|(?!k\d)[^\W\d]\w{2,})", re.DOTALL)
"""Exclusion in a query, see docs/queries.md; our own options with one dash have one letter."""

_K = _arg("-k", type=_COUNT, metavar="N", help=f"maximum number of results (1 to {limits.MAX_RESULTS})")
_ROOT = _arg("--root", metavar="DIR", complete="directory", help="only this root")
_PATH = _arg("--path", metavar="GLOB", help="only paths that match, such as 'src/**/*.py'")
_LANG = _arg("--lang", metavar="NAME", help="only this language, such as python")
_CONTEXT = _arg("--context", type=_LINES, metavar="N", help="lines of the file to show before and after each snippet")
_OFFSET = _arg("--offset", type=_SKIPPED, metavar="N", help="skip the first N results, to see the next page")
_BUDGET = _arg(
    "--budget", type=_TOKENS, metavar="TOKENS", help="pack the best passages into this many tokens, file by file"
)
_OVERLAY = _arg(
    "--overlay", action="append", metavar="FILE=COPY", complete="file",
    help="search the unsaved text in COPY (- is standard input) instead of FILE",
)  # fmt: skip
_DIRECTORY = _arg("directory", metavar="DIR", complete="directory", help="a root")

COMMANDS = (
    Command("search", "find code by words and by meaning", "queries", (
        _arg("query", nargs="+", metavar="QUERY", help="words, an identifier, or a question"),
        _K, _ROOT, _PATH, _LANG,
        _arg("--sync", action="store_true", help="include every write that finished before this command"),
        _arg("--explain", action="store_true", help="show what each ranking feature and each stage contributed"),
        _arg("--files", action="store_true", help="one result per file, ranked as a whole"),
        _arg("--regex", action="store_true", help="QUERY is a regular expression (RE2 syntax) for the text of a chunk"),
        _arg("--code", dest="group", action="store_const", const="code", help="only code"),
        _arg("--docs", dest="group", action="store_const", const="docs", help="only documents"),
        _arg("--config", dest="group", action="store_const", const="config", help="only settings and data"),
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
    Command("status", "show what is indexed, what is not and why", "operations", (
        _arg("--watch", action="store_true", help="update it live, with progress bars, until Ctrl-C"),
    )),
    Command("flush", "wait until every earlier write is searchable", "operations", (
        _arg("--timeout", type=_SECONDS, default=60.0, metavar="S", help="maximum seconds to wait (default 60)"),
    )),
    Command("sync", "wait until every earlier write is searchable by words", "operations", (
        _arg("--timeout", type=_SECONDS, default=5.0, metavar="S", help="maximum seconds to wait (default 5)"),
    )),
    Command("add", "add a root and index it", "roots", (
        _arg("directory", metavar="DIR", complete="directory", help="a git worktree or a plain folder"),
        _arg("--force", action="store_true", help="add it even if it looks unsuited, such as a home directory"),
    )),
    Command("remove", "remove a root", "roots", (
        _DIRECTORY,
        _arg("--forget", action="store_true", help="also delete everything that only this root used"),
    )),
    Command("list", "list roots, or the files of one", "roots", (
        _arg("--files", metavar="ROOT", complete="directory", help="list this root's files"),
        _arg("--state", choices=("indexed", "skipped"), complete="indexed skipped", help="only files in this state"),
    )),
    Command("reindex", "read every file of a root again", "roots", (_DIRECTORY,)),
    Command("pause", "stop indexing; queries are still answered", "operations", ()),
    Command("resume", "resume indexing", "operations", ()),
    Command("why", "say whether a file is indexed, and if not, why", "roots", (
        _arg("file", metavar="FILE", complete="file"),
    )),
    Command("doctor", "check the installation and this machine", "operations", (
        _arg("--verify", action="store_true", help="also compare the index with the disk, and repair differences"),
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
        description="Query and control the regend code-search daemon.",
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
        # argparse would take `-path:tests/**` and `-mock` for options; a leading space prevents that.
        rest = [f" {word}" if _EXCLUSION.fullmatch(word) else word for word in rest]
    return parser.parse_args(rest, chosen)


def _command_place(argv: list[str]) -> int:
    """Return the index of the command. argparse could split there itself, but would drop the command's ``--``."""
    place = 0
    while place < len(argv) and argv[place].startswith("-"):
        place += 2 if argv[place] == "--socket" else 1
    return place


def command_parser(command: Command) -> argparse.ArgumentParser:
    """Return the parser of one command; it takes the global options too, so that they may follow its name."""
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
