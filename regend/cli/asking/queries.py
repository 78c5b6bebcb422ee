"""Commands that send queries: search, symbols, related, outline."""

from __future__ import annotations

import os
import re
import sys

from regend.cli.asking.here import asked_where, check_indexed, globs_of, shown_path, split_paths, working_directory
from regend.cli.call import absolute, connected, given
from regend.cli.terminal import Style, is_read_by_people, print_json, printable
from regend.errors import RegendError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from regend.cli.asking.formats import Found
    from regend.cli.asking.here import Where

NOTHING_FOUND = 1
"""Exit code of a query that finds nothing, as grep has it."""
MAX_OVERLAY_BYTES = 1_000_000
"""Maximum size of all copies together: a request is one message of at most 1 MiB."""
_USUAL_LINES = 12
_PLACE = re.compile(r"(.+?)(?::(\d+)(?:[-:,]\d+)*:?|#L(\d+)(?:-L?\d+)?|\((\d+)(?:[-,:] ?\d+)*\):?)", re.DOTALL)
_MAX_DIGITS = 30
"""Digits of a line that count: more than the socket takes, and fewer than the thousands that Python refuses to read."""


def run_search(arguments: argparse.Namespace) -> int:
    words, paths = split_paths(arguments.query)
    files = arguments.files or arguments.files_with_matches
    flags = given(sync=arguments.sync or None, explain=arguments.explain or None, files=files or None)
    with connected(arguments) as daemon:
        where = asked_where(arguments, daemon, paths)
        query = _asked(" ".join(words).strip(), arguments)
        answer = daemon.call("search", query=query, **_limits(arguments, where), **_page(arguments), **flags)
    return _show_results(arguments, answer, where)


def _asked(query: str, arguments: argparse.Namespace) -> str:
    """Return the query with what the options say in its own language."""
    if arguments.regex:
        query = "content:/" + re.sub(r"\\.|/", lambda found: "\\/" if found[0] == "/" else found[0], query) + "/"
    query += f" in:{arguments.group}" if arguments.group else ""
    kinds = ",".join(arguments.kind).replace('"', "")
    return f'{query} kind:"{kinds}"' if kinds else query


def run_related(arguments: argparse.Namespace) -> int:
    file, line = split_place(arguments.place)
    place = absolute(file)
    arguments.explain = False
    with connected(arguments) as daemon:
        where = asked_where(arguments, daemon, arguments.paths, beside=place)
        limits = _limits(arguments, where)
        answer = daemon.call("related", file=place, line=line, **limits, **_page(arguments))
    return _show_results(arguments, answer, where)


def run_symbols(arguments: argparse.Namespace) -> int:
    with connected(arguments) as daemon:
        where = asked_where(arguments, daemon, arguments.paths)
        kind = ",".join(arguments.kind) or None
        answer = daemon.call("symbols", name=arguments.name, **_limits(arguments, where), **given(kind=kind))
    none = f"no definition of {printable(arguments.name)} {_named(where)}"
    return _show_listed(arguments, answer, answer["symbols"], none)


def run_outline(arguments: argparse.Namespace) -> int:
    with connected(arguments) as daemon:
        file = absolute(arguments.file)
        check_indexed(file, daemon)
        answer = daemon.call("outline", file=file)
    none = f"no definitions in {printable(shown_path(answer['root'], answer['path'], working_directory()))}"
    return _show_listed(arguments, answer, answer["symbols"], none)


def split_place(place: str) -> tuple[str, int]:
    """Split ``FILE:LINE``, ``FILE:FIRST-LAST`` and the like; a bare ``FILE`` has line 0: the whole file.

    A file that exists is one, also if it is called ``notes (2)``.
    """
    found = _PLACE.fullmatch(place)
    if found is None or os.path.lexists(os.path.expanduser(place)):  # noqa: PTH111 - pathlib is slower.
        return place, 0
    return found[1], max(int((found[2] or found[3] or found[4])[:_MAX_DIGITS]), 1)


def _limits(arguments: argparse.Namespace, where: Where) -> dict[str, Any]:
    globs = globs_of(arguments.glob, where.anchor)
    return given(
        k=arguments.k, root=where.root or None, lang=",".join(arguments.lang) or None, under=where.under or None,
        globs=globs or None,
    )  # fmt: skip


def _page(arguments: argparse.Namespace) -> dict[str, Any]:
    overlays = [overlay for pair in arguments.overlay or () for overlay in _overlays(pair)]
    size_bytes = sum(len(overlay["text"].encode("utf-8", "surrogateescape")) for overlay in overlays)
    if size_bytes > MAX_OVERLAY_BYTES:
        raise RegendError(
            f"The copies given with `--overlay` have {size_bytes:,} bytes, and a request holds about "
            f"{MAX_OVERLAY_BYTES:,}; leave the largest out, or save it."
        )
    lines = arguments.snippet_lines
    if arguments.context is not None and not arguments.budget:
        lines = lines or 1  # The best line, and as many lines as asked for around it.
    elif lines is not None and lines <= _USUAL_LINES:
        lines = None  # The best of the usual ones.
    return given(
        context=arguments.context, offset=arguments.offset, budget=arguments.budget, lines=lines,
        overlays=overlays or None,
    )  # fmt: skip


def _overlays(pair: str) -> list[dict[str, str]]:
    """Read ``FILE=COPY`` as an overlay, the path of FILE and the text of COPY; or ``-`` as those on standard input."""
    if pair == "-":
        return _overlays_of_json(_contents("-"))
    file, equals, copy = pair.rpartition("=")
    if not equals or not file:
        raise RegendError(f"`--overlay {pair}` names no copy; write FILE=COPY, or FILE=- for standard input.")
    return [{"path": absolute(file), "text": _contents(copy).decode("utf-8", "surrogateescape")}]


def _overlays_of_json(data: bytes) -> list[dict[str, str]]:
    import json

    wrong = RegendError('`--overlay -` reads a JSON array of {"path": FILE, "text": TEXT} from standard input.')
    try:
        overlays = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise wrong from error
    if not isinstance(overlays, list):
        raise wrong
    for overlay in overlays:
        if not isinstance(overlay, dict) or not all(isinstance(overlay.get(key), str) for key in ("path", "text")):
            raise wrong
    return [{"path": absolute(overlay["path"]), "text": overlay["text"]} for overlay in overlays]


def _contents(copy: str) -> bytes:
    """Return the bytes of a file, or with ``-`` those of standard input."""
    try:
        if copy == "-":
            return sys.stdin.buffer.read()
        with open(copy, "rb") as stream:  # noqa: PTH123 - pathlib is slower to import.
            return stream.read()
    except OSError as error:
        raise RegendError(f"The copy {copy} cannot be read: {error.strerror}.") from error


def _named(where: Where) -> str:
    """Return where a command asked, for a footer."""
    places = where.under or ((where.root,) if where.root else ())
    if not places:
        return "in all roots"
    names = [printable(os.path.basename(place) or place) for place in places[:3]]  # noqa: PTH119
    return f"in {', '.join(names)}{', …' if len(places) > len(names) else ''}"


def _show_results(arguments: argparse.Namespace, answer: dict[str, Any], where: Where) -> int:
    shown = _format(arguments, people=bool(arguments.budget or arguments.explain))
    notes = list(map(printable, answer["notes"]))
    if arguments.files_with_matches and shown not in ("json", "jsonl"):
        here = working_directory()
        paths = dict.fromkeys(shown_path(r["root"], r["path"], here) for r in answer["results"])
        _write(paths, "\0" if arguments.null else "\n")
    elif shown == "human":
        from regend.cli.asking.page import Room, footer, result_lines

        style, room = Style.of(sys.stdout), Room.of_terminal()
        lines = list(result_lines(answer, arguments, style, room))
        notes.append(footer(answer, _named(where), Style.of(sys.stderr)))
        if not answer["complete"]:
            notes[-1] += f"; {_INCOMPLETE}"
        _for_people(arguments, lines, notes, room.rows)
        return _exit_code(answer["results"], arguments)
    elif shown in ("json", "jsonl"):
        _print_json(answer, answer["results"], shown)
        return _exit_code(answer["results"], arguments)
    else:
        from regend.cli.asking.formats import results_found

        _print_places(arguments, results_found(answer, arguments), shown)
    _say([*notes, *([] if answer["complete"] else [_INCOMPLETE])])
    return _exit_code(answer["results"], arguments)


_INCOMPLETE = "the index is not complete yet, see `regenctl status`"


def _exit_code(found: Sequence[object], arguments: argparse.Namespace) -> int:
    return 0 if found or arguments.offset else NOTHING_FOUND  # After the last page there is nothing more to show.


def _show_listed(
    arguments: argparse.Namespace, answer: dict[str, Any], symbols: Sequence[dict[str, Any]], none: str
) -> int:
    """Show definitions: the answer of `symbols` or of `outline`."""
    shown = _format(arguments)
    in_file = "path" in answer
    if shown in ("json", "jsonl"):
        place = {"root": answer["root"], "path": answer["path"]} if in_file else {}
        _print_json(answer, [{**place, **symbol} for symbol in symbols], shown)
        return 0 if symbols else NOTHING_FOUND
    notes = [] if symbols else [none]
    if not answer["complete"]:
        notes.append(_INCOMPLETE)
    if shown == "human":
        from regend.cli.asking.page import Room, outline_lines, symbol_lines

        style = Style.of(sys.stdout)
        lines = list((outline_lines if in_file else symbol_lines)(answer, style)) if symbols else []
        _for_people(arguments, lines, notes, Room.of_terminal().rows)
    else:
        from regend.cli.asking.formats import outline_found, symbols_found

        _print_places(arguments, (outline_found if in_file else symbols_found)(answer), shown)
        _say(notes)
    return 0 if symbols else NOTHING_FOUND


def _format(arguments: argparse.Namespace, people: bool = False) -> str:
    """Return how to print: as the command line says, else for people on a terminal and for programs elsewhere.

    Args:
        people: what was asked for is for reading only.
    """
    if arguments.json or arguments.format == "json":
        arguments.json = True  # Errors, too.
        return "json"
    return arguments.format or ("human" if people or is_read_by_people(sys.stdout) else "grep")


def _print_json(answer: dict[str, Any], items: Iterable[dict[str, Any]], shown: str) -> None:
    if shown == "json":
        print_json(answer)
    else:
        for item in items:
            print_json(item)


def _print_places(arguments: argparse.Namespace, places: Iterator[Found], shown: str) -> None:
    from regend.cli.asking.formats import grep_lines, vimgrep_lines

    lines: Callable[[Iterable[Found], bool], Iterator[str]] = vimgrep_lines if shown == "vimgrep" else grep_lines
    _write(lines(places, arguments.null), "\n")


def _write(lines: Iterable[str], end: str) -> None:
    """Write lines to standard output: byte for byte, but without what could control a terminal if that is one."""
    text = printable if sys.stdout.isatty() and end == "\n" else str
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(encoding="utf-8", errors="surrogateescape")  # PYTHONIOENCODING may name another one.
    for line in lines:
        sys.stdout.write(text(line) + end)


def _for_people(arguments: argparse.Namespace, lines: list[str], notes: list[str], rows: int) -> None:
    """Print a page, and notes below it; through a pager if the screen is too small for it."""
    from regend.cli.asking.pager import page, pager_of

    paged = is_read_by_people(sys.stdout) and not arguments.no_pager and os.environ.get("TERM", "dumb") != "dumb"
    if paged and len(lines) + len(notes) > max(1, rows - 1):
        command = pager_of(os.environ)
        if command and page([*lines, "", *notes], command):
            return
    for line in lines:
        print(line)
    _say(notes)


def _say(notes: Iterable[str]) -> None:
    """Print notes to standard error, below what is printed already."""
    sys.stdout.flush()
    for note in notes:
        print(note, file=sys.stderr)
