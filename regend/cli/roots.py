"""Commands about roots and their files: add, remove, list, reindex, why."""

from __future__ import annotations

import sys
from time import sleep

from regend.cli.call import absolute, call, client, connected
from regend.cli.progress import INTERVAL_S, Progress, is_busy
from regend.cli.terminal import Style, columns, print_json, printable, say, show
from regend.errors import RootError, count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from regend.rpc.client import Client

PAGE_FILES = 5_000
"""Maximum files in one page of the daemon's answer."""
SAMPLED_NAMES = 12
"""Names at the top of an empty root for which the daemon is asked why they are not indexed."""


def run_add(arguments: argparse.Namespace) -> int:
    """Add directories, and wait until their files are searchable unless told not to."""
    named = [absolute(directory) for directory in arguments.directory or ["."]]
    with connected(arguments) as daemon:
        known = {root["path"] for root in daemon.call("list")["roots"]}
        answers = [daemon.call("add", path=path, force=arguments.force) for path in named]
        roots = list(dict.fromkeys(answer["root"] for answer in answers))
        status = daemon.call("status") if arguments.no_wait else _wait_until_read(daemon, roots)
    if arguments.json:
        for answer in answers:
            print_json(answer)
        return 0
    states = {root["path"]: root for root in status["roots"]}
    for path, answer in zip(named, answers, strict=True):
        # A root is a directory, not a name: what a link leads to later is another root.
        root = answer["root"]
        linked = "" if root == path else f", to which {path} leads now"
        verb = "already added:" if root in known else "added"
        state = states.get(root)
        nested = "" if root in known else nested_text(root, states)
        known.add(root)
        print(printable(f"{verb} {root}{linked}; {_progress_text(state, arguments.no_wait)}"))
        if state and state["files_indexed"] == 0 and not is_busy(state) and (reason := empty_reason(arguments, root)):
            print(f"  {reason}")
        if nested:
            print(f"note: {printable(nested)}", file=sys.stderr)
    return 0


def _wait_until_read(daemon: Client, roots: list[str]) -> dict[str, Any]:
    """Return the status when no file of these roots is still to be read."""
    with Progress(roots) as progress:
        while True:
            status = daemon.call("status")
            if not any(is_busy(root) for root in status["roots"] if root["path"] in roots):
                return status
            progress.update(status)
            sleep(INTERVAL_S)


def _progress_text(state: dict[str, Any] | None, no_wait: bool) -> str:
    if state is None:
        return "another command has removed it"
    if no_wait and is_busy(state):
        return "see `regenctl status --watch`"
    text = f"{count_text(state['files_indexed'], 'file')}, searchable now"
    if state["state"] == "paused":
        text += "; indexing is paused, see `regenctl resume`"
    return text


def nested_text(root: str, states: dict[str, Any]) -> str:
    """Return a sentence on the other roots that hold this one or lie in it; empty where no root does."""
    others = [other for other in states if other != root]
    outer = [other for other in others if root.startswith(other.rstrip("/") + "/")]
    inner = [other for other in others if other.startswith(root.rstrip("/") + "/")]
    if not outer and not inner:
        return ""
    said = f"{root} lies in the root {outer[-1]}" if outer else f"{root} holds the root {inner[0]}"
    return f"{said}; a file of both is indexed twice and found once, so one of the two is enough."


def empty_reason(arguments: argparse.Namespace, root: str) -> str:
    """Say which rule leaves out everything in a root without any file, as far as its first names show."""
    import os

    try:
        names = sorted(os.listdir(root), key=lambda name: (name.startswith("."), name))  # noqa: PTH208
    except OSError:
        return ""
    if not names:
        return "the directory is empty"
    found: dict[str, int] = {}
    with client(arguments) as daemon:
        for name in names[:SAMPLED_NAMES]:
            answer = daemon.call("why", file=f"{root}/{name}")
            if answer["state"] == "ignored" and answer["rule"] and not name.startswith(".git"):
                rule = answer["rule"]
                line = f":{rule['line']}" if rule["line"] else ""
                text = f"`{printable(rule['pattern'])}` in {printable(rule['source'])}{line}"
                found[text] = found.get(text, 0) + 1
    if not found:
        return ""
    return f"nothing is indexed: {max(found, key=lambda text: found[text])} leaves out everything"


def run_remove(arguments: argparse.Namespace) -> int:
    root = root_named(arguments, arguments.directory)
    answer = call(arguments, "remove", path=root, forget=arguments.forget)
    kept = "; nothing of it is left on disk" if arguments.forget else ""
    return say(arguments, answer, f"removed {answer['root']}{kept}")


def run_reindex(arguments: argparse.Namespace) -> int:
    answer = call(arguments, "reindex", path=root_named(arguments, arguments.directory), mode=arguments.mode)
    return say(arguments, answer, f"reading {answer['root']} again; see `regenctl status --watch`")


def root_named(arguments: argparse.Namespace, text: str) -> str:
    """Return the path of the root that a path or the last part of a path names.

    A root that is gone has no directory any more, so its path is not looked up here; the daemon knows it.

    Raises:
        RootError: several roots have this name.
    """
    path = absolute(text)
    if "/" in text or text in (".", ".."):
        return path
    roots: list[str] = [root["path"] for root in call(arguments, "list")["roots"]]
    named = [root for root in roots if root.rpartition("/")[2] == text]
    if path in roots or not named:
        return path
    if len(named) > 1:
        raise RootError(f"{text} may be {' or '.join(named)}; give the whole path.")
    return named[0]


def run_list(arguments: argparse.Namespace) -> int:
    if not arguments.files:
        if arguments.state:
            raise RootError("`--state` chooses files; name their root with `--files ROOT`.")
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
    root, state, after = root_named(arguments, arguments.files), arguments.state or "", ""
    with connected(arguments) as daemon:
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
