"""Commands that ask: search, symbols, related, outline."""

from __future__ import annotations

import sys

from regend.cli.call import absolute, call, given
from regend.cli.terminal import Style, columns, count_text, print_json, printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any


def run_search(arguments: argparse.Namespace) -> int:
    answer = call(
        arguments,
        "search",
        query=" ".join(arguments.query).strip(),
        **_filters(arguments),
        **given(context=arguments.context, sync=arguments.sync or None, explain=arguments.explain or None),
    )
    return _show_results(arguments, answer)


def run_related(arguments: argparse.Namespace) -> int:
    file, line = split_place(arguments.place)
    answer = call(
        arguments,
        "related",
        file=absolute(file),
        line=line,
        **_filters(arguments),
        **given(context=arguments.context),
    )
    return _show_results(arguments, answer)


def run_symbols(arguments: argparse.Namespace) -> int:
    answer = call(arguments, "symbols", name=arguments.name, **_filters(arguments))
    if arguments.json:
        print_json(answer)
        return 0
    style = Style.of(sys.stdout)
    if not answer["symbols"]:
        print(style(f"no definition of {arguments.name}", "dim"))
    for symbol in answer["symbols"]:
        place = style(printable(f"{symbol['root']}/{symbol['path']}"), "magenta") + _lines(symbol, style)
        print(f"{place}  {style(printable(symbol['kind']), 'dim')} {style(printable(symbol['qualified']), 'cyan')}")
    return 0


def run_outline(arguments: argparse.Namespace) -> int:
    answer = call(arguments, "outline", file=absolute(arguments.file))
    if arguments.json:
        print_json(answer)
        return 0
    style = Style.of(sys.stdout)
    print(style(printable(f"{answer['root']}/{answer['path']}"), "magenta"), style(answer["language"], "dim"))
    rows: list[tuple[str, str, str]] = []
    enclosing: list[int] = []
    for symbol in answer["symbols"]:
        first, last = symbol["start_line"], symbol["end_line"]
        while enclosing and enclosing[-1] < first:
            enclosing.pop()
        rows.append((f"{first}-{last}", symbol["kind"], "  " * len(enclosing) + printable(symbol["name"])))
        enclosing.append(last)
    for line in columns(rows, right=frozenset({0})):
        print(f"  {line}")
    if not rows:
        print(style("  no definitions", "dim"))
    return 0


def split_place(place: str) -> tuple[str, int]:
    """``FILE:LINE`` or ``FILE`` (line 1); editors' ``FILE:LINE:COLUMN`` works too."""
    file, parts = place, place.rsplit(":", 2)
    if len(parts) == 3 and parts[1].isdecimal() and (parts[2].isdecimal() or not parts[2]):
        return parts[0], max(int(parts[1]), 1)
    file, _, line = place.rpartition(":")
    return (file, max(int(line), 1)) if file and line.isdecimal() else (place, 1)


def _filters(arguments: argparse.Namespace) -> dict[str, Any]:
    root = absolute(arguments.root) if arguments.root else None
    return given(k=arguments.k, root=root, path=arguments.path, lang=arguments.lang)


def _show_results(arguments: argparse.Namespace, answer: dict[str, Any]) -> int:
    if arguments.json:
        print_json(answer)
        return 0
    style = Style.of(sys.stdout)
    for result in answer["results"]:
        _show_result(result, style)
    for sentence in answer["notes"]:
        print(printable(sentence))
    found = count_text(len(answer["results"]), "result")
    note = "" if answer["complete"] else "; the index is not complete yet, see `regenctl status`"
    print(style(f"{found} in {answer['took_ms']:.1f} ms{note}", "dim"))
    return 0


def _show_result(result: dict[str, Any], style: Style) -> None:
    place = style(printable(f"{result['root']}/{result['path']}"), "magenta", "bold") + _lines(result, style)
    symbol = f"  {style(printable(result['symbol']), 'cyan')}" if result["symbol"] else ""
    print(f"{place}{symbol}  {style(format(result['score'], '.3f'), 'green')}")
    snippet = result["snippet"].split("\n") if result["snippet"] else []
    width = len(str(result["snippet_line"] + len(snippet)))
    for number, line in enumerate(snippet, result["snippet_line"]):
        print(f"  {style(str(number).rjust(width), 'dim')}  {printable(line)}".rstrip())
    if result.get("explain"):
        rows = [(name, f"{f['value']:.4g}", f"{f['contribution']:+.4f}") for name, f in result["explain"].items()]
        for line in columns(rows, right=frozenset({1, 2})):
            print(f"    {style(line, 'yellow')}")
    print()


def _lines(span: dict[str, Any], style: Style) -> str:
    return style(f":{span['start_line']}-{span['end_line']}", "green")
