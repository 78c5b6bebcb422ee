"""Commands about roots and their files: add, remove, list, reindex, why."""

from __future__ import annotations

import sys

from regend.cli.call import absolute, call, client
from regend.cli.terminal import Style, columns, print_json, printable, say, show
from regend.errors import count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

PAGE_FILES = 5_000
"""Maximum files in one page of the daemon's answer."""


def run_add(arguments: argparse.Namespace) -> int:
    named = absolute(arguments.directory)
    answer = call(arguments, "add", path=named, force=arguments.force)
    # A root is a directory, not a name: what a link leads to later is another root.
    linked = "" if answer["root"] == named else f", to which {named} leads now"
    return say(arguments, answer, f"added {answer['root']}{linked}; see `regenctl status --watch`")


def run_remove(arguments: argparse.Namespace) -> int:
    answer = call(arguments, "remove", path=absolute(arguments.directory), forget=arguments.forget)
    kept = "; nothing of it is left on disk" if arguments.forget else ""
    return say(arguments, answer, f"removed {answer['root']}{kept}")


def run_reindex(arguments: argparse.Namespace) -> int:
    answer = call(arguments, "reindex", path=absolute(arguments.directory))
    return say(arguments, answer, f"reading {answer['root']} again; see `regenctl status --watch`")


def run_list(arguments: argparse.Namespace) -> int:
    if not arguments.files:
        return show(arguments, call(arguments, "list"), _root_lines)
    if arguments.json:
        print_json({"files": list(_files(arguments)), "next": ""})
        return 0
    style = Style.of(sys.stdout)
    for file in _files(arguments):
        print(_file_line(file, style))
    return 0


def _root_lines(answer: dict[str, Any], style: Style) -> list[str]:
    rows = [(printable(r["path"]), r["state"], count_text(r["files_indexed"], "file")) for r in answer["roots"]]
    return columns(rows, right=frozenset({2})) or ["no roots; add one with `regenctl add DIR`"]


def run_why(arguments: argparse.Namespace) -> int:
    return show(arguments, call(arguments, "why", file=absolute(arguments.file)), _why_lines)


def _why_lines(answer: dict[str, Any], style: Style) -> Iterator[str]:
    colour = {"indexed": "green", "pending": "cyan"}.get(answer["state"], "yellow")
    place = f"{answer['root']}/{answer['path']}" if answer["root"] else answer["path"]
    yield f"{style(printable(place), 'magenta')}: {style(answer['state'], colour, 'bold')}"
    if answer["reason"]:
        yield f"  {printable(answer['reason'])}"
    if rule := answer["rule"]:
        line = f":{rule['line']}" if rule["line"] else ""
        yield f"  rule {style(printable(rule['pattern']), 'bold')} in {printable(rule['source'])}{line}"
    if answer["state"] == "indexed":
        yield f"  {answer['language']}, {count_text(answer['chunks'], 'chunk')}"
    if answer["degraded"] == "generated":
        yield "  generated: ranked behind what is written by hand"
    elif answer["degraded"]:
        yield f"  chunked by lines: {printable(answer['degraded'])}"


def _files(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Yield the files of all pages."""
    root, state, after = absolute(arguments.files), arguments.state or "", ""
    with client(arguments) as daemon:
        while True:
            page = daemon.call("files", root=root, state=state, limit=PAGE_FILES, after=after)
            yield from page["files"]
            if not (after := page["next"]):
                return


def _file_line(file: dict[str, Any], style: Style) -> str:
    if file["state"] == "skipped":
        return f"{printable(file['path'])}  {style('skipped: ' + printable(file['reason']), 'yellow')}"
    note = f", {file['reason']}" if file["reason"] else ""
    detail = f"{file['language']}, {count_text(file['chunks'], 'chunk')}{note}"
    return f"{printable(file['path'])}  {style(detail, 'dim')}"
