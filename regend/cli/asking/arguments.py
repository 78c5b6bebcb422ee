"""The arguments of the commands that ask: search, symbols, related, outline."""

from __future__ import annotations

import re

from regend import limits
from regend.cli.argument import arg, number, place, stated

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse

MODULE = "asking.queries"
"""The module that runs them, in `regend.cli`."""
FZF_MODULE = "asking.fzf"
"""The module that runs `fzf`."""
FORMATS = ("human", "grep", "vimgrep", "json", "jsonl")

_COUNT = number(int, "results", 1, limits.MAX_RESULTS)
_LINES = number(int, "lines", 0, limits.MAX_CONTEXT_LINES)
_SHOWN = number(int, "lines", 1, limits.MAX_CONTEXT_LINES)
_SKIPPED = number(int, "results", 0, limits.MAX_OFFSET)
_TOKENS = number(int, "tokens", limits.MIN_BUDGET_TOKENS, limits.MAX_BUDGET_TOKENS)
_GUARD = "\0"
_SEARCH = "regenctl search"
_EXCLUSION = re.compile(
    r"-(?:(?:lang|path|kind|root|file|f|repo|r|sym|in|content|case):.+|(?![lv0]*[knC]\d+$)[^\W\d]\w{2,})", re.DOTALL
)
"""Exclusion in a query, see docs/queries.md; our own options with one dash have one letter."""

_WHERE = (
    arg("--all", action="store_true", help="ask all roots instead of the repository around the working directory"),
    arg(
        "--root", metavar="NAME|DIR", type=place, complete="roots",
        help="ask this root: its name, or a directory in it",
    ),
    arg(
        "--glob", "-g", "--path", action="append", default=[], metavar="GLOB", complete="file",
        help="only paths that match, such as 'src/**/*.py', or with ! in front none of them; may be repeated",
    ),
    arg(
        "--lang", "-t", "--type", action="append", default=[], type=stated("name a language, such as python"),
        metavar="NAME", complete="languages", help="only this language, such as python; may be repeated",
    ),
)  # fmt: skip
_KIND = arg(
    "--kind", action="append", default=[], type=stated("name a kind, such as function"),
    metavar="KIND", complete="kinds", help="only this kind of definition, such as function; may be repeated",
)  # fmt: skip
_PATHS = arg(
    "paths", nargs="*", default=[], metavar="PATH", complete="file", help="only what lies in this file or directory"
)  # fmt: skip
_K = arg("-k", "-n", type=_COUNT, metavar="N", help=f"maximum number of results (1 to {limits.MAX_RESULTS})")
_FORMAT = (
    arg(
        "--format", choices=FORMATS, complete=" ".join(FORMATS),
        help="how to print; for people on a terminal, else path:line:text as grep does",
    ),
    arg("--vimgrep", action="store_const", dest="format", const="vimgrep", help="the same as --format vimgrep"),
    arg("--null", "-0", action="store_true", help="print a NUL byte after each path instead of its colon or newline"),
)  # fmt: skip
_SHOW = (
    arg("--context", "-C", type=_LINES, metavar="N", help="show the best line and N lines of the file on either side"),
    arg("--snippet-lines", type=_SHOWN, metavar="N", help="show the best N lines of each result"),
    arg("--verbose", "-v", action="store_true", help="show whole snippets, long lines, and places with the same text"),
    arg("--files-with-matches", "-l", action="store_true", help="print only the path of each file, best first"),
)
_PAGE = (
    arg("--offset", type=_SKIPPED, metavar="N", help="skip the first N results, to see the next page"),
    arg(
        "--budget", type=_TOKENS, metavar="TOKENS",
        help="pack the best passages into this many tokens, file by file",
    ),
    arg(
        "--overlay", action="append", metavar="FILE=COPY", complete="file",
        help="search the unsaved text in COPY (- is standard input) instead of FILE; a mere - reads several as JSON",
    ),
)  # fmt: skip

SEARCH = (
    arg(
        "query", nargs="+", metavar="QUERY", complete="|file",
        help="words, an identifier, or a question; behind it, files and directories to search in",
    ),
    _K, *_WHERE, _KIND,
    arg("--sync", action="store_true", help="include every write that finished before this command"),
    arg("--explain", action="store_true", help="show what each ranking feature and each stage contributed"),
    arg("--files", action="store_true", help="one result per file, ranked as a whole"),
    arg("--regex", action="store_true", help="QUERY is a regular expression (RE2 syntax) for the text of a chunk"),
    arg("--code", dest="group", action="store_const", const="code", help="only code"),
    arg("--docs", dest="group", action="store_const", const="docs", help="only documents"),
    arg("--config", dest="group", action="store_const", const="config", help="only settings and data"),
    *_SHOW, *_FORMAT, *_PAGE,
)  # fmt: skip
SYMBOLS = (
    arg("name", metavar="NAME", help="a name, or a dotted end of a qualified name"), _PATHS, _K, *_WHERE, _KIND,
    *_FORMAT,
)  # fmt: skip
RELATED = (
    arg("place", metavar="FILE[:LINE]", complete="file", help="a file, or a line in it"), _PATHS,
    _K, *_WHERE, *_SHOW, *_FORMAT, *_PAGE,
)  # fmt: skip
OUTLINE = (arg("file", metavar="FILE", complete="file"), *_FORMAT)

FZF = (
    arg("query", nargs="*", metavar="QUERY", help="the words to begin with"),
    _K, *_WHERE,
    arg("--print", action="store_true", help="print path:line of the choice instead of opening it in $EDITOR"),
    arg("--list", action="store_true", help="print the results in the form that fzf reads here, and end"),
)  # fmt: skip


def parse(parser: argparse.ArgumentParser, words: list[str], values: argparse.Namespace) -> argparse.Namespace:
    """Parse the words behind a command; options may stand before, between and behind the others.

    argparse itself could do the latter, but formats a help page for it at each start. It would take an exclusion
    (`-path:tests/**`, `-mock`) for an option, too; such words get a first character that no argument has.
    """
    options: list[str] = []
    others: list[str] = []
    left = iter(words)
    for word in left:
        if word == "--":
            others += left
        elif word in ("", "-") or word[0] != "-" or (parser.prog == _SEARCH and _EXCLUSION.fullmatch(word)):
            others.append(word)
        else:
            options.append(word)
            if _takes_next(word, parser):
                if (value := next(left, None)) is None:  # argparse would take the first of the other words.
                    parser.error(f"argument {word}: expected one argument")
                options.append(value)
    parsed = parser.parse_args(options + [_GUARD + word for word in others], values)
    for name, value in vars(parsed).items():
        if isinstance(value, str):
            setattr(parsed, name, value.removeprefix(_GUARD))
        elif isinstance(value, list):
            setattr(parsed, name, [word.removeprefix(_GUARD) for word in value])
    return parsed


def _takes_next(word: str, parser: argparse.ArgumentParser) -> bool:
    """Return whether the next word is the value of an option; in `-lC 2` the last letter decides."""
    flags = {name: action.nargs != 0 for action in parser._actions for name in action.option_strings}
    if word.startswith("--"):
        return flags.get(word, False)
    letters = [f"-{letter}" for letter in word[1:]]
    valued = next((place for place, name in enumerate(letters) if flags.get(name, False)), None)
    return valued is not None and valued == len(letters) - 1
