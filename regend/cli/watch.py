"""`regenctl status --watch`: a live page with progress bars, or without a terminal one line for each change."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from regend.cli.call import client
from regend.cli.progress import Progress
from regend.cli.status_page import change_line, is_settled, status_lines
from regend.cli.terminal import Style, duration_text, print_json, wants_colour
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
MIN_ESTIMATE_S = 1.0
"""Minimum time of work that an estimate is based on."""
BAR = 40
"""Width of a progress bar where the terminal leaves room for it."""
NO_ESTIMATES: Mapping[str, str] = MappingProxyType({})


def watch_status(arguments: argparse.Namespace) -> int:
    """Show the status until Ctrl-C, until the daemon stops (which is an error), or with `--until-ready`, completion."""
    with client(arguments) as daemon:
        statuses = _statuses(daemon, arguments.until_ready)
        if arguments.json:
            _print_changes(statuses, print_json)
        elif sys.stdout.isatty():
            _draw(statuses)
        else:
            _print_changes(statuses, lambda status: print(change_line(status)))
    return 0


def wait_until_ready(arguments: argparse.Namespace) -> None:
    """Wait until everything is indexed that is there; raise an error if the daemon stops."""
    with client(arguments) as daemon, Progress() as progress:
        for status in _statuses(daemon, until_ready=True):
            progress.update(status)


def _statuses(daemon: Client, until_ready: bool) -> Iterator[dict[str, Any]]:
    """Yield the status now, then after each notification or `REFRESH_S`."""
    daemon.call("subscribe", topics=["progress", "state", "index"])
    while True:
        asked_at = monotonic()
        status = daemon.call("status")
        yield status
        if until_ready and is_settled(status):
            return
        for _ in daemon.notifications(timeout_s=REFRESH_S):
            # Redraw once for a burst: take further notifications within the interval.
            while (left := MIN_INTERVAL_S - (monotonic() - asked_at)) > 0:
                if next(daemon.notifications(timeout_s=left), None) is None:
                    break
            break


def _print_changes(statuses: Iterator[dict[str, Any]], show: Any) -> None:
    before = None
    for status in statuses:
        now = change_line(status)
        if now != before:
            show(status)
            sys.stdout.flush()
        before = now


def _draw(statuses: Iterator[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.live import Live

    console = Console(no_color=not wants_colour(sys.stdout), highlight=False)
    began: dict[str, tuple[float, int]] = {}
    try:
        with Live(console=console, auto_refresh=False, transient=False) as live:
            for status in statuses:
                left = {root["path"]: _left_text(root, began, monotonic()) for root in status["roots"]}
                live.update(render(status, wants_colour(sys.stdout), console.width, left), refresh=True)
    except KeyboardInterrupt:
        # Ctrl-C ends this command; the last picture stays.
        return


def _left_text(root: dict[str, Any], began: dict[str, tuple[float, int]], now: float) -> str:
    """Estimate the time that a root's pending files take, from those read since this command or the work began."""
    done = root["files_indexed"] + root["files_skipped"]
    if not root["pending"] or root["state"] != "indexing":
        began.pop(root["path"], None)
        return ""
    began_at, before = began.setdefault(root["path"], (now, done))
    if now - began_at < MIN_ESTIMATE_S or done <= before:
        return ""
    return f"about {duration_text(root['pending'] * (now - began_at) / (done - before) + 0.5)} left"


def render(
    status: dict[str, Any], colour: bool, width: int = 0, left: Mapping[str, str] = NO_ESTIMATES
) -> RenderableType:
    """Return the status page below a progress bar for each root.

    Args:
        left: an estimate for each root's path.
    """
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
            ProgressBar(total=100.0, completed=share, width=BAR if not width else max(8, min(BAR, width - 50))),
            Text(f"{share:3.0f} %"),
            Text(f"{done:,} of {count_text(total, 'file')}"),
            Text(left.get(root["path"], "")),
        )
    page = Text.from_ansi("\n".join(status_lines(status, Style(colour), width)), no_wrap=True, overflow="ellipsis")
    return Group(bars, Text(""), page)
