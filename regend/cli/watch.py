"""`regenctl status --watch`: a live page with progress bars, or without a terminal one line for each change."""

from __future__ import annotations

import sys
from time import monotonic
from typing import TYPE_CHECKING, Any

from regend.cli.call import client
from regend.cli.status_page import change_line, status_lines
from regend.cli.terminal import Style, print_json, wants_colour
from regend.errors import count_text

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from rich.console import RenderableType

    from regend.rpc.client import Client

REFRESH_S = 0.5
"""Maximum time between two redraws."""
MIN_INTERVAL_S = 0.1
"""Minimum time between two redraws, however many notifications come."""


def watch_status(arguments: argparse.Namespace) -> int:
    """Show the status until Ctrl-C, or until the daemon stops (which is an error)."""
    with client(arguments) as daemon:
        if arguments.json:
            _print_changes(daemon, print_json)
        elif sys.stdout.isatty():
            _draw(daemon)
        else:
            _print_changes(daemon, lambda status: print(change_line(status)))
    return 0


def _statuses(daemon: Client) -> Iterator[dict[str, Any]]:
    """Yield the status now, then after each notification or `REFRESH_S`."""
    daemon.call("subscribe", topics=["progress", "state", "index"])
    while True:
        asked_at = monotonic()
        yield daemon.call("status")
        for _ in daemon.notifications(timeout_s=REFRESH_S):
            # Redraw once for a burst: take further notifications within the interval.
            while (left := MIN_INTERVAL_S - (monotonic() - asked_at)) > 0:
                if next(daemon.notifications(timeout_s=left), None) is None:
                    break
            break


def _print_changes(daemon: Client, show: Any) -> None:
    before = None
    for status in _statuses(daemon):
        now = change_line(status)
        if now != before:
            show(status)
            sys.stdout.flush()
        before = now


def _draw(daemon: Client) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(no_color=not wants_colour(sys.stdout), highlight=False)
    try:
        with Live(console=console, auto_refresh=False, transient=False) as live:
            for status in _statuses(daemon):
                live.update(render(status, wants_colour(sys.stdout)), refresh=True)
    except KeyboardInterrupt:
        # Ctrl-C ends this command; the last picture stays.
        return


def render(status: dict[str, Any], colour: bool) -> RenderableType:
    """Return the status page below a progress bar for each root."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    bars = Table.grid(padding=(0, 1))
    for root in status["roots"]:
        total = root["files_indexed"] + root["files_skipped"] + root["pending"]
        done = total - root["pending"]
        share = 100.0 if total == 0 else 100.0 * done / total
        bars.add_row(
            Text(root["path"].rstrip("/").rsplit("/", 1)[-1] or "/"),
            ProgressBar(total=100.0, completed=share, width=40),
            Text(f"{share:3.0f} %"),
            Text(f"{done:,} of {count_text(total, 'file')}"),
        )
    page = Text.from_ansi("\n".join(status_lines(status, Style(colour))), no_wrap=True, overflow="ellipsis")
    return Group(bars, Text(""), page)
