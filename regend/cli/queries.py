"""Commands that send queries: search, symbols, related, outline."""

from __future__ import annotations

import re
import sys

from regend.cli.call import absolute, call, given
from regend.cli.terminal import columns, printable, show
from regend.errors import RegendError, count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from regend.cli.terminal import Style

NOTHING_FOUND = 1
"""Exit code of a query that finds nothing, as grep has it."""
_NAMED_COPIES = 3
_PLACE = re.compile(r"(.+?)(?::(\d+)(?:[-:,]\d+)*:?|#L(\d+)(?:-L?\d+)?|\((\d+)(?:[-,:] ?\d+)*\):?)", re.DOTALL)
MAX_OVERLAY_BYTES = 1_000_000
"""Maximum size of all copies together: a request is one message of at most 1 MiB."""


def _exit_code(found: object) -> int:
    return 0 if found else NOTHING_FOUND


def run_search(arguments: argparse.Namespace) -> int:
    query = " ".join(arguments.query).strip()
    if arguments.regex:
        query = "content:/" + re.sub(r"\\.|/", lambda found: "\\/" if found[0] == "/" else found[0], query) + "/"
    if arguments.group:
        query += f" in:{arguments.group}"
    flags = given(sync=arguments.sync or None, explain=arguments.explain or None, files=arguments.files or None)
    answer = call(arguments, "search", query=query, **_filters(arguments), **_page(arguments), **flags)
    show(arguments, answer, _result_lines)
    return _exit_code(answer["results"] or arguments.offset)  # After the last page there is nothing more to show.


def run_related(arguments: argparse.Namespace) -> int:
    file, line = split_place(arguments.place)
    answer = call(arguments, "related", file=absolute(file), line=line, **_filters(arguments), **_page(arguments))
    show(arguments, answer, _result_lines)
    return _exit_code(answer["results"] or arguments.offset)  # After the last page there is nothing more to show.


def run_symbols(arguments: argparse.Namespace) -> int:
    def lines(answer: dict[str, Any], style: Style) -> Iterator[str]:
        if not answer["symbols"]:
            yield style(f"no definition of {printable(arguments.name)}", "dim")
        for symbol in answer["symbols"]:
            place = style(printable(f"{symbol['root']}/{symbol['path']}"), "magenta") + _span(symbol, style)
            yield f"{place}  {style(printable(symbol['kind']), 'dim')} {style(printable(symbol['qualified']), 'cyan')}"

    answer = call(arguments, "symbols", name=arguments.name, **_filters(arguments))
    show(arguments, answer, lines)
    return _exit_code(answer["symbols"])


def run_outline(arguments: argparse.Namespace) -> int:
    return show(arguments, call(arguments, "outline", file=absolute(arguments.file)), _outline_lines)


def _outline_lines(answer: dict[str, Any], style: Style) -> Iterator[str]:
    place = printable(f"{answer['root']}/{answer['path']}")
    yield f"{style(place, 'magenta')} {style(answer['language'], 'dim')}"
    rows: list[tuple[str, str, str]] = []
    enclosing: list[int] = []
    for symbol in answer["symbols"]:
        first, last = symbol["start_line"], symbol["end_line"]
        while enclosing and enclosing[-1] < first:
            enclosing.pop()
        rows.append((f"{first}-{last}", symbol["kind"], "  " * len(enclosing) + printable(symbol["name"])))
        enclosing.append(last)
    for line in columns(rows, right=frozenset({0})):
        yield f"  {line}"
    if not rows:
        yield style("  no definitions", "dim")


def split_place(place: str) -> tuple[str, int]:
    """Split ``FILE:LINE``, ``FILE:FIRST-LAST`` and the like; a bare ``FILE`` has line 0: the whole file."""
    found = _PLACE.fullmatch(place)
    if found is None:
        return place, 0
    return found[1], max(int(found[2] or found[3] or found[4]), 1)


def _page(arguments: argparse.Namespace) -> dict[str, Any]:
    overlays = [_overlay(pair) for pair in arguments.overlay or ()]
    size_bytes = sum(len(overlay["text"].encode("utf-8", "surrogateescape")) for overlay in overlays)
    if size_bytes > MAX_OVERLAY_BYTES:
        raise RegendError(
            f"The copies given with `--overlay` have {size_bytes:,} bytes, and a request holds about "
            f"{MAX_OVERLAY_BYTES:,}; leave the largest out, or save it."
        )
    return given(context=arguments.context, offset=arguments.offset, budget=arguments.budget, overlays=overlays or None)


def _overlay(pair: str) -> dict[str, str]:
    """Read ``FILE=COPY`` as an overlay: the path of FILE and the text of COPY."""
    file, equals, copy = pair.rpartition("=")
    if not equals or not file:
        raise RegendError(f"`--overlay {pair}` names no copy; write FILE=COPY, or FILE=- for standard input.")
    try:
        if copy == "-":
            data = sys.stdin.buffer.read()
        else:
            with open(copy, "rb") as stream:  # noqa: PTH123 - pathlib is slower to import.
                data = stream.read()
    except OSError as error:
        raise RegendError(f"The copy {copy} cannot be read: {error.strerror}.") from error
    return {"path": absolute(file), "text": data.decode("utf-8", "surrogateescape")}


def _filters(arguments: argparse.Namespace) -> dict[str, Any]:
    root = absolute(arguments.root) if arguments.root else None
    return given(k=arguments.k, root=root, path=arguments.path, lang=arguments.lang)


def _result_lines(answer: dict[str, Any], style: Style) -> Iterator[str]:
    for result in answer["results"]:
        yield from _lines_of_result(result, style)
    yield from map(printable, answer["notes"])
    if answer.get("stages"):
        rows = [(name, f"{s['wall_ms']:.3f}", f"{s['cpu_ms']:.3f}") for name, s in answer["stages"].items()]
        for line in columns([("stage", "ms", "CPU ms"), *rows], right=frozenset({1, 2})):
            yield style(line, "yellow")
    found = count_text(len(answer["results"]), "result")
    taken = f", {count_text(answer['tokens'], 'token')}" if answer.get("tokens") else ""
    more = f"; more with --offset {answer['next_offset']}" if answer.get("next_offset") else ""
    note = "" if answer["complete"] else "; the index is not complete yet, see `regenctl status`"
    yield style(f"{found}{taken} in {answer['took_ms']:.1f} ms{more}{note}", "dim")


def _lines_of_result(result: dict[str, Any], style: Style) -> Iterator[str]:
    also = result.get("also") or ()
    width = len(str(max([passage["end_line"] for passage in also] + [result["end_line"]])))
    gap = style(f"  {'⋮'.rjust(width)}", "dim")
    place = style(printable(f"{result['root']}/{result['path']}"), "magenta", "bold") + _span(result, style)
    yield f"{place}{_symbol(result, style)}  {style(format(result['score'], '.3f'), 'green')}"
    yield from _code_lines(_numbered(result), width, style)
    if matches := result.get("matches"):
        yield gap
        yield from _code_lines([(match["line"], match["text"]) for match in matches], width, style)
    for passage in also:
        yield gap + _symbol(passage, style)
        yield from _code_lines(_numbered(passage), width, style)
    if count := result.get("copy_count"):
        named = [printable(_copy(copy, result["root"])) for copy in result["copies"][:_NAMED_COPIES]]
        more = ", …" if count > len(named) else ""
        yield style(f"  and {count_text(count, 'more place')}: {', '.join(named)}{more}", "dim")
    if result.get("explain"):
        rows = [(name, f"{f['value']:.4g}", f"{f['contribution']:+.4f}") for name, f in result["explain"].items()]
        for line in columns(rows, right=frozenset({1, 2})):
            yield f"    {style(line, 'yellow')}"
    yield ""


def _copy(copy: dict[str, Any], root: str) -> str:
    path = copy["path"] if copy["root"] == root else f"{copy['root']}/{copy['path']}"
    return f"{path}:{copy['start_line']}-{copy['end_line']}"


def _numbered(passage: dict[str, Any]) -> list[tuple[int, str]]:
    lines = passage["snippet"].split("\n") if passage["snippet"] else []
    return list(enumerate(lines, passage["snippet_line"]))


def _code_lines(lines: list[tuple[int, str]], width: int, style: Style) -> Iterator[str]:
    for number, line in lines:
        yield f"  {style(str(number).rjust(width), 'dim')}  {printable(line)}".rstrip()


def _symbol(passage: dict[str, Any], style: Style) -> str:
    return f"  {style(printable(passage['symbol']), 'cyan')}" if passage["symbol"] else ""


def _span(passage: dict[str, Any], style: Style) -> str:
    return style(f":{passage['start_line']}-{passage['end_line']}", "green")
